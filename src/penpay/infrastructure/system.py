"""The real clock, ids and chance of this machine."""

from __future__ import annotations

import asyncio
import gc
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as FastUUID  # noqa: N811  (both are named UUID)

from penpay.application.shared.ports import Clock, Random

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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
    anew for every id, a pool of chance at a time since a draw from the system is dear. Ids are of the PostgreSQL
    driver's subclass of UUID, in C: made in a quarter of the time, hashed in a third, written as text in a tenth.
    """

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._last_ms = 0
        self._counter = 0
        self._pool = b""
        self._used = 0

    def new(self) -> UUID:
        now = self._clock.now()
        since = now - _EPOCH
        ms = (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
        if ms > self._last_ms:
            self._last_ms = ms
            self._counter = self._random.below(1 << 25)
        else:
            self._counter += 1
            if self._counter >= 1 << 26:  # a backward clock or a burst: borrow from the next millisecond
                self._last_ms += 1
                self._counter = 0
        counter = self._counter
        value = (
            (self._last_ms << 80)
            | (0x7 << 76)
            | ((counter >> 14) << 64)
            | (0b10 << 62)
            | ((counter & 0x3FFF) << 48)
            | int.from_bytes(self._chance(), "big")
        )
        made: UUID = FastUUID(value.to_bytes(16, "big"))
        return made

    def _chance(self) -> bytes:
        if self._used + 6 > len(self._pool):
            self._pool = self._random.token_bytes(6 * 512)
            self._used = 0
        self._used += 6
        return self._pool[self._used - 6 : self._used]
