"""Building programs: the only module that knows every layer.

`build` makes one process's worth of PenPay, `build_sandbox` one of the sandbox. Several of each can live in one
interpreter, so nothing here or below keeps state in a module. Nothing runs before `start`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
from sqlalchemy import func, select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.identity.users import CreateUser, CreateUserHandler
from penpay.application.mobile_money.operator import Operator
from penpay.application.mobile_money.operator import handlers as operator_handlers
from penpay.application.mobile_money.pins import PinHasher
from penpay.application.payments.callbacks import (
    ApplyWebhook,
    ApplyWebhookHandler,
    MpesaCallbackVerifier,
    RecordWebhook,
    RecordWebhookHandler,
)
from penpay.application.payments.collecting import (
    ClaimMpesaRequest,
    ClaimMpesaRequestHandler,
    RecordPaymentAnswer,
    RecordPaymentAnswerHandler,
    RecordPushAnswer,
    RecordPushAnswerHandler,
)
from penpay.application.payments.deposit import (
    DEPOSIT_WORKER,
    CreateDeposit,
    CreateDepositHandler,
    DepositOrchestrator,
    FundDeposit,
    FundDepositHandler,
    InitiateDeposit,
    InitiateDepositHandler,
)
from penpay.application.payments.fx import ApproveRate, ApproveRateHandler, EnterRate, EnterRateHandler
from penpay.application.payments.policy import PaymentsPolicy
from penpay.application.payments.reviewing import ReviewDeadDelivery, ReviewDeadDeliveryHandler
from penpay.application.payments.transferring import (
    ClaimDerivTransfer,
    ClaimDerivTransferHandler,
    RecordTransferAnswer,
    RecordTransferAnswerHandler,
    RecordTransferSearch,
    RecordTransferSearchHandler,
)
from penpay.application.shared.executor import Executor, Handler, Lane
from penpay.application.shared.outbox import (
    ClaimDelivery,
    ClaimDeliveryHandler,
    PutBackDelivery,
    PutBackDeliveryHandler,
)
from penpay.application.shared.ports import Clock, Random
from penpay.application.wallet.funding import (
    BookIncomingCredit,
    BookIncomingCreditHandler,
    FundAccount,
    FundAccountHandler,
)
from penpay.application.wallet.postings import INCOMING_CREDIT
from penpay.config import Settings
from penpay.domain.deriv.gateway import IncomingCredit
from penpay.domain.mobile_money.policy import PayerPolicy
from penpay.domain.payments.limits import DepositLimits
from penpay.domain.shared.ids import UserId
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.deriv.connection import Connect as DerivConnect
from penpay.infrastructure.deriv.connection import websocket_connect
from penpay.infrastructure.deriv.gateway import DerivWsGateway
from penpay.infrastructure.mpesa.client import DarajaClient
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.security.keys import KeyPurpose
from penpay.infrastructure.security.path_tokens import PathTokens
from penpay.infrastructure.sql import migrations
from penpay.infrastructure.sql.due import SqlDue
from penpay.infrastructure.sql.engine import Connect as DatabaseConnect
from penpay.infrastructure.sql.engine import open_engine, reading
from penpay.infrastructure.sql.fx import CurrentRateFinder, FxRateRepository, LastApprovedRateFinder, SqlFxRates
from penpay.infrastructure.sql.identity import (
    ApiKeyRepository,
    DerivAccountRepository,
    PayerFinder,
    SqlUsers,
    UserPhoneRepository,
    UserRepository,
)
from penpay.infrastructure.sql.ledger import EntryAppender, JournalRepository, WalletRepository
from penpay.infrastructure.sql.mobile_money import (
    MerchantRepository,
    ReceiptRepository,
    SqlOperatorBooks,
    StkPushRepository,
    SubscriberRepository,
)
from penpay.infrastructure.sql.payments import (
    DerivTransferRepository,
    MpesaRequestRepository,
    OwnersOfTransactions,
    RequestsByReceipt,
    ReviewRepository,
    SubjectsOfRequests,
    SubjectsOfTransfers,
    TransactionRepository,
    WebhookRepository,
)
from penpay.infrastructure.sql.queries import SqlLedgerBooks, SqlPaymentBooks
from penpay.infrastructure.sql.shared import IdempotencyRepository, OutboxRepository
from penpay.infrastructure.sql.tables import ledger_journals
from penpay.infrastructure.sql.unit_of_work import Schema, SqlDatabase
from penpay.infrastructure.system import SystemClock, SystemRandom, UuidV7
from penpay.sandbox.daraja.sandbox import DarajaSandbox
from penpay.sandbox.daraja.switches import DarajaCredentials, DarajaSwitches
from penpay.sandbox.deriv.book import Book
from penpay.sandbox.deriv.faults import FaultPlan as DerivFaultPlan
from penpay.sandbox.deriv.limits import RateLimits
from penpay.sandbox.deriv.server import DerivSimulator
from penpay.workers.deposit import DERIV_TRANSFERS_WORKER, MPESA_REQUESTS_WORKER, DepositWorker, MpesaRequestDriver
from penpay.workers.deriv_transfer import DerivTransferWorker
from penpay.workers.mpesa_callback import MpesaCallbackWorker
from penpay.workers.runtime import Wakeups, Worker

T = TypeVar("T")

_CALLBACKS_WORKER: Final = "mpesa_callback"
_HTTP_TIMEOUT: Final = httpx.Timeout(30, connect=10)
"""Shorter would call slow pushes unknown; the lease outlasts four such calls."""
Handlers = Mapping[type, tuple[Handler[Any, Any], Lane]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where time, chance and the outside come from; a simulation gives its own."""

    clock: Clock
    random: Random
    http: Callable[[], httpx.AsyncClient]
    deriv: Callable[[str, int], DerivConnect]
    database: DatabaseConnect | None = None


def real_ports() -> Ports:
    """This machine's time, chance and network."""
    return Ports(
        clock=SystemClock(),
        random=SystemRandom(),
        http=lambda: httpx.AsyncClient(timeout=_HTTP_TIMEOUT, limits=httpx.Limits(keepalive_expiry=5)),
        deriv=websocket_connect,
    )


class Tasks:
    """The tasks of one System: started by name, ended together; one that fails says so."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._log = logging.getLogger(__name__)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str = "task") -> asyncio.Task[Any]:
        """Start a task; its failure is logged when nobody awaits it."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._log.error("task %s failed", task.get_name(), exc_info=task.exception())

    async def stop(self) -> None:
        """Cancel every task and wait until they have ended."""
        running = list(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


class System:
    """One process's worth of PenPay."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        self._settings = settings
        self._ports = ports
        self._tasks = Tasks()
        self.spawn = self._tasks.spawn
        self.clock = ports.clock
        self.random = ports.random
        self.ids = UuidV7(ports.clock, ports.random)
        self.engine = open_engine(settings.database_url, connect=ports.database)
        read = reading(self.engine)
        self._cipher = FieldCipher(settings.key_ring, ports.random)
        self._index = BlindIndex(settings.derived_key(KeyPurpose.BLIND_INDEX))
        self._tokens = PathTokens(settings.derived_key(KeyPurpose.PATH_TOKEN))
        self._webhooks = WebhookRepository(self._cipher)
        self._wakeups = Wakeups()
        self._http = ports.http()
        self.idempotency_secret = settings.derived_key(KeyPurpose.DIGEST)
        self.trusted_proxies = settings.trusted_proxy_networks
        self.policy = _policy(settings)
        self.deriv_login_id = settings.deriv_login_id
        self.payment_books = SqlPaymentBooks(read)
        self.ledger_books = SqlLedgerBooks(read)
        self.fx_rates = SqlFxRates(read)
        self._users = SqlUsers(read)
        self._due = SqlDue(self.engine, self._webhooks)
        self.executor = Executor(
            database=SqlDatabase(self.engine, self._schema()),
            clock=self.clock,
            ids=self.ids,
            random=self.random,
            handlers=_handlers(self.policy, settings),
            subscriptions=dict.fromkeys(DepositOrchestrator.SUBSCRIPTIONS, (DEPOSIT_WORKER,)),
            on_events=self._wake,
        )
        self.callback_verifier = MpesaCallbackVerifier(
            executor=self.executor,
            tokens=self._tokens,
            ids=self.ids,
            allowed_sources=settings.callback_networks,
            applied=lambda: self._wakeups.wake(MPESA_REQUESTS_WORKER),
        )

    def _schema(self) -> Schema:
        return Schema(
            repositories=(
                IdempotencyRepository(),
                OutboxRepository(),
                UserRepository(self._cipher, self._index),
                UserPhoneRepository(self._cipher, self._index),
                DerivAccountRepository(),
                ApiKeyRepository(),
                FxRateRepository(),
                TransactionRepository(),
                MpesaRequestRepository(self._cipher, self._index),
                DerivTransferRepository(),
                self._webhooks,
                ReviewRepository(),
                WalletRepository(),
                JournalRepository(),
            ),
            finders=(
                PayerFinder(self._cipher),
                CurrentRateFinder(self.clock),
                LastApprovedRateFinder(),
                SubjectsOfRequests(),
                SubjectsOfTransfers(),
                OwnersOfTransactions(),
                RequestsByReceipt(),
            ),
            appenders=(EntryAppender(),),
        )

    async def prepare(self) -> None:
        """Make the database usable: an embedded one is migrated, any other must already be in this code's schema.

        Raises `migrations.WrongSchema`.
        """
        await prepare_database(self.engine, self._settings.database_url)

    async def start_executor(self) -> None:
        """Serve commands, without touching any provider: enough for the command line."""
        await self.prepare()
        self.spawn(self.executor.run(), "executor")

    async def start(self) -> None:
        """Serve commands, keep the connection to Deriv and run every worker."""
        await self.start_executor()
        settings = self._settings
        self.deriv = DerivWsGateway(
            connect=self._ports.deriv(settings.deriv_endpoint, settings.deriv_app_id),
            token=settings.deriv_token.get_secret_value(),
            login_id=settings.deriv_login_id,
            clock=self.clock,
            random=self.random,
            spawn=self.spawn,
            on_credit=self._book_credit,
            credits_since=await self._last_credit(),
        )
        self.mpesa = DarajaClient(
            http=self._http,
            clock=self.clock,
            base_url=settings.mpesa_base_url,
            consumer_key=settings.mpesa_consumer_key.get_secret_value(),
            consumer_secret=settings.mpesa_consumer_secret.get_secret_value(),
            short_code=settings.mpesa_short_code,
            passkey=settings.mpesa_passkey.get_secret_value(),
            callback_base_url=settings.mpesa_callback_url,
        )
        self.spawn(self.deriv.run(), "deriv")
        for worker in self._workers():
            self.spawn(worker.run(), worker.name)

    def _workers(self) -> tuple[Worker[Any], ...]:
        due, now = self._due, self.clock.now
        deposits = DepositWorker(executor=self.executor, wakeups=self._wakeups)
        pushes = MpesaRequestDriver(executor=self.executor, mpesa=self.mpesa, tokens=self._tokens)
        transfers = DerivTransferWorker(executor=self.executor, deriv=self.deriv)
        callbacks = MpesaCallbackWorker(executor=self.executor)

        def worker(
            name: str,
            look: Callable[[int], Awaitable[Sequence[T]]],
            key: Callable[[T], Hashable],
            handle: Callable[[T], Awaitable[None]],
        ) -> Worker[T]:
            return Worker(
                name=name,
                look=look,
                key=key,
                handle=handle,
                wakeups=self._wakeups,
                clock=self.clock,
                spawn=self.spawn,
                look_every_ms=500,
            )

        return (
            worker(
                DEPOSIT_WORKER,
                lambda limit: due.due_deliveries(DEPOSIT_WORKER, now(), limit),
                lambda found: found.stored.id,
                deposits.handle,
            ),
            worker(
                MPESA_REQUESTS_WORKER,
                lambda limit: due.due_mpesa_requests(now(), limit),
                lambda found: found,
                pushes.handle,
            ),
            worker(
                DERIV_TRANSFERS_WORKER,
                lambda limit: due.due_deriv_transfers(now(), limit),
                lambda found: found,
                transfers.handle,
            ),
            worker(
                _CALLBACKS_WORKER,
                lambda limit: due.due_webhooks(now(), limit),
                lambda found: found.webhook_id,
                callbacks.handle,
            ),
        )

    async def stop(self) -> None:
        """End every task and close what is open; commands still waiting are told so."""
        await self._tasks.stop()
        await self._http.aclose()
        await self.engine.dispose()

    async def authenticate(self, api_key: str) -> UserId:
        """The user this key belongs to; raises Unauthorized."""
        return await self._users.authenticate(api_key)

    async def schema_is_current(self) -> bool:
        """Whether the database's schema is the one this code was written for."""
        return await migrations.revision_of(self.engine) == migrations.head()

    def _wake(self, consumers: frozenset[str]) -> None:
        for consumer in consumers:
            self._wakeups.wake(consumer)

    async def _book_credit(self, credit: IncomingCredit) -> None:
        await self.executor.execute(BookIncomingCredit(credit=credit))

    async def _last_credit(self) -> datetime:
        """Since when credits on the agent account may be unknown to the books."""
        newest = select(func.max(ledger_journals.c.happened_at)).where(ledger_journals.c.kind == INCOMING_CREDIT)
        async with reading(self.engine).connect() as connection:
            found: datetime | None = (await connection.execute(newest)).scalar_one()
        return found or self.clock.now()


def build(settings: Settings, ports: Ports | None = None) -> System:
    """One process's worth of PenPay, not started yet."""
    return System(settings, ports or real_ports())


async def prepare_database(engine: AsyncEngine, url: str) -> None:
    """Migrate an embedded database; require the current schema of any other. Raises `migrations.WrongSchema`."""
    if make_url(url).get_backend_name() == "sqlite":
        await migrations.upgrade(engine)
    else:
        await migrations.require_current(engine)


def make_folder(url: str) -> None:
    """Make the folder an embedded database lives in."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)


def _policy(settings: Settings) -> PaymentsPolicy:
    return PaymentsPolicy(
        limits=DepositLimits(
            smallest=Money(settings.deposit_min_usd_cents, Currency.USD),
            largest=Money(settings.deposit_max_usd_cents, Currency.USD),
            largest_charge=Money(25_000_000, Currency.KES),
        ),
        spread_bps=settings.fx_spread_bps,
        rate_max_age=timedelta(hours=settings.fx_max_age_hours),
        rate_locked_for=timedelta(minutes=settings.rate_lock_minutes),
        first_query_after=timedelta(seconds=settings.stk_first_query_seconds),
        forward_within=timedelta(hours=24),
        lease=timedelta(seconds=settings.lease_seconds),
    )


def _handlers(policy: PaymentsPolicy, settings: Settings) -> Handlers:
    first, new = Lane.RESOLUTION, Lane.REQUEST
    return {
        CreateDeposit: (CreateDepositHandler(policy), new),
        CreateUser: (CreateUserHandler(), new),
        EnterRate: (EnterRateHandler(), new),
        ApproveRate: (ApproveRateHandler(max_move_bps=settings.fx_max_move_bps), new),
        FundAccount: (FundAccountHandler(), new),
        InitiateDeposit: (InitiateDepositHandler(), first),
        FundDeposit: (FundDepositHandler(policy.forward_within), first),
        ClaimMpesaRequest: (ClaimMpesaRequestHandler(policy.lease), first),
        RecordPushAnswer: (RecordPushAnswerHandler(policy), first),
        RecordPaymentAnswer: (RecordPaymentAnswerHandler(), first),
        RecordWebhook: (RecordWebhookHandler(), first),
        ApplyWebhook: (ApplyWebhookHandler(), first),
        ClaimDerivTransfer: (ClaimDerivTransferHandler(policy.lease), first),
        RecordTransferAnswer: (RecordTransferAnswerHandler(), first),
        RecordTransferSearch: (RecordTransferSearchHandler(), first),
        BookIncomingCredit: (BookIncomingCreditHandler(), first),
        ReviewDeadDelivery: (ReviewDeadDeliveryHandler(), first),
        ClaimDelivery: (ClaimDeliveryHandler(policy.lease), first),
        PutBackDelivery: (PutBackDeliveryHandler(), first),
    }


class Sandbox:
    """One process's worth of the sandbox: the operator with Daraja, and the Deriv simulator, each on its own book."""

    def __init__(
        self,
        settings: Settings,
        ports: Ports,
        *,
        switches: DarajaSwitches,
        deriv_url: str,
        deriv_limits: RateLimits,
    ) -> None:
        self._settings = settings
        self._tasks = Tasks()
        self.clock = ports.clock
        self.engine = open_engine(settings.operator_database_url, connect=ports.database)
        self._deriv_engine = open_engine(deriv_url, connect=ports.database)
        cipher = FieldCipher(settings.key_ring, ports.random)
        index = BlindIndex(settings.derived_key(KeyPurpose.BLIND_INDEX))
        subscribers, pushes = SubscriberRepository(cipher, index), StkPushRepository(cipher, index)
        schema = Schema(
            repositories=(
                OutboxRepository(),
                MerchantRepository(),
                subscribers,
                pushes,
                ReceiptRepository(),
                WalletRepository(),
                JournalRepository(),
            ),
            finders=(),
            appenders=(EntryAppender(),),
        )
        self._executor = Executor(
            database=SqlDatabase(self.engine, schema),
            clock=ports.clock,
            ids=UuidV7(ports.clock, ports.random),
            random=ports.random,
            handlers=operator_handlers(PayerPolicy()),
            subscriptions={},
            on_events=lambda _: None,
        )
        read = reading(self.engine)
        self.operator = Operator(
            executor=self._executor,
            books=SqlOperatorBooks(read, subscribers=subscribers, pushes=pushes, clock=ports.clock),
            pins=PinHasher(pepper=settings.derived_key(KeyPurpose.DIGEST), random=ports.random),
        )
        self._callbacks = ports.http()
        self.daraja = DarajaSandbox(
            operator=self.operator,
            callback_client=self._callbacks,
            clock=ports.clock,
            random=ports.random,
            spawn=self._tasks.spawn,
            credentials=DarajaCredentials(
                consumer_key=settings.mpesa_consumer_key.get_secret_value(),
                consumer_secret=settings.mpesa_consumer_secret.get_secret_value(),
                passkeys={settings.mpesa_short_code: settings.mpesa_passkey.get_secret_value()},
            ),
            switches=switches,
        )
        self.deriv_book = Book(self._deriv_engine, clock=ports.clock)
        self.deriv_faults = DerivFaultPlan(ports.random)
        self.deriv = DerivSimulator(
            book=self.deriv_book,
            clock=ports.clock,
            random=ports.random,
            spawn=self._tasks.spawn,
            faults=self.deriv_faults,
            limits=deriv_limits,
        )

    async def start(self) -> None:
        """Serve the operator's commands and its prompts; HTTP and WebSocket are served by the caller."""
        await prepare_database(self.engine, self._settings.operator_database_url)
        await self.deriv_book.create()
        self._tasks.spawn(self._executor.run(), "operator")
        await self.operator.register_merchant(self._settings.mpesa_short_code, "PENPAY")
        await self.daraja.start()

    async def stop(self) -> None:
        """End every task and close what is open."""
        await self._tasks.stop()
        await self._callbacks.aclose()
        await self.engine.dispose()
        await self._deriv_engine.dispose()
