"""A small System behind the real application: executor, handlers and queries on SQLite, called without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.identity.staff_access import StaffAccess
from penpay.application.identity.users import CreateUser, CreateUserHandler
from penpay.application.payments.callbacks import (
    STK_PURPOSE,
    ApplyWebhook,
    ApplyWebhookHandler,
    MpesaCallbackVerifier,
    RecordStrayWebhook,
    RecordWebhook,
    RecordWebhookHandler,
)
from penpay.application.payments.deposit import (
    CreateDeposit,
    CreateDepositHandler,
    InitiateDeposit,
    InitiateDepositHandler,
)
from penpay.application.payments.policy import PaymentsPolicy, PayoutAccount
from penpay.application.shared.executor import Executor, Lane
from penpay.application.shared.live import LiveFeed
from penpay.bootstrap.collections import CollectionsRows
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.identity.credential import api_key_hash, api_key_text
from penpay.domain.payments.limits import DepositLimits, WithdrawalLimits
from penpay.domain.shared.email import Email
from penpay.domain.shared.ids import UserId
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.security.keys import KeyRing
from penpay.infrastructure.security.passwords import Argon2Passwords
from penpay.infrastructure.security.path_tokens import PathTokens
from penpay.infrastructure.sql.collections_receipts import SqlCollectionsBooks
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.evidence import (
    MpesaRequestRepository,
    RequestsByCheckout,
    RequestsByReceipt,
    SubjectsOfRequests,
)
from penpay.infrastructure.sql.fx import CurrentRateFinder
from penpay.infrastructure.sql.identity import (
    ApiKeyRepository,
    DerivAccountRepository,
    PayerFinder,
    SqlUsers,
    UserPhoneRepository,
    UserRepository,
)
from penpay.infrastructure.sql.ledger import EntryAppender, JournalRepository, WalletRepository
from penpay.infrastructure.sql.live import SqlLiveLog
from penpay.infrastructure.sql.payments import TransactionRepository, WebhookRepository
from penpay.infrastructure.sql.queries import SqlLedgerBooks, SqlPaymentBooks
from penpay.infrastructure.sql.shared import IdempotencyRepository, OutboxRepository
from penpay.infrastructure.sql.staff import SqlStaffBooks, StaffRepository
from penpay.infrastructure.sql.story import SqlStories
from penpay.infrastructure.sql.tables import fx_rates, metadata
from penpay.infrastructure.sql.unit_of_work import Schema, SqlDatabase
from penpay.infrastructure.system import SystemClock, SystemRandom, UuidV7
from penpay.presentation.http.app import bind, create_app

USER_ONE_KEY, USER_TWO_KEY = api_key_text(b"w" * 32), api_key_text(b"o" * 32)
USER_ONE_LOGIN, USER_TWO_LOGIN = "CR123456", "CR654321"
SAFARICOM = "196.201.214.200"
PROXY = "10.0.0.1"
DEPOSIT: Mapping[str, Any] = {
    "amount_cents": 10_000,
    "currency": "USD",
    "deriv_login_id": USER_ONE_LOGIN,
    "idempotency_key": "req-abc-123-def-456",
}

_TOKENS = PathTokens(b"t" * 32)
_POLICY = PaymentsPolicy(
    limits=DepositLimits(
        smallest=Money(200, Currency.USD),
        largest=Money(100_000, Currency.USD),
        largest_charge=Money(25_000_000, Currency.KES),
    ),
    withdrawal_limits=WithdrawalLimits(
        smallest=Money(500, Currency.USD),
        largest=Money(100_000, Currency.USD),
        smallest_payout=Money(1_000, Currency.KES),
        largest_payout=Money(25_000_000, Currency.KES),
    ),
    requote_within_bps=100,
    payouts=PayoutAccount(short_code="174379", first_status_after=timedelta(seconds=60)),
    spread_bps=150,
    rate_max_age=timedelta(hours=24),
    rate_locked_for=timedelta(minutes=15),
    first_query_after=timedelta(seconds=90),
    forward_within=timedelta(minutes=30),
    lease=timedelta(seconds=60),
)


@dataclass(frozen=True)
class SmallSystem:
    """What the routes need, and nothing else."""

    executor: Executor
    payment_books: SqlPaymentBooks
    stories: SqlStories
    ledger_books: SqlLedgerBooks
    callback_verifier: MpesaCallbackVerifier
    users: SqlUsers
    staff_access: StaffAccess
    collections_books: SqlCollectionsBooks
    live_feed: LiveFeed
    clock: SystemClock
    ids: UuidV7
    c2b_door: Any = None
    review_books: Any = None
    reports: Any = None
    outflow_books: Any = None
    reminder_books: Any = None
    recurring_books: Any = None
    tls_required: bool = False
    secure_cookies: bool = False
    idempotency_secret: bytes = b"s" * 32
    trusted_proxies: Collection[IPv4Network | IPv6Network] = (IPv4Network(f"{PROXY}/32"),)
    schema_current: bool | None = True
    """None: the database does not answer."""

    @property
    def result_verifier(self) -> MpesaCallbackVerifier:
        return self.callback_verifier

    async def authenticate(self, api_key: str) -> UserId:
        return await self.users.authenticate(api_key)

    async def schema_is_current(self) -> bool:
        if self.schema_current is None:
            raise OSError("unreachable")
        return self.schema_current


@dataclass(frozen=True)
class Stage:
    """The API as two users, nobody, and Safaricom see it."""

    system: SmallSystem
    engine: AsyncEngine
    user_one: UserId

    def client(
        self, api_key: str | None = USER_ONE_KEY, *, peer: str = "127.0.0.1", **changes: Any
    ) -> httpx.AsyncClient:
        """A caller with this credential, from this address, of a System with these changes."""
        transport = httpx.ASGITransport(
            bind(create_app(), replace(self.system, **changes)), raise_app_exceptions=False, client=(peer, 40_000)
        )
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        return httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers)

    async def contents(self) -> dict[str, list[Any]]:
        """Everything in the database except the rows that only number the batches."""
        async with self.engine.connect() as connection:
            return {
                table.name: sorted(map(repr, await connection.execute(select(table))))
                for table in metadata.sorted_tables
                if table.name != "command_batches"
            }

    async def rows(self, name: str) -> list[Any]:
        async with self.engine.connect() as connection:
            return list(await connection.execute(select(metadata.tables[name])))

    async def prompted(self, transaction_id: str) -> str:
        """Decide on the prompt of a deposit; the token of its callback."""
        command = InitiateDeposit(transaction_id=UUID(transaction_id), user_id=self.user_one)  # type: ignore[arg-type]  # a NewType of UUID
        await self.system.executor.execute(command)
        (request,) = await self.rows("mpesa_requests")
        return _TOKENS.sign(STK_PURPOSE, request.id)


def read(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer."""
    found: dict[str, Any] = json.loads(response.content, parse_float=Decimal)
    return found


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[Stage]:
    """A stage with User One, User Two and a rate of 129.50 on a database with nothing else."""
    clock, random = SystemClock(), SystemRandom()
    ids = UuidV7(clock, random)
    engine = open_engine(database_url)
    executor = Executor(
        database=SqlDatabase(engine, _schema(clock, random)),
        clock=clock,
        ids=ids,
        random=random,
        handlers={
            CreateUser: (CreateUserHandler(), Lane.REQUEST),
            CreateDeposit: (CreateDepositHandler(_POLICY), Lane.REQUEST),
            InitiateDeposit: (InitiateDepositHandler(), Lane.RESOLUTION),
            RecordWebhook: (RecordWebhookHandler(), Lane.RESOLUTION),
            RecordStrayWebhook: (RecordWebhookHandler(), Lane.REQUEST),
            ApplyWebhook: (ApplyWebhookHandler(), Lane.RESOLUTION),
        },
        subscriptions={},
        on_events=lambda _: None,
    )
    verifier = MpesaCallbackVerifier(
        executor=executor,
        tokens=_TOKENS,
        ids=ids,
        allowed_sources=[IPv4Network(f"{SAFARICOM}/32")],
        applied=lambda: None,
    )
    running = asyncio.create_task(executor.run())
    try:
        user_one = await executor.execute(_user("user_one", "+254712345678", USER_ONE_LOGIN, USER_ONE_KEY))
        await executor.execute(_user("user_two", "+254110000001", USER_TWO_LOGIN, USER_TWO_KEY))
        async with engine.begin() as connection:
            await connection.execute(insert(fx_rates), _rate(ids, clock))
        system = SmallSystem(
            executor,
            SqlPaymentBooks(engine),
            SqlStories(engine),
            SqlLedgerBooks(engine),
            verifier,
            SqlUsers(engine),
            _nobody(engine, executor, clock, random),
            CollectionsRows(*_secrets(random)).books(engine),
            LiveFeed(SqlLiveLog(engine), ()),
            clock,
            ids,
        )
        yield Stage(system, engine, user_one.id)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await engine.dispose()


def _nobody(engine: AsyncEngine, executor: Executor, clock: SystemClock, random: SystemRandom) -> StaffAccess:
    """The way in for a staff of nobody."""
    cipher, index = _secrets(random)
    return StaffAccess(
        executor=executor,
        books=SqlStaffBooks(engine, StaffRepository(cipher, index), index),
        passwords=Argon2Passwords(pepper=b"p" * 32, random=random),
        clock=clock,
        random=random,
    )


def _secrets(random: SystemRandom) -> tuple[FieldCipher, BlindIndex]:
    return FieldCipher(KeyRing("test", {"test": b"f" * 32}), random), BlindIndex(b"i" * 32)


def _schema(clock: SystemClock, random: SystemRandom) -> Schema:
    cipher = FieldCipher(KeyRing("test", {"test": b"f" * 32}), random)
    index = BlindIndex(b"i" * 32)
    return Schema(
        repositories=(
            IdempotencyRepository(),
            OutboxRepository(),
            UserRepository(cipher, index),
            UserPhoneRepository(cipher, index),
            DerivAccountRepository(),
            ApiKeyRepository(),
            TransactionRepository(),
            MpesaRequestRepository(cipher, index),
            WebhookRepository(cipher),
            WalletRepository(),
            JournalRepository(),
        ),
        finders=(
            PayerFinder(cipher),
            CurrentRateFinder(clock),
            SubjectsOfRequests(),
            RequestsByReceipt(),
            RequestsByCheckout(index),
        ),
        appenders=(EntryAppender(),),
    )


def _user(name: str, phone: str, login_id: str, key: str) -> CreateUser:
    return CreateUser(
        email=Email(f"{name}@example.com"),
        phone=PhoneNumber(phone),
        phone_verified=True,
        deriv_login_id=DerivLoginId(login_id),
        api_key_hash=api_key_hash(key) or "",
    )


def _rate(ids: UuidV7, clock: SystemClock) -> dict[str, Any]:
    now = clock.now()
    return {
        "id": ids.new(),
        "base": "USD",
        "quote": "KES",
        "mid_e8": 12_950_000_000,
        "source": "test",
        "valid_from": now,
        "entered_by": "maker",
        "approved_by": "checker",
        "approved_at": now,
        "created_at": now,
    }
