"""The sandbox's own time and chance."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from penpay.infrastructure.system import SystemClock, SystemRandom
from penpay.sandbox.controls import Chance, MomentOutOfRange, SandboxClock

NOON = datetime(2026, 11, 20, 9, tzinfo=UTC)


def test_a_clock_that_stands_still_moves_by_steps_alone() -> None:
    """Both of its times."""
    clock = SandboxClock(SystemClock())
    clock.fix(NOON)
    before = clock.monotonic_ms()

    clock.step(61_000)

    assert (NOON + timedelta(seconds=61), 61_000) == (clock.now(), clock.monotonic_ms() - before)
    assert clock.is_fixed


def test_a_clock_that_runs_stays_so_far_ahead() -> None:
    """A step moves it further; no offset is the machine's time again."""
    real, clock = SystemClock(), SandboxClock(SystemClock())
    clock.run_ahead(3_600_000)
    clock.step(60_000)

    assert 3_660_000 == clock.offset_ms
    assert abs(clock.now() - real.now() - timedelta(minutes=61)) < timedelta(seconds=1)

    clock.run_ahead(0)
    assert abs(clock.now() - real.now()) < timedelta(seconds=1)


def test_a_clock_that_is_set_back_gives_no_time_back() -> None:
    """What was measured stays measured: a token that has expired does not come to life."""
    clock = SandboxClock(SystemClock())
    clock.fix(NOON)
    clock.step(5_000)
    reached = clock.monotonic_ms()

    clock.fix(NOON)
    assert (NOON, reached) == (clock.now(), clock.monotonic_ms())
    clock.run_ahead(0)
    assert clock.monotonic_ms() >= reached


async def test_who_sleeps_is_woken_by_a_step() -> None:
    """By one that reaches far enough, and not by a shorter one."""
    clock = SandboxClock(SystemClock())
    clock.fix(NOON)
    sleeper = asyncio.create_task(clock.sleep(60_000))
    await asyncio.sleep(0)

    clock.step(59_000)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not sleeper.done()
    clock.step(1_000)
    async with asyncio.timeout(1):
        await sleeper


async def test_a_clock_that_stands_still_stops_nobody_for_ever() -> None:
    """Whoever waits for milliseconds is woken by the machine's."""
    clock = SandboxClock(SystemClock())
    clock.fix(NOON)
    async with asyncio.timeout(1):
        await clock.sleep(5)


@pytest.mark.parametrize("at", [datetime(2005, 12, 31, tzinfo=UTC), datetime(2032, 1, 1, tzinfo=UTC)])
def test_a_year_that_no_receipt_tells_is_refused(at: datetime) -> None:
    """And the clock stays where it was."""
    clock = SandboxClock(SystemClock())
    clock.fix(NOON)
    with pytest.raises(MomentOutOfRange):
        clock.fix(at)
    for milliseconds in (400 * 86_400_000 * 20, 10**18):
        with pytest.raises(MomentOutOfRange):
            clock.step(milliseconds)
        with pytest.raises(MomentOutOfRange):
            clock.run_ahead(milliseconds)
    assert NOON == clock.now()


def test_a_seed_gives_the_same_draws_again() -> None:
    """For each purpose, whatever is drawn for others between them."""
    one, other = Chance(SystemRandom(), 7), Chance(SystemRandom(), 7)
    other.of("callbacks").token_bytes(5)

    def drawn(chance: Chance) -> list[object]:
        source = chance.of("faults")
        return [source.below(1000), source.token_bytes(8), source.below(2**70)]

    first = drawn(one)
    assert first == drawn(other)
    assert first != drawn(one)
    one.sow(7)
    assert first == drawn(one)
    assert first != drawn(Chance(SystemRandom(), 8))
    assert drawn(Chance(SystemRandom())) != drawn(Chance(SystemRandom()))


def test_draws_stay_below_their_limit_and_reach_every_number() -> None:
    """Of six numbers none is left out, and none is far likelier than another."""
    source = Chance(SystemRandom(), 1).of("dice")
    counts = [0] * 6
    for _ in range(6_000):
        counts[source.below(6)] += 1
    assert all(850 < count < 1_150 for count in counts), counts
