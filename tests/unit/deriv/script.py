"""A Deriv that follows a script over a socket in memory, and a clock that only moves when somebody waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from penpay.infrastructure.deriv.connection import DerivConnection
from penpay.infrastructure.deriv.wire import Frame
from penpay.sandbox.deriv.memory import MemorySocket

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

Answer = Callable[[dict[str, Any]], dict[str, Any] | None]


class WaitingClock:
    """Virtual time: a wait passes at once and moves the clock; the keep-alive's long wait never ends."""

    def __init__(self) -> None:
        self.milliseconds = 0

    def now(self) -> datetime:
        return START + timedelta(milliseconds=self.milliseconds)

    def monotonic_ms(self) -> int:
        return self.milliseconds

    async def sleep(self, milliseconds: int) -> None:
        if milliseconds >= 10**9:
            await asyncio.Event().wait()
        self.milliseconds += milliseconds
        await asyncio.sleep(0)


class Script:
    """The other end: keeps every request, answers by a function, pushes what it is told to."""

    def __init__(self, socket: MemorySocket) -> None:
        self.socket = socket
        self.requests: list[dict[str, Any]] = []
        self.answer: Answer = lambda _: {}

    async def run(self) -> None:
        while True:
            try:
                request = json.loads(await self.socket.recv())
            except ConnectionError:
                return
            self.requests.append(request)
            answer = self.answer(request)
            if answer is not None:
                await self.push({"req_id": request["req_id"], **answer})

    async def push(self, frame: dict[str, Any]) -> None:
        await self.socket.send(json.dumps(frame))


def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(work, name=name)


@asynccontextmanager
async def scripted(
    *, clock: WaitingClock | None = None, ping_every_ms: int = 10**9
) -> AsyncIterator[tuple[DerivConnection, Script, list[Frame]]]:
    """A connection, the script at its other end, and the pushes it has handed on."""
    ours, theirs = MemorySocket.pair()
    pushes: list[Frame] = []
    script = Script(theirs)
    following = spawn(script.run(), "script")
    connection = DerivConnection(
        ours,
        clock=clock or WaitingClock(),
        spawn=spawn,
        on_push=pushes.append,
        ping_every_ms=ping_every_ms,
        pong_within_ms=50,
    )
    try:
        yield connection, script, pushes
    finally:
        await connection.close()
        await following
