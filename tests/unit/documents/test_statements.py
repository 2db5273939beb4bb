"""Statements for a spreadsheet and for paper: nothing runs, nothing is cut, and the same is the same to the byte."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from pypdf import PdfReader

from penpay.application.collections.statements import Ageing, LineKind, Statement, StatementLine
from penpay.domain.shared.money import Currency, Money
from penpay.presentation.documents.spreadsheet import text
from penpay.presentation.documents.statement_pdf import statement_pdf
from penpay.presentation.documents.statements import statement_csv

MORNING = datetime(2026, 2, 3, 6, tzinfo=UTC)


def kes(cents: int) -> Money:
    return Money(cents, Currency.KES)


def line(number: int, cents: int, reference: str = "INV-1") -> StatementLine:
    kind = LineKind.INVOICE if cents > 0 else LineKind.PAYMENT
    at = MORNING + timedelta(minutes=number)
    return StatementLine(at, kind, reference, "", kes(cents), kes(cents))


def statement(lines: Sequence[StatementLine], *, name: str = "Amina", opening: int = 0, closing: int = 0) -> Statement:
    ageing = Ageing(date(2026, 2, 28), kes(1), kes(2), kes(3), kes(4), kes(5), kes(6))
    first, last = date(2026, 2, 1), date(2026, 2, 28)
    return Statement("CUST-001", name, first, last, kes(opening), lines, kes(closing), None, ageing)


async def printed(made: Statement, business: str = "Kelly's Shop") -> bytes:
    async def give_way() -> None:
        pass

    return await statement_pdf(made, business, give_way)


def read(paper: bytes) -> list[str]:
    """The text of each page."""
    return [page.extract_text() for page in PdfReader(io.BytesIO(paper)).pages]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("INV-20260203-0001", "INV-20260203-0001"),
        ("", ""),
        ("=1+1", "'=1+1"),
        ("+254712345678", "'+254712345678"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        (" =cmd|' /C calc'!A0", "' =cmd|' /C calc'!A0"),
        ("a=1", "a=1"),
    ],
)
def test_no_text_is_computed_by_a_spreadsheet(value: str, cell: str) -> None:
    """What begins like a formula gets an apostrophe in front; anything else stays as it is."""
    assert cell == text(value)


def test_amounts_below_zero_stay_numbers() -> None:
    """A balance in the customer's favour begins with a minus sign and no apostrophe, so that it can be summed."""
    made = statement([line(0, -5_000, "=HYPERLINK()")], opening=-1, closing=-5_001)

    rows = list(csv.reader(io.StringIO(statement_csv(made))))

    assert ["-0.01", "-50.00", "-50.01"] == [row[-1] for row in rows[1:]]
    assert ["2026-02-03 09:00", "Payment", "'=HYPERLINK()", "", "", "50.00", "-50.00"] == rows[2]


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (33, 1), (34, 2), (69, 3)])
async def test_every_line_is_on_some_page(count: int, pages: int) -> None:
    """Opening, lines and closing go on for as many pages as they need; each tells which it is and what is due."""
    lines = [line(number, 100, f"INV-{number:05d}") for number in range(count)]

    shown = read(await printed(statement(lines, closing=123_456_789)))

    assert pages == len(shown)
    for number, page in enumerate(shown, 1):
        assert f"Page {number} of {pages}" in page
        assert "What is due, as of 2026-02-28" in page
    whole = "\n".join(shown)
    assert all(one.reference in whole for one in lines)
    assert "Opening balance" in shown[0]
    assert "1,234,567.89" in shown[-1]


async def test_the_same_statement_is_the_same_file() -> None:
    """No moment of printing and no random identity is in it."""
    made = statement([line(0, 100)])

    assert await printed(made) == await printed(made)
    assert await printed(made) != await printed(statement([line(0, 101)]))


@pytest.mark.parametrize(
    ("name", "shown"),
    [("Wanjikũ Mũthoni", "Wanjiku Muthoni"), ("Café Möhre – “Ltd”", "Café Möhre – “Ltd”"), ("李\x07", "??")],
)
async def test_a_letter_that_cannot_be_printed_loses_its_accent(name: str, shown: str) -> None:
    """What the typeface has is printed; an accent it lacks is left out, and anything else is a question mark."""
    (page,) = read(await printed(statement([], name=name)))

    assert shown in page


async def test_what_is_too_long_is_cut_with_a_sign() -> None:
    """A name or number longer than its place ends with an ellipsis and does not run into the next column."""
    (page,) = read(await printed(statement([line(0, 100, "INV-2026-0203-0001-X-2")], name="N" * 120), "B" * 80))

    assert "N" * 59 + "…" in page
    assert "B" * 49 + "…" in page
    assert "INV-2026-0203-0001-…" in page
