"""How long to wait before trying again: longer each time, and never in step with anybody else."""

from __future__ import annotations

from penpay.application.shared.ports import Random

_SHORTEST_MS = 1_000
_LONGEST_MS = 30_000


class Backoff:
    """Waits drawn from 1 s up to a ceiling that doubles from 2 s to 30 s (deriv.md §6)."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._attempts = 0

    def next_ms(self) -> int:
        """The next wait in milliseconds."""
        self._attempts += 1
        ceiling = min(_LONGEST_MS, _SHORTEST_MS << min(self._attempts, 5))
        return _SHORTEST_MS + self._random.below(ceiling - _SHORTEST_MS + 1)

    def reset(self) -> None:
        """Begin with short waits again, after a success."""
        self._attempts = 0
