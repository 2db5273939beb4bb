"""An invoice: what was billed, what was taken off it, and what is still owed.

UNPAID ─→ PARTIALLY_PAID ─→ PAID, and back by whatever undoes a payment; any of them ─→ VOID, which is final.
OVERDUE is no state: an open invoice whose due day has passed in Nairobi is overdue to whoever looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.errors import CreditNoteTooLarge, InvoicePaid, InvoiceVoid
from penpay.domain.collections.line import KES, ZERO, Line
from penpay.domain.shared.events import DomainEvent, Fact
from penpay.domain.shared.locked_rate import divide_half_even
from penpay.domain.shared.money import Money

InvoiceId = NewType("InvoiceId", UUID)
CreditNoteId = NewType("CreditNoteId", UUID)


class InvoiceStatus(StrEnum):
    UNPAID = "UNPAID"
    PARTIALLY_PAID = "PARTIALLY_PAID"
    """Something was paid or taken off, and something is still owed."""
    PAID = "PAID"
    """Nothing is owed any more."""
    VOID = "VOID"


OVERDUE = "OVERDUE"
"""How an open invoice past its due day is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """One invoice in KES. `total` never changes; `balance` = total − credited − what payments and credit paid."""

    id: InvoiceId
    number: str
    customer_id: CustomerId
    status: InvoiceStatus
    net: Money
    vat: Money
    credited: Money = ZERO
    """Taken off by credit notes."""
    balance: Money
    memo: str | None
    issued_at: datetime
    due_on: date
    voided_at: datetime | None = None
    version: int = 1

    @property
    def total(self) -> Money:
        return self.net + self.vat

    @property
    def is_open(self) -> bool:
        """Whether something is owed."""
        return self.balance.cents > 0

    @property
    def is_void(self) -> bool:
        return self.status is InvoiceStatus.VOID

    @property
    def paid(self) -> Money:
        """What payments and credit have paid; of a void invoice nothing."""
        return ZERO if self.is_void else self.total - self.credited - self.balance

    def is_overdue(self, today: date) -> bool:
        """Whether it is open and its due day has passed; `today` is the day in Nairobi."""
        return self.is_open and self.due_on < today

    def settled(self, amount: Money) -> Invoice:
        """The invoice after this much was paid of it. Raises InvoiceVoid, and InvoicePaid when less is owed."""
        self._require_valid()
        if amount > self.balance:
            raise InvoicePaid(invoice_id=self.number, balance_cents=self.balance.cents)
        return self._with(self.balance - amount)

    def reopened(self, amount: Money) -> Invoice:
        """The invoice after this much of what had paid it was taken back. Raises InvoiceVoid."""
        self._require_valid()
        return self._with(self.balance + amount)

    def taken_off(self, amount: Money) -> Invoice:
        """The invoice after a credit note. The balance must cover it: what was paid above that is taken back before.

        Raises InvoiceVoid, and CreditNoteTooLarge when more would be taken off than was billed.
        """
        self._require_valid()
        if amount.cents > self.total.cents - self.credited.cents:
            raise CreditNoteTooLarge(invoice_id=self.number, left_cents=self.total.cents - self.credited.cents)
        return self._with(self.balance - amount, credited=self.credited + amount)

    def voided(self, at: datetime) -> Invoice:
        """The invoice after it was voided: nothing is owed, and nothing pays it. Raises InvoiceVoid on a repeat."""
        self._require_valid()
        return replace(self, status=InvoiceStatus.VOID, balance=ZERO, voided_at=at, version=self.version + 1)

    def vat_of(self, amount: Money) -> Money:
        """The VAT in the next `amount` taken off the total.

        It is counted from the total, so that the parts of several credit notes add up to the VAT of the whole.
        """
        before, after = self.credited.cents, self.credited.cents + amount.cents
        return Money(self._vat_until(after) - self._vat_until(before), KES)

    def event(self, name: str, **facts: Fact) -> DomainEvent:
        """An event about the invoice as it is now; its version is the sequence."""
        payload = {
            "invoice_id": self.number,
            "status": self.status.value,
            "balance_cents": self.balance.cents,
            **facts,
        }
        return DomainEvent(name, "Invoice", self.id, self.version, payload)

    def _vat_until(self, cents: int) -> int:
        return divide_half_even(cents * self.vat.cents, self.total.cents)

    def _require_valid(self) -> None:
        if self.is_void:
            raise InvoiceVoid(invoice_id=self.number)

    def _with(self, balance: Money, credited: Money | None = None) -> Invoice:
        status = InvoiceStatus.PARTIALLY_PAID
        if balance.cents == 0:
            status = InvoiceStatus.PAID
        elif balance.cents == self.net.cents + self.vat.cents:
            status = InvoiceStatus.UNPAID
        return replace(
            self, status=status, balance=balance, credited=credited or self.credited, version=self.version + 1
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLine:
    """A line of an invoice, as it is kept."""

    invoice_id: InvoiceId
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNote:
    """What was taken off an invoice, and why."""

    id: CreditNoteId
    number: str
    invoice_id: InvoiceId
    customer_id: CustomerId
    """The invoice's."""
    net: Money
    vat: Money
    reason: str
    issued_at: datetime
    issued_by: str

    @property
    def total(self) -> Money:
        return self.net + self.vat


def lines_of(invoice_id: InvoiceId, lines: Sequence[Line]) -> tuple[InvoiceLine, ...]:
    """Lines as they are kept."""
    return tuple(InvoiceLine(invoice_id=invoice_id, line=line) for line in lines)
