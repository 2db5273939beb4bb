"""Answers on standard output: one line of JSON for machines, plain tables for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

Json = str | int | bool | None
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one line of JSON.")]
AMOUNT = "amount"
"""A column whose name ends so is set flush right."""


def show_json(answer: Mapping[str, object] | Sequence[Mapping[str, object]]) -> None:
    """One line of JSON; moments, ids and exact decimals are text."""
    typer.echo(json.dumps(answer, ensure_ascii=False))


def show_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table that never cuts a value short: in a narrow terminal values are folded."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(name, justify="right" if name.endswith(AMOUNT) else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)
