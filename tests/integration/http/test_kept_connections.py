"""What callbacks are sent with: connections that are kept, and every way in which no answer comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import httpx
import pytest

from penpay.infrastructure.kept_connections import KeptConnections

POLITE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Receiver(asyncio.Protocol):
    """One connection's end, which says the same to every request; `heard` has what each connection brought."""

    def __init__(self, heard: list[list[bytes]], answer: bytes, *, hangs_up: bool) -> None:
        self._answer = answer
        self._hangs_up = hangs_up
        self._mine: list[bytes] = []
        heard.append(self._mine)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._mine.append(data)
        self._transport.write(self._answer)
        if self._hangs_up:
            self._transport.close()


@asynccontextmanager
async def receiving(
    answer: bytes = POLITE, *, hangs_up: bool = False, patience: int = 30
) -> AsyncIterator[tuple[httpx.AsyncClient, list[list[bytes]]]]:
    """A receiver, and a client that sends to it."""
    heard: list[list[bytes]] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receiver(heard, answer, hangs_up=hangs_up), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", mounts={"http://": KeptConnections()}, timeout=patience
    )
    async with server, client:
        yield client, heard


async def test_requests_one_after_another_take_one_connection() -> None:
    """Each leaves in one piece, head and body."""
    async with receiving() as (client, heard):
        answers = [await client.post("/told?a=1", content=b"hello") for _ in range(3)]

    assert [(200, "ok")] * 3 == [(answer.status_code, answer.text) for answer in answers]
    (one,) = heard
    assert 3 == len(one)
    assert one[0].startswith(b"POST /told?a=1 HTTP/1.1\r\n")
    assert one[0].endswith(b"\r\n\r\nhello")


async def test_requests_at_once_take_a_connection_each() -> None:
    """Nobody waits for another's answer."""
    async with receiving() as (client, heard):
        await asyncio.gather(*(client.post("/told", content=b"{}") for _ in range(5)))

    assert 5 == len(heard)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", "ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + POLITE, "ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
    ],
    ids=["in chunks", "until it hangs up", "after an interim answer", "no body"],
)
async def test_every_form_of_answer_is_read(answer: bytes, text: str) -> None:
    """However its end is told."""
    async with receiving(answer, hangs_up=b"close" in answer) as (client, _):
        assert text == (await client.post("/told", content=b"{}")).text


@pytest.mark.parametrize(
    ("answer", "hangs_up", "error"),
    [
        (b"", False, httpx.ReadTimeout),
        (b"", True, httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", True, httpx.RemoteProtocolError),
        (b"\x16\x03\x01", False, httpx.RemoteProtocolError),
    ],
    ids=["silence", "a hang-up", "half an answer", "no HTTP"],
)
async def test_no_answer_is_an_error_of_httpx(answer: bytes, hangs_up: bool, error: type[Exception]) -> None:  # noqa: FBT001  (a table)
    """So whoever sends callbacks need not know what they are sent with."""
    async with receiving(answer, hangs_up=hangs_up, patience=1 if error is httpx.ReadTimeout else 30) as (client, _):
        with pytest.raises(error):
            await client.post("/told", content=b"{}")


async def test_nobody_there_is_an_error_of_httpx() -> None:
    """A receiver that is down refuses the connection."""
    async with receiving() as (client, _):
        address = client.base_url
    async with httpx.AsyncClient(mounts={"http://": KeptConnections()}) as other:
        with pytest.raises(httpx.ConnectError):
            await other.post(address, content=b"{}")


async def test_a_receiver_that_hung_up_meanwhile_is_called_again() -> None:
    """A kept connection that is gone is not used."""
    async with receiving(POLITE, hangs_up=True) as (client, heard):
        for _ in range(2):
            assert "ok" == (await client.post("/told", content=b"{}")).text
            await asyncio.sleep(0.05)

    assert 2 == len(heard)
