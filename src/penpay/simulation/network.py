"""The network between the processes: HTTP and WebSocket without a socket, with everything a network does to messages.

A request runs in the process that serves it, so the caller's death does not stop it and the server's death breaks the
caller's connection. What passes is told to the oracle, which keeps its own account of the money from it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Protocol

import httpx
from starlette.types import ASGIApp, Message

from penpay.sandbox.deriv.memory import MemorySocket
from penpay.simulation.loop import Process, SimLoop, current_process
from penpay.simulation.mangling import mangled, rows_unreadable, without_rows
from penpay.simulation.nemesis import Nemesis, Notes
from penpay.simulation.profile import Hazard

_DERIV_CALLS: Final = ("paymentagent_transfer", "paymentagent_withdraw", "verify_email", "statement", "authorize")
"""The calls that have crash points."""
_STATEMENT: Final = "call statement"
_DARAJA: Final = ("/mpesa/", "/oauth/")
_TOLD: Final = ("/api/v1/callbacks", "/api/webhooks/c2b")
"""Where M-Pesa tells us of what has happened."""
_CREDENTIAL: Final = re.compile(rb'SecurityCredential[\\": ]+[A-Za-z0-9+/=]+')
FOREIGN: Final = "203.0.113.77"
"""Nobody we take callbacks from."""
_READ_SECONDS: Final = 30
"""How long a caller waits for an answer, as the product's own client does."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A request as it reached its server."""

    path: str
    address: str
    """Where it came from."""
    body: bytes


class Tap(Protocol):
    """Sees what was delivered, and what was answered, whether or not the answer arrives."""

    def request(self, request: Delivered) -> None: ...

    def answered(self, sender: Process | None, request: Delivered, status: int) -> None: ...


@dataclass(slots=True)
class _Answer:
    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


@dataclass(slots=True)
class Host:
    """An address and the processes that serve it; a request goes to any of them."""

    servers: list[tuple[Process, ASGIApp]] = field(default_factory=list)
    is_down: bool = False


class Network:
    """Carries messages between processes, with the faults the nemesis decides on."""

    def __init__(
        self,
        *,
        loop: SimLoop,
        chance: random.Random,
        nemesis: Nemesis,
        notes: Notes,
        tap: Tap,
        has_open_transaction: Callable[[], bool],
    ) -> None:
        """`has_open_transaction`: whether the running task has a database transaction open (it must not call out)."""
        self._loop = loop
        self._chance = chance
        self._nemesis = nemesis
        self._notes = notes
        self._tap = tap
        self._has_open_transaction = has_open_transaction
        self.hosts: dict[tuple[str, int], Host] = {}
        self.broken_rules: list[str] = []
        self._served_now: list[asyncio.Future[_Answer]] = []
        self.deriv_connect: Callable[[], Coroutine[Any, Any, MemorySocket]]
        self.deriv_process: Process
        self.deriv_is_down = False
        self.is_statement_unreadable = False
        self._deriv_sockets: list[MemorySocket] = []

    def client(self) -> httpx.AsyncClient:
        """What a process makes its requests with."""
        return httpx.AsyncClient(transport=_Transport(self), trust_env=False, timeout=_READ_SECONDS)

    @staticmethod
    def idle_client() -> httpx.AsyncClient:
        """A client for a process that has nobody to talk to."""
        return httpx.AsyncClient(transport=httpx.MockTransport(_nobody), trust_env=False)

    @staticmethod
    def no_deriv(endpoint: str, app_id: int) -> Callable[[], Awaitable[Any]]:
        """A Deriv nobody reaches."""
        del endpoint, app_id
        return _no_connection

    def check_no_transaction(self, what: str) -> None:
        """A call out while a transaction is open would hold its locks for as long as the other side likes."""
        if self._has_open_transaction():
            self.broken_rules.append(f"I14: {what} while a database transaction is open")

    @property
    def in_flight(self) -> int:
        """Requests being served now."""
        self._served_now = [outcome for outcome in self._served_now if not outcome.done()]
        return len(self._served_now)

    # -- HTTP

    async def exchange(self, request: httpx.Request) -> httpx.Response:
        """One request and its answer, if both arrive; raises httpx's transport errors."""
        body = await request.aread()
        path = request.url.path
        place = f"call {request.method} {_short(path)}"
        self.check_no_transaction(place)
        await self._nemesis.point(f"before {place}")
        try:
            answer = await self._carried(request, body)
        except httpx.TransportError:
            await self._nemesis.point(f"after {place}")
            raise
        await self._nemesis.point(f"after {place}")
        if self._nemesis.strikes(Hazard.REPLY_LOST):
            self._notes.trace(f"lost reply {request.method} {_short(path)}")
            raise httpx.ReadError("connection reset", request=request)
        await self._latency()
        if path.startswith(_DARAJA) and self._nemesis.strikes(Hazard.MANGLED_ANSWER):
            answer.body = mangled(answer.body, self._nemesis)
            self._notes.trace(f"mangled answer {_short(path)} {_digest(answer.body)}")
        content = httpx.ByteStream(answer.body)
        return httpx.Response(answer.status, headers=answer.headers, stream=content, request=request)

    async def _carried(self, request: httpx.Request, body: bytes) -> _Answer:
        """What a server answers to the request, if it gets there; raises httpx's transport errors."""
        path = request.url.path
        await self._latency()
        host = self.hosts[(request.url.host, request.url.port or 80)]
        alive = [server for server in host.servers if not server[0].is_dead]
        if host.is_down or not alive:
            raise httpx.ConnectError("connection refused", request=request)
        if self._nemesis.strikes(Hazard.REQUEST_LOST):
            self._notes.trace(f"lost request {request.method} {_short(path)}")
            await asyncio.sleep(_READ_SECONDS)
            raise httpx.ReadTimeout("no answer", request=request)
        server = self._chance.choice(alive)
        if path.startswith(_TOLD) and self._nemesis.strikes(Hazard.REQUEST_DOUBLED):
            self._notes.trace(f"doubled {_short(path)}")
            self._loop.start(self._deliver_again(server, request, body, current_process()), None, "doubled")
        return await self._served(server, request, body, current_process())

    async def _deliver_again(
        self, server: tuple[Process, ASGIApp], request: httpx.Request, body: bytes, sender: Process | None
    ) -> None:
        await self._latency()
        try:
            await self._served(server, request, body, sender)
        except httpx.TransportError:
            return

    async def _served(
        self, server: tuple[Process, ASGIApp], request: httpx.Request, body: bytes, sender: Process | None
    ) -> _Answer:
        """Run the request in its server; raises ReadError when the server dies before it has answered."""
        process, app = server
        if process.is_dead:
            raise httpx.ConnectError("connection refused", request=request)
        path = request.url.path
        self._notes.trace(f"-> {process} {request.method} {_short(path)} {_digest(body)}")
        outcome: asyncio.Future[_Answer] = self._loop.create_future()
        is_ours = path.startswith("/api/")
        hangs_up = is_ours and self._nemesis.strikes(Hazard.HANG_UP)
        is_callback = path.startswith(_TOLD)
        address = FOREIGN if is_callback and self._nemesis.strikes(Hazard.FOREIGN_ADDRESS) else "127.0.0.1"
        delivered = Delivered(path, address, body)
        self._tap.request(delivered)

        async def serve() -> None:
            answer = await _run(app, request, body, address=address, hangs_up=hangs_up)
            if not outcome.done():
                outcome.set_result(answer)

        def died() -> None:
            if not outcome.done():
                outcome.set_exception(httpx.ReadError("connection reset", request=request))

        process.on_crash.append(died)
        self._served_now.append(outcome)
        try:
            task = self._loop.start(serve(), process, "http")
            task.add_done_callback(lambda done: died() if done.cancelled() or done.exception() else None)
            async with asyncio.timeout(_READ_SECONDS):
                answer = await outcome
            if hangs_up:
                raise httpx.ReadError("hung up", request=request)
        except TimeoutError:
            raise httpx.ReadTimeout("no answer", request=request) from None
        finally:
            process.on_crash.remove(died)
        self._notes.trace(f"<- {process} {answer.status} {_short(path)} {_digest(answer.body)}")
        self._tap.answered(sender, delivered, answer.status)
        return answer

    async def _latency(self) -> None:
        slow = self._nemesis.strikes(Hazard.SLOW_NETWORK)
        await asyncio.sleep(self._chance.randint(1, 20_000 if slow else 40) / 1_000)

    # -- WebSocket

    def deriv(self, endpoint: str, app_id: int) -> Callable[[], Awaitable[Any]]:
        """The port through which a process reaches Deriv."""
        del endpoint, app_id

        async def connect() -> _Socket:
            await self._latency()
            if self.deriv_is_down:
                raise ConnectionRefusedError("Deriv is away")
            opened = self._loop.start(self.deriv_connect(), self.deriv_process, "deriv-session")
            socket = await opened
            self._deriv_sockets.append(socket)
            owner = current_process()
            if owner is not None:
                owner.on_crash.append(socket.drop)
            return _Socket(self, socket)

        return connect

    def deriv_down(self) -> None:
        """Deriv hangs up on everybody and answers nobody."""
        self.deriv_is_down = True
        for socket in self._deriv_sockets:
            socket.drop()
        self._deriv_sockets.clear()

    def deriv_up(self) -> None:
        self.deriv_is_down = False


def _nobody(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody listens", request=request)


async def _no_connection() -> Any:
    raise ConnectionRefusedError("nobody listens")


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, network: Network) -> None:
        self._network = network

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._network.exchange(request)


class _Socket:
    """A process's end of its session with Deriv."""

    def __init__(self, network: Network, socket: MemorySocket) -> None:
        self._network = network
        self._socket = socket
        self._unanswered: dict[int, str] = {}
        """By req_id: the calls whose answer is to come."""
        self._is_half_open = False
        """The other end is gone, and nobody here will ever be told."""

    async def send(self, text: str) -> None:
        network = self._network
        request = json.loads(text, parse_float=Decimal)
        place = next((f"call {name}" for name in _DERIV_CALLS if name in request), None)
        if place is not None:
            place += " (dry run)" if "dry_run" in request else ""
            network.check_no_transaction(place)
            await network._nemesis.point(f"before {place}")  # noqa: SLF001  (its other half)
            self._unanswered[request["req_id"]] = place
        await asyncio.sleep(network._chance.randint(1, 40) / 1_000)  # noqa: SLF001  (as above)
        is_silent = self._is_half_open
        if place is not None and not is_silent and network._nemesis.strikes(Hazard.HALF_OPEN):  # noqa: SLF001  (as above)
            self._is_half_open = True
            is_silent = network._nemesis.choose(Hazard.HALF_OPEN, (True, False))  # noqa: SLF001  (as above)
        if not is_silent:
            await self._socket.send(text)

    async def recv(self) -> str:
        nemesis = self._network._nemesis  # noqa: SLF001  (as above)
        try:
            text = await self._socket.recv()
            while self._is_half_open:
                text = await self._socket.recv()
        except ConnectionError:
            while self._unanswered:
                await nemesis.point(f"after {self._unanswered.popitem()[1]}")
            raise
        await asyncio.sleep(self._network._chance.randint(1, 40) / 1_000)  # noqa: SLF001  (as above)
        place = self._unanswered.pop(json.loads(text, parse_float=Decimal).get("req_id"), None)
        if place is not None:
            await nemesis.point(f"after {place}")
            if self._network.is_statement_unreadable and place == _STATEMENT:
                self._network._notes.reach(f"fault {Hazard.STATEMENT_UNREADABLE}")  # noqa: SLF001  (as above)
                return nemesis.choose(Hazard.STATEMENT_UNREADABLE, (without_rows, rows_unreadable))(text)
            if nemesis.strikes(Hazard.MANGLED_ANSWER):
                return mangled(text.encode(), nemesis).decode()
        return text

    async def close(self) -> None:
        await self._socket.close()


async def _run(app: ASGIApp, request: httpx.Request, body: bytes, *, address: str, hangs_up: bool) -> _Answer:
    """What an ASGI server does for one request; a caller who hangs up has sent half of it."""
    answer = _Answer()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": (address, 40_000),
        "root_path": "",
        "state": {},
    }
    asked = False
    gone = asyncio.Event()

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await gone.wait()
            return {"type": "http.disconnect"}
        asked = True
        if hangs_up:
            gone.set()
            return {"type": "http.request", "body": body[: len(body) // 2], "more_body": True}
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")
            if not message.get("more_body", False):
                gone.set()

    await app(scope, receive, send)
    return answer


def _short(path: str) -> str:
    """The path without what is in it of one request alone."""
    parts = path.split("/")
    return "/".join(part if len(part) <= 24 else "…" for part in parts)  # noqa: PLR2004  (longer than any route word)


def _digest(body: bytes) -> str:
    """What tells two bodies apart in a trace, but for the credential, in which OpenSSL draws for itself."""
    return hashlib.sha256(_CREDENTIAL.sub(b"", body)).hexdigest()[:8]
