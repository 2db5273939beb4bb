"""Everything between M-Pesa and the payments of Collections, put together for one System."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.collections.capturing import (
    CONFIRMATION,
    ApplyConfirmation,
    ApplyConfirmationHandler,
    Booking,
    PostponeConfirmation,
    PostponeConfirmationHandler,
    RecordMessage,
    RecordMessageHandler,
    RecordStrayMessage,
    TakeConfirmation,
    TakeConfirmationHandler,
)
from penpay.application.collections.charging import BookCharge, BookChargeHandler
from penpay.application.collections.checking import RecordBalanceCheck, RecordBalanceCheckHandler
from penpay.application.collections.doors import C2B_PURPOSE, C2bDoor, ValidationPolicy, token_subject
from penpay.application.collections.missed import BookListed, BookListedHandler
from penpay.application.collections.pulling import ClaimPull, ClaimPullHandler, EndPull, EndPullHandler
from penpay.application.collections.receiving import ReceivePaymentHandler
from penpay.application.collections.registering import (
    AddressRegistrar,
    IntendRegistration,
    IntendRegistrationHandler,
    RecordRegistration,
    RecordRegistrationHandler,
)
from penpay.application.collections.till_asking import AskFromTill, AskFromTillHandler
from penpay.application.collections.till_door import TillDoor
from penpay.application.collections.till_money import TillMoney, TillPolicy
from penpay.application.collections.till_pushing import (
    TILL_SOURCE,
    ApplyTillCallback,
    ApplyTillCallbackHandler,
    ClaimTillPush,
    ClaimTillPushHandler,
    PushFromTill,
    PushFromTillHandler,
    RecordTillPaymentAnswer,
    RecordTillPaymentAnswerHandler,
    RecordTillPushAnswer,
    RecordTillPushAnswerHandler,
)
from penpay.application.payments.callbacks import ApplyWebhookHandler, MpesaCallbackVerifier
from penpay.application.payments.confirmations import ConfirmDeposit, ConfirmDepositHandler
from penpay.application.shared.executor import Executor, Lane
from penpay.application.shared.ports import Clock, Ids
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.bootstrap.workers import MakeWorker
from penpay.config import Settings
from penpay.domain.mpesa.c2b import C2bPayment
from penpay.domain.mpesa.gateway import C2bAddresses, MpesaGateway, MpesaReceipts, UnansweredValidation
from penpay.domain.shared.ids import MpesaRequestId, WebhookId
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.security.path_tokens import PathTokens
from penpay.infrastructure.sql.capture import BalanceCheckRepository, C2bRegistrationRepository, ReceiptPullRepository
from penpay.infrastructure.sql.capture_books import SqlBalances, SqlCaptureDue, SqlDays
from penpay.infrastructure.sql.capture_stories import SqlStories
from penpay.infrastructure.sql.collections_money import PaymentRepository
from penpay.infrastructure.sql.due import Queue
from penpay.infrastructure.sql.payments import WebhookRepository
from penpay.infrastructure.sql.till_pushes import TillPushRepository, till_finders
from penpay.workers.balance_check import BALANCE_WORKER, BalanceChecker
from penpay.workers.c2b import CONFIRMATIONS_WORKER, ConfirmationWorker
from penpay.workers.receipt_pull import PULL_WORKER, ReceiptPuller
from penpay.workers.till import TILL_CALLBACKS_WORKER, TILL_WORKER, TillCallbackWorker, TillPushDriver

_MINUTE_MS: Final = 60_000


class Capture:
    """What one System captures payments with; `connect` it to its executor once there is one."""

    def __init__(  # every argument is a port or a setting
        self,
        settings: Settings,
        *,
        engine: AsyncEngine,
        clock: Clock,
        ids: Ids,
        cipher: FieldCipher,
        index: BlindIndex,
        tokens: PathTokens,
        webhooks: WebhookRepository,
        payments: PaymentRepository,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._tokens = tokens
        self._pushes = TillPushRepository(cipher, index)
        self._registrations = C2bRegistrationRepository(cipher)
        self._index = index
        self.due = SqlCaptureDue(engine, webhooks)
        self.balances = SqlBalances(engine, webhooks)
        self.stories = SqlStories(engine, webhooks=webhooks, payments_=payments, registrations=self._registrations)
        self.short_code = settings.mpesa_short_code
        self._days = SqlDays(engine, payments, clock)

    def handlers(self) -> dict[type, tuple[Any, Lane]]:
        """Which handler runs which command, in which lane."""
        settings, first, new = self._settings, Lane.RESOLUTION, Lane.REQUEST
        lease = timedelta(seconds=settings.lease_seconds)
        policy = TillPolicy(
            verify_above=Money(settings.verify_above_cents, Currency.KES),
            first_query_after=timedelta(seconds=settings.stk_first_query_seconds),
            lease=lease,
        )
        receive = ReceivePaymentHandler()
        till = TillMoney(receive, policy)
        booking = Booking(receive, till)
        return {
            RecordMessage: (RecordMessageHandler(), first),
            RecordStrayMessage: (RecordMessageHandler(), new),
            TakeConfirmation: (TakeConfirmationHandler(booking), first),
            ApplyConfirmation: (ApplyConfirmationHandler(booking), first),
            PostponeConfirmation: (PostponeConfirmationHandler(), first),
            ConfirmDeposit: (ConfirmDepositHandler(ApplyWebhookHandler()), first),
            BookListed: (BookListedHandler(receive, till), first),
            BookCharge: (BookChargeHandler(), first),
            ClaimPull: (ClaimPullHandler(lease), first),
            EndPull: (EndPullHandler(timedelta(minutes=settings.pull_minutes)), first),
            RecordBalanceCheck: (RecordBalanceCheckHandler(), new),
            IntendRegistration: (IntendRegistrationHandler(), new),
            RecordRegistration: (RecordRegistrationHandler(), first),
            PushFromTill: (PushFromTillHandler(), new),
            AskFromTill: (AskFromTillHandler(), new),
            ClaimTillPush: (ClaimTillPushHandler(policy), first),
            RecordTillPushAnswer: (RecordTillPushAnswerHandler(policy), first),
            RecordTillPaymentAnswer: (RecordTillPaymentAnswerHandler(till), first),
            ApplyTillCallback: (ApplyTillCallbackHandler(till), first),
        }

    def repositories(self) -> Sequence[Any]:
        """The rows, in the order in which they are locked; after those of Collections."""
        return (self._pushes, self._registrations, ReceiptPullRepository(), BalanceCheckRepository())

    def finders(self) -> Sequence[Any]:
        return till_finders(self._pushes, self._index)

    def connect(self, executor: Executor, deposits: MpesaCallbackVerifier, wake: Callable[[str], None]) -> None:
        """Open the doors."""
        self._executor = executor
        settings = self._settings
        self.c2b_door = C2bDoor(
            executor=executor,
            tokens=self._tokens,
            ids=self._ids,
            short_code=settings.mpesa_short_code,
            allowed_sources=settings.callback_networks,
            bare_path=settings.bare_c2b_path,
            validation=ValidationPolicy(settings.c2b_validate),
            days=self._days,
            attach=self.attach,
        )
        self.callback_door = TillDoor(
            executor=executor,
            tokens=self._tokens,
            ids=self._ids,
            is_allowed=self.c2b_door.is_allowed,
            others=deposits,
            applied=lambda: wake(TILL_WORKER),
        )

    async def attach(
        self, webhook_id: WebhookId | None, request_id: MpesaRequestId, payment: C2bPayment
    ) -> WebhookOutcome:
        """Tell a deposit of the confirmation of its push."""
        outcome: WebhookOutcome = await self._executor.execute(
            ConfirmDeposit(webhook_id=webhook_id, request_id=request_id, payment=payment)
        )
        return outcome

    def addresses(self, unanswered: UnansweredValidation) -> C2bAddresses:
        """Where M-Pesa is to ask and to tell; the paths hold a secret."""
        settings = self._settings
        token = self._tokens.sign(C2B_PURPOSE, token_subject(settings.mpesa_short_code))
        base = f"{settings.public_base_url}/api/webhooks/c2b/{token}"
        return C2bAddresses(
            confirmation_url=f"{base}/confirmation", validation_url=f"{base}/validation", unanswered=unanswered
        )

    def registrar(self, receipts: MpesaReceipts) -> AddressRegistrar:
        """Who tells M-Pesa of them."""
        return AddressRegistrar(
            executor=self._executor, receipts=receipts, ids=self._ids, short_code=self._settings.mpesa_short_code
        )

    def workers(self, worker: MakeWorker, mpesa: MpesaGateway, pulls: MpesaReceipts | None) -> Sequence[Any]:
        """What runs beside the doors; `pulls` is None where M-Pesa lets us list nothing."""
        due, now, executor = self.due, self._clock.now, self._executor
        short_code = self._settings.mpesa_short_code
        confirmations = ConfirmationWorker(executor=executor, attach=self.attach, short_code=short_code)
        till = TillPushDriver(executor=executor, mpesa=mpesa, tokens=self._tokens)
        callbacks = TillCallbackWorker(executor=executor)
        checker = BalanceChecker(
            executor=executor, balances=self.balances, checks=due, clock=self._clock, short_code=short_code
        )
        running = [
            worker(
                CONFIRMATIONS_WORKER,
                lambda limit: due.due_messages(CONFIRMATION, now(), limit),
                lambda found: found.webhook_id,
                confirmations.handle,
                Queue.WEBHOOKS,
            ),
            worker.driver(TILL_WORKER, Queue.TILL_PUSHES, due.due_till_pushes, till.handle),
            worker(
                TILL_CALLBACKS_WORKER,
                lambda limit: due.due_messages(TILL_SOURCE, now(), limit),
                lambda found: found.webhook_id,
                callbacks.handle,
                Queue.WEBHOOKS,
            ),
            worker(BALANCE_WORKER, checker.look, lambda found: found, checker.handle, _MINUTE_MS),
        ]
        if pulls is not None:
            puller = ReceiptPuller(
                executor=executor,
                receipts=pulls,
                books=due,
                attach=self.attach,
                clock=self._clock,
                short_code=short_code,
            )
            running.append(worker(PULL_WORKER, puller.look, lambda found: found, puller.handle, _MINUTE_MS))
        return running
