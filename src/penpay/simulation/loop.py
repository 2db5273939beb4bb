"""An event loop without an outside: virtual time, one step at a time, and processes that can die in mid-step.

Time passes only when nothing is left to do, and then jumps to the next timer. Which of the steps that could run runs
next is drawn from the seed. Every step belongs to a process (or to the world around them) by its context, so a crash
takes the steps of one process and none of any other; what would have run at its end (`finally`) does not.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import logging
import random
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

T = TypeVar("T")

_STEPS_AT_MOST: Final = 300_000
"""A seed takes some ten thousand steps, one with a business many times that; more is a loop that does not end."""
MICROSECONDS: Final = 1_000_000
START: Final = datetime(2026, 1, 1, 6, tzinfo=UTC)
"""When virtual time begins, unless a world begins elsewhere."""


class Escape(BaseException):
    """Something reached for what lies outside the simulation: a thread, a socket, the machine's clock or its chance."""


class Stuck(Exception):
    """Nothing can ever happen again, or far too much has happened."""


class Process:
    """One process of the simulated world: the tasks started in `context`, until it crashes."""

    def __init__(self, name: str, *, may_crash: bool = True) -> None:
        self.name = name
        self.may_crash = may_crash
        self.is_dead = False
        self.is_paused = False
        self.parked: list[asyncio.Handle] = []
        """Steps that wait for the end of a pause."""
        self.on_crash: list[Callable[[], None]] = []
        """What the world does when this process dies: its connections break."""
        self.context: Context = copy_context()
        self.context.run(_OWNER.set, self)

    def __repr__(self) -> str:
        return self.name


_OWNER: ContextVar[Process | None] = ContextVar("owner", default=None)


def current_process() -> Process | None:
    """Whose step is running; None for the world's own."""
    return _OWNER.get()


class SimLoop(asyncio.BaseEventLoop):
    """The loop of one seed. Steps are drawn from `chance`; threads, sockets and signals raise Escape."""

    def __init__(self, chance: random.Random, *, begins_at: datetime = START) -> None:
        super().__init__()
        self.begins_at = begins_at
        self._chance = chance
        self._now_us = 0
        self._ready: list[asyncio.Handle] = []
        self._scheduled: list[asyncio.TimerHandle]
        self.steps = 0
        self.tasks: list[asyncio.Task[Any]] = []
        """Every task ever started, kept so that none is collected, and cleaned up after, in the middle of a run."""
        self.set_task_factory(self._start_task)
        # Tasks that failed are looked at when the run is over; what is cut off in closing concerns nobody.
        self.set_exception_handler(lambda loop, context: None)  # noqa: ARG005  (asyncio's signature)

    # -- time

    def time(self) -> Any:
        """Virtual seconds since the start."""
        return self._now_us / MICROSECONDS

    @property
    def now_us(self) -> int:
        """Virtual microseconds since the start."""
        return self._now_us

    def skip(self, microseconds: int) -> None:
        """Let this much time pass at once, as for a machine that slept: every timer that is over rings late."""
        self._now_us += microseconds

    # -- processes

    def start(self, work: Coroutine[Any, Any, T], process: Process | None, name: str = "task") -> asyncio.Task[T]:
        """Start a task in a process, or in the world."""
        context = process.context.copy() if process is not None else Context()
        return self.create_task(work, name=name, context=context)

    def crash(self, process: Process) -> None:
        """End a process here and now: none of its steps runs any more, and what it had open is broken."""
        if process.is_dead:
            return
        process.is_dead = True
        process.parked.clear()
        for happen in process.on_crash:
            happen()

    def pause(self, process: Process) -> None:
        """Stop a process where it is; time goes on without it."""
        process.is_paused = True

    def resume(self, process: Process) -> None:
        """Let it go on, knowing nothing of the time it missed."""
        process.is_paused = False
        parked, process.parked = process.parked, []
        self._ready.extend(handle for handle in parked if not handle.cancelled())

    # -- the loop

    def _run_once(self) -> None:
        self._collect_timers()
        while not self._ready:
            self._pass_time()
            self._collect_timers()
        place = self._chance.randrange(len(self._ready)) if len(self._ready) > 1 else 0
        handle = self._ready[place]
        self._ready[place] = self._ready[-1]
        self._ready.pop()
        if handle.cancelled():
            return
        owner = handle._context.get(_OWNER)  # type: ignore[attr-defined]  # noqa: SLF001  (how a step knows its process)
        if owner is not None and owner.is_dead:
            return
        if owner is not None and owner.is_paused:
            owner.parked.append(handle)
            return
        self.steps += 1
        if self.steps > _STEPS_AT_MOST:
            raise Stuck(f"{self.steps} steps and no end")
        handle._run()  # noqa: SLF001  (what asyncio's own loop calls)

    def _collect_timers(self) -> None:
        now = self.time()
        while self._scheduled and self._scheduled[0].when() <= now:
            timer = heapq.heappop(self._scheduled)
            timer._scheduled = False  # type: ignore[attr-defined]  # noqa: SLF001  (asyncio's own bookkeeping)
            if not timer.cancelled():
                self._ready.append(timer)

    def _pass_time(self) -> None:
        """Go to the next timer that still counts."""
        while self._scheduled and self._scheduled[0].cancelled():
            heapq.heappop(self._scheduled)._scheduled = False  # type: ignore[attr-defined]  # noqa: SLF001  (as above)
        if not self._scheduled:
            raise Stuck("nothing is left that could ever happen")
        when = self._scheduled[0].when() * MICROSECONDS
        self._now_us = max(self._now_us, int(when))
        while self.time() < self._scheduled[0].when():  # a timer between two microseconds
            self._now_us += 1

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when their time comes."""

    def _process_events(self, event_list: Any) -> None:
        """There are none: nothing comes from outside."""

    def close(self) -> None:
        """End everything that has not ended, in silence: the run is over and nobody looks any more."""
        hook, disabled = sys.unraisablehook, logging.root.manager.disable
        sys.unraisablehook = lambda _: None
        logging.disable()
        # What is cut off may still start a task on its way out; it is started here and never runs.
        asyncio._set_running_loop(self)  # noqa: SLF001  (what `run_forever` does)
        try:
            while self.tasks:
                for task in self.tasks:
                    self._cut_off(task)
                self.tasks.clear()
                self._ready.clear()
                self._scheduled.clear()
                gc.collect()
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001  (as above)
            super().close()
            logging.disable(disabled)
            sys.unraisablehook = hook

    @staticmethod
    def _cut_off(task: asyncio.Task[Any]) -> None:
        if task.done():
            task._log_traceback = False  # noqa: SLF001  (whoever cared has looked)
            return
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001  (it is meant to be)
        with suppress(BaseException):
            coroutine: Any = task.get_coro()
            coroutine.close()

    def _start_task(
        self, loop: asyncio.AbstractEventLoop, work: Any, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, context=context)
        self.tasks.append(task)
        return task

    # -- what there is no outside for

    def run_in_executor(self, _executor: Any, func: Any, *_: Any) -> Any:  # type: ignore[override]  # simply typed
        raise Escape(f"a thread for {getattr(func, '__qualname__', type(func).__name__)}")

    def call_soon_threadsafe(  # type: ignore[override]  # as above
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """There is one thread, so this is `call_soon`."""
        return self.call_soon(callback, *args, context=context)

    def _write_to_self(self) -> None:
        """There is nobody to wake."""
