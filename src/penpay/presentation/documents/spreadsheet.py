"""CSV that a spreadsheet opens without running any of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

_STARTS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001  (spreadsheets take the wide signs for the others)
"""What makes a spreadsheet compute a cell (OWASP, CSV injection)."""


def text(value: str) -> str:
    """A cell of text. What would be taken for a formula gets an apostrophe in front, which a spreadsheet does not show.

    Never for amounts: one below zero begins with a minus sign, and is made by us.
    """
    return f"'{value}" if value.lstrip(" ").startswith(_STARTS_A_FORMULA) else value


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The table in the form of RFC 4180; every cell is ready, see `text`."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return made.getvalue()
