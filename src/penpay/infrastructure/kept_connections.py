"""An httpx transport for plain HTTP/1.1 to a few receivers, with connections that are kept.

httpx's own pool looks at every connection for every other one whenever a request begins or ends. Here the connection
used last is used next, a request leaves in one piece, and httptools reads the answer. What asks has httpx's interface.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any, Final, cast

import httptools
import httpx

_KEPT_MS: Final = 2_000
"""Less than servers wait for another request, or they would hang up just when it comes."""
_LONGEST_ANSWER: Final = 16 * 1024 * 1024
_HTTP: Final = 80

Origin = tuple[str, int]


class KeptConnections(httpx.AsyncBaseTransport):
    """One for a client, in one event loop. Raises httpx's errors; `https` is none of its business."""

    def __init__(self) -> None:
        self._idle: defaultdict[Origin, list[_Connection]] = defaultdict(list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its whole answer."""
        if request.url.scheme != "http":
            raise httpx.UnsupportedProtocol("only http is spoken here", request=request)
        timeout = request.extensions.get("timeout", {})
        origin = (request.url.host, request.url.port or _HTTP)
        whole = _written(request, await request.aread())
        connection = self._kept(origin) or await _opened(origin, request, timeout.get("connect"))
        try:
            async with asyncio.timeout(timeout.get("read")):
                answer = await connection.ask(whole)
        except TimeoutError:
            raise httpx.ReadTimeout("the answer did not come in time", request=request) from None
        except (OSError, httptools.HttpParserError) as broken:
            raise httpx.RemoteProtocolError(str(broken), request=request) from broken
        finally:
            if connection.may_be_kept:
                connection.idle_since_ms = _now_ms()
                self._idle[origin].append(connection)
            else:
                connection.close()
        return answer

    async def aclose(self) -> None:
        """Close what is kept."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def _kept(self, origin: Origin) -> _Connection | None:
        """The connection used last, if it is still there; those that nobody used for long are closed."""
        connections = self._idle[origin]
        last_wanted_ms = _now_ms() - _KEPT_MS
        fresh = next((at for at, one in enumerate(connections) if one.idle_since_ms > last_wanted_ms), len(connections))
        for old in connections[:fresh]:
            old.close()
        del connections[:fresh]
        while connections:
            found = connections.pop()
            if found.is_open:
                return found
        return None


async def _opened(origin: Origin, request: httpx.Request, patience: Any) -> _Connection:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(patience):
            _, connection = await loop.create_connection(_Connection, *origin)
    except TimeoutError:
        raise httpx.ConnectTimeout("nobody answered in time", request=request) from None
    except OSError as refused:
        raise httpx.ConnectError(str(refused), request=request) from refused
    return connection


def _now_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1_000)


def _written(request: httpx.Request, body: bytes) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%b: %b" % header for header in request.headers.raw]
    return b"\r\n".join((*lines, b"", body))


class _Connection(asyncio.Protocol):
    """One connection, which is asked one thing at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._parser: Any = None
        self._answer: asyncio.Future[httpx.Response] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._length = 0
        self.idle_since_ms = 0
        self.is_open = True
        self.may_be_kept = False

    async def ask(self, whole: bytes) -> httpx.Response:
        """Write a request and read the answer. Raises OSError and httptools' errors."""
        self.may_be_kept = False
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._body, self._length = [], [], 0
        self._transport.write(whole)
        return await self._answer

    def close(self) -> None:
        self.is_open = False
        self._transport.close()

    # -- asyncio's

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass of it

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # nobody asked
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, ConnectionError) as broken:
            self._fail(broken)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = self.may_be_kept = False
        told = {name.lower() for name, _ in self._headers}
        if self._headers and not told & {b"content-length", b"transfer-encoding"} and exc is None:
            self._complete()  # an answer that ends with its connection
        self._fail(exc or ConnectionResetError("the server hung up"))

    # -- httptools'

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._length += len(body)
        if self._length > _LONGEST_ANSWER:
            raise ConnectionError("the answer is too long")
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < httpx.codes.OK:
            self._headers = []  # the answer is yet to come
            return
        self.may_be_kept = self.is_open and self._parser.should_keep_alive()
        self._complete()

    def _complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            # As a stream, or a body that cannot be decoded would fail here instead of where it is read.
            stream = httpx.ByteStream(b"".join(self._body))
            status = self._parser.get_status_code()
            self._answer.set_result(httpx.Response(status, headers=self._headers, stream=stream))

    def _fail(self, why: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(why)
