"""A customer's statement as a PDF: A4, the same bytes for the same statement."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from reportlab.pdfgen.canvas import Canvas

from penpay.application.collections.statements import Ageing, Statement, StatementLine
from penpay.domain.shared.money import Money
from penpay.presentation.documents.statements import WORDS, charged, paid, when

# Points, from the lower left corner of an A4 sheet.
_WIDTH: Final = 595
_HEIGHT: Final = 842
_LEFT, _RIGHT = 42, 553
_CHARGED, _PAID = 415, 484
_REFERENCE, _ABOUT = 198, 300
_WHAT: Final = 122
_ROW: Final = 15
_FIRST_ROW: Final = 660
"""Of the table on every page."""
_LAST_ROW: Final = 130
"""What stands below it is the ageing and the page number."""
_ROWS: Final = (_FIRST_ROW - _LAST_ROW) // _ROW
_PLAIN, _BOLD = "Helvetica", "Helvetica-Bold"  # every reader has them
_ENCODING: Final = "cp1252"
"""The letters that these typefaces have in a PDF."""
_LETTERS: Final[Mapping[str, int]] = {"business": 50, "name": 60, "reference": 20, "about": 20}
"""How many of the widest letters there is room for."""

Row = tuple[str, str, str, str, str, str, str]


async def statement_pdf(statement: Statement, business: str, give_way: Callable[[], Awaitable[None]]) -> bytes:
    """The statement, its opening and closing balance and its ageing; `business` is who sends it.

    Making a page takes some milliseconds, so it gives way after each. A letter that the typeface lacks is shown
    without its accent, or as a question mark.
    """
    made = io.BytesIO()
    # `invariant`: no moment of printing and no random identity in the file.
    canvas = Canvas(made, pagesize=(_WIDTH, _HEIGHT), invariant=1, pageCompression=1)
    canvas.setTitle(f"Statement {statement.customer_number} {statement.first} {statement.last}")
    canvas.setAuthor(_printable(business))
    canvas.setCreator("PenPay")
    rows = _rows(statement)
    pages = [rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS)]
    for number, page in enumerate(pages, 1):
        _heading(canvas, statement, business)
        _table(canvas, page)
        _footer(canvas, statement.ageing, f"Page {number} of {len(pages)}")
        canvas.showPage()
        await give_way()
    canvas.save()
    return made.getvalue()


def _rows(statement: Statement) -> list[Row]:
    first, last = statement.first.isoformat(), statement.last.isoformat()
    return [
        (first, "Opening balance", "", "", "", "", _amount(statement.opening)),
        *(_row(line) for line in statement.lines),
        (last, "Closing balance", "", "", "", "", _amount(statement.closing)),
    ]


def _row(line: StatementLine) -> Row:
    return (
        when(line),
        WORDS[line.kind],
        _fitting(line.reference, "reference"),
        _fitting(line.about, "about"),
        _amount(charged(line)) if line.amount.cents > 0 else "",
        _amount(paid(line)) if line.amount.cents < 0 else "",
        _amount(line.balance),
    )


def _heading(canvas: Any, statement: Statement, business: str) -> None:
    canvas.setFont(_BOLD, 15)
    canvas.drawString(_LEFT, 785, _fitting(business, "business"))
    canvas.setFont(_PLAIN, 11)
    canvas.drawString(_LEFT, 764, "Statement of account")
    canvas.setFont(_BOLD, 9)
    canvas.drawString(_LEFT, 738, _fitting(statement.name, "name"))
    canvas.setFont(_PLAIN, 9)
    canvas.drawString(_LEFT, 724, statement.customer_number)
    canvas.drawString(_LEFT, 710, f"{statement.first} to {statement.last} (Nairobi), in KES")
    canvas.drawRightString(_RIGHT, 738, "Closing balance")
    canvas.setFont(_BOLD, 12)
    canvas.drawRightString(_RIGHT, 722, str(statement.closing))


def _table(canvas: Any, rows: Sequence[Row]) -> None:
    canvas.setFont(_BOLD, 8)
    _cells(canvas, _FIRST_ROW + _ROW, ("Date", "What", "Reference", "About", "Charged", "Paid", "Balance"))
    canvas.line(_LEFT, _FIRST_ROW + _ROW - 4, _RIGHT, _FIRST_ROW + _ROW - 4)
    canvas.setFont(_PLAIN, 8)
    for number, row in enumerate(rows):
        _cells(canvas, _FIRST_ROW - number * _ROW, row)


def _cells(canvas: Any, height: int, row: Row) -> None:
    for left, cell in zip((_LEFT, _WHAT, _REFERENCE, _ABOUT), row[:4], strict=True):
        canvas.drawString(left, height, cell)
    for right, cell in zip((_CHARGED, _PAID, _RIGHT), row[4:], strict=True):
        canvas.drawRightString(right, height, cell)


def _footer(canvas: Any, ageing: Ageing, page: str) -> None:
    canvas.setFont(_BOLD, 8)
    canvas.drawString(_LEFT, 100, f"What is due, as of {ageing.as_of}")
    columns = (
        ("Not yet due", ageing.current),
        ("1–30 days", ageing.days_1_to_30),
        ("31–60 days", ageing.days_31_to_60),
        ("61–90 days", ageing.days_61_to_90),
        ("Over 90 days", ageing.over_90_days),
        ("Credit held", ageing.unapplied_credit),
        ("Balance", ageing.balance),
    )
    canvas.setFont(_PLAIN, 8)
    for number, (words, money) in enumerate(columns, 1):
        right = _LEFT + number * (_RIGHT - _LEFT) // len(columns)
        canvas.drawRightString(right, 85, words)
        canvas.drawRightString(right, 72, _amount(money))
    canvas.drawString(_LEFT, 42, "A balance below zero is money held for the customer.")
    canvas.drawRightString(_RIGHT, 42, page)


def _amount(money: Money) -> str:
    return str(money).removeprefix(f"{money.currency.value} ")  # with commas between thousands


def _fitting(value: str, place: str) -> str:
    """As much as there is room for."""
    room = _LETTERS[place]
    shown = _printable(value)
    return shown if len(shown) <= room else f"{shown[: room - 1]}…"


def _printable(value: str) -> str:
    return "".join(_letter(one) for one in value)


def _letter(letter: str) -> str:
    bare: str = unicodedata.normalize("NFKD", letter)[:1]
    for shown in (letter, bare):
        if shown.isprintable() and shown.encode(_ENCODING, "ignore"):
            return shown
    return "?"
