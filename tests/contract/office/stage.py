"""The whole program of a business on a database, with a clock of its own and nobody to pay."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import httpx
from sqlalchemy import select

from penpay.application.identity.staff_access import StaffAccess
from penpay.bootstrap import Ports, System, build
from penpay.config import Settings, load_settings
from penpay.domain.identity.staff import Staff, StaffRole
from penpay.domain.shared.email import Email
from penpay.infrastructure.deriv.connection import websocket_connect
from penpay.infrastructure.sql import migrations
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.tables import metadata
from penpay.presentation.http.app import bind, create_app
from tests.support.ports import HandClock, SeededRandom

KEY: Final = base64.b64encode(bytes(range(32))).decode()
ENVIRONMENT: Final[Mapping[str, str]] = {
    "APP_ENV": "testing",
    "MPESA_CONSUMER_KEY": "consumer-key",
    "MPESA_CONSUMER_SECRET": "consumer-secret",
    "MPESA_SHORT_CODE": "174379",
    "MPESA_PASSKEY": "passkey",
    "MPESA_CALLBACK_URL": "http://127.0.0.1:1/api/v1/callbacks/stk",
    "MPESA_BASE_URL": "http://127.0.0.1:1",
    "DERIV_ENDPOINT": "ws://127.0.0.1:1",
    "DERIV_APP_ID": "1089",
    "DERIV_TOKEN": "token",
    "DERIV_LOGIN_ID": "CR900000",
    "PENPAY_FIELD_KEYS": f"k1:{KEY}",
    "PENPAY_MASTER_KEY": KEY,
    "PENPAY_TRUSTED_PROXIES": "10.0.0.1",
}
OWNER, ACCOUNTANT, CASHIER = (Email(f"{name}@example.com") for name in ("owner", "accountant", "cashier"))
PASSWORD: Final = "correct horse battery"
SHOP: Final = "203.0.113.7"
"""Where the staff sit."""


def settings(url: str, changes: Mapping[str, str]) -> Settings:
    return load_settings({**ENVIRONMENT, "DATABASE_URL": url, **changes})


@dataclass(frozen=True)
class Office:
    """The business as its staff see it."""

    system: System
    clock: HandClock
    people: dict[StaffRole, Staff] = field(default_factory=dict)

    @property
    def access(self) -> StaffAccess:
        return self.system.staff_access

    async def hire(self, email: Email, role: StaffRole, password: str = PASSWORD) -> Staff:
        """Put somebody on the staff, at the terminal."""
        return await self.access.create(email, role, password, by=None)

    async def rows(self, name: str) -> list[Any]:
        async with self.system.engine.connect() as connection:
            return list(await connection.execute(select(metadata.tables[name])))

    async def audited(self, action: str) -> list[Any]:
        """The audit rows of one kind of act."""
        return [row for row in await self.rows("audit_logs") if row.action == action]

    def client(self, token: str | None = None, *, peer: str = SHOP, **headers: str) -> httpx.AsyncClient:
        """A browser that keeps cookies, or with a token a script, called without a socket."""
        transport = httpx.ASGITransport(
            bind(create_app(), self.system), raise_app_exceptions=False, client=(peer, 40_000)
        )
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.AsyncClient(transport=transport, base_url="http://office", headers=named)

    async def token(self, email: Email = OWNER) -> str:
        """The token of a new session."""
        return (await self.access.log_in(email, PASSWORD, SHOP))[0]


@asynccontextmanager
async def opened(
    url: str, *, clock: HandClock | None = None, seed: int = 1, changes: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[Office]:
    """A business on a database that is empty or in use; the first to open it hires the owner."""
    engine = open_engine(url)
    await migrations.upgrade(engine)
    await engine.dispose()
    hand = clock or HandClock()
    ports = Ports(
        clock=hand,
        random=SeededRandom(seed),
        http=httpx.AsyncClient,
        deriv=lambda *_: websocket_connect("ws://", 1),
    )
    system = build(settings(url, changes), ports)
    await system.start_executor()
    try:
        office = Office(system, hand)
        if await system.staff_access.books.by_email(OWNER) is None:
            office.people[StaffRole.OWNER] = await office.hire(OWNER, StaffRole.OWNER)
        yield office
    finally:
        await system.stop()
