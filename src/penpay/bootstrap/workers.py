"""How the workers of one System are made: each looks for what is due, and is woken by its name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import datetime
from typing import TypeVar

from penpay.application.shared.outbox import DueDelivery
from penpay.application.shared.ports import Clock
from penpay.infrastructure.sql.due import Queue, SqlDue
from penpay.workers.consuming import SagaWorker
from penpay.workers.runtime import DueWatch, Spawn, Wakeups, Worker

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class MakeWorker:
    """Makes workers that share one clock, one way to be woken and one way to start tasks."""

    def __init__(self, *, clock: Clock, wakeups: Wakeups, spawn: Spawn, due: SqlDue) -> None:
        self._clock = clock
        self._wakeups = wakeups
        self._spawn = spawn
        self._due = due
        self._watched: defaultdict[str, list[str]] = defaultdict(list)

    def __call__(
        self,
        name: str,
        look: Callable[[int], Awaitable[Sequence[T]]],
        key: Callable[[T], Hashable],
        handle: Callable[[T], Awaitable[None]],
        when: Queue | int,
    ) -> Worker[T]:
        """A worker that looks when something is due in its queue, or by itself every so many milliseconds."""
        if isinstance(when, Queue):
            self._watched[when].append(name)
        return Worker(
            name=name,
            look=look,
            key=key,
            handle=handle,
            wakeups=self._wakeups,
            clock=self._clock,
            spawn=self._spawn,
            look_every_ms=None if isinstance(when, Queue) else when,
        )

    def consumer(self, name: str, consumer: SagaWorker) -> Worker[DueDelivery]:
        """One that handles the events owed to one consumer."""
        due, now = self._due, self._clock.now
        return self(
            name,
            lambda limit: due.due_deliveries(name, now(), limit),
            lambda found: found.stored.id,
            consumer.handle,
            Queue.DELIVERIES,
        )

    def driver(
        self,
        name: str,
        queue: Queue,
        due: Callable[[datetime, int], Awaitable[Sequence[K]]],
        handle: Callable[[K], Awaitable[None]],
    ) -> Worker[K]:
        """One that acts on the ids of what has become due."""
        now = self._clock.now
        return self(name, lambda limit: due(now(), limit), lambda found: found, handle, queue)

    def watch(self) -> DueWatch:
        """What wakes those whose queue has something due; for all that are made here, also later."""
        due, now = self._due, self._clock.now
        return DueWatch(
            stirring=lambda: due.stirring(now()), wakes=self._watched, wakeups=self._wakeups, clock=self._clock
        )
