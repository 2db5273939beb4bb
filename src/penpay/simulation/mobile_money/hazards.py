"""What goes wrong elsewhere: the same as can at our side, drawn and counted under names of its own."""

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


AT_THE_MERCHANT: Final[Mapping[Hazard, Hazard]] = {
    Hazard.CRASH: Hazard.MERCHANT_CRASH,
    Hazard.REQUEST_LOST: Hazard.MERCHANT_REQUEST_LOST,
    Hazard.REPLY_LOST: Hazard.MERCHANT_REPLY_LOST,
}
"""The same for another merchant and its sandbox."""


def elsewhere(profile: Profile, names: Mapping[Hazard, Hazard]) -> Profile:
    """The same world as a nemesis sees it that knows hazards by other names."""
    hazards = {known: level for known, ours in names.items() if (level := profile.level(ours))}
    return replace(profile, hazards=hazards)


class NotesFrom:
    """Writes down what happens elsewhere, apart from what happens to us."""

    def __init__(self, notes: Notes, where: str, names: Mapping[Hazard, Hazard]) -> None:
        self._notes = notes
        self._where = where
        self._names = names

    def trace(self, line: str) -> None:
        self._notes.trace(f"{self._where}: {line}")

    def reach(self, place: str) -> None:
        kind, _, what = place.partition(" ")
        if kind == "fault":
            self._notes.reach(f"fault {self._names.get(Hazard(what), what)}")
        else:
            self._notes.reach(f"{self._where} {place}")
