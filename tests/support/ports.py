"""Time and chance as a test wants them: a clock that moves when told, and a generator that repeats itself."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

MORNING = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


class HandClock:
    """The Clock port; it stands still until the test moves it or somebody waits, which takes no time."""

    def __init__(self, moment: datetime = MORNING) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def monotonic_ms(self) -> int:
        return (self.moment - MORNING) // timedelta(milliseconds=1)

    async def sleep(self, milliseconds: int) -> None:
        self.moment += timedelta(milliseconds=milliseconds)
        await asyncio.sleep(0)


class SeededRandom:
    """The Random port, the same in every run."""

    def __init__(self, seed: int = 1) -> None:
        self._generator = random.Random(seed)

    def below(self, limit: int) -> int:
        return self._generator.randrange(limit)

    def token_bytes(self, count: int) -> bytes:
        return self._generator.randbytes(count)
