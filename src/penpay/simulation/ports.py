"""Time and chance as one simulated process has them."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from typing import Final

from penpay.simulation.loop import SimLoop

_LONG_MS: Final = 400
"""Shorter waits, as between two tries at a transaction, end when they should."""


class SimClock:
    """A process's own clock: virtual time, wrong by `skew`; its longer waits end up to `lateness_ms` late."""

    def __init__(self, loop: SimLoop, chance: random.Random, *, lateness_ms: int = 0) -> None:
        self._loop = loop
        self._chance = chance
        self.lateness_ms = lateness_ms
        self.skew = timedelta(0)
        """How far it is ahead of the true time."""

    def now(self) -> datetime:
        return self._loop.begins_at + timedelta(microseconds=self._loop.now_us) + self.skew

    def monotonic_ms(self) -> int:
        return self._loop.now_us // 1_000

    async def sleep(self, milliseconds: int) -> None:
        late = self._chance.randrange(self.lateness_ms + 1) if milliseconds >= _LONG_MS else 0
        await asyncio.sleep((milliseconds + late) / 1_000)


class SimRandom:
    """Chance from the seed."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def below(self, limit: int) -> int:
        return self._chance.randrange(limit)

    def token_bytes(self, count: int) -> bytes:
        return self._chance.randbytes(count)
