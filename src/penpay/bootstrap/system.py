"""One process's worth of PenPay."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from penpay.application.collections import live
from penpay.application.identity.staff_access import StaffAccess
from penpay.application.payments.callbacks import MpesaCallbackVerifier
from penpay.application.payments.crediting import BookIncomingCredit
from penpay.application.payments.deposit import DEPOSIT_WORKER, DepositOrchestrator
from penpay.application.payments.notifying import NoteStates
from penpay.application.payments.withdrawal import WITHDRAWAL_WORKER, WithdrawalOrchestrator
from penpay.application.shared.executor import Executor
from penpay.application.shared.live import LIVE, LiveFeed
from penpay.bootstrap.capture import Capture
from penpay.bootstrap.collections import CollectionsRows
from penpay.bootstrap.commands import handlers, payments_policy
from penpay.bootstrap.daraja import daraja_client, daraja_disbursements, daraja_receipts
from penpay.bootstrap.databases import prepare_database
from penpay.bootstrap.notifications import carriers, deliveries
from penpay.bootstrap.payments import PaymentsRows
from penpay.bootstrap.ports import Ports, Tasks, real_ports
from penpay.bootstrap.reminders import Reminders
from penpay.bootstrap.workers import MakeWorker
from penpay.config import AppEnv, Settings
from penpay.domain.deriv.gateway import IncomingCredit
from penpay.domain.mpesa.gateway import MpesaDisbursements, MpesaReceipts
from penpay.domain.shared.ids import UserId
from penpay.infrastructure.deriv.gateway import DerivWsGateway
from penpay.infrastructure.deriv.withdrawals import DerivClientSessions
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.checkpoint_keys import CheckpointKey
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.security.keys import KeyPurpose
from penpay.infrastructure.security.passwords import Argon2Passwords
from penpay.infrastructure.security.path_tokens import PathTokens
from penpay.infrastructure.sql import migrations
from penpay.infrastructure.sql.due import Queue, SqlDue
from penpay.infrastructure.sql.engine import open_engine, reading
from penpay.infrastructure.sql.fx import SqlFxRates
from penpay.infrastructure.sql.housekeeping import forget_expired_keys, forget_expired_secrets, forget_old_logins
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
from penpay.infrastructure.sql.notifications import SqlNotificationBooks
from penpay.infrastructure.sql.publication import SqlPublication
from penpay.infrastructure.sql.queries import SqlLedgerBooks, SqlPaymentBooks
from penpay.infrastructure.sql.shared import IdempotencyRepository, OutboxRepository
from penpay.infrastructure.sql.situations import SqlReviewBooks
from penpay.infrastructure.sql.staff import (
    LoginAttemptsRepository,
    SqlStaffBooks,
    StaffByEmailFinder,
    StaffByRoleFinder,
    StaffRepository,
    StaffSessionRepository,
)
from penpay.infrastructure.sql.story import SqlStories
from penpay.infrastructure.sql.unit_of_work import Schema, SqlDatabase
from penpay.infrastructure.system import UuidV7
from penpay.workers.deposit import DERIV_TRANSFERS_WORKER, MPESA_REQUESTS_WORKER, DepositWorker, MpesaRequestDriver
from penpay.workers.deriv_transfer import DerivTransferWorker
from penpay.workers.mpesa_callback import MpesaCallbackWorker
from penpay.workers.mpesa_disbursement import MPESA_DISBURSEMENTS_WORKER, MpesaDisbursementWorker
from penpay.workers.publisher import PUBLISHER, Publisher
from penpay.workers.recurring_billing import RECURRING_BILLING_WORKER, RecurringBillingWorker
from penpay.workers.refund_payout import REFUND_PAYOUTS_WORKER, RefundPayoutWorker
from penpay.workers.runtime import ITEM, LOOK_EVERY_MS, DueWatch, Wakeups, Worker
from penpay.workers.sale_expiry import SALE_EXPIRY_WORKER, SaleExpiryWorker
from penpay.workers.withdrawal import DERIV_WITHDRAWALS_WORKER, DerivWithdrawalDriver, WithdrawalWorker

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

_CALLBACKS_WORKER: Final = "mpesa_callback"
_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000
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
        self.clock, self.random = ports.clock, ports.random
        self.ids = UuidV7(ports.clock, ports.random)
        self.engine = open_engine(settings.database_url, connect=ports.database)
        read = reading(self.engine)
        self._cipher = FieldCipher(settings.key_ring, ports.random)
        self._index = BlindIndex(settings.derived_key(KeyPurpose.BLIND_INDEX))
        self._tokens = PathTokens(settings.derived_key(KeyPurpose.PATH_TOKEN))
        self._payments = PaymentsRows(self._cipher, self._index, self.clock)
        self._staff = StaffRepository(self._cipher, self._index)
        self._collections = CollectionsRows(self._cipher, self._index)
        self._wakeups = Wakeups()
        self._looking: list[asyncio.Task[None]] = []
        self._http = ports.http()
        self.idempotency_secret = settings.derived_key(KeyPurpose.DIGEST)
        self.trusted_proxies = settings.trusted_proxy_networks
        self.policy = payments_policy(settings)
        self.deriv_login_id = settings.deriv_login_id
        self.payment_books = SqlPaymentBooks(read)
        self.collections_books = self._collections.books(read)
        self.outflow_books = self._collections.outflow_books(read)
        self.recurring_books = self._collections.recurring_books(read)
        self.stories = SqlStories(self.engine)
        self.review_books = SqlReviewBooks(self.engine, self._cipher)
        self.ledger_books = SqlLedgerBooks(read)
        self.reports = self._collections.reports(read, self.clock, settings.business_name)
        self.fx_rates = SqlFxRates(read)
        self.live_feed = LiveFeed(SqlLiveLog(read), live.NAMES)
        self._users = SqlUsers(read)
        self._due = SqlDue(self.engine, self._payments.webhooks)
        self.capture = Capture(
            settings,
            engine=self.engine,
            clock=self.clock,
            ids=self.ids,
            cipher=self._cipher,
            index=self._index,
            tokens=self._tokens,
            webhooks=self._payments.webhooks,
            payments=self._collections.payments,
        )
        self._carriers = carriers(settings, self._http, self.clock)
        self.reminders = Reminders(settings, read, self.clock, self._carriers, self._collections.customers)
        self.reminder_books = self.reminders.books
        self.notification_books = SqlNotificationBooks(self.engine, self._cipher)
        self.executor = Executor(
            database=SqlDatabase(self.engine, self._schema()),
            clock=self.clock,
            ids=self.ids,
            random=self.random,
            handlers={**handlers(self.policy, settings), **self.capture.handlers(), **self.reminders.handlers()},
            subscriptions={
                **dict.fromkeys(DepositOrchestrator.SUBSCRIPTIONS, (DEPOSIT_WORKER,)),
                **dict.fromkeys(WithdrawalOrchestrator.SUBSCRIPTIONS, (WITHDRAWAL_WORKER,)),
            },
            on_events=self._wake,
            after_each=NoteStates(self._carriers),
        )
        self._open_doors()

    def _open_doors(self) -> None:
        """Make what takes people and M-Pesa's messages in."""
        settings = self._settings
        self.staff_access = StaffAccess(
            executor=self.executor,
            books=SqlStaffBooks(reading(self.engine), self._staff, self._index),
            passwords=Argon2Passwords(pepper=settings.derived_key(KeyPurpose.STAFF_PASSWORD), random=self.random),
            clock=self.clock,
            random=self.random,
        )
        self.result_verifier = MpesaCallbackVerifier(
            executor=self.executor,
            tokens=self._tokens,
            ids=self.ids,
            allowed_sources=settings.callback_networks,
            applied=self._wake_mpesa,
        )
        self.capture.connect(self.executor, self.result_verifier, self._wakeups.wake)
        self.callback_verifier = self.capture.callback_door
        self.c2b_door = self.capture.c2b_door
        self.secure_cookies = self.tls_required = settings.app_env is AppEnv.PRODUCTION

    def _schema(self) -> Schema:
        return Schema(
            repositories=(
                IdempotencyRepository(),
                OutboxRepository(),
                UserRepository(self._cipher, self._index),
                UserPhoneRepository(self._cipher, self._index),
                DerivAccountRepository(),
                ApiKeyRepository(),
                self._staff,
                LoginAttemptsRepository(),
                StaffSessionRepository(),
                *self._payments.repositories,
                *self._collections.repositories,
                *self.capture.repositories(),
                *self.reminders.repositories,
                WalletRepository(),
                JournalRepository(),
            ),
            finders=(
                PayerFinder(self._cipher),
                StaffByEmailFinder(self._staff),
                StaffByRoleFinder(),
                *self._payments.finders,
                *self._collections.finders,
                *self.capture.finders(),
                *self.reminders.finders,
            ),
            appenders=(EntryAppender(), *self._collections.appenders),
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
        """Serve commands, keep the connection to Deriv and run every worker.

        Raises InvalidSettings for an initiator's certificate that cannot be used.
        """
        settings = self._settings
        self.reach_mpesa()
        await self.start_executor()
        self.deriv = DerivWsGateway(
            connect=self._ports.deriv(settings.deriv_endpoint, settings.deriv_app_id),
            token=settings.deriv_token.get_secret_value(),
            login_id=settings.deriv_login_id,
            clock=self.clock,
            random=self.random,
            spawn=self.spawn,
            on_credit=self._book_credit,
            credits_since=await self.ledger_books.credits_complete_until() or self.clock.now(),
        )
        self.spawn(self.deriv.run(), "deriv")
        self.client_sessions = DerivClientSessions(
            connect=self._ports.deriv(settings.deriv_endpoint, settings.deriv_app_id),
            agent=self.deriv,
            agent_login_id=settings.deriv_login_id,
            clock=self.clock,
            spawn=self.spawn,
        )
        self.spawn(self._keep_house(), "housekeeping")
        self.spawn(self._forget_secrets(), "secrets")
        self._looking = [self.spawn(worker.run(), worker.name) for worker in self._workers()]

    def reach_mpesa(self) -> None:
        """Make the ports to M-Pesa; nothing is called. Raises InvalidSettings as `start` does."""
        settings = self._settings
        self.mpesa = daraja_client(settings, self._http, self.clock)
        self.receipts: MpesaReceipts = daraja_receipts(settings, self.mpesa.session)
        self.pulls = self.receipts if settings.mpesa_pull == "on" else None
        """`receipts` where payments may be listed; None where only the other calls are ours."""
        self.disbursements: MpesaDisbursements | None = daraja_disbursements(settings, self.mpesa.session)

    def _workers(self) -> tuple[Worker[Any] | DueWatch, ...]:
        due, now = self._due, self.clock.now
        pushes = MpesaRequestDriver(
            executor=self.executor, mpesa=self.mpesa, tokens=self._tokens, clock=self.clock, receipts=self.receipts
        )
        transfers = DerivTransferWorker(executor=self.executor, deriv=self.deriv, due=due, clock=self.clock)
        debits = DerivWithdrawalDriver(executor=self.executor, deriv=self.client_sessions)
        payouts = MpesaDisbursementWorker(executor=self.executor, mpesa=self.disbursements, tokens=self._tokens)
        callbacks = MpesaCallbackWorker(executor=self.executor)
        sales = SaleExpiryWorker(executor=self.executor)
        recurring = RecurringBillingWorker(executor=self.executor)
        publisher = self._publisher()

        async def published(found: str) -> None:
            await publisher.handle(found)
            self._wakeups.wake(LIVE)

        worker = MakeWorker(clock=self.clock, wakeups=self._wakeups, spawn=self.spawn, due=due)
        return (
            worker.consumer(DEPOSIT_WORKER, DepositWorker(executor=self.executor, wakeups=self._wakeups)),
            worker.consumer(WITHDRAWAL_WORKER, WithdrawalWorker(executor=self.executor, wakeups=self._wakeups)),
            worker.driver(MPESA_REQUESTS_WORKER, Queue.MPESA_REQUESTS, due.due_mpesa_requests, pushes.handle),
            worker(
                DERIV_TRANSFERS_WORKER,
                transfers.look,
                lambda found: found,
                transfers.handle,
                Queue.DERIV_TRANSFERS,
            ),
            worker.driver(DERIV_WITHDRAWALS_WORKER, Queue.DERIV_WITHDRAWALS, due.due_deriv_withdrawals, debits.handle),
            worker.driver(
                MPESA_DISBURSEMENTS_WORKER, Queue.MPESA_DISBURSEMENTS, due.due_mpesa_disbursements, payouts.handle
            ),
            *self._refund_payouts(worker),
            *deliveries(worker, self.executor, self.notification_books, self._carriers, self.clock),
            worker(
                _CALLBACKS_WORKER,
                lambda limit: due.due_webhooks(now(), limit),
                lambda found: found.webhook_id,
                callbacks.handle,
                Queue.WEBHOOKS,
            ),
            *self.capture.workers(worker, self.mpesa, self.pulls),
            *self.reminders.workers(worker, self.executor),
            worker.driver(SALE_EXPIRY_WORKER, Queue.SALES, self.collections_books.due_sales, sales.handle),
            worker.driver(RECURRING_BILLING_WORKER, Queue.RECURRING, self.recurring_books.due, recurring.handle),
            worker(PUBLISHER, publisher.look, lambda found: found, published, LOOK_EVERY_MS),
            # What another process publishes is found by looking.
            worker(LIVE, self.live_feed.look, lambda head: head, self.live_feed.handle, LOOK_EVERY_MS),
            worker.watch(),
        )

    def _refund_payouts(self, worker: MakeWorker) -> tuple[Worker[UUID], ...]:
        """Nobody, where nobody may pay out: refunds that were agreed to wait until somebody may."""
        if self.policy.payouts is None:
            return ()
        refunds = RefundPayoutWorker(executor=self.executor)
        look = self._due.due_refunds
        return (worker(REFUND_PAYOUTS_WORKER, look, lambda found: found, refunds.handle, Queue.REFUNDS),)

    def _publisher(self) -> Publisher:
        return Publisher(
            publication=SqlPublication(self.engine),
            signer=CheckpointKey(self._settings.derived_key(KeyPurpose.AUDIT_CHECKPOINT)),
            clock=self.clock,
            holder=self.ids.new(),
        )

    async def _keep_house(self) -> None:
        while True:
            try:
                await forget_expired_keys(self.engine, self.clock.now())
                await forget_old_logins(self.engine, self.clock.now())
            except (DBAPIError, OSError):  # the next hour will do
                self._log.warning("what has expired could not be deleted")
            await self.clock.sleep(_HOUR_MS)

    async def _forget_secrets(self) -> None:
        while True:
            try:
                await forget_expired_secrets(self.engine, self.clock.now())
            except (DBAPIError, OSError):  # the next minute will do
                self._log.warning("expired secrets could not be deleted")
            await self.clock.sleep(_MINUTE_MS)

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

    def _wake_mpesa(self) -> None:
        for name in (MPESA_REQUESTS_WORKER, MPESA_DISBURSEMENTS_WORKER):
            self._wakeups.wake(name)

    def _wake(self, consumers: frozenset[str]) -> None:
        for consumer in (*consumers, PUBLISHER):
            self._wakeups.wake(consumer)

    async def _book_credit(self, credit: IncomingCredit) -> None:
        await self.executor.execute(BookIncomingCredit(credit=credit))


def build(settings: Settings, ports: Ports | None = None) -> System:
    """One process's worth of PenPay, not started yet."""
    return System(settings, ports or real_ports())
