"""A customer's statement for people: the words and figures that the CSV and the PDF show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from penpay.application.collections.statements import LineKind, Statement, StatementLine
from penpay.domain.shared.money import Money
from penpay.domain.shared.nairobi import EAST_AFRICA
from penpay.presentation.documents.spreadsheet import as_csv, text

WORDS: Final[Mapping[LineKind, str]] = MappingProxyType(
    {
        LineKind.INVOICE: "Invoice",
        LineKind.INVOICE_VOIDED: "Invoice voided",
        LineKind.CREDIT_NOTE: "Credit note",
        LineKind.PAYMENT: "Payment",
        LineKind.PAYMENT_UNALLOCATED: "Payment taken off",
        LineKind.PAYMENT_REVERSED: "Payment reversed",
        LineKind.REFUND: "Refund",
        LineKind.REFUND_FAILED: "Refund failed",
        LineKind.RECOVERY: "Recovery",
    }
)
_COLUMNS: Final = ("date", "what", "reference", "about", "charged", "paid", "balance")


def statement_csv(statement: Statement) -> str:
    """One row a line between the opening and the closing balance; shillings with two places, dates in Nairobi."""
    return as_csv(_COLUMNS, _rows(statement))


def _rows(statement: Statement) -> Iterator[tuple[str, ...]]:
    yield statement.first.isoformat(), "Opening balance", "", "", "", "", statement.opening.decimal_text()
    for line in statement.lines:
        yield (
            when(line),
            WORDS[line.kind],
            text(line.reference),
            text(line.about),
            charged(line).decimal_text() if line.amount.cents > 0 else "",
            paid(line).decimal_text() if line.amount.cents < 0 else "",
            line.balance.decimal_text(),
        )
    yield statement.last.isoformat(), "Closing balance", "", "", "", "", statement.closing.decimal_text()


def when(line: StatementLine) -> str:
    """The minute in Nairobi."""
    return line.at.astimezone(EAST_AFRICA).strftime("%Y-%m-%d %H:%M")


def charged(line: StatementLine) -> Money:
    """By how much the customer owes more; nothing for what she was credited with."""
    return max(line.amount, Money.zero(line.amount.currency))


def paid(line: StatementLine) -> Money:
    """By how much the customer owes less; nothing for what she was charged."""
    return max(-line.amount, Money.zero(line.amount.currency))
