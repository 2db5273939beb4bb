"""A failing seed is made small, and told as a command that shows it again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from penpay.simulation.profile import Hazard, Level, Profile, profile_of
from penpay.simulation.reduction import kind_of, reduce
from penpay.simulation.replay import Narrowing, narrowing_to, replay_line
from penpay.simulation.run import Outcome

SEED = 7
LARGE = Profile(
    users=3,
    deposits=2,
    processes=2,
    hazards={
        Hazard.PUSH_SPOILT: Level.MILD,
        Hazard.CRASH: Level.EXTREME,
        Hazard.PAUSE: Level.MILD,
        Hazard.FORGER: Level.EXTREME,
    },
    old_pending_style=True,
    strict_tokens=True,
    limited_queries=False,
)
EVERYTHING = "push_spoilt,crash+,pause,forger+,old_pending_style,strict_tokens"


def fails(profile: Profile, finding: str = "I2: 725400 are missing") -> Outcome:
    return Outcome(seed=SEED, profile=profile, broken=(finding,) if finding else ())


def reduced(finding: Callable[[Profile], str]) -> str:
    """The large profile made small, where this is what is found with a profile."""
    smallest = reduce(fails(LARGE, finding(LARGE)), lambda profile: fails(profile, finding(profile)))
    assert kind_of(smallest) == kind_of(fails(LARGE, finding(LARGE)))
    return replay_line(SEED, narrowing_to(smallest.profile))


@pytest.mark.parametrize(
    ("needs", "smallest"),
    [
        (lambda _: True, "--users 1 --deposits 1 --processes 1 --only nothing"),
        (lambda one: one.users >= 2, "--users 2 --deposits 1 --processes 1 --only nothing"),
        (lambda one: Hazard.CRASH in one.hazards, "--users 1 --deposits 1 --processes 1 --only crash"),
        (
            lambda one: one.level(Hazard.FORGER) is Level.EXTREME and Hazard.PAUSE in one.hazards and one.deposits == 2,
            "--users 1 --deposits 2 --processes 1 --only pause,forger+",
        ),
        (lambda one: one.strict_tokens, "--users 1 --deposits 1 --processes 1 --only strict_tokens"),
        (
            lambda one: one == LARGE,
            f"--users 3 --deposits 2 --processes 2 --only {EVERYTHING}",
        ),
    ],
)
def test_what_a_failure_does_not_need_is_taken_away(needs: Callable[[Profile], bool], smallest: str) -> None:
    """What is left is what the failure needs, in as few words as the command line takes."""
    assert f"penpay simulate --seed 7 {smallest} --trace" == reduced(lambda one: "I2: missing" if needs(one) else "")


def test_another_failure_is_not_the_same_one() -> None:
    """A smaller world that breaks something else is no reduction; other words of the same invariant are."""

    def finding(profile: Profile) -> str:
        if Hazard.CRASH not in profile.hazards:
            return "I7: not decided"
        return f"I2: {profile.users} are missing"

    assert "--users 1 --deposits 1 --processes 1 --only crash --trace" in reduced(finding)


def test_what_is_taken_away_is_not_tried_for_ever() -> None:
    """The number of runs is that of the parts, not that of their combinations."""
    tried: list[Profile] = []

    def attempt(profile: Profile) -> Outcome:
        tried.append(profile)
        return fails(profile, "")

    assert LARGE == reduce(fails(LARGE), attempt).profile
    assert len(tried) <= len(LARGE.hazards) * 2 + 10


@pytest.mark.parametrize("seed", range(40))
def test_a_profile_goes_through_the_command_line(seed: int) -> None:
    """Whatever was drawn, the options that narrow another seed's world to it give it back, in the same order."""
    profile = profile_of(seed)

    again = narrowing_to(profile).of(profile_of(seed + 1))

    assert (profile, list(profile.hazards)) == (again, list(again.hazards))


def test_what_is_not_narrowed_stays_as_drawn() -> None:
    """Each option replaces its own part of the world."""
    drawn = profile_of(SEED)

    assert drawn == Narrowing().of(drawn)
    assert drawn.hazards == Narrowing(users=1).of(drawn).hazards
    assert drawn.users == Narrowing(only="nothing").of(drawn).users
    assert {Hazard.CRASH: Level.MILD, Hazard.PAUSE: Level.EXTREME} == Narrowing(only="pause+,crash").of(drawn).hazards
    assert "penpay simulate --seed 7 --trace" == replay_line(SEED)
    assert "penpay simulate --seed 7 --only pause+ --trace" == replay_line(SEED, Narrowing(only="pause+"))


@pytest.mark.parametrize("only", ["crush", "crash,", "", "strict_tokens+", "crash pause"])
def test_a_fault_there_is_not_is_told(only: str) -> None:
    """A name mistyped would otherwise be a world in which nothing goes wrong."""
    with pytest.raises(ValueError, match="There is no"):
        Narrowing(only=only).of(profile_of(SEED))
