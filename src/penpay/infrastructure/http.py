"""Calls over HTTP with a connection of its own for each that is under way, kept for the next.

httpx's pool looks at every connection for every other one whenever a request begins or ends, which with sixty calls
out at a time costs more than the calls themselves, and it closes what is idle beyond twenty. So the connections are
those of httpcore, on which httpx stands, without any pool.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple

import httpcore
import httpx

from penpay.application.shared.ports import Clock

KEPT_MS: Final = 2_000
"""Less than servers keep a connection, or a request may meet its end, and nobody knows then what became of it."""
_FAULTS: Final = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)


class _Idle(NamedTuple):
    connection: httpcore.AsyncHTTPConnection
    since_ms: int


class KeptConnections(httpx.AsyncBaseTransport):
    """As many connections as calls are under way; who makes the calls sees to it how many that are.

    The connection that was used last is used next, so that those there are too many of fall idle, and are closed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._certificates = httpx.create_ssl_context()
        self._idle: defaultdict[tuple[bytes, bytes, int | None], deque[_Idle]] = defaultdict(deque)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, once; the connection is kept when its answer is closed. Raises httpx.TransportError."""
        if request.url.scheme not in {"http", "https"}:
            raise httpx.UnsupportedProtocol("Only http and https are spoken here.")
        raw = request.url
        url = httpcore.URL(scheme=raw.raw_scheme, host=raw.raw_host, port=raw.port, target=raw.raw_path)
        idle = self._idle[url.scheme, url.host, url.port]
        connection = await self._kept(idle) or self._open(url.origin)
        sent = httpcore.Request(
            request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        try:
            answer = await connection.handle_async_request(sent)
        except _FAULTS as fault:
            raise _in_httpx(fault) from fault

        def keep() -> None:
            if connection.is_available():  # one whose answer was not read to its end has closed itself
                idle.append(_Idle(connection, self._clock.monotonic_ms()))

        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Answer(answer, keep), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        """Close what is kept."""
        for idle in self._idle.values():
            while idle:
                await idle.pop().connection.aclose()

    def _open(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        return httpcore.AsyncHTTPConnection(origin, ssl_context=self._certificates)

    async def _kept(self, idle: deque[_Idle]) -> httpcore.AsyncHTTPConnection | None:
        """The one used last, unless it was too long ago or the other side has hung up."""
        while idle and self._clock.monotonic_ms() - idle[0].since_ms > KEPT_MS:
            await idle.popleft().connection.aclose()
        while idle:
            connection = idle.pop().connection
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None


class _Answer(httpx.AsyncByteStream):
    """The body of an answer; its connection is free once it is closed."""

    def __init__(self, answer: httpcore.Response, free: Callable[[], None]) -> None:
        self._answer = answer
        self._free: Callable[[], None] | None = free

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._answer.aiter_stream():
                yield part
        except _FAULTS as fault:
            raise _in_httpx(fault) from fault

    async def aclose(self) -> None:
        free, self._free = self._free, None
        try:
            await self._answer.aclose()
        finally:
            if free is not None:
                free()


def _in_httpx(fault: Exception) -> httpx.TransportError:
    """The same fault, which has the same name in both."""
    meant: type[httpx.TransportError] = getattr(httpx, type(fault).__name__)
    return meant(str(fault))
