"""Planting a bug: for the time of a run a function of the program is another one. The program has no switch for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from penpay.simulation.profile import Hazard, Level, Profile

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Replacement:
    """One function that is replaced: `name` in a module or class, by what `make` makes of the right one."""

    owner: Any
    name: str
    make: Callable[[Function], Function]

    def __str__(self) -> str:
        return f"{self.owner.__name__}.{self.name}"


@dataclass(slots=True)
class Planted:
    """What a planted bug has done so far."""

    calls: dict[str, int] = field(default_factory=dict)
    """By replacement: how often the wrong code ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A bug somebody could have written."""

    name: str
    bug: str
    """What is wrong, in one sentence."""
    breaks: tuple[str, ...]
    """The invariants that must find it, the likeliest first; what another one finds does not count."""
    replacements: tuple[Replacement, ...]
    within: int = 60
    """So many seeds must be enough to catch it."""
    hazards: Mapping[Hazard, Level] = field(default_factory=lambda: MappingProxyType({}))
    """What is made to go wrong in every seed, for a bug that shows only then; the rest is as drawn."""
    processes: int | None = None
    """How many run, for a bug that takes more than one; None for as many as are drawn."""

    users: int | None = None
    """How many people ask for deposits; None for as many as are drawn."""
    alone: bool = False
    """Whether nothing goes wrong but the hazards named: the rest of a world would only make the hunt slower."""

    def profile(self, drawn: Profile) -> Profile:
        """The world of a seed in which this bug is hunted."""
        calm = replace(drawn, hazards={}) if self.alone else drawn
        return replace(
            calm.with_hazards(self.hazards),
            processes=self.processes or drawn.processes,
            users=self.users or drawn.users,
        )

    @contextmanager
    def planted(self) -> Iterator[Planted]:
        """The program has this bug until the end of the block.

        Raises AttributeError when there is no such function to replace.
        """
        planted = Planted({str(one): 0 for one in self.replacements})
        with ExitStack() as replaced:
            for one in self.replacements:
                replaced.enter_context(patch.object(one.owner, one.name, _wrong(one, planted)))
            yield planted


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """What the planted bugs of one kind have in common: the world they are hunted in."""

    hazards: Mapping[Hazard, Level]
    within: int
    alone: bool = False

    def mutant(
        self,
        name: str,
        bug: str,
        breaks: tuple[str, ...],
        *replaced: Replacement,
        hazards: Mapping[Hazard, Level] | None = None,
        within: int | None = None,
    ) -> Mutant:
        """One of them; `hazards` go wrong beside those of all, and `within` counts instead of theirs."""
        return Mutant(
            name=name,
            bug=bug,
            breaks=breaks,
            within=within or self.within,
            replacements=replaced,
            hazards={**self.hazards, **(hazards or {})},
            alone=self.alone,
        )


def _wrong(one: Replacement, planted: Planted) -> Any:
    """What stands in the place of the right one, of the same kind: a function, a static method or a property."""

    def counted(function: Function) -> Function:
        def called(*arguments: Any, **named: Any) -> Any:
            planted.calls[str(one)] += 1
            return function(*arguments, **named)

        return called

    right = vars(one.owner).get(one.name)
    if isinstance(right, staticmethod):
        return staticmethod(counted(one.make(right.__func__)))
    if isinstance(right, property) and right.fget is not None:
        return property(counted(one.make(right.fget)))
    if not inspect.isfunction(right):
        raise AttributeError(f"There is no function {one} to replace.")
    return counted(one.make(right))
