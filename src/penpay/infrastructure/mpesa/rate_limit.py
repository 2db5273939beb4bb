"""How often we may call: asked before each call and answered at once, so that nobody waits in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penpay.application.shared.ports import Clock


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many calls in a period, evenly, and at most `burst` at once."""

    calls: int
    period_ms: int
    burst: int = 1

    def __post_init__(self) -> None:
        if min(self.calls, self.period_ms, self.burst) < 1:
            raise ValueError("A rate limit counts calls, milliseconds and a burst of one or more each.")


STK_QUERY_LIMIT: Final = RateLimit(calls=5, period_ms=60_000)
"""What Safaricom's sandbox allows an app: five queries a minute, one at a time (daraja.md §1.4)."""


class HeldBack(Exception):
    """Our own limit kept the call from being made; nothing was sent."""

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__("held_back")
        self.retry_after_ms = retry_after_ms


class RateLimiter:
    """Keeps to one RateLimit by the Clock port."""

    def __init__(self, limit: RateLimit, clock: Clock) -> None:
        self._clock = clock
        self._pause_ms = -(-limit.period_ms // limit.calls)
        self._ahead_ms = self._pause_ms * (limit.burst - 1)
        self._next_ms: int | None = None

    def pass_one(self) -> None:
        """Count one call. Raises HeldBack, and counts nothing, if it would be one too many now."""
        now = self._clock.monotonic_ms()
        next_ms = now if self._next_ms is None else max(now, self._next_ms)
        wait_ms = next_ms - now - self._ahead_ms
        if wait_ms > 0:
            raise HeldBack(wait_ms)
        self._next_ms = next_ms + self._pause_ms
