"""The loop every worker runs: look for what is due, handle each item once at a time, wait to be woken."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from penpay.application.shared.ports import Clock
from penpay.domain.shared.errors import LostLicence

T = TypeVar("T")
Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]
"""Starts a task of the System, by name."""

ITEM = ":item"
"""How the names of tasks end that handle one item."""
LOOK_LIMIT = 200
_GATHER_MS = 40
"""At least so long between two looks: what comes in the meantime is found together, and shares its commits."""
LOOK_EVERY_MS = 500
"""How often somebody asks for what has become due by itself."""
AT_ONCE = 64
"""Items one worker handles at the same time."""


class Wakeups:
    """Tells sleeping workers that there may be something for them; a call while nobody sleeps is not lost."""

    def __init__(self) -> None:
        self._events: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def wake(self, name: str) -> None:
        self._events[name].set()

    async def woken(self, name: str) -> None:
        """Return once somebody has called since the last return."""
        event = self._events[name]
        await event.wait()
        event.clear()


class Worker(Generic[T]):
    """Looks for due items and hands each to `handle`, never one key twice at once."""

    def __init__(  # every argument is a port
        self,
        *,
        name: str,
        look: Callable[[int], Awaitable[Sequence[T]]],
        key: Callable[[T], Hashable],
        handle: Callable[[T], Awaitable[None]],
        wakeups: Wakeups,
        clock: Clock,
        spawn: Spawn,
        look_every_ms: int | None,
    ) -> None:
        """Without `look_every_ms` it looks only when it is woken, by `DueWatch` for one."""
        self.name = name
        self._look = look
        self._key = key
        self._handle = handle
        self._wakeups = wakeups
        self._clock = clock
        self._spawn = spawn
        self._look_every_ms = look_every_ms
        self._running: set[Hashable] = set()
        self._log = logging.getLogger(__name__)

    async def run(self) -> None:
        """Serve until cancelled. What fails is logged and found again when it is due again."""
        if self._look_every_ms is not None:
            self._spawn(self._tick(self._look_every_ms), f"{self.name}:tick")
        while True:
            await self._wakeups.woken(self.name)
            try:
                while await self._round():
                    await self._clock.sleep(_GATHER_MS)
            except Exception:  # noqa: BLE001  (a worker outlives whatever stops one look)
                self._log.exception("worker %s could not look for work", self.name)
            await self._clock.sleep(_GATHER_MS)

    async def _tick(self, every_ms: int) -> None:
        """Look from time to time without being woken: some things become due by themselves."""
        while True:
            self._wakeups.wake(self.name)
            await self._clock.sleep(every_ms)

    async def _round(self) -> int:
        room = AT_ONCE - len(self._running)
        if room <= 0:
            return 0
        started = 0
        for item in await self._look(min(LOOK_LIMIT, room + len(self._running))):
            key = self._key(item)
            if key in self._running or started >= room:
                continue
            self._running.add(key)
            self._spawn(self._one(key, item), f"{self.name}{ITEM}")
            started += 1
        return started

    async def _one(self, key: Hashable, item: T) -> None:
        try:
            await self._handle(item)
        except LostLicence:
            pass  # another worker was faster, or it is not due any more
        except Exception:  # noqa: BLE001  (one item's fault is not the next one's)
            self._log.exception("worker %s failed on an item", self.name)
        else:
            self._wakeups.wake(self.name)  # only now: what fails waits for the next tick
        finally:
            self._running.discard(key)


class DueWatch:
    """Wakes workers when a row that they look for has become due by itself, or by another process.

    One question for all of them: each asking for itself would be a dozen statements twice a second from a process
    that has nothing to do.
    """

    name = "due"

    def __init__(
        self,
        *,
        stirring: Callable[[], Awaitable[Collection[str]]],
        wakes: Mapping[str, Collection[str]],
        wakeups: Wakeups,
        clock: Clock,
    ) -> None:
        """`stirring` names the tables that hold something due, `wakes` the workers that look into each."""
        self._stirring = stirring
        self._wakes = wakes
        self._wakeups = wakeups
        self._clock = clock
        self._log = logging.getLogger(__name__)

    async def run(self) -> None:
        """Ask until cancelled. What cannot be asked now is asked again."""
        while True:
            try:
                for table in await self._stirring():
                    for worker in self._wakes.get(table, ()):
                        self._wakeups.wake(worker)
            except Exception:  # noqa: BLE001  (the watch outlives whatever stops one question)
                self._log.exception("nobody could be told what is due")
            await self._clock.sleep(LOOK_EVERY_MS)
