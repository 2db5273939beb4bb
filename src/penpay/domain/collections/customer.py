"""A customer: what she owes on open invoices, and the credit she has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NewType
from uuid import UUID

from penpay.domain.collections.errors import CreditTooSmall
from penpay.domain.collections.line import ZERO
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Money
from penpay.domain.shared.nairobi import nairobi_day
from penpay.domain.shared.phone import PhoneNumber

CustomerId = NewType("CustomerId", UUID)

_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Who a customer is and how she is reached: personal data."""

    name: str = field(repr=False)
    phone: PhoneNumber | None = None
    email: Email | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > _LONGEST_NAME:
            raise InvalidRequest(f"A customer's name has 1 to {_LONGEST_NAME} characters.", fields=["name"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """One customer. Whoever changes an invoice, a payment or credit of hers changes this row: so they take turns."""

    id: CustomerId
    number: str
    contact: Contact | None
    """None where the row was read for its money alone."""
    auto_apply_credit: bool
    """Whether credit pays her next invoices by itself."""
    receivable: Money = ZERO
    """What is open on her invoices."""
    credit: Money = ZERO
    """What she has paid and nothing has been used for yet."""
    issued_count: int = 0
    """How many invoices were issued to her; each stands behind all open ones."""
    reopened_count: int = 0
    """How often an invoice that was paid became open again, with its old place among the others."""
    paid_on: str | None = None
    """The newest day in Nairobi on which she paid, ISO."""
    paid_on_cents: int = 0
    """What she paid on it, reversed or not."""
    created_at: datetime
    version: int = 1

    @property
    def balance(self) -> Money:
        """What she owes in all; below zero when the business owes her."""
        return self.receivable - self.credit

    def moved(self, *, receivable: int = 0, credit: int = 0, issued: int = 0, reopened: int = 0) -> Customer:
        """The customer after her receivable and credit changed by so many cents.

        Raises CreditTooSmall when more credit would be used than there is.
        """
        if self.credit.cents + credit < 0:
            raise CreditTooSmall(customer_id=self.number, credit_cents=self.credit.cents)
        return replace(
            self,
            receivable=Money(self.receivable.cents + receivable, self.receivable.currency),
            credit=Money(self.credit.cents + credit, self.credit.currency),
            issued_count=self.issued_count + issued,
            reopened_count=self.reopened_count + reopened,
            version=self.version + 1,
        )

    def paid(self, amount: Money, at: datetime) -> Customer:
        """The customer after a payment of hers at that moment; one of an earlier day leaves the newest day's sum."""
        day = nairobi_day(at).isoformat()
        if self.paid_on is not None and day < self.paid_on:
            return self
        before = self.paid_on_cents if day == self.paid_on else 0
        return replace(self, paid_on=day, paid_on_cents=before + amount.cents, version=self.version + 1)
