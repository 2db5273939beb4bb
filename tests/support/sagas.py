"""The drawings and tables of docs/sagas.md, as a program reads them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

from penpay.domain.payments.transaction import TERMINAL, TransactionStatus, TransactionType

_PAGE: Final = Path(__file__).parents[2] / "docs" / "sagas.md"
_HEADINGS: Final = {TransactionType.DEPOSIT: "### A deposit", TransactionType.WITHDRAWAL: "### A withdrawal"}
_ROW: Final = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_NAME: Final = re.compile(r"`(\w+)`")
_ANY: Final = {
    "any": frozenset(TransactionStatus),
    "any that has not ended": frozenset(TransactionStatus) - TERMINAL,
    "any that has ended": TERMINAL,
    "none": frozenset({None}),
}
Move = tuple[TransactionStatus | None, str, TransactionStatus]
"""The state before (None: there was nothing), the event, and the state after."""


def section(type_: TransactionType) -> str:
    """What stands under the saga's heading, to the next heading."""
    _, _, after = _PAGE.read_text(encoding="utf-8").partition(f"{_HEADINGS[type_]}\n")
    return after.partition("\n#")[0]


@cache
def moves(type_: TransactionType) -> frozenset[Move]:
    """Every move of the saga's table."""
    found: set[Move] = set()
    for states, events, following, _, _ in rows(type_):
        before: frozenset[TransactionStatus | None] = frozenset(
            _ANY.get(states, map(TransactionStatus, _NAME.findall(states)))
        )
        for state in before:
            after = state if following == "the same" else TransactionStatus(_NAME.findall(following)[0])
            assert after is not None, (states, following)
            found |= {(state, event, after) for event in _NAME.findall(events)}
    return frozenset(found)


def rows(type_: TransactionType) -> list[tuple[str, str, str, str, str]]:
    """The rows of the saga's table: state, event, next, posted, told."""
    return [found for found in _ROW.findall(section(type_)) if "`" in found[1]]


def drawn(type_: TransactionType) -> frozenset[tuple[str, str]]:
    """Every arrow of the saga's drawing; `[*]` is the beginning and the end."""
    return frozenset(re.findall(r"^    (\S+) --> (\S+)$", section(type_), re.MULTILINE))
