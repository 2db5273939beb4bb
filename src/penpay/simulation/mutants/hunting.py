"""Hunting planted bugs: how many seeds it takes until an invariant finds each, from three places to begin.

A bug is caught when one of the invariants that it must break breaks, within the seeds that are enough, wherever one
begins. What another invariant finds does not count, and a bug whose code did not run is not caught.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from penpay.simulation.mutants.catalogue import BY_NAME
from penpay.simulation.mutants.planting import Mutant
from penpay.simulation.profile import profile_of
from penpay.simulation.run import Outcome, Simulator
from penpay.simulation.search import Run

STARTS: Final = (1, 1_001, 2_001)
"""Where the ranges begin; none is so long that it comes to the next."""

RunAll = Callable[[Iterable[Run]], Iterator[Outcome]]
"""Runs seeds, taking each from the iterable when it can begin with it; outcomes come as they are ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedRun(Run):
    """A seed to run with a bug planted; the bug travels to other processes by its name."""

    mutant: str

    def live(self, simulator: Simulator) -> Outcome:
        """Run it; what is reached also tells how often each replaced function was called."""
        with named(self.mutant).planted() as planted:
            outcome = Run.live(self, simulator)
        return replace(outcome, reached=outcome.reached + Counter(planted.calls))


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """What became of one bug."""

    mutant: Mutant
    needed: tuple[int | None, ...]
    """For each range: the how-manieth seed found it first; None where none did."""
    finding: str
    """What was found first."""
    idle: tuple[str, ...]
    """Replaced functions that were never called."""

    @property
    def escaped(self) -> bool:
        return not self.needed or None in self.needed or bool(self.idle)


def named(name: str) -> Mutant:
    """The mutant of this name; raises KeyError."""
    return BY_NAME[name]


def finding_of(mutant: Mutant, outcome: Outcome) -> str | None:
    """The first of a seed's findings that counts as having found this bug."""
    return next((found for found in outcome.broken if found.partition(":")[0] in mutant.breaks), None)


def hunt(mutant: Mutant, run_all: RunAll, starts: Iterable[int] = STARTS) -> Catch:
    """Look for a bug from each start, as far as it takes; the rest is left alone once it has escaped."""
    needed: list[int | None] = []
    finding, calls = "", Counter[str]()
    for start in starts:
        found = _first(mutant, start, run_all, calls)
        needed.append(None if found is None else found.seed - start + 1)
        if found is None:
            break
        finding = finding or finding_of(mutant, found) or ""
    idle = tuple(str(one) for one in mutant.replacements if not calls[str(one)])
    return Catch(mutant=mutant, needed=tuple(needed), finding=finding, idle=idle)


def _first(mutant: Mutant, start: int, run_all: RunAll, calls: Counter[str]) -> Outcome | None:
    """The first seed that finds it. Seeds are begun in order, so none before it is left out when others stop."""
    found: list[Outcome] = []

    def runs() -> Iterator[Run]:
        for seed in range(start, start + mutant.within):
            if found:
                return
            yield PlantedRun(seed, mutant.profile(profile_of(seed)), mutant=mutant.name)

    for outcome in run_all(runs()):
        calls.update({str(one): outcome.reached[str(one)] for one in mutant.replacements})
        if finding_of(mutant, outcome):
            found.append(outcome)
    return min(found, key=lambda outcome: outcome.seed, default=None)
