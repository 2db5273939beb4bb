"""`DerivWsGateway`: Deriv v3 behind `DerivDepositGateway`, connected for as long as it runs.

After every connect: authorize, check whose token it is and what it may do, subscribe to the balance and to
transactions, then read what happened while nobody listened. Only then are money calls accepted (deriv.md §6).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from penpay.application.shared.ports import Clock, Random
from penpay.domain.deriv.gateway import (
    FoundTransfer,
    IncomingCredit,
    IncomingHandler,
    StatementUnavailable,
    TransferAnswer,
    TransferToClient,
)
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.deriv.backoff import Backoff
from penpay.infrastructure.deriv.connection import Connect, DerivConnection, NoAnswer, Spawn
from penpay.infrastructure.deriv.credits import IncomingCredits
from penpay.infrastructure.deriv.statement import Statement
from penpay.infrastructure.deriv.transfers import TransferExecutor
from penpay.infrastructure.deriv.wire import BadFrame, Frame, Request, error_of, moment, part, usd

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivTimings:
    """How patient the gateway is, in milliseconds; the defaults suit the real Deriv (deriv.md §1.5, §1.6, §3)."""

    ping_every_ms: int = 30_000
    pong_within_ms: int = 10_000
    answer_within_ms: int = 30_000
    statement_gap_ms: int = 5_000
    sweep_every_ms: int = 600_000
    """How often the statement is read for credits the stream has missed."""


_FOR_DERIV = DerivTimings()


class _NotUsable(Exception):
    """The session was opened but may not carry money; the message says why and holds no secret."""


class BalanceTracker:
    """The agent account's balance as the stream of the present session last told it."""

    def __init__(self) -> None:
        self._told: Money | None = None

    def told(self, frame: Frame) -> None:
        """Take a `balance` answer or push; raises BadFrame."""
        self._told = usd(part(frame, "balance").get("balance"))

    def forget(self) -> None:
        """Know nothing: the stream that kept the figure true has gone."""
        self._told = None

    def current(self) -> Money:
        """The last figure; raises StatementUnavailable when no stream keeps it true."""
        if self._told is None:
            raise StatementUnavailable("The balance is not known now.")
        return self._told


class DerivWsGateway:
    """One persistent session of our payment-agent account; `run` keeps it, the other methods use it."""

    def __init__(
        self,
        *,
        connect: Connect,
        token: str,
        login_id: str,
        clock: Clock,
        random: Random,
        spawn: Spawn,
        on_credit: IncomingHandler,
        credits_since: datetime,
        timings: DerivTimings = _FOR_DERIV,
    ) -> None:
        """`credits_since`: the books lack no credit from before; the first gap-fill begins there."""
        self._connect = connect
        self._token = token
        self._login_id = login_id
        self._clock = clock
        self._spawn = spawn
        self._timings = timings
        self._backoff = Backoff(random)
        self._balance = BalanceTracker()
        self._credits = IncomingCredits(on_credit, clock=clock, random=random, since=credits_since)
        self._statement = Statement(
            clock=clock, gap_ms=timings.statement_gap_ms, answer_within_ms=timings.answer_within_ms
        )
        self._transfers = TransferExecutor(
            ready=self._connection_for_money, clock=clock, answer_within_ms=timings.answer_within_ms
        )
        self._connection: DerivConnection | None = None
        self._ready = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether money calls are accepted now."""
        return self._connection_for_money() is not None

    async def wait_ready(self) -> None:
        """Wait until money calls are accepted."""
        await self._ready.wait()

    @property
    def holds_back(self) -> bool:
        """Whether a transfer would not be sent now, since Deriv's limit on calls was reached a moment ago."""
        return self._transfers.holds_back

    async def transfer_to_client(self, transfer: TransferToClient) -> TransferAnswer:
        """Move money from our agent account to a client, after a dry run.

        Never raises; not idempotent: never repeat an UNKNOWN. Ends within three times the answer time.
        """
        return await self._transfers.transfer(transfer)

    async def find_transfers(
        self, references: Collection[str], *, since: datetime
    ) -> Mapping[str, list[FoundTransfer]]:
        """Look for our references in the statement; one look-up serves everybody who waits.

        A row whose remark does not name the recipient in the known form has the empty login id.
        Raises StatementUnavailable.
        """
        connection = self._connection_for_money()
        if connection is None:
            raise StatementUnavailable("There is no connection to Deriv now.")
        return await self._statement.find_transfers(connection, references, since=since)

    async def credits_since(self, since: datetime) -> Sequence[IncomingCredit]:
        """Every credit the statement shows from then on, oldest first; raises StatementUnavailable."""
        connection = self._connection_for_money()
        if connection is None:
            raise StatementUnavailable("There is no connection to Deriv now.")
        return (await self._statement.credits(connection, since=since)).found

    async def balance(self) -> Money:
        """The agent account's balance as Deriv last told it; raises StatementUnavailable while disconnected."""
        return self._balance.current()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        taking = self._spawn(self._credits.run(), "deriv-credits")
        try:
            while True:
                await self._one_session()
                await self._clock.sleep(self._backoff.next_ms())
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _one_session(self) -> None:
        try:
            transport = await self._connect()
        except OSError as refused:
            _log.warning("no connection to Deriv: %s", refused)
            return
        connection = DerivConnection(
            transport,
            clock=self._clock,
            spawn=self._spawn,
            on_push=self._pushed,
            ping_every_ms=self._timings.ping_every_ms,
            pong_within_ms=self._timings.pong_within_ms,
        )
        try:
            await self._prepare(connection)
            self._open_for_money(connection)
            sweeping = self._spawn(self._sweep(connection), "deriv-sweep")
            await connection.ended()
            sweeping.cancel()
            _log.warning("the Deriv session ended: %s", connection.end_reason)
        except (_NotUsable, NoAnswer, BadFrame) as fault:
            _log.warning("the Deriv session could not be prepared: %s", fault)
        finally:
            self._ready.clear()
            self._connection = None
            self._balance.forget()
            await connection.close()

    def _open_for_money(self, connection: DerivConnection) -> None:
        self._connection = connection
        self._backoff.reset()
        self._ready.set()
        _log.info("the Deriv session is ready")

    def _connection_for_money(self) -> DerivConnection | None:
        connection = self._connection
        return connection if connection is not None and connection.is_open else None

    async def _prepare(self, connection: DerivConnection) -> None:
        self._require_our_account(part(await self._ask(connection, {"authorize": self._token}), "authorize"))
        # Subscribed before the gap-fill, so that nothing falls between the two; repeats are dropped by id.
        self._balance.told(await self._ask(connection, {"balance": 1, "subscribe": 1}))
        await self._ask(connection, {"transaction": 1, "subscribe": 1})
        while not await self._fill_gap(connection):
            if not connection.is_open:
                raise _NotUsable(connection.end_reason)
            await self._clock.sleep(self._backoff.next_ms())

    async def _sweep(self, connection: DerivConnection) -> None:
        """A stream message can be missed while the session lives on; the statement holds what it told."""
        while connection.is_open:
            await self._clock.sleep(self._timings.sweep_every_ms)
            await self._fill_gap(connection)

    async def _fill_gap(self, connection: DerivConnection) -> bool:
        """Offer every credit the statement shows since it was last read; False when it cannot be read now.

        A single row that cannot be read keeps nobody from working; the next reading begins where this one did.
        """
        at = self._clock.now()
        try:
            missed = await self._statement.credits(connection, since=self._credits.gap_begins)
        except StatementUnavailable as unavailable:
            _log.warning("the gap cannot be filled yet: %s", unavailable)
            return False
        for credit in missed.found:
            self._credits.offer(credit)
        if missed.is_whole:  # or else what could not be read is asked for again, with whatever came since
            self._credits.filled(at)
        return True

    async def _ask(self, connection: DerivConnection, request: Request) -> Frame:
        frame = await connection.call(request, within_ms=self._timings.answer_within_ms)
        error = error_of(frame)
        if error is not None:
            raise _NotUsable(f"{next(iter(request))} is refused: {error[0]}")
        return frame

    def _require_our_account(self, account: Frame) -> None:
        """Refuse a token that is not what the configuration says, before it can carry money (deriv.md §2.1)."""
        scopes = account.get("scopes")
        if account.get("loginid") != self._login_id:
            raise _NotUsable("the token is of another account")
        if account.get("is_virtual") != 0:
            raise _NotUsable("the account is a demo account")
        if account.get("currency") != Currency.USD.value:
            raise _NotUsable("the account does not hold USD")
        # Without a reading scope the subscriptions that follow are refused; nothing else would tell us of this one.
        if not isinstance(scopes, list) or "payments" not in scopes:
            raise _NotUsable("the token lacks the payments scope")

    def _pushed(self, frame: Frame) -> None:
        """Take one stream message; raises BadFrame, which ends the session and so brings a gap-fill."""
        error = error_of(frame)
        if error is not None:
            raise BadFrame(f"a stream ended: {error[0]}")
        if frame.get("msg_type") == "balance":
            self._balance.told(frame)
        elif frame.get("msg_type") == "transaction":
            movement = part(frame, "transaction")
            if movement.get("action") == "deposit":
                self._credits.offer(_credit(movement))


def _credit(movement: Frame) -> IncomingCredit:
    provider_id, remark = movement.get("transaction_id"), movement.get("longcode")
    if type(provider_id) is not int:
        raise BadFrame("a transaction push has no transaction_id")
    amount = usd(movement.get("amount"))
    if amount.cents <= 0:
        raise BadFrame("a deposit is not above zero")
    return IncomingCredit(
        provider_id=str(provider_id),
        amount=amount,
        balance=usd(movement.get("balance")),
        remark=remark if isinstance(remark, str) else "",
        happened_at=moment(movement.get("transaction_time")),
    )
