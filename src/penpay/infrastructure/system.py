"""The real clock, ids and chance of this machine."""

from __future__ import annotations

import asyncio
import gc
import secrets
import struct
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as FastUUID  # noqa: N811  (both are named UUID)

from penpay.application.shared.ports import Clock, Random

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)
_CHANCE = struct.Struct(">HI")
"""48 bits, of which there is no integer."""
_GC_THRESHOLDS = (50_000, 20, 100)


def tune_garbage_collection() -> None:
    """Have the cycle collector look seldom, and never at what was imported; the process calls it once, when built.

    A batch of a thousand commands makes some hundred thousand objects, hardly any of them in cycles. With Python's own
    threshold of 700 the collector walks them again and again while the batch lives, for a tenth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    async def sleep(self, milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1000)


class SystemRandom:
    """The operating system's randomness."""

    def below(self, limit: int) -> int:
        return secrets.randbelow(limit)

    def token_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)


async def in_thread(compute: Callable[[], T]) -> T:
    """The Aside port on a thread: for what lets go of Python's lock, as scrypt and OpenSSL do."""
    return await asyncio.to_thread(compute)


async def at_once(compute: Callable[[], T]) -> T:
    """The Aside port of a simulation, which has no threads: here and now."""
    return compute()


class UuidV7:
    """UUIDv7 (RFC 9562): 48 bits of milliseconds, then a counter and chance; each greater than the one before.

    The 12 + 14 bits after the time count up from a random start within a millisecond, and the last 48 bits are drawn
    anew for every id, a pool of chance at a time since a draw from the system is dear. A payment takes a dozen of them,
    so they are cheap: those of one millisecond differ by an addition, and they are of the PostgreSQL driver's subclass
    of UUID, in C: made in a quarter of the time, hashed in a third, written as text in a tenth.
    """

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._last_ms = 0
        self._next_ms = _EPOCH
        """When the millisecond after the last one begins."""
        self._counter = 0
        self._chances: Iterator[tuple[int, int]] = iter(())

    def new(self) -> UUID:
        now = self._clock.now()
        if now >= self._next_ms:
            since = now - _EPOCH
            self._last_ms = (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
            self._next_ms = _EPOCH + (self._last_ms + 1) * _MILLISECOND
            self._counter = self._random.below(1 << 25)
        else:
            self._counter += 1
            if self._counter >= 1 << 26:  # a backward clock or a burst: borrow from the next millisecond
                self._last_ms += 1
                self._next_ms += _MILLISECOND
                self._counter = 0
        counter = self._counter
        high, low = next(self._chances, None) or self._drawn()
        value = (
            (self._last_ms << 80)
            | _VERSION_AND_VARIANT
            | ((counter >> 14) << 64)
            | ((counter & 0x3FFF) << 48)
            | (high << 32)
            | low
        )
        made: UUID = FastUUID(value.to_bytes(16, "big"))
        return made

    def _drawn(self) -> tuple[int, int]:
        self._chances = _CHANCE.iter_unpack(self._random.token_bytes(_CHANCE.size * 512))
        return next(self._chances)
