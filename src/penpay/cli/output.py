"""Answers on standard output: one line of JSON for machines, plain tables for people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Final

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

Json = str | int | bool | None
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one line of JSON.")]
AMOUNT = "amount"
"""A column whose name ends so is set flush right."""
_PAGE: Final = 160
"""Characters of a line where nobody says how wide a screen is."""


def show_json(answer: Mapping[str, object] | Sequence[Mapping[str, object]]) -> None:
    """One line of JSON; moments, ids and exact decimals are text."""
    typer.echo(json.dumps(answer, ensure_ascii=False))


def show_table(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    whole: Collection[str] = (),
    figures: Collection[str] = (),
) -> None:
    """A table that never cuts a value short: in a narrow terminal values are folded.

    Columns of `whole`, such as receipts, and amounts are folded last; `figures` are set flush right as amounts are.
    Into a file or a pipe nothing is folded that fits a wide page, so that lines can be searched.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(names):
        is_figure = name.endswith(AMOUNT) or name in figures
        longest = max((cell_len(row[number]) for row in rows), default=0)
        width = max(longest, cell_len(name.split()[-1])) if is_figure or name in whole else None
        table.add_column(name, justify="right" if is_figure else "left", overflow="fold", width=width)
    for row in rows:
        table.add_row(*row)
    is_open_ended = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    Console(markup=False, highlight=False, width=_PAGE if is_open_ended else None).print(table)
