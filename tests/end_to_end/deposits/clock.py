"""A clock the deposit stories can move."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta


class ShiftedClock:
    """The Clock port: this machine's time plus what the test has added; whoever sleeps notices when it is moved."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def monotonic_ms(self) -> int:
        loop = asyncio.get_running_loop()
        return int(loop.time() * 1000) + self._ahead // timedelta(milliseconds=1)

    async def sleep(self, milliseconds: int) -> None:
        until = self.monotonic_ms() + milliseconds
        while (left := until - self.monotonic_ms()) > 0:
            moved = self._moved
            try:
                async with asyncio.timeout(left / 1000):
                    await moved.wait()
            except TimeoutError:
                return
        await asyncio.sleep(0)

    def advance(self, span: timedelta) -> None:
        """It is this much later now; nothing that slept wakes too early or too late."""
        self._ahead += span
        self._moved.set()
        self._moved = asyncio.Event()
