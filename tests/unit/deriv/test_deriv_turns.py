"""Whose turn it is to move money at Deriv."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from penpay.infrastructure.deriv.turns import Turns


class Queue:
    """Callers who take turns, in the order in which they got them."""

    def __init__(self, at_most: int) -> None:
        self.turns = Turns(at_most)
        self.came: list[str] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, *names: str, within_ms: int = 60_000) -> None:
        """Let these ask one after another; who is equal has the same first letter."""
        for name in names:
            self._tasks[name] = asyncio.create_task(self._wait(name, within_ms))
            await asyncio.sleep(0)

    async def end(self, name: str) -> None:
        """End the turn of one, and let those go on who have theirs now."""
        self.turns.give_back(name[0])
        await _settle()

    async def leave(self, name: str) -> None:
        self._tasks[name].cancel()
        await _settle()

    async def gone(self, name: str) -> None:
        """Wait until one has given up; raises what told him to."""
        await self._tasks[name]

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    async def _wait(self, name: str, within_ms: int) -> None:
        await self.turns.take(name[0], within_ms=within_ms)
        self.came.append(name)


async def _settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@asynccontextmanager
async def queue(at_most: int) -> AsyncIterator[Queue]:
    found = Queue(at_most)
    try:
        yield found
    finally:
        found.close()


async def test_so_many_have_their_turn_together_and_the_next_follows_in_order() -> None:
    """Two of four go first; each that ends lets in the one who has waited longest."""
    async with queue(2) as waiting:
        await waiting.ask("a", "b", "c", "d")
        await _settle()
        assert ["a", "b"] == waiting.came
        await waiting.end("b")
        assert ["a", "b", "c"] == waiting.came
        await waiting.end("a")
        assert ["a", "b", "c", "d"] == waiting.came


async def test_equal_ones_never_have_it_together_and_hold_up_nobody_else() -> None:
    """The second of a kind waits for the first, and others pass it."""
    async with queue(3) as waiting:
        await waiting.ask("a1", "a2", "b")
        await _settle()
        assert ["a1", "b"] == waiting.came
        await waiting.end("a1")
        assert ["a1", "b", "a2"] == waiting.came


async def test_after_a_narrowing_they_go_one_by_one_until_it_is_widened() -> None:
    """None begins while another is under way, whatever the most is."""
    async with queue(3) as waiting:
        waiting.turns.narrow()
        await waiting.ask("a", "b", "c", "d")
        await _settle()
        assert ["a"] == waiting.came
        waiting.turns.widen()
        await waiting.end("a")
        assert ["a", "b", "c"] == waiting.came


async def test_who_waited_in_vain_leaves_no_trace() -> None:
    """Neither a turn that did not come in time nor one whose caller left keeps the next from going."""
    async with queue(1) as waiting:
        await waiting.ask("a")
        await waiting.ask("b", within_ms=1)
        await waiting.ask("c", "d")
        with pytest.raises(TimeoutError):
            await waiting.gone("b")
        await waiting.leave("c")
        await waiting.end("a")
        assert ["a", "d"] == waiting.came


async def test_a_turn_that_comes_as_its_caller_leaves_goes_to_the_next() -> None:
    """It was given and never begun."""
    async with queue(1) as waiting:
        await waiting.ask("a", "b", "c")
        await _settle()
        waiting.turns.give_back("a")
        await waiting.leave("b")
        assert ["a", "c"] == waiting.came
