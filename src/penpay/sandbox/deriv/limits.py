"""How often each account may call: Deriv counts by bucket, minute and hour (deriv.md §1.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from penpay.application.shared.ports import Clock

Bucket = Literal["general", "outcome"]

_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Calls allowed per bucket; the defaults are the figures of old public samples."""

    general_per_minute: int = 180
    general_per_hour: int = 14_400
    outcome_per_minute: int = 25
    outcome_per_hour: int = 1_500

    def of(self, bucket: Bucket) -> tuple[int, int]:
        """Calls per minute and per hour."""
        if bucket == "outcome":
            return self.outcome_per_minute, self.outcome_per_hour
        return self.general_per_minute, self.general_per_hour


class Budgets:
    """Counts calls in fixed windows; a caller is a login id, or a connection before it is authorised."""

    def __init__(self, limits: RateLimits, clock: Clock) -> None:
        self.limits = limits
        self._clock = clock
        self._spent: dict[tuple[str, Bucket, int], tuple[int, int]] = {}

    def spend(self, caller: str, bucket: Bucket) -> bool:
        """Count one call and say whether it is within both limits."""
        per_minute, per_hour = self.limits.of(bucket)
        minute = self._count((caller, bucket, _MINUTE_MS))
        hour = self._count((caller, bucket, _HOUR_MS))
        return minute <= per_minute and hour <= per_hour

    def _count(self, key: tuple[str, Bucket, int]) -> int:
        window = self._clock.monotonic_ms() // key[2]
        seen, spent = self._spent.get(key, (window, 0))
        spent = spent + 1 if seen == window else 1
        self._spent[key] = (window, spent)
        return spent
