"""Every crash point of every flow: the process dies there, another starts, and the books must still be right.

A flow is first run without a crash, which numbers its points: two at each commit that writes and at each external call,
one before it and one after. Then it is run once for every point. The main flows are also run with two crashes: one at
each of their first points, and one at each of the first points that the next process passed in the run with one crash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from penpay.simulation.endings import Ending
from penpay.simulation.flows import FLOWS, Flow
from penpay.simulation.run import Outcome
from penpay.simulation.script import Script
from penpay.simulation.search import Run

SEED: Final = 1
"""Orders steps and waits; any other would do."""
POINTS_IN_PAIRS: Final = 32
"""Both sides of sixteen commits and calls of the deposit's own."""
_STARTING: Final = frozenset({"commit ", "commit idempotency_keys", "call authorize"})
_PUBLISHING: Final = "commit leases"
_NAMES: Final[Mapping[Script | None, str]] = {flow.script: flow.name for flow in FLOWS}

Attempt: TypeAlias = Callable[[Iterable[Run]], Iterable[Outcome]]
"""Carries runs out, in whatever order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one run of a flow came to."""

    flow: str
    planned: tuple[int, ...]
    """The points at which the process was to die; none in the run that numbers them."""
    points: tuple[str, ...]
    """The points passed, in order; number 1 is the first."""
    endings: tuple[Ending, ...]
    broken: tuple[str, ...]

    @property
    def struck(self) -> tuple[str, ...]:
        """Where the process died; a point that was never reached is missing."""
        return tuple(self.points[number - 1] for number in self.planned if number <= len(self.points))


def number(flows: Sequence[Flow], attempt: Attempt) -> list[Row]:
    """Each flow without a crash."""
    return carry_out([_run(flow) for flow in flows], attempt)


def singles(flows: Sequence[Flow], numbered: Sequence[Row]) -> list[Run]:
    """A run for every point of these flows, given their runs without a crash; flow by flow."""
    return [
        _run(flow, (place,))
        for flow, row in zip(flows, numbered, strict=True)
        for place, point in enumerate(row.points, start=1)
        if flow.only is None or point.endswith(f" {flow.only}")
    ]


def pairs(flows: Sequence[Flow], crashed: Sequence[Row]) -> list[Run]:
    """A run for every pair of points in the main ones of these flows, given the runs with a single crash."""
    return [
        _run(flow, (*row.planned, second))
        for flow in flows
        if flow.in_pairs
        for row in [one for one in crashed if one.flow == flow.name and _is_own(one.struck[0])][:POINTS_IN_PAIRS]
        for second in _own_after(row)
    ]


def astray(numbered: Sequence[Row], once: Sequence[Row]) -> list[Row]:
    """Runs with one crash that did not happen at the point of its number: the program has changed in between."""
    points = {row.flow: row.points for row in numbered}
    return [row for row in once if row.struck != tuple(points[row.flow][place - 1] for place in row.planned)]


def _own_after(row: Row) -> list[int]:
    """The first points of the deposit's own that were passed after the restart."""
    (first,) = row.planned
    after = enumerate(row.points[first:], start=first + 1)
    return [place for place, point in after if _is_own(point)][:POINTS_IN_PAIRS]


def _is_own(point: str) -> bool:
    """Whether a point lies on the deposit's way, and not in the start of a process or in the publisher."""
    place = point.split(" ", 1)[1]
    return place not in _STARTING and not place.startswith(_PUBLISHING)


def carry_out(runs: Sequence[Run], attempt: Attempt) -> list[Row]:
    """What these runs come to, in their order."""
    found = {
        (outcome.script, outcome.planned): Row(
            flow=_NAMES[outcome.script],
            planned=outcome.planned,
            points=outcome.points,
            endings=outcome.endings,
            broken=outcome.broken,
        )
        for outcome in attempt(runs)
    }
    return [found[one.script, one.planned] for one in runs]


def _run(flow: Flow, planned: tuple[int, ...] = ()) -> Run:
    return Run(SEED, flow.script.profile(crashes=bool(planned)), planned, flow.script)
