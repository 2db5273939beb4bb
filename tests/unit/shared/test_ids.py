"""Ids of our own making: sorted by the moment they were made, whatever the clock does."""

from __future__ import annotations

import operator
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122

from penpay.infrastructure.system import UuidV7
from tests.support.ports import MORNING, HandClock, SeededRandom


class AtTheRim(SeededRandom):
    """Starts every millisecond three ids before its counter is used up."""

    def below(self, limit: int) -> int:
        return 2 * limit - 3  # beyond what a generator may give: the second half of the counter is for bursts


def test_a_hundred_thousand_in_one_moment_are_sorted_and_different() -> None:
    """A clock that stands still makes no two ids equal and none smaller than the one before."""
    ids = UuidV7(HandClock(), SeededRandom())
    made = [ids.new() for _ in range(100_000)]
    numbers = [one.int for one in made]

    assert all(map(operator.lt, numbers, numbers[1:]))
    assert {(7, RFC_4122)} == {(one.version, one.variant) for one in made[::97]}


def test_a_clock_going_back_changes_nothing() -> None:
    """An operator sets the clock back by an hour: the ids go on rising."""
    clock = HandClock()
    ids = UuidV7(clock, SeededRandom())
    made = []
    for second in range(100):
        clock.moment = MORNING - timedelta(seconds=36 * second)
        made += [ids.new(), ids.new()]

    assert sorted(set(made)) == made


def test_the_first_48_bits_are_the_millisecond() -> None:
    """An id tells when it was made, rounded down."""
    ids = UuidV7(HandClock(datetime(2026, 3, 1, 6, 0, 0, 123_999, tzinfo=UTC)), SeededRandom())

    assert 1_772_344_800_123 == ids.new().int >> 80


def test_a_used_up_counter_borrows_from_the_next_millisecond() -> None:
    """More ids than a millisecond holds are still sorted and still of version 7."""
    ids = UuidV7(HandClock(), AtTheRim())
    made = [ids.new() for _ in range(8)]

    assert sorted(set(made)) == made
    assert [0, 0, 0, 1, 1, 1, 1, 1] == [(one.int >> 80) - (made[0].int >> 80) for one in made]
    assert {(7, RFC_4122)} == {(one.version, one.variant) for one in made}


def test_two_sources_in_one_millisecond_do_not_collide() -> None:
    """Two processes share the clock and nothing else."""
    one, other = UuidV7(HandClock(), SeededRandom(1)), UuidV7(HandClock(), SeededRandom(2))
    made = {source.new() for source in (one, other) for _ in range(2_000)}

    assert 4_000 == len(made)
