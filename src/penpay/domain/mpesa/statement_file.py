"""The organisation portal's statement as a CSV file: read liberally, exactly, and row by row.

The portal puts lines about the account before the header, quotes amounts with commas between thousands, and has
changed names and order of its columns; so columns are found by their names wherever they stand. A row that cannot be
read is told with its line and keeps no other from being read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from penpay.domain.mpesa.fields import moment, person_text, receipt, signed_money
from penpay.domain.mpesa.payer_phone import PayerPhone, PhoneKind, payer_phone
from penpay.domain.shared.money import Currency, Money

_COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("receiptno", "receiptnumber", "receipt", "transactionid", "transid"), "receipt"),
        **dict.fromkeys(("completiontime", "completedtime", "transactiontime", "date", "transtime"), "completed"),
        "initiationtime": "initiated",
        **dict.fromkeys(("details", "transactiondetails", "description"), "details"),
        **dict.fromkeys(("transactionstatus", "status"), "status"),
        **dict.fromkeys(("paidin", "credit", "amount", "transamount"), "paid_in"),
        **dict.fromkeys(("withdrawn", "withdrawal", "withdrawals", "paidout", "debit"), "withdrawn"),
        "balance": "balance",
        **dict.fromkeys(("reasontype", "transactiontype", "type"), "reason"),
        **dict.fromkeys(("otherpartyinfo", "otherparty", "party", "msisdn"), "party"),
        **dict.fromkeys(("linkedtransactionid", "linkedtransaction", "linkedreceiptno"), "linked"),
        **dict.fromkeys(("acno", "accountno", "accountnumber", "billreference", "billrefnumber"), "account"),
    }
)
_NEEDED: Final = frozenset({"receipt", "paid_in"})
_AMOUNT: Final = re.compile(r"(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]{1,2})?", re.ASCII)
_DAY_FIRST: Final = re.compile(r"(\d\d)[-/](\d\d)[-/](\d{4}) (\d{1,2}:\d\d)(?::(\d\d))?(?:\.\d+)?", re.ASCII)
_YEAR_FIRST: Final = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)[ T](\d{1,2}:\d\d)(?::(\d\d))?(?:\.\d+)?", re.ASCII)
_ACCOUNT: Final = re.compile(r"\bAcc(?:ount)?\b\.?\s*(?:No\b\.?)?\s*[:.]?\s*(?P<account>\S.{0,40})$", re.IGNORECASE)
_CUSTOMER: Final = re.compile(
    r"pay ?bill|buy goods|customer|merchant payment|pay merchant|pay utility|lipa na|c2b", re.IGNORECASE
)
_REVERSAL: Final = re.compile(r"revers", re.IGNORECASE)
_CHARGE: Final = re.compile(r"charge|\bfee\b|tariff", re.IGNORECASE)
_TO_BANK: Final = re.compile(r"settle|\bbank\b|organi[sz]ation withdrawal|withdraw(al)? of funds", re.IGNORECASE)


class RowKind(StrEnum):
    """What one row of a statement is to Collections."""

    RECEIPT = "RECEIPT"
    """A customer paid."""
    REVERSAL = "REVERSAL"
    """M-Pesa took a payment back."""
    CHARGE = "CHARGE"
    TO_BANK = "TO_BANK"
    """Money of ours that went to our bank."""
    OUTFLOW = "OUTFLOW"
    """Money of ours that left for somewhere else."""
    OTHER = "OTHER"
    """Money that came from no customer, and what was never completed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRow:
    """One row, exact to the cent and the second."""

    line: int
    """Of the file, counted from 1."""
    kind: RowKind
    receipt: str
    amount: Money
    """What came or went, above zero."""
    at: datetime | None
    """UTC; None if absent or no time at all."""
    balance: Money | None
    """Of the account, after the row."""
    linked_receipt: str | None
    """With REVERSAL: the payment that was taken back."""
    told: str = field(default="", repr=False)
    """Type and details in the portal's words; may name a person."""
    bill_reference: str = ""
    phone: PayerPhone = field(default=PayerPhone(PhoneKind.ABSENT, ""))
    name: str = field(default="", repr=False)
    """Personal data."""


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    line: int
    why: str
    """For people; quotes nothing of the row."""


@dataclass(frozen=True, slots=True)
class Statement:
    rows: tuple[StatementRow, ...]
    unreadable: tuple[UnreadableRow, ...]


class NoStatement(ValueError):
    """The file has no line with the names of a receipt's and an amount's column."""


def read_statement(raw: bytes) -> Statement:
    """Read a file of the organisation portal. Raises NoStatement and nothing else."""
    lines = _text(raw).splitlines()
    for number, line in enumerate(lines):
        for separator in ",;\t":
            names = [_COLUMNS.get(re.sub(r"[^a-z]", "", cell.lower()), "") for cell in next(_cells([line], separator))]
            if set(names) >= _NEEDED:
                return _rows(lines[number + 1 :], separator, names, first=number + 2)
    raise NoStatement("No line names the columns of a statement, such as Receipt No. and Paid In.")


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _cells(lines: Sequence[str], separator: str) -> Any:
    return csv.reader([f"{line}\n" for line in lines], delimiter=separator)


def _rows(lines: Sequence[str], separator: str, names: Sequence[str], *, first: int) -> Statement:
    rows: list[StatementRow] = []
    unreadable: list[UnreadableRow] = []
    reader = _cells(lines, separator)
    line = first
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error:
            unreadable.append(UnreadableRow(line, "it is no row of separated values"))
            line = first + reader.line_num
            continue
        if any(cell.strip() for cell in cells):
            read = _row(line, {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name})
            if isinstance(read, StatementRow):
                rows.append(read)
            else:
                unreadable.append(read)
        line = first + reader.line_num
    return Statement(tuple(rows), tuple(unreadable))


def _row(line: int, cells: Mapping[str, str]) -> StatementRow | UnreadableRow:
    receipt_number = receipt(cells.get("receipt"))
    if receipt_number is None:
        return UnreadableRow(line, "it has no receipt")
    paid_in, withdrawn = _amount(cells.get("paid_in", "")), _amount(cells.get("withdrawn", ""))
    if paid_in is None or withdrawn is None or (paid_in.cents != 0) == (withdrawn.cents != 0):
        return UnreadableRow(line, "it has no amount that came or went")
    told = f"{cells.get('reason', '')} {cells.get('details', '')}".strip()
    kind = _kind(cells, told, came=paid_in.cents > 0)
    party, _, name = cells.get("party", "").partition(" - ")
    account = cells.get("account", "") or (found["account"] if (found := _ACCOUNT.search(told)) else "")
    return StatementRow(
        line=line,
        kind=kind,
        receipt=receipt_number,
        amount=Money(abs(paid_in.cents + withdrawn.cents), Currency.KES),
        at=_moment(cells.get("completed", "")) or _moment(cells.get("initiated", "")),
        balance=_amount(cells["balance"]) if cells.get("balance") else None,
        linked_receipt=receipt(cells.get("linked")),
        told=person_text(told),
        bill_reference=person_text(account),
        phone=payer_phone(party.strip()),
        name=person_text(name),
    )


def _kind(cells: Mapping[str, str], told: str, *, came: bool) -> RowKind:
    if cells.get("status", "completed").lower() not in {"completed", ""}:
        return RowKind.OTHER
    if not came:
        if _REVERSAL.search(told):
            return RowKind.REVERSAL
        if _CHARGE.search(told):
            return RowKind.CHARGE
        return RowKind.TO_BANK if _TO_BANK.search(told) else RowKind.OUTFLOW
    from_a_customer = not told or (_CUSTOMER.search(told) and not _REVERSAL.search(told))
    return RowKind.RECEIPT if from_a_customer else RowKind.OTHER


def _amount(text: str) -> Money | None:
    """Shillings with or without commas between thousands, a minus sign or brackets; zero where nothing stands."""
    bare = re.sub(r"^(?:KES|KSH|KSHS)\.?\s*", "", text.strip(), flags=re.IGNORECASE)
    negative = bare.startswith(("-", "("))
    bare = bare.strip("-()")
    if not bare:
        return Money.zero(Currency.KES)
    if not _AMOUNT.fullmatch(bare):
        return None
    whole, point, cents = bare.replace(",", "").partition(".")
    money = signed_money((whole.lstrip("0") or "0") + point + cents, Currency.KES)
    return -money if negative and money is not None else money


def _moment(text: str) -> datetime | None:
    """Nairobi's time in any of the portal's spellings, in UTC."""
    if day_first := _DAY_FIRST.fullmatch(text):
        day, month, year, clock, second = day_first.groups()
    elif year_first := _YEAR_FIRST.fullmatch(text):
        year, month, day, clock, second = year_first.groups()
    else:
        return moment(text)
    return moment(f"{year}-{month}-{day} {clock}:{second or '00'}")
