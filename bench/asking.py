"""The people of a bench at our API: kept connections, with as little as possible between a request and its answer.

What the asking takes, it takes from those who are asked: they share the machine.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Final, NamedTuple, cast

import orjson

_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_HEAD_END: Final = b"\r\n\r\n"
_KEPT_SECONDS: Final = 2
"""Less than the server keeps a connection."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Api:
    """As many connections to a port of this machine as requests are under way."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []

    async def post(self, path: str, body: object, api_key: str) -> Answer:
        """Post a body as JSON. Raises ConnectionError when the server hangs up, TimeoutError after half a minute."""
        connection = await self._connection()
        content = orjson.dumps(body)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAuthorization: Bearer {api_key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        async with asyncio.timeout(30):
            answer = await connection.ask(head.encode() + content)
        self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Hang up."""
        for connection in self._idle:
            connection.hang_up()

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fresh:
                return connection
            connection.hang_up()
        _, opened = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", self._port)
        return opened


class _Connection(asyncio.Protocol):
    """One request at a time, and its answer, which has a length."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._received = b""
        self._answer: asyncio.Future[Answer] | None = None
        self._used = time.monotonic()

    @property
    def is_fresh(self) -> bool:
        return not self._transport.is_closing() and time.monotonic() - self._used < _KEPT_SECONDS

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def hang_up(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass of it

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_HEAD_END)
        length = _LENGTH.search(head + b"\r\n")
        if not end or length is None or len(body) < int(length[1]):
            return
        self._received = b""
        self._used = time.monotonic()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"the server hung up: {exc}"))
