"""Connections and clocks of which the checks know more: who may not call out now, and when a clock was set back."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from penpay.simulation.database import Connection
from penpay.simulation.loop import SimLoop
from penpay.simulation.ports import SimClock

LATENESS_MS: Final = 30_000
"""How late the timers of a busy machine may ring; it also keeps idle looking-around cheap to simulate."""


@dataclass(frozen=True, slots=True, eq=False)
class _Writing:
    """One writing transaction."""

    connection: WatchedConnection

    @property
    def is_open(self) -> bool:
        connection = self.connection
        return connection.writing is self and connection.writer is not None and connection.in_transaction


_WITHIN: ContextVar[_Writing | None] = ContextVar("within", default=None)
"""The transaction that this task has begun last, or that the one which started it was in."""


def is_within_a_transaction() -> bool:
    """Whether this task has a transaction open, or was started, by however many between, within one that still is."""
    within = _WITHIN.get()
    return within is not None and within.is_open


class WatchedConnection(Connection):
    """A connection whose open transaction is known to every task that is started within it."""

    writing: _Writing | None = None

    async def run(self, statement: str, execute: Callable[[], Any]) -> None:
        await super().run(statement, execute)
        if statement.startswith("BEGIN IMMEDIATE"):
            self.writing = _Writing(self)
            _WITHIN.set(self.writing)


@dataclass(frozen=True, slots=True)
class Wrongness:
    """How the clocks of one run have been wrong."""

    set_back: list[datetime] = field(default_factory=list)
    """What clocks showed when they were set back."""
    skews: set[timedelta] = field(default_factory=lambda: {timedelta(0)})
    """How far clocks have ever been ahead of the true time."""


class WatchedClock(SimClock):
    """A clock that owns up to having been wrong."""

    def __init__(self, loop: SimLoop, chance: random.Random, *, lateness_ms: int, wrongness: Wrongness) -> None:
        self._skew = timedelta(0)
        self._wrongness = wrongness
        super().__init__(loop, chance, lateness_ms=lateness_ms)

    @property
    def skew(self) -> timedelta:
        """How far it is ahead of the true time."""
        return self._skew

    @skew.setter
    def skew(self, skew: timedelta) -> None:
        if skew < self._skew:
            self._wrongness.set_back.append(self.now())
        self._wrongness.skews.add(skew)
        self._skew = skew
