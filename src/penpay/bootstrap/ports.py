"""Where time, chance and the outside come from, and the tasks of one System."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

import httpx

from penpay.application.shared.ports import Aside, Clock, Random
from penpay.infrastructure.deriv.connection import Connect as DerivConnect
from penpay.infrastructure.deriv.connection import websocket_connect
from penpay.infrastructure.kept_connections import KeptConnections
from penpay.infrastructure.sql.engine import Connect as DatabaseConnect
from penpay.infrastructure.system import SystemClock, SystemRandom, at_once, in_thread

_HTTP_TIMEOUT: Final = httpx.Timeout(30, connect=10)
"""Shorter would call slow pushes unknown; the lease outlasts four such calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where time, chance and the outside come from; a simulation gives its own."""

    clock: Clock
    random: Random
    http: Callable[[], httpx.AsyncClient]
    deriv: Callable[[str, int], DerivConnect]
    callbacks: Callable[[], httpx.AsyncClient] | None = None
    """What the sandbox's callbacks are sent with; None: as `http`."""
    database: DatabaseConnect | None = None
    aside: Aside = at_once


def real_ports() -> Ports:
    """This machine's time, chance and network."""
    return Ports(
        clock=SystemClock(),
        random=SystemRandom(),
        http=lambda: httpx.AsyncClient(timeout=_HTTP_TIMEOUT, limits=httpx.Limits(keepalive_expiry=5)),
        deriv=websocket_connect,
        # Many at once to one receiver, nearly always on this machine: that is dear with httpx's own pool.
        callbacks=lambda: httpx.AsyncClient(timeout=_HTTP_TIMEOUT, mounts={"http://": KeptConnections()}),
        aside=in_thread,
    )


class Tasks:
    """The tasks of one System: started by name, ended together; one that fails says so."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failed = asyncio.Event()
        self._log = logging.getLogger(__name__)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str = "task") -> asyncio.Task[Any]:
        """Start a task; its failure is logged when nobody awaits it."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def spawn_vital(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start a task without which there is no point in going on: when it fails, `failed` returns."""
        task = self.spawn(work, name)
        task.add_done_callback(self._vital_ended)
        return task

    async def failed(self) -> None:
        """Wait until a vital task has failed."""
        await self._failed.wait()

    def _vital_ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            self._failed.set()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._log.error("task %s failed", task.get_name(), exc_info=task.exception())

    async def settle(self, kind: str, within_seconds: int) -> None:
        """Wait until the tasks whose name ends in `kind` have ended, at most this long."""
        running = {task for task in self._tasks if task.get_name().endswith(kind)}
        if running:
            await asyncio.wait(running, timeout=within_seconds)

    async def stop(self) -> None:
        """Cancel every task and wait until they have ended."""
        running = list(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
