"""The databases every seed begins with: migrated and seeded once, copied for each seed."""

from __future__ import annotations

import base64
import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from penpay.application.identity.users import CreateUser
from penpay.application.mobile_money.c2b import RegisterPull
from penpay.application.payments.fx import ApproveRate, EnterRate
from penpay.application.wallet.funding import FundAccount
from penpay.application.wallet.postings import DERIV_AGENT
from penpay.bootstrap import Ports, Sandbox, System
from penpay.config import Settings, load_settings
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.identity.credential import api_key_hash, api_key_text
from penpay.domain.mobile_money.c2b import PullRegistration
from penpay.domain.shared.email import Email
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.deriv.book import Account, AgentTerms
from penpay.simulation.oracle import DAILY_CENTS
from penpay.simulation.people import PIN, Person
from penpay.simulation.profile import Hazard, Profile

SHORT_CODE: Final = "174379"
AGENT_LOGIN_ID: Final = "CR90000062"
FIRST_MID_E8: Final = 129_50000000
WALLET_CENTS: Final = 40_000_000
"""Enough for two deposits of the most that may be asked for."""
AGENT_CENTS: Final = 100_000_00
PAYOUTS: Final = "payouts"
"""Below the template's folder: the same databases where users withdraw."""
DATABASES: Final = ("penpay.db", "operator.db", "deriv.db")
PEOPLE_AT_MOST: Final = 3
SEEDED_BEFORE: Final = timedelta(hours=3)
"""How long before the start the databases were seeded: no wrong clock takes their rate for a future one."""
API_PORT: Final = 8000
DARAJA_PORT: Final = 6700
PIN_LOG2_COST: Final = 2
"""Real PINs cost tens of milliseconds each; nobody steals a simulated one."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How a world stands when it begins."""

    at: datetime
    rate_valid_from: datetime
    paid_cents: int
    """What each subscriber has paid on this day already."""
    lists_payments: bool
    """Whether M-Pesa lists the payments to our number."""
    source: str
    """The folder of databases to begin with, below the template's."""


def opening_of(seed: int, profile: Profile, at: datetime, max_age: timedelta) -> Opening:
    """How this seed's world stands when it begins; `max_age`: after which an exchange rate is too old."""
    chance = random.Random(f"{seed}/opening")  # noqa: S311  (repeatable on purpose)
    age, left_cents = SEEDED_BEFORE, DAILY_CENTS
    if profile.level(Hazard.RATE_STALE):
        age = max_age + timedelta(seconds=chance.randint(-40, 120))
    if profile.level(Hazard.DAILY_LIMIT):
        left_cents = chance.randint(0, 12_000) * 100  # of the order of one deposit
    source = PAYOUTS if profile.level(Hazard.WITHDRAWALS) else ""
    return Opening(at, at - age, DAILY_CENTS - left_cents, not profile.level(Hazard.NO_LIST), source)


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


@dataclass(frozen=True, slots=True)
class Template:
    """A folder with the seeded databases, the settings that fit them, and who is in them."""

    folder: Path
    people: tuple[Person, ...]

    def copy_to(self, folder: Path, opening: Opening) -> None:
        """Give a seed databases of its own, in which it stands as its world asks for."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in DATABASES:
            shutil.copyfile(self.folder / opening.source / name, folder / name)
        with closing(sqlite3.connect(folder / "penpay.db")) as connection, connection:
            connection.execute("UPDATE fx_rates SET valid_from = ?", (_written(opening.rate_valid_from),))
        if not opening.lists_payments:
            with closing(sqlite3.connect(folder / "operator.db")) as connection, connection:
                connection.execute("DELETE FROM operator_pull_registrations")
        if opening.paid_cents:
            with closing(sqlite3.connect(folder / "operator.db")) as connection, connection:
                connection.execute(
                    """UPDATE operator_customers SET last_short_code = ?, last_amount_cents = ?, day_total_cents = ?,
                              last_paid_at = ?""",
                    (SHORT_CODE, opening.paid_cents, opening.paid_cents, _written(opening.at)),
                )

    def seal(self) -> None:
        """Bring everything into the main files, so that they can be copied alone."""
        for name in DATABASES:
            connection = sqlite3.connect(self.folder / name)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()


def simulated_settings(folder: Path) -> Settings:
    """Settings of one simulated installation; its secrets are the same for all seeds and worth nothing."""
    chance = random.Random("secrets")  # noqa: S311  (repeatable on purpose)
    secret = chance.randbytes

    def key() -> str:
        return base64.b64encode(secret(32)).decode()

    return load_settings(
        {
            "APP_ENV": "testing",
            "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'penpay.db'}",
            "OPERATOR_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'operator.db'}",
            "PENPAY_DERIV_SANDBOX_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'deriv.db'}",
            "MPESA_CONSUMER_KEY": secret(16).hex(),
            "MPESA_CONSUMER_SECRET": secret(16).hex(),
            "MPESA_SHORT_CODE": SHORT_CODE,
            "MPESA_PASSKEY": secret(16).hex(),
            "MPESA_CALLBACK_URL": f"http://127.0.0.1:{API_PORT}/api/v1/callbacks/stk",
            "MPESA_BASE_URL": f"http://127.0.0.1:{DARAJA_PORT}",
            "DERIV_ENDPOINT": "ws://127.0.0.1:6800",
            "DERIV_APP_ID": "1089",
            "DERIV_TOKEN": secret(16).hex(),
            "DERIV_LOGIN_ID": AGENT_LOGIN_ID,
            "PENPAY_FIELD_KEYS": f"simulation:{key()}",
            "PENPAY_MASTER_KEY": key(),
        }
    )


async def seed_sandbox(sandbox: Sandbox, settings: Settings) -> None:
    """Subscribers with shillings and a PIN, our agent account at Deriv, and accounts there for everybody."""
    for number in range(1, PEOPLE_AT_MOST + 1):
        phone = _phone(number)
        await sandbox.operator.register_subscriber(phone, PIN)
        await sandbox.operator.issue_float(phone, Money(WALLET_CENTS, Currency.KES), f"opening-{number}")
        await sandbox.deriv_book.open_account(
            Account(login_id=_login_id(number), first_name="User", last_name=str(number), email=_email(number).address)
        )
    await sandbox.deriv_book.open_account(
        Account(
            login_id=AGENT_LOGIN_ID,
            first_name="PenPay",
            last_name="Agent",
            email="agent@penpay.example",
            agent=AgentTerms(name="PenPay", min_cents=200),
        ),
        balance_cents=AGENT_CENTS,
        token=settings.deriv_token.get_secret_value(),
        scopes="read payments",
    )


async def list_payments(sandbox: Sandbox, at: datetime) -> None:
    """Have M-Pesa list the payments to our number from this moment on, before anything else happens."""
    registration = PullRegistration(
        short_code=SHORT_CODE,
        nominated=_phone(1),
        callback_url=f"http://127.0.0.1:{API_PORT}/api/v1/pulled",
        registered_at=at,
    )
    await sandbox.operator.do(RegisterPull(registration=registration))


async def seed_system(system: System, ports: Ports) -> tuple[Person, ...]:
    """Users, the owner's money on the agent account, and a rate that two people have agreed on."""
    people = []
    for number in range(1, PEOPLE_AT_MOST + 1):
        api_key = api_key_text(ports.random.token_bytes(32))
        await system.executor.execute(
            CreateUser(
                email=_email(number),
                phone=_phone(number),
                phone_verified=True,
                deriv_login_id=DerivLoginId(_login_id(number)),
                api_key_hash=api_key_hash(api_key) or "",
            )
        )
        people.append(Person(number, _phone(number).msisdn, _login_id(number), api_key))
    await system.executor.execute(
        FundAccount(
            account=DERIV_AGENT, amount=Money(AGENT_CENTS, Currency.USD), reference="opening", entered_by="owner"
        )
    )
    rate = await system.executor.execute(
        EnterRate(
            base=Currency.USD,
            quote=Currency.KES,
            mid_e8=FIRST_MID_E8,
            source="simulation",
            entered_by="maker",
            valid_from=None,
        )
    )
    await system.executor.execute(ApproveRate(rate_id=rate.id, approved_by="checker"))
    return tuple(people)


def _phone(number: int) -> PhoneNumber:
    return PhoneNumber.parse(f"2547120000{number:02d}")


def _login_id(number: int) -> str:
    return f"CR5000{number:02d}"


def _email(number: int) -> Email:
    return Email(f"user{number}@penpay.example")
