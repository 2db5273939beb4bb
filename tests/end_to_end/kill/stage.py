"""The stage of the kill tests: `penpay serve` and `penpay sandbox` as processes, their databases, and the phones."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import httpx

from penpay.application.identity.users import CreateUser
from penpay.application.payments.fx import ApproveRate, EnterRate, parse_mid
from penpay.application.wallet.funding import FundAccount
from penpay.application.wallet.postings import DERIV_AGENT
from penpay.application.wallet.queries import Finding
from penpay.bootstrap import Sandbox, build, real_ports
from penpay.config import Settings, load_settings
from penpay.demo.world import AGENT_FUNDS, AGENT_LOGIN_ID, PIN, RATE, SHORT_CODE, seed_sandbox
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.identity.credential import API_KEY_BYTES, api_key_hash, api_key_text
from penpay.domain.shared.email import Email
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql.engine import open_engine, reading
from penpay.infrastructure.sql.queries import SqlLedgerBooks
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.deriv.book import Account
from penpay.sandbox.deriv.limits import RateLimits
from tests.end_to_end.kill.databases import Database, SqliteDatabase
from tests.end_to_end.kill.program import Program, run_to_end
from tests.servers.process import free_port

WALLET: Final = Money(2_000_000, Currency.KES)
PATIENCE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Client:
    """A user with a phone, a Deriv account and a key to our API."""

    phone: PhoneNumber
    login_id: str
    api_key: str

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}


def clients(number: int) -> tuple[Client, ...]:
    """So many different users."""
    return tuple(
        Client(PhoneNumber.parse(f"2547120000{n:02}"), f"CR7000{n:02}", api_key_text(os.urandom(API_KEY_BYTES)))
        for n in range(number)
    )


class Stage:
    """Two programs and what stands around them. Nothing runs before `start`."""

    def __init__(self, folder: Path, database: Database, people: tuple[Client, ...]) -> None:
        self.folder = folder
        self.database = database
        self.operator = SqliteDatabase(folder / "operator.db")
        self.deriv = SqliteDatabase(folder / "deriv.db")
        self.people = people
        self.port, daraja, deriv = free_port(), free_port(), free_port()
        self.environment: dict[str, str] = _environment(self, daraja, deriv)
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=15)
        self.daraja = httpx.Client(base_url=f"http://127.0.0.1:{daraja}", timeout=15)
        self.serve: Program | None = None
        self.sandbox: Program | None = None

    def seed(self) -> None:
        """People, their money and their accounts, our funds and a rate; the schema where it is ours to migrate."""
        if not self.database.url.startswith("sqlite"):
            assert (0, "") == self.command("db", "migrate")[::2]
        asyncio.run(_seed(load_settings(self.environment), self))

    def start(self) -> None:
        """Start both programs at once."""
        self.sandbox = Program("sandbox", environment=self.environment, folder=self.folder, name="sandbox")
        self.start_serve()
        until("the sandbox answers", lambda: _answers(self.daraja, "/sandbox/balances"), self.sandbox)

    def start_sandbox(self) -> None:
        self.sandbox = Program("sandbox", environment=self.environment, folder=self.folder, name="sandbox")
        until("the sandbox answers", lambda: _answers(self.daraja, "/sandbox/balances"), self.sandbox)

    def start_serve(self) -> None:
        self.serve = Program("serve", environment=self.environment, folder=self.folder, name="serve")
        until("our API answers", lambda: _answers(self.api, "/healthz"), self.serve)

    def kill_sandbox(self) -> None:
        if self.sandbox is not None:
            self.sandbox.kill()

    def kill_serve(self) -> None:
        if self.serve is not None:
            self.serve.kill()

    def close(self) -> None:
        """Kill whatever still runs."""
        for program in (self.serve, self.sandbox):
            if program is not None:
                program.kill()
        self.api.close()
        self.daraja.close()

    def ask_for_deposit(self, client: Client, usd_cents: int, key: str) -> str:
        """Ask our API for a deposit and return its id."""
        body = {
            "amount_cents": usd_cents,
            "currency": "USD",
            "deriv_login_id": client.login_id,
            "idempotency_key": key,
        }
        response = self.api.post("/api/v1/deposits", json=body, headers=client.headers)
        assert 202 == response.status_code, response.text
        return str(_json(response)["id"])

    def transaction(self, client: Client, transaction_id: str) -> dict[str, Any]:
        """The transaction with its timeline, as our API shows it."""
        response = self.api.get(f"/api/v1/transactions/{transaction_id}", headers=client.headers)
        assert 200 == response.status_code, response.text
        return _json(response)

    def give_pin(self, client: Client) -> None:
        """Wait for the prompt on her handset and answer it."""
        until("her handset shows a prompt", lambda: self._handset(client)["prompt"] is not None)
        answered = self.daraja.post(f"/sandbox/phones/{client.phone.msisdn}/pin", json={"pin": PIN})
        assert ("0", 200) == (_json(answered)["code"], answered.status_code)

    def completed(self, client: Client, transaction_id: str) -> dict[str, Any]:
        """Wait until the deposit has come to an end by itself, which must be COMPLETED."""
        ended = {"COMPLETED", "FAILED", "REVERSED", "IN_REVIEW"}
        until("the deposit ends", lambda: self.transaction(client, transaction_id)["status"] in ended)
        found = self.transaction(client, transaction_id)
        assert "COMPLETED" == found["status"], found
        return found

    def command(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, output and complaints of a `penpay` command."""
        done = run_to_end(*arguments, environment=self.environment, folder=self.folder, name="command")
        return done.exit_status(0), done.output, done.complaints

    def ledger_findings(self) -> list[Finding]:
        """What `penpay ledger verify` would find, without the time it takes to start."""
        return asyncio.run(_findings(self.database.url))

    def operator_balances(self) -> dict[str, int]:
        """What M-Pesa says everybody has, by phone or short code."""
        found = _json(self.daraja.get("/sandbox/balances"))
        wallets = {one["phone"]: int(one["cents"]) for one in found["subscribers"]}
        return wallets | {one["short_code"]: int(one["cents"]) for one in found["merchants"]}

    def _handset(self, client: Client) -> dict[str, Any]:
        return _json(self.daraja.get(f"/sandbox/phones/{client.phone.msisdn}"))


def until(what: str, holds: Callable[[], bool], program: Program | None = None, *, pause_s: float = 0.02) -> None:
    """Look again and again until it holds; fails when it does not within a minute, or the program has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert program is None or not program.has_ended, f"{what}: it ended: {program.complaints[-3000:]}"
        assert time.monotonic() < deadline, f"it never came that {what}"
        time.sleep(pause_s)


def _answers(http: httpx.Client, path: str) -> bool:
    try:
        return http.get(path).status_code == 200
    except httpx.HTTPError:
        return False


def _json(response: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.content, parse_float=Decimal)
    return found


def _environment(stage: Stage, daraja: int, deriv: int) -> dict[str, str]:
    def key() -> str:
        return base64.b64encode(os.urandom(32)).decode()

    return {
        "APP_ENV": "testing",
        "DATABASE_URL": stage.database.url,
        "OPERATOR_DATABASE_URL": stage.operator.url,
        "PENPAY_DERIV_SANDBOX_DATABASE_URL": stage.deriv.url,
        "PENPAY_HTTP_HOST": "127.0.0.1",
        "PENPAY_HTTP_PORT": str(stage.port),
        "MPESA_CONSUMER_KEY": os.urandom(16).hex(),
        "MPESA_CONSUMER_SECRET": os.urandom(16).hex(),
        "MPESA_SHORT_CODE": SHORT_CODE,
        "MPESA_PASSKEY": os.urandom(16).hex(),
        "MPESA_CALLBACK_URL": f"http://127.0.0.1:{stage.port}/api/v1/callbacks/stk",
        "MPESA_BASE_URL": f"http://127.0.0.1:{daraja}",
        "DERIV_ENDPOINT": f"ws://127.0.0.1:{deriv}",
        "DERIV_APP_ID": "1089",
        "DERIV_TOKEN": os.urandom(16).hex(),
        "DERIV_LOGIN_ID": AGENT_LOGIN_ID,
        "PENPAY_FIELD_KEYS": f"test:{key()}",
        "PENPAY_MASTER_KEY": key(),
        "PENPAY_STK_FIRST_QUERY_SECONDS": "1",
        "PENPAY_LEASE_SECONDS": "2",
    }


async def _findings(url: str) -> list[Finding]:
    engine = open_engine(url)
    try:
        return list(await SqlLedgerBooks(reading(engine)).verify())
    finally:
        await engine.dispose()


async def _seed(settings: Settings, stage: Stage) -> None:
    await _seed_sandbox(settings, stage)
    system = build(settings)
    try:
        await system.start_executor()
        for client in stage.people:
            await system.executor.execute(
                CreateUser(
                    email=Email(f"{client.login_id.lower()}@penpay.example"),
                    phone=client.phone,
                    phone_verified=True,
                    deriv_login_id=DerivLoginId(client.login_id),
                    api_key_hash=api_key_hash(client.api_key),
                )
            )
        await system.executor.execute(
            FundAccount(account=DERIV_AGENT, amount=AGENT_FUNDS, reference="opening", entered_by="test")
        )
        rate = await system.executor.execute(
            EnterRate(
                base=Currency.USD,
                quote=Currency.KES,
                mid_e8=parse_mid(RATE),
                source="test",
                entered_by="test-maker",
                valid_from=None,
            )
        )
        await system.executor.execute(ApproveRate(rate_id=rate.id, approved_by="test-checker"))
    finally:
        await system.stop()


async def _seed_sandbox(settings: Settings, stage: Stage) -> None:
    sandbox = Sandbox(
        settings,
        real_ports(),
        switches=DarajaSwitches(),
        deriv_url=settings.deriv_sandbox_database_url,
        deriv_limits=RateLimits(),
    )
    try:
        await sandbox.start()
        await seed_sandbox(sandbox, settings)
        for client in stage.people:
            await sandbox.operator.register_subscriber(client.phone, PIN)
            await sandbox.operator.issue_float(client.phone, WALLET, f"opening-{client.login_id}")
            await sandbox.deriv_book.open_account(
                Account(
                    login_id=client.login_id,
                    first_name="User One",
                    last_name="Client",
                    email=f"{client.login_id.lower()}@penpay.example",
                )
            )
    finally:
        await sandbox.stop()
