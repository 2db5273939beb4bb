"""Calls over HTTP: each has a connection of its own, which is kept for the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from penpay.infrastructure.http import KEPT_MS, KeptConnections
from penpay.infrastructure.system import SystemClock


class Ahead(SystemClock):
    """The machine's clock, so much ahead."""

    ahead_ms = 0

    def monotonic_ms(self) -> int:
        return super().monotonic_ms() + self.ahead_ms


class Server:
    """Answers every request with the number of the connection it came by, once it may."""

    def __init__(self) -> None:
        self.clock = Ahead()
        self.url = ""
        self.opened = 0
        self.ended = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.listening: asyncio.Server
        self._writers: list[asyncio.StreamWriter] = []

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self._writers.append(writer)
        number = str(self.opened)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await self.may_answer.wait()
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(number)}\r\n\r\n{number}".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended += 1
        finally:
            writer.close()


@asynccontextmanager
async def called() -> AsyncIterator[tuple[httpx.AsyncClient, Server]]:
    server = Server()
    server.listening = listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    try:
        async with httpx.AsyncClient(transport=KeptConnections(server.clock), timeout=5) as client:
            yield client, server
    finally:
        listening.close()


async def test_the_next_call_goes_by_the_connection_of_the_last() -> None:
    """Three calls one after another, one connection."""
    async with called() as (client, server):
        assert ["1", "1", "1"] == [(await client.get(server.url)).text for _ in range(3)]


async def test_calls_at_the_same_time_do_not_wait_for_each_other() -> None:
    """Thirty calls, thirty connections, and all of them are there for the next thirty."""
    async with called() as (client, server):
        for _ in range(2):
            server.may_answer.clear()
            calls = [asyncio.create_task(client.get(server.url)) for _ in range(30)]
            await asyncio.sleep(0.1)
            server.may_answer.set()
            assert 30 == len({answer.text for answer in await asyncio.gather(*calls)})
        assert 30 == server.opened


async def test_a_connection_idle_for_too_long_is_closed_and_not_used() -> None:
    """The other side might close it at the very moment of the next call."""
    async with called() as (client, server):
        await client.get(server.url)
        server.clock.ahead_ms = KEPT_MS + 1
        assert "2" == (await client.get(server.url)).text
        async with asyncio.timeout(5):
            while not server.ended:
                await asyncio.sleep(0.01)


async def test_a_call_that_was_cut_off_costs_its_connection_and_nothing_else() -> None:
    """The next call has another, and its own answer."""
    async with called() as (client, server):
        server.may_answer.clear()
        with pytest.raises(httpx.ReadTimeout):
            await client.get(server.url, timeout=0.05)
        server.may_answer.set()
        assert ["2", "2"] == [(await client.get(server.url)).text for _ in range(2)]


async def test_a_connection_that_the_other_side_has_closed_is_not_used() -> None:
    """A call on it would meet its end, and nobody would know what became of it."""
    async with called() as (client, server):
        await client.get(server.url)
        server.hang_up()
        async with asyncio.timeout(5):
            while not server.ended:
                await asyncio.sleep(0.01)
        assert "2" == (await client.get(server.url)).text


async def test_other_protocols_are_not_spoken() -> None:
    """Nothing is sent anywhere."""
    async with called() as (client, _):
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("ftp://127.0.0.1/")


async def test_where_nobody_listens_nothing_was_sent() -> None:
    """Whoever called may call again."""
    async with called() as (client, server):
        server.listening.close()
        with pytest.raises(httpx.ConnectError):
            await client.get(server.url)
