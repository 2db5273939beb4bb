"""A tiny HTTP/1.1 server on loopback that answers exactly the bytes it is told to, however broken."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

OAUTH = "/oauth/v1/generate?grant_type=client_credentials"
PUSH = "/mpesa/stkpush/v1/processrequest"
QUERY = "/mpesa/stkpushquery/v1/query"


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def bearer(self) -> str:
        return self.headers["authorization"].removeprefix("Bearer ")


Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]
Script = Callable[[Received], Reply]


def raw(answer: bytes) -> Reply:
    """Write these bytes and close."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return reply


def http(status: int, body: bytes = b"", content_type: str = "application/json", **headers: str) -> Reply:
    """A well-formed HTTP answer."""
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = (
        f"HTTP/1.1 {status} Scripted\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n{extra}\r\n"
    )
    return raw(head.encode("latin-1") + body)


def said(status: int, fields: object) -> Reply:
    """A JSON answer."""
    return http(status, json.dumps(fields).encode())


def refused(status: int, code: str, message: str) -> Reply:
    """Daraja's error envelope."""
    return said(status, {"requestId": "1c5b-4ba8", "errorCode": code, "errorMessage": message})


async def reset(writer: asyncio.StreamWriter) -> None:
    """Drop the connection with a TCP reset."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def silence(_: asyncio.StreamWriter) -> None:
    """Say nothing for longer than any test waits."""
    await asyncio.sleep(3_600)


async def trickle(writer: asyncio.StreamWriter) -> None:
    """Begin an answer and add a byte now and then, so that no read ever times out."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


class ScriptedDaraja:
    """Serves `scripts` by path and keeps what it received; use as an async context manager."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {
            OAUTH: lambda _: said(200, {"access_token": "token-1", "expires_in": "3599"})
        }
        self.received: list[Received] = []
        self.first_request = asyncio.Event()
        self.url = ""
        self._open: set[asyncio.Task[None]] = set()

    def to(self, target: str) -> list[Received]:
        """What was received at one path, in order."""
        return [request for request in self.received if request.target == target]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            request = await _receive(reader)
            self.received.append(request)
            self.first_request.set()
            await self.scripts[request.target](request)(writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client gave up, or the test is over; ending quietly is this double's part
        finally:
            self._open.discard(task)
            writer.close()


async def _receive(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").rstrip("\r\n").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
    return Received(method, target, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
