"""The portal's statement: columns by their names, amounts to the cent, and no row that spoils another."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from penpay.domain.mpesa.payer_phone import PhoneKind
from penpay.domain.mpesa.statement_file import NoStatement, RowKind, read_statement
from penpay.domain.shared.money import Currency, Money

FILE = (Path(__file__).parent / "portal_statement.csv").read_bytes()


def test_every_row_is_told_for_what_it_is() -> None:
    """Payments, a charge, a reversal with the payment it takes back, money that left, money from no customer."""
    read = read_statement(FILE)

    assert [
        (4, RowKind.RECEIPT, "QGK12XYZ9", 500_000),
        (5, RowKind.RECEIPT, "QGK12XYZA", 105),
        (6, RowKind.CHARGE, "QGK12XYZA", 1_500),
        (7, RowKind.REVERSAL, "QGK12XYZB", 500_000),
        (8, RowKind.OUTFLOW, "QGK12XYZC", 30_000),
        (9, RowKind.OTHER, "QGK12XYZD", 1_000_000),
        (10, RowKind.OTHER, "QGK12XYZE", 1_000),
    ] == [(row.line, row.kind, row.receipt, row.amount.cents) for row in read.rows]
    assert "QGK12XYZ9" == read.rows[3].linked_receipt
    assert [(11, "it has no amount that came or went"), (12, "it has no receipt")] == [
        (row.line, row.why) for row in read.unreadable
    ]


def test_a_payment_has_what_a_confirmation_tells() -> None:
    """Who, when, for what and the balance after it; the reference also out of the details."""
    first, second = read_statement(FILE).rows[:2]

    assert datetime(2026, 2, 3, 9, 0, 5, tzinfo=UTC) == first.at
    assert Money(10_500_000, Currency.KES) == first.balance
    assert (PhoneKind.MASKED, "JANE WANJIKU") == (first.phone.kind, first.name)
    assert (PhoneKind.PLAIN, "254708374149") == (second.phone.kind, second.phone.text)
    assert ("INV-20260203-0001", "cust 1") == (first.bill_reference, second.bill_reference)
    assert "JANE" not in repr(first)


@pytest.mark.parametrize(
    ("details", "reference"),
    [
        ("Pay Bill from 2547****149 - JANE WANJIKU Acc. INV-1", "INV-1"),
        ("Pay Bill from 2547****149 - JANE WANJIKU Acc. nobody", "nobody"),
        ("Pay Bill from 2547****149 - JANE WANJIKU Acc. No. 12", "12"),
        ("Pay Bill from 2547****149 - JANE WANJIKU Account No: NO-7", "NO-7"),
        ("Pay Bill from 2547****149 - ACCRA STORES Acc. INV-2", "INV-2"),
        ("Pay Bill from 2547****149 - JANE WANJIKU Account INV-3", "INV-3"),
    ],
)
def test_the_reference_is_read_out_of_the_details_whole(details: str, reference: str) -> None:
    """Whatever it begins with, and whatever the payer is called."""
    (row,) = read_statement(f"Receipt No.,Details,Paid In\nQGK12XYZ9,{details},500\n".encode()).rows

    assert reference == row.bill_reference


@pytest.mark.parametrize(
    "text",
    [
        "Receipt;Paid In\nQGK12XYZ9;5000\n",
        "﻿receipt no\tPAID-IN\nQGK12XYZ9\tKES 5,000.00\n",
        'TransID,TransAmount\r\n"QGK12XYZ9","05000.0"\r\n\r\n',
    ],
)
def test_other_spellings_of_the_same_file_are_read(text: str) -> None:
    """Semicolons, tabs, a byte order mark, other names: a file without more columns is one of payments."""
    (row,) = read_statement(text.encode()).rows

    assert (RowKind.RECEIPT, "QGK12XYZ9", 500_000, None) == (row.kind, row.receipt, row.amount.cents, row.at)


@pytest.mark.parametrize("raw", [b"", b"\x00\xff", b"a,b\n1,2\n", b"%PDF-1.4 Paid In"])
def test_what_is_no_statement_is_refused(raw: bytes) -> None:
    """Nothing is guessed from a file whose columns nobody names."""
    with pytest.raises(NoStatement):
        read_statement(raw)
