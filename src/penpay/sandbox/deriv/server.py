"""The Deriv simulator: /websockets/v3 on a port of this machine, or sessions over sockets in memory."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from penpay.application.shared.ports import Clock, Random
from penpay.sandbox.deriv import wire
from penpay.sandbox.deriv.book import Book
from penpay.sandbox.deriv.calls import Caller, World
from penpay.sandbox.deriv.exchange import Exchange
from penpay.sandbox.deriv.faults import FaultPlan
from penpay.sandbox.deriv.limits import Budgets, RateLimits
from penpay.sandbox.deriv.mail import Mailbox
from penpay.sandbox.deriv.memory import MemorySocket
from penpay.sandbox.deriv.session import Session, Socket, Spawn

_PATH = "/websockets/v3"
_APP_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_CLOSE_NORMAL = 1000
_CLOSE_HANDSHAKE_S = 2
_FOR_SANDBOX = RateLimits()


class _WebSocket:
    """A `websockets` server connection as a Socket."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as closed:
            raise ConnectionResetError(str(closed)) from None

    async def recv(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed as closed:
            raise ConnectionResetError(str(closed)) from None

    async def close(self, code: int) -> None:
        await self._connection.close(code)

    def drop(self) -> None:
        self._connection.transport.abort()


class DerivSimulator:
    """A whole Deriv: its book must have been created; `exchange` moves money, `faults` goes wrong on demand."""

    def __init__(
        self,
        *,
        book: Book,
        mailbox: Mailbox,
        clock: Clock,
        random: Random,
        spawn: Spawn,
        faults: FaultPlan,
        limits: RateLimits = _FOR_SANDBOX,
        repeat_guard_ms: int = 60_000,
        idle_close_ms: int = 120_000,
    ) -> None:
        """`repeat_guard_ms`: how long an equal transfer is "too frequent"; the real window is unknown."""
        self.exchange = Exchange(book, clock=clock, random=random, repeat_guard_ms=repeat_guard_ms)
        self.faults = faults
        self.mailbox = mailbox
        self._world = World(exchange=self.exchange, mailbox=mailbox, clock=clock, random=random, limits=limits)
        self._budgets = Budgets(limits, clock)
        self._spawn = spawn
        self._idle_close_ms = idle_close_ms
        self._opened = 0

    async def attend(self, socket: Socket, app_id: str) -> None:
        """Serve one client until it is gone; a wrong application id is told so and sent away (deriv.md §1.1)."""
        try:
            if _APP_ID.fullmatch(app_id) is None:
                error = {"code": "InvalidAppID", "message": "Your app_id is invalid."}
                await socket.send(wire.encode({"echo_req": {}, "msg_type": "error", "error": error}))
            else:
                await self._session(socket, int(app_id)).run()
        except ConnectionError:
            return  # gone before it could be told
        finally:
            await socket.close(_CLOSE_NORMAL)

    def _session(self, socket: Socket, app_id: int) -> Session:
        self._opened += 1
        return Session(
            socket,
            caller=Caller(app_id=app_id),
            number=self._opened,
            world=self._world,
            faults=self.faults,
            budgets=self._budgets,
            spawn=self._spawn,
            idle_close_ms=self._idle_close_ms,
        )

    async def connect_in_memory(self, app_id: str) -> MemorySocket:
        """Open a session without a network and return the client's end."""
        client, server = MemorySocket.pair()
        self._spawn(self.attend(server, app_id), "deriv-sim-session")
        return client

    @asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[int]:
        """Listen while the block runs; gives the port, which the system chooses if `port` is 0."""
        # The library writes whole frames to its logger at DEBUG, tokens among them: this logger never takes DEBUG.
        frames = logging.Logger("penpay.deriv.simulator", logging.WARNING)  # noqa: LOG001  (a registered one could be reset)
        frames.parent = logging.root
        async with serve(
            self._attend_websocket,
            host,
            port,
            process_request=_only_v3,
            ping_interval=None,
            close_timeout=_CLOSE_HANDSHAKE_S,
            logger=frames,
        ) as listening:
            yield next(iter(listening.sockets)).getsockname()[1]

    async def _attend_websocket(self, connection: ServerConnection) -> None:
        path = connection.request.path if connection.request else ""
        app_id = parse_qs(urlsplit(path).query).get("app_id", [""])[-1]
        await self.attend(_WebSocket(connection), app_id)


def _only_v3(connection: ServerConnection, request: Request) -> Response | None:
    if urlsplit(request.path).path == _PATH:
        return None
    return connection.respond(HTTPStatus.NOT_FOUND, "There is only /websockets/v3 here.\n")
