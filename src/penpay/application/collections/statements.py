"""A customer's statement: what she owed, what has happened since, and what she owes now.

An amount is positive where the customer owes more by it, so a balance below zero is money the business holds for her.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final, Protocol

from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.money import Money

MOST_LINES: Final = 20_000
"""Of a statement that is made whole for a spreadsheet."""
MOST_LINES_PRINTED: Final = 2_000
"""Of one that is made whole on paper, some thirty a page."""


class StatementTooLong(DomainError):
    code = "statement_too_long"
    title = "The statement has more lines than one document holds: ask for fewer days."


class LineKind(StrEnum):
    """What moved the customer's balance."""

    INVOICE = "INVOICE"
    INVOICE_VOIDED = "INVOICE_VOIDED"
    CREDIT_NOTE = "CREDIT_NOTE"
    PAYMENT = "PAYMENT"
    PAYMENT_UNALLOCATED = "PAYMENT_UNALLOCATED"
    """A payment was taken from the customer again: booked to the wrong one, say."""
    PAYMENT_REVERSED = "PAYMENT_REVERSED"
    """M-Pesa or the business has sent the payment back."""
    REFUND = "REFUND"
    """Credit is being paid out to the customer."""
    REFUND_FAILED = "REFUND_FAILED"
    """It could not be paid out and is credit again."""
    RECOVERY = "RECOVERY"
    """What M-Pesa took back from us after it had been refunded is owed apart from the customer's account."""


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One movement of the balance, and what it left."""

    at: datetime
    kind: LineKind
    reference: str
    """The number of the invoice or the credit note, the receipt of the payment."""
    about: str
    """The invoice a credit note is for; otherwise ""."""
    amount: Money
    balance: Money


@dataclass(frozen=True, slots=True)
class Ageing:
    """What is owed by how long it has been due, as of a day in Nairobi; an invoice is not late on its due day.

    `unapplied_credit` is counted in no column: what is owed after it is `balance`.
    """

    as_of: date
    current: Money
    days_1_to_30: Money
    days_31_to_60: Money
    days_61_to_90: Money
    over_90_days: Money
    unapplied_credit: Money

    @property
    def receivable(self) -> Money:
        """All open invoices."""
        return self.current + self.days_1_to_30 + self.days_31_to_60 + self.days_61_to_90 + self.over_90_days

    @property
    def balance(self) -> Money:
        """Open invoices less unapplied credit."""
        return self.receivable - self.unapplied_credit


@dataclass(frozen=True, slots=True)
class CustomerBalance:
    """What a customer owes on open invoices, what is held for her, and the difference."""

    customer_number: str
    receivable: Money
    credit: Money

    @property
    def balance(self) -> Money:
        return self.receivable - self.credit


@dataclass(frozen=True, slots=True)
class Statement:
    """A customer's balance over some days in Nairobi, both included, or one page of it."""

    customer_number: str
    name: str
    first: date
    last: date
    opening: Money
    """Before the first of these lines."""
    lines: Sequence[StatementLine]
    closing: Money
    """At the end of the last day, which is after the last of these lines unless a page follows."""
    next: str | None
    """Where the following page begins (`after`); None on the last one."""
    ageing: Ageing
    """Of all that is open now, whatever the days of the statement."""


class Statements(Protocol):
    """Questions about one customer, named by her number, each answered as of one moment."""

    async def balance(self, customer_number: str) -> CustomerBalance:
        """What she owes now. Raises CustomerNotFound."""
        ...

    async def statement(
        self, customer_number: str, first: date, last: date, *, limit: int, after: str | None = None
    ) -> Statement:
        """Up to `limit` lines, oldest first; `after` is `next` of the page before, of the same days.

        Raises CustomerNotFound, and InvalidRequest for a last day before the first or an `after` no page gave.
        """
        ...


def whole(statement: Statement) -> Statement:
    """A statement all of whose lines were asked for; raises StatementTooLong when there are more of them."""
    if statement.next is not None:
        raise StatementTooLong
    return statement
