"""One session with Deriv v3 over one WebSocket: calls matched to answers, streams, keep-alive, and a clean end.

Answers come in any order and belong to a call by `req_id` only; a push repeats the `req_id` of its subscription, so
the subscription id is looked at first (deriv.md §1.3). When the socket goes, every waiting call is told at once
whether its frame may have left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from penpay.application.shared.ports import Clock
from penpay.domain.deriv.verdicts import SESSION_LOST
from penpay.infrastructure.deriv.wire import BadFrame, Frame, Request, decode, encode, error_of

_log = logging.getLogger(__name__)

_LARGEST_FRAME = 4 * 1024 * 1024
"""A full statement page of 999 rows with remarks is well under a megabyte."""

_CLOSE_HANDSHAKE_S = 2
_OPEN_HANDSHAKE_S = 10

Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]
"""Starts a named task; the composition root owns it."""


class Transport(Protocol):
    """A socket that carries text frames. `send` and `recv` raise ConnectionError once it is closed."""

    async def send(self, text: str) -> None: ...

    async def recv(self) -> str | bytes: ...

    async def close(self) -> None:
        """Close it; a repeat does nothing."""
        ...


Connect = Callable[[], Awaitable[Transport]]
"""Opens a fresh socket; raises OSError when that fails."""


class NoAnswer(Exception):
    """A call ended without an answer. `sent` False: not one byte of it left; True: it may have been executed."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


def within(milliseconds: int) -> asyncio.Timeout:
    """A block that raises TimeoutError when it takes longer than this."""
    return asyncio.timeout(timedelta(milliseconds=milliseconds).total_seconds())


class _WebSocket:
    """A `websockets` client connection as a Transport."""

    def __init__(self, connection: ClientConnection) -> None:
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

    async def close(self) -> None:
        await self._connection.close()


def websocket_connect(endpoint: str, app_id: int) -> Connect:
    """Return a `Connect` to `endpoint`, such as wss://ws.derivws.com, for our application id (deriv.md §1.1)."""
    # The library writes whole frames to its logger at DEBUG, our token among them: this logger never takes DEBUG.
    frames = logging.Logger("penpay.deriv.websocket", logging.INFO)  # noqa: LOG001  (a registered one could be reset)
    frames.parent = logging.root

    async def connect() -> Transport:
        try:
            connection = await open_websocket(
                f"{endpoint}/websockets/v3?app_id={app_id}",
                proxy=None,
                open_timeout=_OPEN_HANDSHAKE_S,
                close_timeout=_CLOSE_HANDSHAKE_S,
                ping_interval=None,  # Deriv counts its own ping call as traffic; protocol pings are not known to count
                max_size=_LARGEST_FRAME,
                logger=frames,
            )
        except (InvalidHandshake, ConnectionClosed) as refused:
            raise ConnectionRefusedError(f"the handshake failed: {refused}") from None
        return _WebSocket(connection)

    return connect


class DerivConnection:
    """One session on one transport. Not reusable: after its end, make another."""

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Clock,
        spawn: Spawn,
        on_push: Callable[[Frame], None],
        ping_every_ms: int,
        pong_within_ms: int,
    ) -> None:
        """`on_push` gets the stream messages in order; it must not block, and may raise BadFrame to end the session."""
        self._transport = transport
        self._clock = clock
        self._on_push = on_push
        self._ping_every_ms = ping_every_ms
        self._pong_within_ms = pong_within_ms
        self._last_req_id = 0
        self._waiting: dict[int, asyncio.Future[Frame | None]] = {}
        self._subscriptions: set[str] = set()
        self._ended = asyncio.Event()
        self._is_retiring = False
        self.end_reason = ""
        self._tasks = [
            spawn(self._read(), "deriv-reader"),
            spawn(self._keep_alive(), "deriv-keep-alive"),
        ]

    @property
    def is_open(self) -> bool:
        """Whether it takes calls."""
        return not self._is_retiring and not self._ended.is_set()

    async def call(self, request: Request, *, within_ms: int) -> Frame:
        """Send one request and return its answer, a success or an error object; raises NoAnswer."""
        if not self.is_open:
            raise NoAnswer(self.end_reason, sent=False)
        self._last_req_id += 1
        req_id = self._last_req_id
        answer: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
        self._waiting[req_id] = answer
        try:
            async with within(within_ms):
                # A write that fails may still have put bytes on the wire, so from here on it counts as sent.
                await self._transport.send(encode({**request, "req_id": req_id}))
                frame = await answer
        except TimeoutError:
            raise NoAnswer("no answer in time", sent=True) from None
        except ConnectionError as lost:
            self.end(f"the socket was lost: {lost}")
            raise NoAnswer(self.end_reason, sent=True) from None
        finally:
            self._waiting.pop(req_id, None)
            self._end_if_retired()
        if frame is None:
            raise NoAnswer(self.end_reason, sent=True)
        return frame

    def retire(self, reason: str) -> None:
        """Take no more calls, and end once those under way have their answers or have waited long enough.

        Cut off, each of them would be in doubt, although Deriv goes on answering.
        """
        if self.is_open:
            self.end_reason = reason
            self._is_retiring = True
            self._end_if_retired()

    def retire_if_lost(self, code: str) -> None:
        """Retire when Deriv has refused a call with this code because it wants a new authorize first."""
        if code in SESSION_LOST:
            self.retire(f"Deriv wants a new authorize: {code}")

    def _end_if_retired(self) -> None:
        if self._is_retiring and not self._waiting:
            self.end(self.end_reason)

    def end(self, reason: str) -> None:
        """End the session: nothing more is sent, every waiting call gets NoAnswer. The first reason stays."""
        if self._ended.is_set():
            return
        self.end_reason = self.end_reason or reason
        self._ended.set()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(None)

    async def ended(self) -> None:
        """Wait for the end, whoever brings it about."""
        await self._ended.wait()

    async def close(self) -> None:
        """End the session, stop its tasks and close the socket; a repeat does nothing."""
        self.end("closed by us")
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                _log.error("a task of the Deriv connection broke", exc_info=outcome)
        await self._transport.close()

    async def _read(self) -> None:
        try:
            while True:
                self._dispatch(decode(await self._transport.recv()))
        except ConnectionError as lost:
            self.end(f"the socket was lost: {lost}")
        except BadFrame as bad:
            self.end(f"Deriv broke the protocol: {bad}")
        finally:
            self.end("the reader stopped")

    def _dispatch(self, frame: Frame) -> None:
        subscription = frame.get("subscription")
        stream = subscription.get("id") if isinstance(subscription, dict) else None
        if isinstance(stream, str) and stream in self._subscriptions:
            self._on_push(frame)
            return
        req_id = frame.get("req_id")
        answer = self._waiting.get(req_id) if type(req_id) is int else None
        if answer is None or answer.done():
            error = error_of(frame)
            # Either the answer to a call we gave up on, or an error from before any call was recognised.
            _log.warning("deriv said something nobody waits for: %s %s", frame.get("msg_type"), error and error[0])
            return
        if isinstance(stream, str):
            self._subscriptions.add(stream)
        answer.set_result(frame)

    async def _keep_alive(self) -> None:
        """Deriv hangs up after two silent minutes, and a dead peer may never hang up at all (deriv.md §1.5)."""
        while self.is_open:
            await self._clock.sleep(self._ping_every_ms)
            try:
                await self.call({"ping": 1}, within_ms=self._pong_within_ms)
            except NoAnswer as silent:
                self.end(f"the ping was not answered: {silent.reason}")
