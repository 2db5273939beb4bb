"""The stage of the deposit stories: one System and one sandbox on real sockets, their books, and a clock to move."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import httpx
from sqlalchemy import func, select

from penpay.application.identity.users import CreateUser
from penpay.application.payments.callbacks import STK_PURPOSE
from penpay.bootstrap import Ports, Sandbox, System, build, real_ports
from penpay.config import Settings
from penpay.demo.world import LOGIN_ID, PHONE, PIN, SHORT_CODE, demo_settings, seed_sandbox, seed_system
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.identity.credential import api_key_hash, api_key_text
from penpay.domain.shared.email import Email
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql.engine import looking
from penpay.infrastructure.sql.tables import audit_logs, deriv_transfers, mpesa_requests, transactions, webhook_logs
from penpay.presentation.http.app import bind, create_app
from penpay.presentation.http.serving import serving
from penpay.sandbox.daraja.initiators import SecurityKey
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.deriv.book import Account
from penpay.sandbox.deriv.limits import RateLimits
from penpay.sandbox.faults import Fault, FaultRule
from tests.end_to_end.deposits.books import Books
from tests.end_to_end.deposits.clock import ShiftedClock
from tests.servers.process import free_port

PATIENCE_SECONDS: Final = 20
ENDED: Final = frozenset({"COMPLETED", "FAILED", "REVERSED", "IN_REVIEW"})
OUTSIDE: Final = "203.0.113.9"
"""An address that is not Safaricom's, told by the proxy the stage trusts."""
_LIMITS: Final = RateLimits(
    general_per_minute=10_000, general_per_hour=100_000, outcome_per_minute=10_000, outcome_per_hour=100_000
)
_LATEST: Final = timedelta(seconds=20)
_ROUTES: Final = create_app()
_NO_AUTHORITIES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Everything here is plain HTTP on loopback; reading this machine's list of authorities takes a tenth of a second."""


@dataclass(frozen=True)
class Person:
    """A user with a phone, an account at Deriv and a key."""

    phone: PhoneNumber
    login_id: str
    api_key: str


class Stage:
    """What a story needs: to ask, to answer, to break, to wait, and to look into every book."""

    def __init__(
        self,
        *,
        clock: ShiftedClock,
        settings: Settings,
        ports: Ports,
        sandbox: Sandbox,
        daraja_port: int,
        deriv_port: int,
    ) -> None:
        self.clock = clock
        self.settings = settings
        self.ports = ports
        self.sandbox = sandbox
        self.system: System = build(settings, ports)
        self.api: httpx.AsyncClient
        self.api_key = ""
        self._daraja_port = daraja_port
        self._deriv_port = deriv_port
        self._daraja = AsyncExitStack()
        self._deriv = AsyncExitStack()
        self._api = AsyncExitStack()

    # -- the programs

    async def daraja_up(self) -> None:
        await self._daraja.enter_async_context(serving(self.sandbox.daraja.app, "127.0.0.1", self._daraja_port))

    async def daraja_down(self) -> None:
        await self._daraja.aclose()

    async def deriv_up(self) -> None:
        await self._deriv.enter_async_context(self.sandbox.deriv.serve("127.0.0.1", self._deriv_port))

    async def deriv_down(self) -> None:
        """Nobody listens at Deriv's address any more, and the gateway knows."""
        await self._deriv.aclose()
        await self.until(lambda: _now(not self.system.deriv.is_ready))

    async def start(self) -> None:
        await self.system.start()
        if not self.api_key:
            self.api_key = await seed_system(self.system)
        port = self.settings.http_port
        await self._api.enter_async_context(serving(bind(_ROUTES, self.system), "127.0.0.1", port))
        self.api = await self._api.enter_async_context(self.client(self.api_key))
        await self.until(lambda: _now(self.system.deriv.is_ready))

    async def restart(self) -> None:
        """The process ends and another one begins on the same database."""
        await self.stop()
        self.system = build(self.settings, self.ports)
        await self.start()

    async def stop(self) -> None:
        await self._api.aclose()
        await self.system.stop()

    def client(self, api_key: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.settings.http_port}",
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=60,
            verify=_NO_AUTHORITIES,
        )

    # -- what people do

    async def deposit(self, amount_cents: int = 1_000, currency: str = "USD", key: str = "story") -> str:
        """Ask for a deposit; its id."""
        created = await self.api.post("/api/v1/deposits", json=self.request(amount_cents, currency, key))
        assert 202 == created.status_code, created.text
        return str(read(created)["id"])

    @staticmethod
    def request(amount_cents: int, currency: str, key: str) -> dict[str, object]:
        return {
            "amount_cents": amount_cents,
            "currency": currency,
            "deriv_login_id": LOGIN_ID,
            "idempotency_key": f"e2e-{key}-0123456789",
        }

    async def prompted(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.sandbox.daraja.phone(PHONE).next_prompt()

    async def give_pin(self, pin: str = PIN) -> None:
        await self.prompted()
        await self.sandbox.daraja.phone(PHONE).give_pin(pin)

    async def cancel(self) -> None:
        await self.prompted()
        await self.sandbox.daraja.phone(PHONE).cancel()

    async def paid_deposit(self, *faults: Fault) -> str:
        """USD 10.00, with these faults at Daraja, and the right PIN."""
        self.fail(*faults)
        transaction_id = await self.deposit()
        await self.give_pin()
        return transaction_id

    def fail(self, *faults: Fault, times: int | None = 1) -> None:
        for fault in faults:
            self.sandbox.daraja.faults.add(FaultRule(fault=fault, times=times))

    async def person(self, number: int) -> Person:
        """One more user, with KES 50,000.00 on her phone."""
        phone = PhoneNumber.parse(f"2547120000{number:02d}")
        login_id = f"CR5000{number:02d}"
        key = api_key_text(self.ports.random.token_bytes(32))
        await self.sandbox.operator.register_subscriber(phone, PIN)
        await self.sandbox.operator.issue_float(phone, Money(5_000_000, Currency.KES), f"opening-{number}")
        await self.sandbox.deriv_book.open_account(
            Account(login_id=login_id, first_name="Client", last_name=str(number), email=f"c{number}@penpay.example")
        )
        await self.system.executor.execute(
            CreateUser(
                email=Email(f"c{number}@penpay.example"),
                phone=phone,
                phone_verified=True,
                deriv_login_id=DerivLoginId(login_id),
                api_key_hash=api_key_hash(key) or "",
            )
        )
        return Person(phone, login_id, key)

    # -- callbacks of our own making

    async def token(self, transaction_id: str) -> str:
        """The path token of the deposit's push."""
        return self.token_of((await self.push(transaction_id)).id)

    def token_of(self, request_id: UUID) -> str:
        return self.system._tokens.sign(STK_PURPOSE, request_id)

    async def checkout_request_id(self) -> str:
        """Of the prompt on the handset."""
        prompt = self.sandbox.daraja.phone(PHONE).prompt
        assert prompt is not None
        return prompt.checkout_request_id

    async def call_back(self, token: str, body: bytes, *, source: str | None = None) -> httpx.Response:
        headers = {"Content-Type": "application/json"} | ({} if source is None else {"X-Forwarded-For": source})
        return await self.api.post(f"/api/v1/callbacks/stk/{token}", content=body, headers=headers)

    # -- waiting

    async def until(
        self, holds: Callable[[], Coroutine[Any, Any, bool]], *, advancing: timedelta = timedelta(0)
    ) -> None:
        """Wait for it, moving the clock on between two looks."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await holds():
                if advancing:
                    self.clock.advance(advancing)
                await asyncio.sleep(0.02)

    async def ended(self, transaction_id: str, *, advancing: timedelta = timedelta(0)) -> tuple[str, Any, Any]:
        """Its status, failure code and recovery once it has ended or is with people."""
        await self.until(lambda: self.is_in(transaction_id, *ENDED), advancing=advancing)
        return await self.outcome(transaction_id)

    async def outcome(self, transaction_id: str) -> tuple[str, Any, Any]:
        found = await self.transaction(transaction_id)
        return found["status"], found["failure_code"], found["recovered_by"]

    async def is_in(self, transaction_id: str, *statuses: str) -> bool:
        """Looked up where it stands: waiting looks many times, and over HTTP that was most of what it did."""
        statement = select(transactions.c.status).where(transactions.c.id == UUID(transaction_id))
        async with looking(self.system.engine).connect() as connection:
            return (await connection.execute(statement)).scalar_one() in statuses

    async def webhooks_settled(self, count: int) -> list[str]:
        """What became of the callbacks, once that many have come and been applied."""

        async def settled() -> bool:
            outcomes = await self.webhook_outcomes()
            return len(outcomes) == count and "RECEIVED" not in outcomes

        await self.until(settled)
        return await self.webhook_outcomes()

    # -- looking

    async def transaction(self, transaction_id: str) -> dict[str, Any]:
        return read(await self.api.get(f"/api/v1/transactions/{transaction_id}"))

    async def events(self, transaction_id: str) -> list[str]:
        return [entry["event"] for entry in (await self.transaction(transaction_id))["timeline"]]

    async def reviews(self) -> list[tuple[str, int, str]]:
        found = await self.system.payment_books.reviews(100)
        return [(review.reason.value, review.amount.cents, review.amount.currency.value) for review in found]

    async def push(self, transaction_id: str) -> Any:
        """Our row about the deposit's push."""
        statement = select(mpesa_requests).where(mpesa_requests.c.subject_id == UUID(transaction_id))
        async with self.system.engine.connect() as connection:
            return (await connection.execute(statement)).one()

    async def transfer_state(self, transaction_id: str) -> str | None:
        statement = select(deriv_transfers.c.state).where(deriv_transfers.c.subject_id == UUID(transaction_id))
        async with self.system.engine.connect() as connection:
            return (await connection.execute(statement)).scalar_one_or_none()

    async def is_push(self, transaction_id: str, state: str, **columns: object) -> bool:
        statement = select(mpesa_requests).where(mpesa_requests.c.subject_id == UUID(transaction_id))
        async with self.system.engine.connect() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return (
            row is not None
            and row.state == state
            and all(getattr(row, name) == value for name, value in columns.items())
        )

    async def webhook_outcomes(self) -> list[str]:
        statement = select(webhook_logs.c.outcome).order_by(webhook_logs.c.id)
        async with self.system.engine.connect() as connection:
            return list((await connection.execute(statement)).scalars())

    async def audited(self, action: str) -> int:
        statement = select(func.count()).select_from(audit_logs).where(audit_logs.c.action == action)
        async with self.system.engine.connect() as connection:
            return int((await connection.execute(statement)).scalar_one())

    async def prompts_made(self) -> int:
        """How many prompts the operator has on its own books, whoever asked for them."""
        async with self.sandbox.engine.connect() as connection:
            return int((await connection.exec_driver_sql("SELECT count(*) FROM stk_pushes")).scalar_one())

    async def transfers_made(self) -> int:
        """How many payments to clients Deriv has on its own book."""
        query = "SELECT count(*) FROM deriv_sim_rows WHERE action = 'withdrawal'"
        async with self.sandbox._deriv_engine.connect() as connection:
            return int((await connection.exec_driver_sql(query)).scalar_one())

    async def books(self) -> Books:
        """Every book at this moment; ours must pass `ledger verify` whenever anybody looks."""
        assert [] == list(await self.system.ledger_books.verify())
        rows = await self.system.ledger_books.trial_balance()
        ours = {row.code: abs(row.debit_cents - row.credit_cents) for row in rows}
        operator = await self.sandbox.operator.books.balances()
        deriv = self.sandbox.deriv_book

        def wallets(currency: str) -> int:
            return sum(cents for code, cents in ours.items() if code.startswith("wallet:") and code.endswith(currency))

        return Books(
            collection=ours.get("mpesa:collection", 0),
            wallet_kes=wallets("KES"),
            wallet_usd=wallets("USD"),
            suspense_kes=ours.get("suspense:KES", 0),
            suspense_usd=ours.get("suspense:USD", 0),
            in_flight=ours.get("deriv:in_flight", 0),
            agent=ours.get("deriv:agent", 0),
            spread=ours.get("revenue:fx_spread", 0),
            rounding=ours.get("revenue:rounding", 0),
            at_operator_payer=dict(operator.subscribers)[PHONE].cents,
            at_operator_paybill=dict(operator.merchants)[SHORT_CODE].cents,
            at_deriv_agent=await deriv.balance_of(self.settings.deriv_login_id),
            at_deriv_client=await deriv.balance_of(LOGIN_ID),
        )


@cache
def _drawn_key() -> bytes:
    """The initiators' key, as a file: drawing one takes a tenth of a second, and no story is about which it is."""
    return SecurityKey.draw().pem


async def _now(value: bool) -> bool:  # noqa: FBT001  (a value as an awaitable)
    return value


def read(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer."""
    found: dict[str, Any] = json.loads(response.content, parse_float=Decimal)
    return found


@asynccontextmanager
async def staged(
    folder: Path, *, database_url: str | None, migrated: Path, pull: Literal["on", "off"] = "off"
) -> AsyncIterator[Stage]:
    """Everything running and seeded; `migrated` is an embedded database with its schema, to be copied.

    Without the `pull` what is lost stays lost, unless a story asks for M-Pesa's list itself.
    """
    clock = ShiftedClock()
    ports = replace(
        real_ports(),
        clock=clock,
        http=lambda: httpx.AsyncClient(timeout=30, limits=httpx.Limits(keepalive_expiry=5), verify=_NO_AUTHORITIES),
    )
    daraja_port, deriv_port, api_port = free_port(), free_port(), free_port()
    for name in ("penpay.db", "operator.db"):
        shutil.copyfile(migrated, folder / name)
    (folder / "operator.db.initiator.pem").write_bytes(_drawn_key())
    settings = demo_settings(folder, ports, api_port=api_port, daraja_port=daraja_port, deriv_port=deriv_port)
    changed = settings.model_copy(
        update={
            "stk_first_query_seconds": 30,
            "trusted_proxies": "127.0.0.1/32",
            "database_url": database_url or settings.database_url,
            "mpesa_pull": pull,
        }
    )
    sandbox = Sandbox(
        changed,
        ports,
        switches=DarajaSwitches(),
        deriv_url=f"sqlite+aiosqlite:///{folder / 'deriv.db'}",
        deriv_limits=_LIMITS,
    )
    stage = Stage(
        clock=clock, settings=changed, ports=ports, sandbox=sandbox, daraja_port=daraja_port, deriv_port=deriv_port
    )
    async with AsyncExitStack() as closing:
        closing.push_async_callback(sandbox.stop)
        await sandbox.start()
        closing.push_async_callback(stage.daraja_down)
        await stage.daraja_up()
        closing.push_async_callback(stage._deriv.aclose)
        await stage.deriv_up()
        await seed_sandbox(sandbox, changed)
        closing.push_async_callback(stage.stop)
        closing.callback(clock.advance, _LATEST)  # or who is still to answer late would hold up the end for so long
        await stage.start()
        yield stage
