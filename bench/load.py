"""The customers of a bench over HTTP, in a process of their own: as many as there are connections, none with a pause.

It reads one JSON object from its input and writes one to its output. Requests come ready to be sent, and answers are
looked into when the clock has stopped, so that little of the machine goes into the asking.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
import time
from collections.abc import Sequence
from typing import Any, Final, cast

import orjson
import uvloop

_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_HEAD_END: Final = b"\r\n\r\n"
_SHOWN: Final = 5
"""Refusals that are told in full."""


class _Load:
    """What all connections share: what to send, until when, and what came back."""

    def __init__(self, requests: Sequence[bytes], begin: float, end: float, *, once: bool, status: int) -> None:
        self._wanted = f"HTTP/1.1 {status} ".encode()
        self._requests = requests
        self._left = list(requests) if once else None
        self._chance = random.Random(1)  # noqa: S311  (a bench is to be repeatable)
        self._begin, self._end = begin, end
        self.waited: list[float] = []
        """Seconds, of the answers that came while it was measured."""
        self.bodies: list[bytes] = []
        self.refusals: list[bytes] = []

    def next(self) -> bytes | None:
        """The next request; None when the time is over. Raises IndexError when each was to be sent once, and was."""
        if self._left is not None and time.perf_counter() < self._end:
            return self._left.pop()
        return self._chance.choice(self._requests) if time.perf_counter() < self._end else None

    def answered(self, asked: float, head: bytes, body: bytes) -> None:
        now = time.perf_counter()
        if not head.startswith(self._wanted):
            self.refusals.append(head + _HEAD_END + body)
            return
        self.bodies.append(body)
        if self._begin <= now < self._end:
            self.waited.append(now - asked)


class _Customer(asyncio.Protocol):
    """One kept-alive connection: the next request goes out when the answer to the last has come in whole."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._transport: asyncio.Transport
        self._received = b""
        self._asked = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass of it
        self._ask()

    def _ask(self) -> None:
        request = self._load.next()
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._asked = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_HEAD_END)
        if not end:
            return
        length = _LENGTH.search(head + b"\r\n")
        if length is None:
            self._fail(f"an answer without a length: {head!r}")
        elif len(body) >= int(length[1]):
            self._received = b""
            self._load.answered(self._asked, head, body)
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the server hung up: {exc}")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(why))


def _at(keys: Sequence[str], value: Any) -> Any:
    for key in keys:
        value = value[key]
    return value


async def _run(task: dict[str, Any]) -> dict[str, object]:
    started, worked = time.perf_counter(), time.process_time()
    begin = started + task["warm_up_seconds"]
    load = _Load(
        [text.encode() for text in task["requests"]],
        begin,
        begin + task["measured_seconds"],
        once=task["once"],
        status=task["status"],
    )
    loop = asyncio.get_running_loop()
    customers = [
        (await loop.create_connection(lambda: _Customer(load), "127.0.0.1", task["port"]))[1]
        for _ in range(task["connections"])
    ]
    await asyncio.gather(*(customer.done for customer in customers))
    cpu = (time.process_time() - worked) / (time.perf_counter() - started)
    waited = sorted(load.waited)
    if not waited:
        return {"refusals": [text.decode(errors="replace") for text in load.refusals[:_SHOWN]], "refused": True}
    return {
        "per_second": len(waited) / task["measured_seconds"],
        "p50_ms": waited[len(waited) // 2] * 1000,
        "p99_ms": waited[len(waited) * 99 // 100] * 1000,
        "cpu": cpu,
        "refused": bool(load.refusals),
        "refusals": [text.decode(errors="replace") for text in load.refusals[:_SHOWN]],
        "answers": [_at(task["answer"], orjson.loads(body)) for body in load.bodies],
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(uvloop.run(_run(orjson.loads(sys.stdin.buffer.read())))))
