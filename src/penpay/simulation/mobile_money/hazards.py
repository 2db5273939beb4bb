"""What goes wrong at the operator: the same as can at our side, drawn and counted under names of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from penpay.simulation.nemesis import Notes
from penpay.simulation.profile import Hazard, Profile

AT_THE_OPERATOR: Final[Mapping[Hazard, Hazard]] = {
    Hazard.CRASH: Hazard.OPERATOR_CRASH,
    Hazard.PAUSE: Hazard.OPERATOR_PAUSE,
    Hazard.COMMIT_LOST: Hazard.OPERATOR_COMMIT_LOST,
    Hazard.DATABASE_BUSY: Hazard.OPERATOR_BUSY,
    Hazard.DATABASE_LOST: Hazard.OPERATOR_DATABASE_LOST,
    Hazard.DISK_FULL: Hazard.OPERATOR_DISK_FULL,
    Hazard.REQUEST_LOST: Hazard.OPERATOR_REQUEST_LOST,
    Hazard.REPLY_LOST: Hazard.OPERATOR_REPLY_LOST,
    Hazard.SLOW_NETWORK: Hazard.OPERATOR_SLOW_NETWORK,
    Hazard.HANG_UP: Hazard.OPERATOR_HANG_UP,
}
"""By what the nemesis knows: its name at the operator. One side's faults excuse nothing at the other."""


def at_the_operator(profile: Profile) -> Profile:
    """The same world as the operator's own nemesis sees it."""
    hazards = {known: level for known, ours in AT_THE_OPERATOR.items() if (level := profile.level(ours))}
    return replace(profile, hazards=hazards)


class OperatorNotes:
    """Writes down what happens at the operator, apart from what happens to us."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def trace(self, line: str) -> None:
        self._notes.trace(f"operator: {line}")

    def reach(self, place: str) -> None:
        kind, _, what = place.partition(" ")
        if kind == "fault":
            self._notes.reach(f"fault {AT_THE_OPERATOR[Hazard(what)]}")
        else:
            self._notes.reach(f"operator {place}")
