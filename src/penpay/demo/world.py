"""The demo's world: our API, the sandbox operator with Daraja and the Deriv simulator, each on a port of its own."""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from penpay.application.identity.deriv_tokens import BindDerivToken
from penpay.application.identity.users import CreateUser
from penpay.application.mobile_money.c2b import RegisterPull
from penpay.application.payments.fx import ApproveRate, EnterRate, parse_mid
from penpay.application.wallet.funding import FundAccount
from penpay.application.wallet.postings import DERIV_AGENT
from penpay.bootstrap import Ports, Sandbox, kept_certificate, real_ports
from penpay.config import SandboxSettings, Settings, load_settings
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.identity.credential import api_key_hash, api_key_text
from penpay.domain.mobile_money.c2b import PullRegistration
from penpay.domain.mobile_money.errors import CustomerExists
from penpay.domain.shared.email import Email
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.presentation.http.serving import serving
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.deriv.book import Account, AgentTerms
from penpay.sandbox.deriv.limits import RateLimits
from penpay.sandbox.log import INBOX_PATH

if TYPE_CHECKING:
    from penpay.bootstrap import System

PHONE: Final = PhoneNumber.parse("254708374149")
PIN: Final = "1234"
LOGIN_ID: Final = "CR123456"
AGENT_LOGIN_ID: Final = "CR90000062"
SHORT_CODE: Final = "174379"
WALLET: Final = Money(5_000_000, Currency.KES)
"""What the subscriber has at the start."""
CLIENT_TOKEN: Final = "sandbox-client-one"  # noqa: S105  (opens an account of the simulator's)
AGENT_FUNDS: Final = Money(1_000_000, Currency.USD)
RATE: Final = "129.5"
DATABASES: Final = ("penpay.db", "operator.db", "deriv.db")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a story needs."""

    system: System
    sandbox: Sandbox
    api: httpx.AsyncClient
    api_url: str
    daraja_url: str
    deriv_url: str
    api_key: str


def demo_settings(folder: Path, ports: Ports, *, api_port: int, daraja_port: int, deriv_port: int) -> Settings:
    """Settings of a demo in this folder. Its secrets are drawn anew, and worth nothing outside it."""
    operator_database = f"sqlite+aiosqlite:///{folder / 'operator.db'}"

    def secret() -> str:
        return ports.random.token_bytes(16).hex()

    def key() -> str:
        return base64.b64encode(ports.random.token_bytes(32)).decode()

    return load_settings(
        {
            "APP_ENV": "demo",
            "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'penpay.db'}",
            "OPERATOR_DATABASE_URL": operator_database,
            "MPESA_CONSUMER_KEY": secret(),
            "MPESA_CONSUMER_SECRET": secret(),
            "MPESA_SHORT_CODE": SHORT_CODE,
            "MPESA_PASSKEY": secret(),
            "MPESA_CALLBACK_URL": f"http://127.0.0.1:{api_port}/api/v1/callbacks/stk",
            "MPESA_BASE_URL": f"http://127.0.0.1:{daraja_port}",
            "MPESA_INITIATOR_NAME": "penpay",
            "MPESA_INITIATOR_PASSWORD": secret(),
            "MPESA_CERTIFICATE": str(kept_certificate(operator_database, ports.clock.now())),
            "MPESA_PULL": "on",
            "DERIV_ENDPOINT": f"ws://127.0.0.1:{deriv_port}",
            "DERIV_APP_ID": "1089",
            "DERIV_TOKEN": secret(),
            "DERIV_LOGIN_ID": AGENT_LOGIN_ID,
            "PENPAY_FIELD_KEYS": f"demo:{key()}",
            "PENPAY_MASTER_KEY": key(),
            "PENPAY_STK_FIRST_QUERY_SECONDS": "3",
            "PENPAY_PAYOUT_FIRST_STATUS_SECONDS": "3",
            "PENPAY_HTTP_PORT": str(api_port),
        }
    )


@asynccontextmanager
async def demo_world(folder: Path, *, api_port: int, daraja_port: int, deriv_port: int) -> AsyncIterator[World]:
    """Start everything in a folder without databases, seed it, and stop it at the end."""
    # Not above: `penpay sandbox` seeds as we do, and would be a fourth longer in starting for what it does not serve.
    from penpay.bootstrap import build  # noqa: PLC0415  (as above)
    from penpay.presentation.http.app import bind, create_app  # noqa: PLC0415  (as above)

    ports = real_ports()
    settings = demo_settings(folder, ports, api_port=api_port, daraja_port=daraja_port, deriv_port=deriv_port)
    async with AsyncExitStack() as stack:
        sandbox = Sandbox(
            settings,
            ports,
            switches=DarajaSwitches(),
            deriv_url=f"sqlite+aiosqlite:///{folder / 'deriv.db'}",
            deriv_limits=RateLimits(),
        )
        stack.push_async_callback(sandbox.stop)
        await sandbox.start()
        await stack.enter_async_context(serving(sandbox.create_app(), "127.0.0.1", daraja_port))
        await stack.enter_async_context(sandbox.deriv.serve("127.0.0.1", deriv_port))
        await seed_sandbox(sandbox, settings)

        system = build(settings, ports)
        stack.push_async_callback(system.stop)
        await system.start()
        api_key = await seed_system(system)
        await stack.enter_async_context(serving(bind(create_app(), system), "127.0.0.1", api_port))
        await system.deriv.wait_ready()

        api_url = f"http://127.0.0.1:{api_port}"
        headers = {"Authorization": f"Bearer {api_key}"}
        api = await stack.enter_async_context(httpx.AsyncClient(base_url=api_url, headers=headers, timeout=30))
        yield World(
            system=system,
            sandbox=sandbox,
            api=api,
            api_url=api_url,
            daraja_url=settings.mpesa_base_url,
            deriv_url=settings.deriv_endpoint,
            api_key=api_key,
        )


class FolderInUse(Exception):
    """Another demo keeps its databases there."""


@contextmanager
def fresh_folder(folder: Path) -> Iterator[Path]:
    """The folder, ours while the block runs, without the databases of an earlier demo; nothing else in it is touched.

    Raises FolderInUse, and OSError for what cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Ports do not tell: the demo that runs here may listen on others. The kernel lets go when the process dies.
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse from None
        for name in DATABASES:
            for suffix in ("", "-wal", "-shm"):
                (folder / f"{name}{suffix}").unlink(missing_ok=True)
        yield folder
    finally:
        os.close(held)


async def seed_sandbox(sandbox: Sandbox, settings: SandboxSettings) -> None:
    """A subscriber with shillings, our PayBill's pull list, our agent account at Deriv with dollars, and hers.

    Each part is made where it is missing, so a repeat finishes what an interrupted one has begun. The agent's token is
    the one that is set now.
    """
    with suppress(CustomerExists):
        await sandbox.operator.register_subscriber(PHONE, PIN)
    await sandbox.operator.issue_float(PHONE, WALLET, "demo-opening")
    await sandbox.operator.do(
        RegisterPull(
            registration=PullRegistration(
                short_code=settings.mpesa_short_code,
                nominated=PHONE,
                callback_url=f"{settings.mpesa_base_url}{INBOX_PATH}",
                registered_at=sandbox.clock.now(),
            )
        )
    )
    await sandbox.deriv_book.open_account(
        Account(
            login_id=settings.deriv_login_id,
            first_name="PenPay",
            last_name="Agent",
            email="agent@penpay.example",
            agent=AgentTerms(name="PenPay", min_cents=200),
        ),
        balance_cents=AGENT_FUNDS.cents,
    )
    token = settings.deriv_token.get_secret_value()
    await sandbox.deriv_book.set_token(settings.deriv_login_id, token, "read payments")
    await sandbox.deriv_book.open_account(
        Account(login_id=LOGIN_ID, first_name="User One", last_name="Client", email="user_one@penpay.example"),
        token=CLIENT_TOKEN,
        scopes="read payments",
    )


async def seed_system(system: System) -> str:
    """Her user here, the owner's money on the agent account, and a rate two people have agreed on; her API key."""
    api_key = api_key_text(system.random.token_bytes(32))
    await system.executor.execute(
        CreateUser(
            email=Email("user_one@penpay.example"),
            phone=PHONE,
            phone_verified=True,
            deriv_login_id=DerivLoginId(LOGIN_ID),
            api_key_hash=api_key_hash(api_key),
        )
    )
    await system.executor.execute(
        FundAccount(account=DERIV_AGENT, amount=AGENT_FUNDS, reference="demo-opening", entered_by="demo")
    )
    await system.executor.execute(
        BindDerivToken(deriv_login_id=DerivLoginId(LOGIN_ID), token=CLIENT_TOKEN, good_for=timedelta(days=30))
    )
    rate = await system.executor.execute(
        EnterRate(
            base=Currency.USD,
            quote=Currency.KES,
            mid_e8=parse_mid(RATE),
            source="demo",
            entered_by="demo-maker",
            valid_from=None,
        )
    )
    await system.executor.execute(ApproveRate(rate_id=rate.id, approved_by="demo-checker"))
    return api_key
