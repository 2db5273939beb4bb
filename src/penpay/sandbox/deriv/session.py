"""One client's session: the v3 envelope, Deriv's order of checks, streams, and the faults that strike on the way.

Order of checks: rate limit, schema, authorised, scope, business (deriv.md §1.4). A request is carried out and
committed before anything about it is written to the socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any, Protocol

from penpay.sandbox.deriv import wire
from penpay.sandbox.deriv.book import Row
from penpay.sandbox.deriv.calls import CALLS, Asked, Call, Caller, Payload, Refusal, World
from penpay.sandbox.deriv.faults import (
    AnswerAfter,
    CallFault,
    DropAfterCommit,
    DropBeforeCommit,
    DuplicatePush,
    FaultPlan,
    LosePush,
    OutputValidationFailed,
    RateLimited,
    Refuse,
    StatementLag,
    TokenRevoked,
    WrongResponse,
)
from penpay.sandbox.deriv.limits import Budgets
from penpay.sandbox.deriv.schema import SCHEMAS, InvalidRequest, Request, is_sane

_SECRETS = ("authorize", "tokens", "verification_code")
_NOT_SHOWN = "<not shown>"
_SORRY = "Sorry, an error occurred while processing your request."
_CLOSE_BAD_DATA = 1007
_CLOSE_NORMAL = 1000

Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]


class Socket(Protocol):
    """The client's end as the simulator sees it; `send` and `recv` raise ConnectionError once it is closed."""

    async def send(self, text: str) -> None: ...

    async def recv(self) -> str | bytes: ...

    async def close(self, code: int) -> None:
        """Say goodbye with this code; a repeat does nothing."""
        ...

    def drop(self) -> None:
        """Go down without a word."""
        ...


class _Dropped(Exception):
    """A fault took the socket down."""


class Session:
    """Serves one socket until it closes, is dropped, or stays idle too long."""

    def __init__(
        self,
        socket: Socket,
        *,
        caller: Caller,
        number: int,
        world: World,
        faults: FaultPlan,
        budgets: Budgets,
        spawn: Spawn,
        idle_close_ms: int,
    ) -> None:
        """`number` names the connection in the rate budgets until it is authorised."""
        self._socket = socket
        self._caller = caller
        self._number = number
        self._world = world
        self._faults = faults
        self._budgets = budgets
        self._spawn = spawn
        self._idle_close_ms = idle_close_ms
        self._outgoing: asyncio.Queue[str] = asyncio.Queue()
        self._late: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the socket is gone."""
        self._world.exchange.listen(self._moved)
        writer = self._spawn(self._write(), "deriv-sim-writer")
        try:
            await self._serve()
        except _Dropped:
            self._socket.drop()
        finally:
            self._world.exchange.deafen(self._moved)
            for task in (writer, *self._late):
                task.cancel()
            await asyncio.gather(writer, *self._late, return_exceptions=True)

    async def _serve(self) -> None:
        idle = timedelta(milliseconds=self._idle_close_ms).total_seconds()
        while True:
            try:
                async with asyncio.timeout(idle):
                    text = await self._socket.recv()
            except TimeoutError:
                await self._socket.close(_CLOSE_NORMAL)
                return
            except ConnectionError:
                return
            try:
                frame = wire.decode(text)
            except ValueError:
                # Broken JSON earns no error frame (deriv.md §1.4).
                await self._socket.close(_CLOSE_BAD_DATA)
                return
            await self._take(frame)

    async def _write(self) -> None:
        try:
            while True:
                await self._socket.send(await self._outgoing.get())
        except ConnectionError:
            return  # the reader learns of it too and ends the session

    async def _take(self, frame: object) -> None:
        if not isinstance(frame, dict):
            self._say({"echo_req": {}, **_error("error", "BadRequest", "The request is not a JSON object.")})
            return
        echo = {key: _redacted(key, value) for key, value in frame.items()}
        if not is_sane(frame):
            self._say(_envelope(echo) | _error("error", "SanityCheckFailed", "Parameters sanity check failed."))
            return
        name = next((key for key in frame if key in CALLS), None)
        if name is None:
            self._say(_envelope(echo) | _error("error", "UnrecognisedRequest", "Unrecognised request"))
            return
        answer, late_ms = await self._answer(name, frame, echo)
        answer = _envelope(echo) | answer
        if not late_ms:
            self._say(answer)
            return
        task = self._spawn(self._say_later(answer, late_ms), "deriv-sim-late-answer")
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _answer(self, name: str, frame: Mapping[str, object], echo: Payload) -> tuple[Payload, int]:
        """The answer to one call and how late it is in milliseconds; raises _Dropped."""
        call = CALLS[name]
        late_ms = 0
        try:
            self._spend(name, call)
            request = SCHEMAS[name].check(frame)
            struck = self._struck(name, request)
            late_ms = sum(fault.milliseconds for fault in struck if isinstance(fault, AnswerAfter))
            self._fail_before_business(name, struck)
            self._authorise(call)
            asked = Asked(
                request=request,
                echo=echo,
                caller=self._caller,
                world=self._world,
                hidden_ms=sum(fault.milliseconds for fault in struck if isinstance(fault, StatementLag)),
            )
            payload = await call.answer(asked)
            self._fail_after_business(struck)
        except InvalidRequest as invalid:
            message = f"Input validation failed: {', '.join(sorted(invalid.reasons))}"
            return _error(name, "InputValidationFailed", message, invalid.reasons), late_ms
        except Refusal as refusal:
            return _error(name, refusal.code, refusal.message, refusal.details), late_ms
        return {"msg_type": name} | payload, late_ms

    def _spend(self, name: str, call: Call) -> None:
        caller = self._caller.login_id or f"connection {self._number}"
        if call.bucket is not None and not self._budgets.spend(caller, call.bucket):
            raise Refusal("RateLimit", f"You have reached the rate limit for {name}.")

    def _struck(self, name: str, request: Request) -> list[CallFault]:
        return self._faults.strike_call(
            name,
            parties=(
                self._caller.login_id,
                str(request.get("transfer_to", "")),
                str(request.get("paymentagent_loginid", "")),
            ),
            amount_cents=wire.cents(request.get("amount")),
            dry_run=request.get("dry_run") == 1,
        )

    def _fail_before_business(self, name: str, struck: list[CallFault]) -> None:
        for fault in struck:
            match fault:
                case DropBeforeCommit():
                    raise _Dropped
                case RateLimited():
                    raise Refusal("RateLimit", f"You have reached the rate limit for {name}.")
                case TokenRevoked():
                    self._caller.forget_login()
                    raise Refusal("InvalidToken", "The token is invalid.")
                case Refuse(message=message, code=code):
                    raise Refusal(code, message)
                case WrongResponse(committed=False):
                    raise Refusal("WrongResponse", _SORRY)
                case _:
                    continue

    def _fail_after_business(self, struck: list[CallFault]) -> None:
        for fault in struck:
            match fault:
                case DropAfterCommit():
                    raise _Dropped
                case WrongResponse():
                    raise Refusal("WrongResponse", _SORRY)
                case OutputValidationFailed():
                    raise Refusal("OutputValidationFailed", "Output validation failed: transaction_id")
                case _:
                    continue

    def _authorise(self, call: Call) -> None:
        if not call.scopes:
            return
        if not self._caller.login_id:
            raise Refusal("AuthorizationRequired", "Please log in.")
        if not call.scopes & self._caller.scopes:
            wanted = ", ".join(sorted(call.scopes))
            raise Refusal("PermissionDenied", f"Permission denied, requires {wanted} scope(s).")

    def _moved(self, row: Row) -> None:
        """Tell the open streams of a committed row; this may well happen before the caller has its answer."""
        if row.login_id != self._caller.login_id:
            return
        movement = {
            "transaction_id": row.transaction_id,
            "action": row.action,
            "amount": wire.amount(row.amount_cents),
            "balance": wire.amount(row.balance_after_cents),
            "currency": "USD",
            "transaction_time": row.happened_at_ms // 1_000,
            "longcode": row.remark,
            "contract_id": None,
        }
        balance = {"balance": wire.amount(row.balance_after_cents), "currency": "USD", "loginid": row.login_id}
        self._push("transaction", movement, row.amount_cents)
        self._push("balance", balance, row.amount_cents)

    def _push(self, stream: str, payload: Mapping[str, object], amount_cents: int) -> None:
        if stream not in self._caller.streams:
            return
        stream_id, echo = self._caller.streams[stream]
        struck = self._faults.strike_push(stream, login_id=self._caller.login_id, amount_cents=amount_cents)
        if any(isinstance(fault, LosePush) for fault in struck):
            return
        frame = _envelope(echo) | {
            "msg_type": stream,
            stream: {**payload, "id": stream_id},
            "subscription": {"id": stream_id},
        }
        for _ in range(1 + sum(isinstance(fault, DuplicatePush) for fault in struck)):
            self._say(frame)

    def _say(self, frame: Mapping[str, object]) -> None:
        self._outgoing.put_nowait(wire.encode(frame))

    async def _say_later(self, frame: Mapping[str, object], milliseconds: int) -> None:
        await self._world.clock.sleep(milliseconds)
        self._say(frame)


def _redacted(key: str, value: object) -> object:
    if key not in _SECRETS:
        return value
    return [_NOT_SHOWN] * len(value) if isinstance(value, list) else _NOT_SHOWN


def _envelope(echo: Mapping[str, object]) -> Payload:
    return {"echo_req": echo, **{key: echo[key] for key in ("req_id", "passthrough") if key in echo}}


def _error(msg_type: str, code: str, message: str, details: Mapping[str, str] | None = None) -> Payload:
    error: Payload = {"code": code, "message": message}
    return {"msg_type": msg_type, "error": error | {"details": details} if details else error}
