"""The sandbox's own time and chance, which whoever tests against it can set (daraja.md §8.4).

With a seed everything drawn is drawn from it: on the same books, the same calls get the same answers. Each purpose has
draws of its own, so that what happens in the background takes none from the calls.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from penpay.application.shared.ports import Clock, Random
from penpay.domain.shared.errors import DomainError

_FIRST: Final = datetime(2006, 1, 2, tzinfo=UTC)
_LAST: Final = datetime(2031, 12, 31, tzinfo=UTC)
"""The years a receipt can tell (daraja.md §6.7)."""
_MILLISECOND: Final = timedelta(milliseconds=1)
_SPARE_BYTES: Final = 16
"""Drawn beyond what a limit needs, so that no number is noticeably likelier than another."""


class MomentOutOfRange(DomainError):
    code = "moment_out_of_range"
    title = "The sandbox's time is between 2 January 2006 and 30 December 2031: receipts tell no other year."


class NotAdjustable(DomainError):
    code = "not_adjustable"
    title = "This sandbox was started without a time and a chance of its own."


class SandboxClock:
    """The Clock port: the time of `real`, moved by an offset, or one that stands still until it is stepped.

    Whoever sleeps is woken when so much time has passed in the sandbox, by a step as well, or on the machine: a clock
    that stands still stops nothing for ever. Moving the clock back moves `now` and gives nobody time back.
    """

    def __init__(self, real: Clock) -> None:
        self._real = real
        self._offset = timedelta(0)
        self._fixed: datetime | None = None
        self._passed_ms = 0
        """By how much `monotonic_ms` is ahead of the machine's; all of it while the clock stands still."""
        self._moved = asyncio.Event()

    @property
    def is_fixed(self) -> bool:
        return self._fixed is not None

    @property
    def offset_ms(self) -> int:
        """By how much it is ahead of the machine's now."""
        return (self.now() - self._real.now()) // _MILLISECOND if self.is_fixed else self._offset // _MILLISECOND

    def now(self) -> datetime:
        return self._real.now() + self._offset if self._fixed is None else self._fixed

    def monotonic_ms(self) -> int:
        return self._passed_ms + (0 if self.is_fixed else self._real.monotonic_ms())

    async def sleep(self, milliseconds: int) -> None:
        if milliseconds <= 0:
            await self._real.sleep(milliseconds)
            return
        woken_at, woken_by_machine_at = self.monotonic_ms() + milliseconds, self._real.monotonic_ms() + milliseconds
        while self.monotonic_ms() < woken_at:
            left = woken_by_machine_at - self._real.monotonic_ms()
            if left <= 0:
                return
            moved = self._moved
            try:
                async with asyncio.timeout(timedelta(milliseconds=left).total_seconds()):
                    await moved.wait()
            except TimeoutError:
                return

    def run_ahead(self, offset_ms: int) -> None:
        """Go on from the machine's time and so much, which may be negative. Raises MomentOutOfRange."""
        try:
            offset = timedelta(milliseconds=offset_ms)
            now = self._real.now() + offset
        except OverflowError:
            raise MomentOutOfRange from None
        self._move(now, offset, None)

    def fix(self, at: datetime) -> None:
        """Stand still at this moment. Raises MomentOutOfRange."""
        self._move(at, timedelta(0), at)

    def step(self, milliseconds: int) -> None:
        """Move on, whether it stands still or not. Raises MomentOutOfRange."""
        if self._fixed is None:
            self.run_ahead(self.offset_ms + milliseconds)
            return
        try:
            later = self._fixed + timedelta(milliseconds=milliseconds)
        except OverflowError:
            raise MomentOutOfRange from None
        self.fix(later)

    def _move(self, now: datetime, offset: timedelta, fixed: datetime | None) -> None:
        if not _FIRST <= now < _LAST:
            raise MomentOutOfRange
        passed = self.monotonic_ms() + max(0, (now - self.now()) // _MILLISECOND)
        self._offset, self._fixed = offset, fixed
        self._passed_ms = passed - (0 if fixed is not None else self._real.monotonic_ms())
        self._moved.set()
        self._moved = asyncio.Event()


class Chance:
    """Random sources for one sandbox, one a purpose: all the machine's, or all from one seed."""

    def __init__(self, real: Random, seed: int | None = None) -> None:
        self._real = real
        self._seed = seed
        self._drawn: dict[str, int] = {}

    @property
    def seed(self) -> int | None:
        """None: nobody can tell what is drawn next."""
        return self._seed

    def sow(self, seed: int | None) -> None:
        """Begin anew with this seed, also when it is the one in force; None: draw from the machine again."""
        self._seed = seed
        self._drawn.clear()

    def of(self, purpose: str) -> Random:
        """What is drawn for this purpose; the same seed gives the same draws, whatever is drawn for others."""
        return _Purpose(self, purpose)

    def draw(self, purpose: str, count: int) -> bytes:
        """`count` bytes for this purpose."""
        if self._seed is None:
            return self._real.token_bytes(count)
        number = self._drawn[purpose] = self._drawn.get(purpose, 0) + 1
        return hashlib.shake_256(f"{self._seed}/{purpose}/{number}".encode()).digest(count)


class _Purpose:
    """The Random port."""

    def __init__(self, chance: Chance, purpose: str) -> None:
        self._chance = chance
        self._purpose = purpose

    def below(self, limit: int) -> int:
        count = (limit.bit_length() + 7) // 8 + _SPARE_BYTES
        return int.from_bytes(self._chance.draw(self._purpose, count), "big") % limit

    def token_bytes(self, count: int) -> bytes:
        return self._chance.draw(self._purpose, count)


@dataclass(frozen=True, slots=True)
class Controls:
    """What can be set of one sandbox while it runs."""

    clock: SandboxClock
    chance: Chance
