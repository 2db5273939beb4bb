"""One process's worth of PenPay."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from penpay.application.payments.callbacks import (
    MpesaCallbackVerifier,
)
from penpay.application.payments.deposit import (
    DEPOSIT_WORKER,
    DepositOrchestrator,
)
from penpay.application.shared.executor import Executor
from penpay.application.wallet.funding import (
    BookIncomingCredit,
)
from penpay.application.wallet.postings import INCOMING_CREDIT
from penpay.bootstrap.commands import handlers, payments_policy
from penpay.bootstrap.databases import prepare_database
from penpay.bootstrap.ports import Ports, Tasks, real_ports
from penpay.config import Settings
from penpay.domain.deriv.gateway import IncomingCredit
from penpay.domain.shared.ids import UserId
from penpay.infrastructure.deriv.gateway import DerivWsGateway
from penpay.infrastructure.mpesa.client import DarajaClient
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.checkpoint_keys import CheckpointKey
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.security.keys import KeyPurpose
from penpay.infrastructure.security.path_tokens import PathTokens
from penpay.infrastructure.sql import migrations
from penpay.infrastructure.sql.due import SqlDue
from penpay.infrastructure.sql.engine import open_engine, reading
from penpay.infrastructure.sql.evidence import (
    DerivTransferRepository,
    MpesaRequestRepository,
    RequestsByCheckout,
    RequestsByReceipt,
    SubjectsOfRequests,
    SubjectsOfTransfers,
)
from penpay.infrastructure.sql.fx import CurrentRateFinder, FxRateRepository, LastApprovedRateFinder, SqlFxRates
from penpay.infrastructure.sql.housekeeping import forget_expired_keys
from penpay.infrastructure.sql.identity import (
    ApiKeyRepository,
    DerivAccountRepository,
    PayerFinder,
    SqlUsers,
    UserPhoneRepository,
    UserRepository,
)
from penpay.infrastructure.sql.ledger import EntryAppender, JournalRepository, WalletRepository
from penpay.infrastructure.sql.payments import (
    ReviewRepository,
    TransactionRepository,
    WebhookRepository,
)
from penpay.infrastructure.sql.publication import SqlPublication
from penpay.infrastructure.sql.queries import SqlLedgerBooks, SqlPaymentBooks
from penpay.infrastructure.sql.shared import IdempotencyRepository, OutboxRepository
from penpay.infrastructure.sql.tables import ledger_journals
from penpay.infrastructure.sql.unit_of_work import Schema, SqlDatabase
from penpay.infrastructure.system import UuidV7
from penpay.workers.deposit import DERIV_TRANSFERS_WORKER, MPESA_REQUESTS_WORKER, DepositWorker, MpesaRequestDriver
from penpay.workers.deriv_transfer import DerivTransferWorker
from penpay.workers.mpesa_callback import MpesaCallbackWorker
from penpay.workers.publisher import PUBLISHER, Publisher
from penpay.workers.runtime import ITEM, Wakeups, Worker

T = TypeVar("T")

_CALLBACKS_WORKER: Final = "mpesa_callback"
_HOUR_MS: Final = 3_600_000
_CREDITS_OVERLAP: Final = timedelta(days=1)
_SETTLE_SECONDS: Final = 10
"""How long calls that are out may take to be answered when the System stops."""


class System:
    """One process's worth of PenPay."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        self._settings = settings
        self._ports = ports
        self._tasks = Tasks()
        self._log = logging.getLogger(__name__)
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
        self._looking: list[asyncio.Task[None]] = []
        self._http = ports.http()
        self.idempotency_secret = settings.derived_key(KeyPurpose.DIGEST)
        self.trusted_proxies = settings.trusted_proxy_networks
        self.policy = payments_policy(settings)
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
            handlers=handlers(self.policy, settings),
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
                RequestsByReceipt(),
                RequestsByCheckout(self._index),
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
        self._tasks.spawn_vital(self.executor.run(), "executor")

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
            credits_since=await self._credits_complete_until(),
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
        self.spawn(self._keep_house(), "housekeeping")
        self._looking = [self.spawn(worker.run(), worker.name) for worker in self._workers()]

    def _workers(self) -> tuple[Worker[Any], ...]:
        due, now = self._due, self.clock.now
        deposits = DepositWorker(executor=self.executor, wakeups=self._wakeups)
        pushes = MpesaRequestDriver(executor=self.executor, mpesa=self.mpesa, tokens=self._tokens)
        transfers = DerivTransferWorker(executor=self.executor, deriv=self.deriv)
        callbacks = MpesaCallbackWorker(executor=self.executor)
        publisher = Publisher(
            publication=SqlPublication(self.engine),
            signer=CheckpointKey(self._settings.derived_key(KeyPurpose.AUDIT_CHECKPOINT)),
            clock=self.clock,
            holder=self.ids.new(),
        )

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
            worker(PUBLISHER, publisher.look, lambda found: found, publisher.handle),
        )

    async def _keep_house(self) -> None:
        while True:
            try:
                await forget_expired_keys(self.engine, self.clock.now())
            except (DBAPIError, OSError):  # the next hour will do
                self._log.warning("expired idempotency keys could not be deleted")
            await self.clock.sleep(_HOUR_MS)

    async def stop(self) -> None:
        """End in good order: no new work, a while for calls that are out to be answered and recorded, then everything.

        A call cut off in the middle would be in doubt until somebody asked about it. Commands still waiting are told.
        """
        for looking in self._looking:
            looking.cancel()
        await self._tasks.settle(ITEM, _SETTLE_SECONDS)
        await self._tasks.stop()
        await self._http.aclose()
        await self.engine.dispose()

    async def failed(self) -> None:
        """Wait until a part has failed without which nothing can be served; it is in the log."""
        await self._tasks.failed()

    async def authenticate(self, api_key: str) -> UserId:
        """The user this key belongs to; raises Unauthorized."""
        return await self._users.authenticate(api_key)

    async def schema_is_current(self) -> bool:
        """Whether the database's schema is the one this code was written for."""
        return await migrations.revision_of(self.engine) == migrations.head()

    def _wake(self, consumers: frozenset[str]) -> None:
        for consumer in (*consumers, PUBLISHER):
            self._wakeups.wake(consumer)

    async def _book_credit(self, credit: IncomingCredit) -> None:
        await self.executor.execute(BookIncomingCredit(credit=credit))

    async def _credits_complete_until(self) -> datetime:
        """Before when the books lack no credit on the agent account.

        A day before the last one booked: the stream may have missed one shortly before, and statements may have been
        out of reach since. The books' own beginning where none was booked yet.
        """
        newest = select(func.max(ledger_journals.c.happened_at)).where(ledger_journals.c.kind == INCOMING_CREDIT)
        oldest = select(func.min(ledger_journals.c.recorded_at))
        async with reading(self.engine).connect() as connection:
            last: datetime | None = (await connection.execute(newest)).scalar_one()
            first: datetime | None = (await connection.execute(oldest)).scalar_one()
        return last - _CREDITS_OVERLAP if last else first or self.clock.now()


def build(settings: Settings, ports: Ports | None = None) -> System:
    """One process's worth of PenPay, not started yet."""
    return System(settings, ports or real_ports())
