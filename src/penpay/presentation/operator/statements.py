"""Statements of one account: the original rows, full rows, and the full ones as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

from penpay.application.mobile_money.books import StatementLine
from penpay.domain.mobile_money.customer import Customer
from penpay.domain.mobile_money.transaction import Operation
from penpay.domain.shared.money import Currency, Money
from penpay.presentation.operator.answers import moment, shillings

_COLUMNS: Final = (
    "createdAt",
    "receipt",
    "transactionType",
    "counterpartyName",
    "counterpartyPhone",
    "credited",
    "debited",
    "balance",
)
_NOTHING: Final = Money.zero(Currency.KES)


def row(line: StatementLine, customer: Customer) -> dict[str, object]:
    """A row of the original interface; the fee is in what was debited, and stands beside it."""
    transaction = line.transaction
    return {
        "transactionId": None if transaction is None else str(transaction.id),
        "transactionType": _type(line),
        "createdAt": moment(line.happened_at),
        "creditedAmount": shillings(line.credited),
        "debitedAmount": shillings(line.debited),
        "userId": str(customer.id),
        "accountId": str(line.account_id),
        "amountCents": _amount(line).cents,
        "feeCents": _fee(line).cents,
        "balanceCents": line.balance.cents,
    }


def full_row(line: StatementLine, customer: Customer) -> dict[str, object]:
    """The same with receipt, running balance and who was on the other side."""
    name, phone = _other(line)
    return {
        **row(line, customer),
        "sequence": line.sequence,
        "receipt": "" if line.transaction is None else line.transaction.receipt,
        "billRefNumber": None if line.transaction is None else line.transaction.bill_reference,
        "balance": shillings(line.balance),
        "counterpartyName": name,
        "counterpartyPhone": phone,
    }


def as_csv(lines: Sequence[StatementLine]) -> str:
    """The same for a spreadsheet, in shillings with two places. A fee is a line of its own, above what it was for."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for line in lines:
        writer.writerows(_csv_lines(line))
    return text.getvalue()


def _csv_lines(line: StatementLine) -> Iterator[tuple[str, ...]]:
    """Newest first, so the fee, which is taken last, comes first."""
    fee, amount = _fee(line), _amount(line)
    receipt = "" if line.transaction is None else line.transaction.receipt
    at = moment(line.happened_at)
    if fee.cents:
        yield at, receipt, "FEE", "", "", "", fee.decimal_text(), line.balance.decimal_text()
    name, phone = _other(line)
    credited, debited = (amount, _NOTHING) if line.credited.cents else (_NOTHING, amount)
    yield (
        at,
        receipt,
        _type(line),
        _no_formula(name),
        phone.removeprefix("+"),
        credited.decimal_text() if credited.cents else "",
        debited.decimal_text() if debited.cents else "",
        (line.balance + fee).decimal_text(),
    )


def _no_formula(text: str) -> str:
    """A name that begins like a formula must not become one in a spreadsheet."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _type(line: StatementLine) -> str:
    """Money without a transaction was put into the wallet by a sandbox."""
    return (Operation.FLOAT_ASSIGNMENT if line.transaction is None else line.transaction.operation).value


def _fee(line: StatementLine) -> Money:
    """What this side was charged."""
    if line.transaction is None or line.transaction.operation is Operation.PAYOUT:
        return _NOTHING  # what a payout costs is a charge, and a line of its own on another account
    return line.transaction.payee_fee if line.credited.cents else line.transaction.payer_fee


def _amount(line: StatementLine) -> Money:
    """What was moved, before the fee of this side."""
    return line.credited + _fee(line) if line.credited.cents else line.debited - _fee(line)


def _other(line: StatementLine) -> tuple[str, str]:
    """Name and masked phone of the other side."""
    other = line.counterparty
    if other is None:
        return "", ""
    return other.name, "" if other.phone is None else other.phone.masked
