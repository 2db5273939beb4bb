"""The loop of the simulation: time that jumps, chance that repeats itself, processes that die and stand still."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest

from penpay.simulation import loop as kernel
from penpay.simulation.loop import Escape, Process, SimLoop, Stuck

DAY = 86_400


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    loop = SimLoop(random.Random(1))
    yield loop
    loop.close()


def said_in_turn(seed: int) -> str:
    """What five tasks say, each three times and with a step between."""
    loop = SimLoop(random.Random(seed))
    said: list[str] = []

    async def say(letter: str) -> None:
        for _ in range(3):
            said.append(letter)
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        await asyncio.gather(*(say(letter) for letter in "abcde"))

    loop.run_until_complete(all_of_them())
    loop.close()
    return "".join(said)


def test_time_jumps_to_the_next_timer(loop: SimLoop) -> None:
    """Ten days pass in a few steps, to the microsecond."""
    loop.run_until_complete(asyncio.sleep(10 * DAY))

    assert 10 * DAY * 1_000_000 == loop.now_us
    assert loop.steps < 10


def test_timers_ring_in_their_order(loop: SimLoop) -> None:
    """What is due earlier happens earlier, whoever asked first."""
    rung: list[int] = []

    async def ring(after: int) -> None:
        await asyncio.sleep(after)
        rung.append(after)

    async def ring_all() -> None:
        await asyncio.gather(*(ring(after) for after in (30, 10, 20)))

    loop.run_until_complete(ring_all())

    assert [10, 20, 30] == rung


def test_the_seed_decides_who_is_next() -> None:
    """The same seed gives the same order, and others give others."""
    assert said_in_turn(1) == said_in_turn(1)
    assert len({said_in_turn(seed) for seed in range(10)}) > 5


def test_a_machine_that_slept_rings_late(loop: SimLoop) -> None:
    """Time that is skipped is gone for everybody: a timer within it rings at its end."""

    async def sleep_through() -> int:
        timer = asyncio.ensure_future(asyncio.sleep(5))
        await asyncio.sleep(1)
        loop.skip(DAY * 1_000_000)
        await timer
        return loop.now_us

    assert (DAY + 1) * 1_000_000 == loop.run_until_complete(sleep_through())


def test_a_crash_takes_one_process_and_runs_no_finally(loop: SimLoop) -> None:
    """What the dead process would still have done, tidying up included, is not done; the others go on."""
    done: list[str] = []
    one, other = Process("one"), Process("other")

    async def work(name: str) -> None:
        try:
            await asyncio.sleep(1)
            done.append(f"{name} worked")
        finally:
            done.append(f"{name} tidied up")

    async def parent(name: str) -> None:
        await asyncio.gather(work(name), work(name))

    async def world() -> None:
        for process in (one, other):
            loop.start(parent(process.name), process)
        await asyncio.sleep(0.5)
        loop.crash(one)
        await asyncio.sleep(DAY)

    loop.run_until_complete(world())

    assert sorted(["other worked", "other tidied up"] * 2) == sorted(done)


def test_a_crash_breaks_what_was_open_once(loop: SimLoop) -> None:
    """The world hears of a death, and of a second one of the same process nothing."""
    process, heard = Process("one"), list[str]()
    process.on_crash.append(lambda: heard.append("broken"))

    loop.crash(process)
    loop.crash(process)

    assert ["broken"] == heard


def test_what_the_world_starts_survives_the_process_that_asked(loop: SimLoop) -> None:
    """A provider serves on although its caller is dead."""
    process, served = Process("caller"), list[str]()

    async def serve() -> None:
        await asyncio.sleep(1)
        served.append("served")

    async def call() -> None:
        await loop.start(serve(), None)
        served.append("answered")

    async def world() -> None:
        loop.start(call(), process)
        await asyncio.sleep(0.5)
        loop.crash(process)
        await asyncio.sleep(DAY)

    loop.run_until_complete(world())

    assert ["served"] == served


def test_a_paused_process_misses_time_and_goes_on(loop: SimLoop) -> None:
    """Its timer rings at the end of the pause; it does not know what it missed."""
    process, at = Process("one"), list[int]()

    async def work() -> None:
        await asyncio.sleep(1)
        at.append(loop.now_us // 1_000_000)

    async def world() -> None:
        loop.start(work(), process)
        await asyncio.sleep(0.5)
        loop.pause(process)
        await asyncio.sleep(300)
        assert [] == at
        loop.resume(process)
        await asyncio.sleep(1)

    loop.run_until_complete(world())

    assert [300] == at


def test_a_process_that_dies_in_a_pause_does_not_go_on(loop: SimLoop) -> None:
    """What waited for the end of the pause is dropped with the rest."""
    process, done = Process("one"), list[str]()

    async def work() -> None:
        done.append("worked")

    async def world() -> None:
        loop.pause(process)
        loop.start(work(), process)
        await asyncio.sleep(1)
        loop.crash(process)
        loop.resume(process)
        await asyncio.sleep(1)

    loop.run_until_complete(world())

    assert [] == done


def test_nothing_left_to_happen_is_told(loop: SimLoop) -> None:
    """Whoever waits for what nobody does any more is stuck at once, not for ever."""
    with pytest.raises(Stuck, match="nothing is left"):
        loop.run_until_complete(loop.create_future())


def test_a_loop_that_does_not_end_is_told(loop: SimLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many steps are no progress."""
    monkeypatch.setattr(kernel, "_STEPS_AT_MOST", 100)

    async def turn() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="101 steps"):
        loop.run_until_complete(turn())


def test_a_thread_is_refused(loop: SimLoop) -> None:
    """Work handed to a thread would come back at a time of its own."""

    async def hand_over() -> Any:
        return await asyncio.to_thread(len, "abc")

    with pytest.raises(Escape, match="a thread for"):
        loop.run_until_complete(hand_over())


def test_closing_ends_what_had_not_ended_in_silence(loop: SimLoop) -> None:
    """Tasks cut off at the end of a run warn nobody, even if they begin others on their way out."""

    class Straggler:
        """Begins something when it is collected."""

        def __del__(self) -> None:
            loop.start(asyncio.sleep(1), None)

    async def work() -> None:
        held: list[object] = [Straggler()]
        held.append(held)  # so that it takes the collector to end it
        try:
            await loop.create_future()
        finally:
            await loop.start(asyncio.sleep(1), None)

    async def world() -> None:
        loop.start(work(), None)
        await asyncio.sleep(1)

    loop.run_until_complete(world())
    loop.close()

    assert [] == loop.tasks
