"""An operator on a database of its own, called over its real application without a socket, at a time that stands still.

`opened` takes the address of any database; one that is not SQLite must have the current schema.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

import httpx
from sqlalchemy import select

from penpay.bootstrap import OperatorProcess, kenyan_policy
from penpay.bootstrap.ports import Ports
from penpay.config import load_operator_settings
from penpay.domain.mobile_money.policy import OPEN, OperatorPolicy
from penpay.infrastructure.security.keys import KeyPurpose, derive_key, parse_key
from penpay.infrastructure.sql.operator_tables import operator_customers
from penpay.presentation.operator.app import create_operator_app
from penpay.presentation.operator.process import bind
from tests.support.ports import HandClock, SeededRandom

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
TOKEN_KEY = derive_key(parse_key(KEY, name="KEY"), KeyPurpose.OPERATOR_TOKEN)
"""What the operator signs access tokens with."""
SECRET = "a bootstrap secret of enough letters"
FOREIGN = "203.0.113.9"
PASSWORD = "hakuna matata"
OPEN_POLICY, KENYA = OPEN, kenyan_policy()
MOVED = {"message": "Transaction under processing. You will receive a message shortly."}


@dataclass
class Caller:
    """Somebody with a client: nobody yet, or whoever has logged in."""

    client: httpx.AsyncClient
    as_json: bool = False
    token: str | None = None
    user_id: str = ""

    async def call(
        self, method: str, path: str, fields: Mapping[str, Any] | None = None, **headers: str
    ) -> httpx.Response:
        """Send a request with the caller's token; underscores in the names of headers become hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        body: dict[str, Any] = {}
        if fields is not None:
            body = {"json": fields} if self.as_json else {"data": _form(fields)}
        return await self.client.request(method, f"/api{path}", headers=sent, **body)

    async def get(self, path: str) -> Any:
        """The data of a successful reading."""
        return data(await self.call("GET", path))

    async def post(self, path: str, **fields: Any) -> Any:
        """The data of a successful request."""
        return data(await self.call("POST", path, fields))

    async def refused(self, path: str, method: str = "POST", /, **fields: Any) -> tuple[int, str]:
        """Status and code of a request that is refused."""
        return refusal(await self.call(method, path, fields))

    async def balance(self) -> int:
        """What the caller's account holds, in cents."""
        found: int = (await self.get("/account/balance"))["balanceCents"]
        return found


@dataclass
class Stage:
    """The operator, and whoever calls it."""

    process: OperatorProcess
    clock: HandClock
    app: Any = field(default_factory=create_operator_app)
    as_json: bool = False

    def caller(self, token: str | None = None, *, peer: str = "127.0.0.1", as_json: bool | None = None) -> Caller:
        """Somebody at this address."""
        transport = httpx.ASGITransport(bind(self.app, self.process), raise_app_exceptions=True, client=(peer, 40_000))
        client = httpx.AsyncClient(transport=transport, base_url="http://operator")
        return Caller(client, self.as_json if as_json is None else as_json, token)

    async def registered(self, user_type: str, name: str, phone: str | None = None) -> Caller:
        """A user of this type, with the e-mail address `<name>@example.com`, logged in."""
        nobody = self.caller()
        given = {} if phone is None else {"phoneNumber": phone}
        await nobody.post(f"/user/{user_type}", **person(name), **given)
        return await self.logged_in(user_type, name)

    async def logged_in(self, user_type: str, name: str) -> Caller:
        answer = await self.caller().call("POST", f"/login/{user_type}", {"email": email(name), "password": PASSWORD})
        found = read(answer)
        assert answer.status_code == 200, found
        caller = self.caller(found["token"])
        caller.user_id = found["userId"]
        return caller

    async def administrator(self, boss: Caller, name: str, role: str) -> Caller:
        """One more administrator, logged in."""
        await boss.post("/user/administrator", **person(name), role=role)
        return await self.logged_in("administrator", name)

    async def town(self) -> Town:
        """An administrator, a super agent with float of 10,000, an agent, two subscribers and a merchant."""
        boss = await self.registered("administrator", "boss")
        super_agent = await self.registered("agent", "super", "0711000001")
        agent = await self.registered("agent", "agent", "0711000002")
        await boss.call("PUT", "/admin/super-agent-status", {"email": email("super")})
        await boss.post("/admin/assign-float", accountNo=email("super"), amount=10_000)
        await super_agent.post("/transaction/deposit", amount=5_000, accountNo=email("agent"), customerType="agent")
        one = await self.registered("subscriber", "one", "0712345678")
        two = await self.registered("subscriber", "two", "0712345679")
        merchant = await self.registered("merchant", "shop", "0713000001")
        await agent.post("/transaction/deposit", amount=1_000, accountNo=email("one"), customerType="subscriber")
        return Town(boss, super_agent, agent, one, two, merchant)

    async def customers(self) -> list[Any]:
        """The rows of all customers."""
        async with self.process.engine.connect() as connection:
            return list(await connection.execute(select(operator_customers)))


@dataclass(frozen=True)
class Town:
    """Everybody there is."""

    boss: Caller
    super_agent: Caller
    agent: Caller
    one: Caller
    two: Caller
    merchant: Caller

    async def total_cents(self) -> int:
        """What all five customers hold."""
        callers = (self.super_agent, self.agent, self.one, self.two, self.merchant)
        return sum([await caller.balance() for caller in callers])


@asynccontextmanager
async def opened(
    database_url: str, *, policy: OperatorPolicy = OPEN_POLICY, secret: str | None = SECRET, as_json: bool = False
) -> AsyncIterator[Stage]:
    """An operator without anybody on a new database."""
    settings = load_operator_settings(
        {
            "OPERATOR_DATABASE_URL": database_url,
            "PENPAY_FIELD_KEYS": f"k1:{KEY}",
            "PENPAY_MASTER_KEY": KEY,
            "PENPAY_OPERATOR_BOOTSTRAP_SECRET": secret or "",
        }
    )
    clock = HandClock()
    ports = Ports(clock=clock, random=SeededRandom(), http=httpx.AsyncClient, deriv=_nobody)
    process = OperatorProcess(settings, ports, policy=policy, pin_log2_cost=4)
    await process.start()
    try:
        yield Stage(process, clock, as_json=as_json)
    finally:
        await process.stop()


def email(name: str) -> str:
    return f"{name}@example.com"


def person(name: str) -> dict[str, str]:
    """What somebody registers with."""
    return {"firstName": name.capitalize(), "lastName": "Tester", "email": email(name), "password": PASSWORD}


def read(answer: httpx.Response) -> Any:
    """The JSON of an answer."""
    return json.loads(answer.content, parse_float=Decimal)


def data(answer: httpx.Response) -> Any:
    """The data of an answer in the envelope of success."""
    found = read(answer)
    assert (answer.status_code, found.get("status")) == (200, "success"), found
    return found.get("data")


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, whose form is checked."""
    found = read(answer)
    status = answer.status_code
    short = {401: "unauthorized", 403: "forbidden"}.get(status, "could not process request")
    assert found["error"] == (short if status < 500 else "internal error"), found
    assert found["status"] == status >= 400, found
    assert found["message"], found
    return status, found["code"]


def _form(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in fields.items()}


def _nobody(*_: object) -> NoReturn:
    raise AssertionError("The operator has nothing to do with Deriv.")
