"""How a run is told to somebody who wants to see it again: as a command, with as much of the profile as it takes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

from penpay.simulation.profile import Hazard, Level, Profile

NOTHING: Final = "nothing"
_BADLY: Final = "+"
"""Behind a hazard that is extreme."""
SWITCHES: Final = tuple(field.name for field in fields(Profile) if field.type == "bool")
"""How providers may differ, which is no fault of theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """What of a drawn profile is replaced; None leaves it as drawn."""

    users: int | None = None
    deposits: int | None = None
    processes: int | None = None
    only: str | None = None
    """Hazards and switches with commas between; all others are off. `+` behind a hazard: as badly as can be."""

    def of(self, profile: Profile) -> Profile:
        """The profile with what is given here in its place; raises ValueError for a name that is none."""
        narrowed = replace(
            profile,
            users=self.users or profile.users,
            deposits=self.deposits or profile.deposits,
            processes=self.processes or profile.processes,
        )
        return narrowed if self.only is None else _only(narrowed, self.only)


def _only(profile: Profile, text: str) -> Profile:
    names = set() if text == NOTHING else set(text.split(","))
    known = {*Hazard, *(f"{hazard}{_BADLY}" for hazard in Hazard), *SWITCHES}
    if unknown := sorted(names - known):
        raise ValueError(f"There is no {', '.join(unknown)}; there are {', '.join((*Hazard, *SWITCHES))}.")
    levels = {
        hazard: Level.EXTREME if f"{hazard}{_BADLY}" in names else Level.MILD
        for hazard in Hazard
        if {hazard.value, f"{hazard}{_BADLY}"} & names
    }
    return replace(profile, hazards=levels, **{switch: switch in names for switch in SWITCHES})


def narrowing_to(profile: Profile) -> Narrowing:
    """What turns any drawn profile into this one."""
    badly = {one: _BADLY if level is Level.EXTREME else "" for one, level in profile.hazards.items() if level}
    names = [f"{one}{mark}" for one, mark in badly.items()]
    names += [switch for switch in SWITCHES if getattr(profile, switch)]
    return Narrowing(
        users=profile.users,
        deposits=profile.deposits,
        processes=profile.processes,
        only=",".join(names) or NOTHING,
    )


def replay_line(seed: int, narrowing: Narrowing | None = None) -> str:
    """The command that shows a seed again, as drawn or narrowed."""
    given = {field.name: getattr(narrowing, field.name) for field in fields(Narrowing)} if narrowing else {}
    options = [f"--{name} {value}" for name, value in given.items() if value is not None]
    return " ".join(["penpay simulate --seed", str(seed), *options, "--trace"])
