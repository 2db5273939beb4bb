"""Comparing what is kept with what its history says it must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Difference:
    """One value in the tables that its history does not lead to."""

    subject_type: str
    subject: str
    """The transaction's id or the account's code."""
    field: str
    kept: str
    """What the table says."""
    replayed: str
    """What the history comes to."""


@dataclass(frozen=True, slots=True)
class Replay:
    """How much was folded, and every difference found."""

    transactions: int
    events: int
    accounts: int
    entries: int
    differences: Sequence[Difference]


class History(Protocol):
    """The events and entries everything else can be rebuilt from."""

    async def check(self) -> Replay:
        """Fold events into every transaction and entries into every balance, and compare, as of one moment."""
        ...
