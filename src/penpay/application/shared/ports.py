"""Ports every use case may need: time, identity and chance come in here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

T = TypeVar("T")


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC, with microseconds."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds of a clock that never goes backwards; for durations, never for records."""
        ...

    async def sleep(self, milliseconds: int) -> None:
        """Give way for at least this long; 0 gives way once."""
        ...


class Ids(Protocol):
    """The only source of identifiers."""

    def new(self) -> UUID:
        """A UUIDv7, greater than every one this source made before."""
        ...


class Random(Protocol):
    """The only source of chance."""

    def below(self, limit: int) -> int:
        """A uniform integer in [0, limit)."""
        ...

    def token_bytes(self, count: int) -> bytes:
        """`count` bytes that nobody can guess."""
        ...


class Aside(Protocol):
    """Where a computation goes that takes milliseconds: nobody else waits for it."""

    async def __call__(self, compute: Callable[[], T]) -> T:
        """What `compute` returns or raises. It touches nothing that anybody else changes, and draws no chance."""
        ...
