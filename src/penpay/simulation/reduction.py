"""Making a failing seed small: the same failure with fewer people and fewer things going wrong, as far as that goes.

A run is not the sum of its faults: taking one away shifts everything drawn after it, so the failure may go although
that fault had no part in it. What is left is therefore small, not smallest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from penpay.simulation.profile import Level, Profile
from penpay.simulation.replay import SWITCHES
from penpay.simulation.run import Outcome


def kind_of(outcome: Outcome) -> str:
    """What kind of failure comes first: the code of the invariant; empty for a clean seed."""
    return outcome.broken[0].partition(":")[0] if outcome.broken else ""


def reduce(failing: Outcome, attempt: Callable[[Profile], Outcome]) -> Outcome:
    """The smallest run found that fails in the same way; `attempt` runs the same seed with another profile."""
    best, is_smaller = failing, True
    while is_smaller:
        is_smaller = False
        for make in _steps(best.profile):
            smaller = make(best.profile)
            if smaller == best.profile:
                continue
            outcome = attempt(smaller)
            if kind_of(outcome) == kind_of(failing):
                best, is_smaller = outcome, True
    return best


def _steps(profile: Profile) -> Iterator[Callable[[Profile], Profile]]:
    """Ways to make a profile smaller, the boldest first; each is tried on the smallest found so far."""
    yield lambda smallest: replace(smallest, hazards={}, **dict.fromkeys(SWITCHES, False))
    for name in ("users", "deposits", "processes"):
        for count in range(1, getattr(profile, name)):
            yield lambda smallest, name=name, count=count: (  # type: ignore[misc]  # bound now, not when called
                replace(smallest, **{name: min(count, getattr(smallest, name))})
            )
    for hazard in profile.hazards:
        yield lambda smallest, hazard=hazard: smallest.without(hazard)  # type: ignore[misc]  # as above
    for hazard, level in profile.hazards.items():
        if level is Level.EXTREME:
            yield lambda smallest, hazard=hazard: (  # type: ignore[misc]  # as above
                replace(
                    smallest,
                    hazards={one: Level.MILD if one is hazard else worse for one, worse in smallest.hazards.items()},
                )
            )
    for switch in SWITCHES:
        yield lambda smallest, switch=switch: replace(smallest, **{switch: False})  # type: ignore[misc]  # as above
