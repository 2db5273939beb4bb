"""What the hunts came to, as the page docs/mutants.md and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from penpay.simulation.mutants.hunting import STARTS, Catch
from penpay.simulation.profile import Level

_INTRODUCTION: Final = f"""# Planted bugs

Made by `make simulate-mutants`; do not edit. The bugs are in `src/penpay/simulation/mutants`.

Each is planted by replacing functions of the program for the time of a run, and must be found by one of the invariants
it is said to break, within the seeds that are said to be enough, from each of the seeds
{", ".join(map(str, STARTS))}. "Seeds needed" counts from each of them. Where hazards are named, they are added to what
the seed draws; `+` is as often as can be, and "alone" says that nothing else goes wrong."""


def page(catches: Sequence[Catch]) -> str:
    """The whole page, the same bytes for the same catches."""
    lines = ["| bug | what is wrong | found by | seeds needed | enough | hazards added |", "| --- " * 6 + "|"]
    for catch in catches:
        one = catch.mutant
        cells = (one.name, one.bug, code(catch), _seeds(catch), str(one.within), _hazards(catch))
        lines.append(f"| {' | '.join(cells)} |")
    escaped = [catch.mutant.name for catch in catches if catch.escaped]
    verdict = f"Escaped: {', '.join(escaped)}." if escaped else "None escaped."
    return "\n".join([_INTRODUCTION, "", f"{len(catches)} bugs. {verdict}", "", *lines]) + "\n"


def plain(catches: Sequence[Catch]) -> list[dict[str, object]]:
    """The same as JSON-ready values."""
    return [
        {
            "mutant": catch.mutant.name,
            "bug": catch.mutant.bug,
            "breaks": list(catch.mutant.breaks),
            "within": catch.mutant.within,
            "hazards": {hazard.value: level.name for hazard, level in catch.mutant.hazards.items()},
            "needed": list(catch.needed),
            "finding": catch.finding,
            "never_called": list(catch.idle),
            "escaped": catch.escaped,
        }
        for catch in catches
    ]


def code(catch: Catch) -> str:
    """The invariant that found it first."""
    return catch.finding.partition(":")[0] or "nothing"


def _seeds(catch: Catch) -> str:
    told = ", ".join("none" if needed is None else str(needed) for needed in catch.needed)
    return f"{told}; never called: {', '.join(catch.idle)}" if catch.idle else told


def _hazards(catch: Catch) -> str:
    alone = "alone: " if catch.mutant.alone else ""
    return alone + ", ".join(
        f"{one}{'+' if level is Level.EXTREME else ''}" for one, level in catch.mutant.hazards.items()
    )
