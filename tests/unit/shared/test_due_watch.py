"""The watch: who looks for work is told when there is some, by one question for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from penpay.workers.runtime import LOOK_EVERY_MS, DueWatch, Wakeups
from tests.support.ports import HandClock


class Asked(HandClock):
    """A clock that counts the pauses, and lets the watch stand still in the last of them."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.pauses: list[int] = []
        self._rounds = rounds
        self.over = asyncio.Event()

    async def sleep(self, milliseconds: int) -> None:
        self.pauses.append(milliseconds)
        if len(self.pauses) == self._rounds:
            self.over.set()
            await asyncio.Event().wait()


async def told(answers: Sequence[Callable[[], Sequence[str]]]) -> tuple[list[str], list[int]]:
    """Who was woken by these answers, one a round, and how long the watch paused after each."""
    clock, wakeups, left = Asked(len(answers)), Wakeups(), iter(answers)

    async def stirring() -> Sequence[str]:
        return next(left)()

    wakes = {"webhook_logs": ["stk", "c2b"], "pos_sales": ["expiry"]}
    watch = asyncio.create_task(DueWatch(stirring=stirring, wakes=wakes, wakeups=wakeups, clock=clock).run())
    await clock.over.wait()
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
    woken = []
    for name in ("stk", "c2b", "expiry"):
        with suppress(TimeoutError):
            await asyncio.wait_for(wakeups.woken(name), 0.01)
            woken.append(name)
    return woken, clock.pauses


async def test_everybody_who_looks_into_a_table_is_woken_and_nobody_else() -> None:
    """Two workers read the stored messages; who waits for sales sleeps on."""
    assert (["stk", "c2b"], [LOOK_EVERY_MS]) == await told([lambda: ["webhook_logs"]])


async def test_a_table_into_which_nobody_looks_wakes_nobody() -> None:
    """A process without a carrier has nobody who delivers what is due."""
    assert ([], [LOOK_EVERY_MS]) == await told([lambda: ["notifications"]])


async def test_a_question_that_fails_is_asked_again() -> None:
    """The database was away for a moment: nobody is forgotten for it."""

    def fails() -> Sequence[str]:
        raise ConnectionError

    assert (["expiry"], [LOOK_EVERY_MS] * 2) == await told([fails, lambda: ["pos_sales"]])
