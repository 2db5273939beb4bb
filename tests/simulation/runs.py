"""Running seeds in a test: what they broke, with the line that shows it again, and what they did at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from penpay.simulation.replay import replay_line
from penpay.simulation.run import Simulator
from penpay.simulation.search import Tally

REGRESSIONS = Path(__file__).parent / "seeds.txt"
SHARE = 25
"""Seeds in one test."""


def shares(seeds: range) -> list[range]:
    """The seeds in as many ranges as there are tests of them."""
    return [seeds[first : first + SHARE] for first in range(0, len(seeds), SHARE)]


def named(seeds: range) -> str:
    return f"{seeds[0]}..{seeds[-1]}"


def regressions() -> list[tuple[int, str]]:
    """The seeds that once found something, and what."""
    lines = REGRESSIONS.read_text(encoding="utf-8").splitlines()
    rows = [line.split(maxsplit=2) for line in lines if line and not line.startswith("#")]
    return [(int(seed), what) for seed, _commit, what in rows]


def findings(simulator: Simulator, seeds: Iterable[int]) -> list[str]:
    """What is wrong with these seeds, or with all of them together when they did nothing."""
    tally = Tally()
    for seed in seeds:
        tally.add(simulator.run(seed))
    broken = [f"{one.broken[0]}   {replay_line(one.seed)}" for one in tally.broken]
    return [*broken, *tally.missing_work()]
