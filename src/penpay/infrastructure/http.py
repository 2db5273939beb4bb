"""Calls over HTTP with a connection of its own for each that is under way, kept for the next.

httpx's pool looks at every connection for every other one whenever a request begins or ends, which with sixty calls
out at a time costs more than the calls themselves, and it closes what is idle beyond twenty.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple

import httpx

from penpay.application.shared.ports import Clock

KEPT_MS: Final = 2_000
"""Less than servers keep a connection, or a request may meet its end, and nobody knows then what became of it."""
_ONE: Final = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEPT_MS // 1000)


class _Idle(NamedTuple):
    connection: httpx.AsyncBaseTransport
    since_ms: int


class KeptConnections(httpx.AsyncBaseTransport):
    """As many connections as calls are under way; who makes the calls sees to it how many that are.

    The connection that was used last is used next, so that those there are too many of fall idle, and are closed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._certificates = httpx.create_ssl_context()
        self._idle: defaultdict[tuple[str, str, int | None], deque[_Idle]] = defaultdict(deque)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the connection is kept when its answer is closed."""
        idle = self._idle[request.url.scheme, request.url.host, request.url.port]
        await self._close_old(idle)
        connection = idle.pop().connection if idle else self._open()

        def keep() -> None:
            idle.append(_Idle(connection, self._clock.monotonic_ms()))

        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            keep()  # one that is broken, httpx replaces
            raise
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("an answer over a socket is a stream")
        response.stream = _Answer(response.stream, keep)
        return response

    async def aclose(self) -> None:
        """Close what is kept."""
        for idle in self._idle.values():
            while idle:
                await idle.pop().connection.aclose()

    def _open(self) -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport(verify=self._certificates, limits=_ONE)

    async def _close_old(self, idle: deque[_Idle]) -> None:
        while idle and self._clock.monotonic_ms() - idle[0].since_ms > KEPT_MS:
            await idle.popleft().connection.aclose()


class _Answer(httpx.AsyncByteStream):
    """The body of an answer; its connection is free once it is closed."""

    def __init__(self, body: httpx.AsyncByteStream, free: Callable[[], None]) -> None:
        self._body = body
        self._free: Callable[[], None] | None = free

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._body:
            yield part

    async def aclose(self) -> None:
        free, self._free = self._free, None
        try:
            await self._body.aclose()
        finally:
            if free is not None:
                free()
