"""A sandbox served on loopback with a database of its own, a merchant's client and a receiver of callbacks."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Protocol

import httpx
import uvicorn
from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from penpay.application.mobile_money.operator import Operator
from penpay.application.shared.executor import Executor
from penpay.bootstrap.operator import OperatorProcess
from penpay.bootstrap.ports import real_ports
from penpay.config import load_operator_settings
from penpay.domain.mobile_money.policy import OperatorPolicy
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql import migrations
from penpay.infrastructure.sql.tables import ledger_accounts, ledger_entries
from penpay.infrastructure.system import SystemClock, SystemRandom, in_thread
from penpay.sandbox.daraja.initiators import SecurityKey
from penpay.sandbox.daraja.sandbox import DarajaSandbox
from penpay.sandbox.daraja.switches import DarajaCredentials, DarajaSwitches
from penpay.sandbox.log import RequestLog
from penpay.sandbox.phone import SimulatedPhone

PAYBILL = "174379"
PASSKEY = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
KEY, SECRET = "consumer-key", "consumer-secret"
PAYER = "254712345678"
OTHER_PAYER = "254110000001"
_STAMP = "20261121043000"
_PATIENCE_SECONDS = 10


def kes(shillings: int) -> Money:
    return Money(shillings * 100, Currency.KES)


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI application on a free loopback port; gives its base URL."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()  # without serve(), whose main loop would cost each test a tenth of a second
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.shutdown()


@dataclass(frozen=True)
class Received:
    content_type: str
    body: bytes


class Receiver:
    """A merchant's callback endpoint. `statuses` are answered first, in order; then 200."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.statuses: list[int] = []
        self._queue: asyncio.Queue[Received] = asyncio.Queue()
        self.app = Starlette(routes=[Route("/callback", self._receive, methods=["POST"])])
        self.url = ""

    async def next(self) -> dict[str, Any]:
        """The next callback's stkCallback object."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            received = await self._queue.get()
        callback: dict[str, Any] = json.loads(received.body, parse_float=Decimal)["Body"]["stkCallback"]
        return callback

    async def _receive(self, request: Request) -> JSONResponse:
        received = Received(request.headers["content-type"], await request.body())
        self.requests.append(received)
        self._queue.put_nowait(received)
        status = self.statuses.pop(0) if self.statuses else 200
        return JSONResponse({"ResultCode": 0, "ResultDesc": "Accepted"}, status_code=status)


class Tasks:
    """Starts tasks as a System does; a task that fails fails the test."""

    def __init__(self) -> None:
        self._all: set[asyncio.Task[None]] = set()
        self._endless: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._all.add(asyncio.create_task(work))

    def these_never_end(self) -> None:
        self._endless = set(self._all)

    async def idle(self) -> None:
        """Wait until only those that never end are left."""
        while waiting := {task for task in self._all - self._endless if not task.done()}:
            await asyncio.wait(waiting)

    async def stop(self) -> None:
        for task in self._all:
            task.cancel()
        outcomes = await asyncio.gather(*self._all, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
                raise outcome


class World:
    """Everything a test touches."""

    def __init__(
        self,
        *,
        sandbox: DarajaSandbox,
        operator: Operator,
        client: httpx.AsyncClient,
        receiver: Receiver,
        tasks: Tasks,
        executor: Executor,
        engine: AsyncEngine,
        books: Callable[[], Coroutine[Any, Any, Mapping[str, int]]],
    ) -> None:
        self.sandbox = sandbox
        self.operator = operator
        self.client = client
        self.receiver = receiver
        self.executor = executor
        self.engine = engine
        self.clock = SystemClock()
        self.token = ""
        self._tasks = tasks
        self._books = books

    async def ask_for_token(self) -> httpx.Response:
        return await self.client.get(
            "/oauth/v1/generate", params={"grant_type": "client_credentials"}, auth=httpx.BasicAuth(KEY, SECRET)
        )

    async def log_in(self) -> None:
        self.token = (await self.ask_for_token()).json(parse_float=Decimal)["access_token"]

    async def subscriber(self, msisdn: str, *, shillings: int, pin: str = "1234") -> None:
        """A wallet with money in it."""
        await self.operator.register_subscriber(PhoneNumber("+" + msisdn), pin)
        await self.issue(msisdn, shillings, reference=f"seed-{msisdn}")

    async def issue(self, msisdn: str, shillings: int, *, reference: str) -> None:
        await self.operator.issue_float(PhoneNumber("+" + msisdn), kes(shillings), reference)

    def phone(self, msisdn: str) -> SimulatedPhone:
        return self.sandbox.phone(PhoneNumber("+" + msisdn))

    async def messages(self, msisdn: str) -> list[str]:
        """What the operator has sent to this phone, oldest first."""
        return list(await self.operator.messages(PhoneNumber("+" + msisdn), 100))

    async def push(
        self,
        msisdn: str,
        shillings: int,
        *,
        reference: str = "ACC-1",
        callback_url: str | None = None,
        patience_seconds: int = 5,
        **changes: Any,
    ) -> httpx.Response:
        """Ask for a prompt as a merchant does; a change of None leaves the field out."""
        body = {
            **caller(PAYBILL),
            "TransactionType": "CustomerPayBillOnline",
            "Amount": shillings,
            "PartyA": int(msisdn),
            "PartyB": int(PAYBILL),
            "PhoneNumber": int(msisdn),
            "CallBackURL": callback_url or self.receiver.url,
            "AccountReference": reference,
            "TransactionDesc": "Deposit",
        } | changes
        sent = {key: value for key, value in body.items() if value is not None}
        return await self.client.post(
            "/mpesa/stkpush/v1/processrequest", json=sent, headers=self._bearer(), timeout=patience_seconds
        )

    async def query(self, checkout_request_id: str, *, short_code: str = PAYBILL) -> httpx.Response:
        body = caller(short_code) | {"CheckoutRequestID": checkout_request_id}
        return await self.client.post("/mpesa/stkpushquery/v1/query", json=body, headers=self._bearer())

    async def callback(self) -> dict[str, Any]:
        return await self.receiver.next()

    async def post(self, path: str, **body: Any) -> httpx.Response:
        """Any of Daraja's calls, with a living token."""
        return await self.client.post(path, json=body, headers=self._bearer())

    def what_runs_now_never_ends(self) -> None:
        """Leave the tasks there are out of `settled`."""
        self._tasks.these_never_end()

    async def settled(self) -> None:
        """Wait until the sandbox has nothing left to send."""
        await self._tasks.idle()

    async def balances_are(self, subscribers: Mapping[str, int], *, merchant: int) -> None:
        """Every balance in shillings, the trust equation, and the sum of each account's entries."""
        found = await self.operator.books.balances()
        assert {msisdn: kes(shillings) for msisdn, shillings in subscribers.items()} == {
            phone.msisdn: money for phone, money in found.subscribers
        }
        assert kes(merchant) == dict(found.merchants)[PAYBILL]
        held = sum(money.cents for _, money in (*found.subscribers, *found.merchants))
        assert held == found.trust_unevidenced.cents
        unequal = {code: cents for code, cents in (await self._books()).items() if cents}
        assert {} == unequal

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def caller(short_code: str) -> dict[str, Any]:
    password = base64.b64encode(f"{short_code}{PASSKEY}{_STAMP}".encode()).decode()
    return {"BusinessShortCode": int(short_code), "Password": password, "Timestamp": _STAMP}


async def paid(world: World, msisdn: str = PAYER, shillings: int = 500) -> dict[str, Any]:
    """A push answered with the right PIN; its synchronous answer."""
    answer = (await world.push(msisdn, shillings)).json(parse_float=Decimal)
    phone = world.phone(msisdn)
    await phone.next_prompt()
    await phone.give_pin("1234")
    return dict(answer)


def items(callback: dict[str, Any]) -> dict[str, Any]:
    """The values of a callback's metadata by name."""
    return {item["Name"]: item.get("Value") for item in callback["CallbackMetadata"]["Item"]}


class WorldMaker(Protocol):
    """Opens a world; with `keep` on the database of the one before, as after a restart."""

    def __call__(
        self, switches: DarajaSwitches = ..., policy: OperatorPolicy = ..., *, keep: bool = ...
    ) -> AbstractAsyncContextManager[World]: ...


@cache
def _kept_key() -> SecurityKey:
    """One for all worlds: drawing one takes a moment, and restarts keep it."""
    return SecurityKey.draw()


@asynccontextmanager
async def opened(
    database_url: str,
    receiver: Receiver,
    switches: DarajaSwitches,
    policy: OperatorPolicy,
    log: RequestLog | None = None,
) -> AsyncIterator[World]:
    """A world on this database, which is migrated if it is new; `log` notes what comes in and goes out."""
    settings = load_operator_settings(
        {
            "OPERATOR_DATABASE_URL": database_url,
            "PENPAY_FIELD_KEYS": f"test:{base64.b64encode(b'f' * 32).decode()}",
            "PENPAY_MASTER_KEY": base64.b64encode(b"m" * 32).decode(),
        }
    )
    process = OperatorProcess(settings, real_ports(), policy=policy, pin_log2_cost=4)
    operator, engine = process.operator, process.engine

    async def differences() -> Mapping[str, int]:
        """For each account: its balance less the sum of its entries."""
        side = case((ledger_entries.c.side == "DEBIT", 1), else_=-1) * ledger_entries.c.amount_cents
        normal = case((ledger_accounts.c.type.in_(("ASSET", "EXPENSE")), 1), else_=-1)
        statement = (
            select(ledger_accounts.c.code, ledger_accounts.c.balance_cents - func.sum(side * normal))
            .join(ledger_entries, ledger_entries.c.account_id == ledger_accounts.c.id)
            .group_by(ledger_accounts.c.id)
        )
        async with engine.connect() as connection:
            return {row[0]: row[1] for row in await connection.execute(statement)}

    tasks = Tasks()
    try:
        await migrations.upgrade(engine)
        await process.start()
        await operator.register_merchant(PAYBILL, "PENPAY")
        async with httpx.AsyncClient(timeout=5) as callback_client:
            sandbox = DarajaSandbox(
                operator=operator,
                books=process.c2b,
                callback_client=callback_client if log is None else log.watching(callback_client),
                clock=SystemClock(),
                random=SystemRandom(),
                spawn=tasks.spawn,
                credentials=DarajaCredentials(
                    consumer_key=KEY, consumer_secret=SECRET, passkeys={PAYBILL: PASSKEY, "600100": PASSKEY}
                ),
                switches=switches,
                security_key=_kept_key,
                aside=in_thread,
            )
            await sandbox.start()
            tasks.these_never_end()
            app = sandbox.app if log is None else log.around(sandbox.app)
            async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=5) as client:
                world = World(
                    sandbox=sandbox,
                    operator=operator,
                    client=client,
                    receiver=receiver,
                    tasks=tasks,
                    executor=process.executor,
                    engine=engine,
                    books=differences,
                )
                await world.log_in()
                yield world
    finally:
        await tasks.stop()
        await process.stop()
