"""M-Pesa's callbacks: stored raw before anything is read, then applied; nothing they say leaves our books unasked.

Daraja signs nothing. What proves a callback is ours is the signed token in its path; what proves the money is our own
question. So a callback may move money inside the books, and anything odd about it only makes us ask.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final, Protocol
from uuid import UUID

from penpay.application.payments.collecting import (
    book_payment,
    booked_amount,
    fail_deposit,
    failure_code,
    request_and_transaction,
    requests_footprint,
)
from penpay.application.payments.policy import FAILURE_CONFIRMED_AFTER
from penpay.application.payments.results import (
    PAYOUT_SOURCE,
    STATUS_SOURCE,
    TIMEOUT_SOURCE,
    ApplyResult,
    read_message,
)
from penpay.application.payments.reviewing import open_review
from penpay.application.payments.rows import (
    MPESA_REQUESTS,
    REQUESTS_BY_CHECKOUT,
    REQUESTS_BY_RECEIPT,
    REVIEWS,
    SUBJECTS_OF_REQUESTS,
    TRANSACTIONS,
    ReviewReason,
    Subject,
)
from penpay.application.shared.executor import Executor
from penpay.application.shared.ports import Ids
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.shared.webhooks import WEBHOOK_RETRY_AFTER, WEBHOOKS, WebhookOutcome, keep_webhook
from penpay.domain.mpesa.callback import StkCallback, UnreadableCallback, parse_stk_callback, phone_matches
from penpay.domain.mpesa.gateway import PaymentOutcome
from penpay.domain.mpesa.verdicts import callback_verdict
from penpay.domain.payments.evidence import EvidenceState, MpesaRequest
from penpay.domain.payments.transaction import Transaction
from penpay.domain.shared.errors import CallbackRefused
from penpay.domain.shared.ids import MpesaRequestId, WebhookId

STK_PURPOSE: Final = "stk"
"""Bound into the path token, so that it opens nothing else."""
STK_SOURCE: Final = "daraja_stk"
_STRAY_BYTES: Final = 512
"""What is kept of a message under a token that is not ours."""


class PathTokens(Protocol):
    """Signed path segments."""

    def verify(self, purpose: str, token: str) -> UUID | None:
        """The subject of a token we made for this purpose, None for any other text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWebhook:
    """Keep a message as it came. `outcome` is RECEIVED, or why it will not be applied."""

    webhook_id: WebhookId
    subject_id: UUID | None
    remote_address: str
    body: bytes
    outcome: WebhookOutcome
    source: str = STK_SOURCE


class RecordStrayWebhook(RecordWebhook):
    """The same for a message under a token that is not ours: anybody can send such, so it waits like any request."""


class RecordWebhookHandler:
    async def footprint(self, commands: Sequence[RecordWebhook], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint()

    def handle(self, command: RecordWebhook, work: Work) -> None:
        """Store it; a refused one leaves its trace in the audit log too."""
        keep_webhook(
            work,
            command.webhook_id,
            source=command.source,
            subject_id=command.subject_id,
            remote_address=command.remote_address,
            body=command.body,
            outcome=command.outcome,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyWebhook:
    """Let a stored callback do what it says, as far as it may. Applying it again changes nothing."""

    webhook_id: WebhookId
    request_id: MpesaRequestId
    callback: StkCallback | None
    """As parsed; None when it cannot be read."""


class ApplyWebhookHandler:
    async def footprint(self, commands: Sequence[ApplyWebhook], find: Find) -> Footprint:
        receipts = {c.callback.receipt for c in commands if c.callback and c.callback.receipt}
        await find(REQUESTS_BY_RECEIPT, receipts)
        await find(REQUESTS_BY_CHECKOUT, {c.callback.checkout_request_id for c in commands if c.callback})
        footprint = await requests_footprint({command.request_id for command in commands}, find)
        return footprint.add(WEBHOOKS, *(command.webhook_id for command in commands))

    def handle(self, command: ApplyWebhook, work: Work) -> WebhookOutcome:
        """Apply it once and say what became of it."""
        webhook = work.get(WEBHOOKS, command.webhook_id)
        if webhook is None or webhook.outcome is not WebhookOutcome.RECEIVED:
            return webhook.outcome if webhook else WebhookOutcome.UNKNOWN_SUBJECT
        outcome = self._outcome(command, work)
        work.put(WEBHOOKS, webhook.id, replace(webhook, outcome=outcome, due_at=None, version=webhook.version + 1))
        work.audit("mpesa", "webhook.applied", "webhook", webhook.id, outcome=outcome.value)
        return outcome

    def _outcome(self, command: ApplyWebhook, work: Work) -> WebhookOutcome:
        if work.found(SUBJECTS_OF_REQUESTS, command.request_id) is None:
            return WebhookOutcome.UNKNOWN_SUBJECT
        if command.callback is None:
            return WebhookOutcome.UNREADABLE
        return self._told(command, command.callback, work)

    def _told(self, command: ApplyWebhook, callback: StkCallback, work: Work) -> WebhookOutcome:
        request, transaction, subject = request_and_transaction(work, command.request_id)
        transaction, event = transaction.moved(
            "MpesaCallbackReceived",
            transaction.status,
            work.now,
            webhook_id=str(command.webhook_id),
            result_code=callback.result_code,
        )
        work.put(TRANSACTIONS, transaction.id, transaction)
        work.record(event)
        known = request.checkout_request_id
        owner = work.found(REQUESTS_BY_CHECKOUT, callback.checkout_request_id)
        if known != callback.checkout_request_id and (request.is_identified or owner not in {None, request.id}):
            # Our own call was told another id, or another push goes by this one: it tells of no payment of ours.
            return WebhookOutcome.CONTRADICTS
        if known is not None and callback.checkout_request_id != known:
            return _contradiction(work, request, transaction, ReviewReason.IDENTITY_MISMATCH)
        return self.conclude(request.told(callback.checkout_request_id), transaction, subject, callback, work)

    def conclude(
        self, request: MpesaRequest, transaction: Transaction, subject: Subject, callback: StkCallback, work: Work
    ) -> WebhookOutcome:
        """Let what was told of this very push do what it says, as far as it may."""
        verdict = callback_verdict(callback.result_code)
        if request.is_final:
            return self._after_the_end(request, transaction, callback, verdict, work)
        if verdict is PaymentOutcome.PAID:
            return self._paid(request, transaction, subject, callback, work)
        if verdict is PaymentOutcome.FAILED and request.state is not EvidenceState.INTENDED and not request.is_disputed:
            due_at = work.now + FAILURE_CONFIRMED_AFTER
            failed = request.moved(EvidenceState.FAILED, work.now, due_at=due_at, code=callback.result_code)
            work.put(MPESA_REQUESTS, request.id, failed)
            fail_deposit(work, transaction, failure_code(callback.result_code))
            return WebhookOutcome.APPLIED
        return _ask(work, request, callback.result_code)

    def _paid(
        self, request: MpesaRequest, transaction: Transaction, subject: Subject, callback: StkCallback, work: Work
    ) -> WebhookOutcome:
        if request.is_disputed or request.state is EvidenceState.INTENDED or not _fits(request, callback, work):
            return _dispute(work, request, callback)
        confirmed = replace(request, receipt=callback.receipt).moved(
            EvidenceState.CONFIRMED, work.now, due_at=work.now, code=callback.result_code
        )
        work.put(MPESA_REQUESTS, request.id, confirmed)
        book_payment(
            work,
            confirmed,
            transaction,
            subject,
            event="MpesaPaymentReceived",
            happened_at=min(callback.paid_at or work.now, work.now),
            receipt=callback.receipt,
        )
        return WebhookOutcome.APPLIED

    @staticmethod
    def _after_the_end(
        request: MpesaRequest, transaction: Transaction, callback: StkCallback, verdict: PaymentOutcome, work: Work
    ) -> WebhookOutcome:
        """A callback for a push whose outcome is known: a repeat, a receipt that comes later, or a contradiction."""
        confirmed = request.state is EvidenceState.CONFIRMED
        if verdict is not PaymentOutcome.PAID:
            if verdict is PaymentOutcome.FAILED and confirmed and not request.is_refuted:
                return _contradiction(work, request, transaction, ReviewReason.CONTRADICTION)
            return WebhookOutcome.REPEATED
        in_suspense = request.is_disputed and request.verified_at is not None
        if not confirmed and not in_suspense:
            # Money after a failure: believed only when M-Pesa says so itself, and then it is nobody's yet.
            return _dispute(work, request, callback)
        agrees = _fits(request, callback, work) or (in_suspense and request.disputed_cents == _told(request, callback))
        if not agrees or request.receipt not in {None, callback.receipt}:
            return _contradiction(work, request, transaction, ReviewReason.CONTRADICTION)
        if request.receipt is None and callback.receipt is not None and not in_suspense:
            attached = replace(request, receipt=callback.receipt, version=request.version + 1)
            work.put(MPESA_REQUESTS, request.id, attached)
            after, event = transaction.moved(
                "MpesaReceiptAttached", transaction.status, work.now, receipt=callback.receipt
            )
            work.put(TRANSACTIONS, after.id, after)
            work.record(event)
            return WebhookOutcome.APPLIED
        return WebhookOutcome.REPEATED


@dataclass(frozen=True, slots=True, kw_only=True)
class PostponeWebhook:
    """A stored callback could not be applied; leave it for a while."""

    webhook_id: WebhookId


class PostponeWebhookHandler:
    async def footprint(self, commands: Sequence[PostponeWebhook], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(WEBHOOKS, *(command.webhook_id for command in commands))

    def handle(self, command: PostponeWebhook, work: Work) -> None:
        """Twice as long as it has waited so far, at most a day; one that was applied meanwhile stays as it is."""
        webhook = work.get(WEBHOOKS, command.webhook_id)
        if webhook is None or webhook.outcome is not WebhookOutcome.RECEIVED:
            return
        pause = min(max(work.now - webhook.created_at, WEBHOOK_RETRY_AFTER), timedelta(days=1))
        later = replace(webhook, due_at=work.now + pause, version=webhook.version + 1)
        work.put(WEBHOOKS, webhook.id, later)
        work.audit("worker:mpesa_callback", "webhook.postponed", "webhook", webhook.id)


def _fits(request: MpesaRequest, callback: StkCallback, work: Work) -> bool:
    """Whether amount, phone and receipt are what we asked for and nobody else's."""
    owner = work.found(REQUESTS_BY_RECEIPT, callback.receipt) if callback.receipt else None
    return (
        callback.amount == request.amount
        and phone_matches(callback.phone_text, request.phone) is not False
        and owner in {None, request.id}
    )


def _ask(work: Work, request: MpesaRequest, code: str) -> WebhookOutcome:
    """Nothing is decided; we ask M-Pesa now."""
    state = EvidenceState.UNKNOWN if request.state is EvidenceState.INTENDED else request.state
    if request.lease_until is None:
        request = request.moved(state, work.now, due_at=work.now, code=code)
    else:
        request = replace(request, due_at=work.now, version=request.version + 1)
    work.put(MPESA_REQUESTS, request.id, request)
    return WebhookOutcome.APPLIED


def _dispute(work: Work, request: MpesaRequest, callback: StkCallback) -> WebhookOutcome:
    """Keep what the callback claims and ask; an unreadable amount counts as what we asked for.

    What claims another amount is not forgotten for what claims ours, or it would be news when it comes again.
    """
    told = _told(request, callback)
    claimed = request.disputed_cents if request.is_disputed and told == request.amount.cents else told
    return _ask(work, replace(request, disputed_cents=claimed), callback.result_code)


def _told(request: MpesaRequest, callback: StkCallback) -> int:
    return callback.amount.cents if callback.amount is not None else request.amount.cents


def _contradiction(work: Work, request: MpesaRequest, transaction: Transaction, reason: ReviewReason) -> WebhookOutcome:
    if work.get(REVIEWS, (transaction.id, reason)) is None:  # telling it again asks nothing new
        open_review(work, transaction, reason, booked_amount(request))
    return WebhookOutcome.CONTRADICTS


class MpesaCallbackVerifier:
    """The door for callbacks: tells ours from foreign ones, and answers once the message is durable."""

    def __init__(  # every argument is a port or a setting
        self,
        *,
        executor: Executor,
        tokens: PathTokens,
        ids: Ids,
        allowed_sources: Sequence[IPv4Network | IPv6Network],
        applied: Callable[[], None],
    ) -> None:
        self._executor = executor
        self._tokens = tokens
        self._ids = ids
        self._allowed_sources = tuple(allowed_sources)
        self._applied = applied
        self._log = logging.getLogger(__name__)

    async def receive(self, *, token: str, remote_address: str, body: bytes) -> None:
        """Store the message and apply it, in one commit where nothing stands in the way.

        Returns once it is durable. A fault in applying it never takes the stored message with it; the callback worker
        tries again. Raises CallbackRefused, after the audited refusal is committed, for a token we did not make or a
        source that is not on the list.
        """
        subject = self._tokens.verify(STK_PURPOSE, token)
        record = self._record(subject, remote_address, body, STK_SOURCE)
        apply = None
        if subject is not None:
            request_id = MpesaRequestId(subject)
            apply = ApplyWebhook(webhook_id=record.webhook_id, request_id=request_id, callback=read(body))
        await self._take(record, apply)

    async def receive_result(self, *, token: str, remote_address: str, body: bytes, timed_out: bool) -> None:
        """Store what is told of a payout, or of our question about one, and apply it; as `receive`.

        `timed_out`: it came to the address where M-Pesa tells that a call waited too long.
        """
        source, subject = PAYOUT_SOURCE, self._tokens.verify(PAYOUT_SOURCE, token)
        if subject is None:
            source, subject = STATUS_SOURCE, self._tokens.verify(STATUS_SOURCE, token)
        elif timed_out:
            source = TIMEOUT_SOURCE
        record = self._record(subject, remote_address, body, source)
        apply = None
        if subject is not None:
            message = None if timed_out else read_message(source, body)
            apply = ApplyResult(webhook_id=record.webhook_id, source=source, subject_id=subject, message=message)
        await self._take(record, apply)

    def _record(self, subject: UUID | None, remote_address: str, body: bytes, source: str) -> RecordWebhook:
        outcome = WebhookOutcome.RECEIVED
        if subject is None:
            outcome = WebhookOutcome.REFUSED_TOKEN
        elif not self._is_allowed(remote_address):
            outcome = WebhookOutcome.REFUSED_SOURCE
        kind, kept = (RecordStrayWebhook, body[:_STRAY_BYTES]) if subject is None else (RecordWebhook, body)
        return kind(
            webhook_id=WebhookId(self._ids.new()),
            subject_id=subject,
            remote_address=remote_address,
            body=kept,
            outcome=outcome,
            source=source,
        )

    async def _take(self, record: RecordWebhook, apply: ApplyWebhook | ApplyResult | None) -> None:
        if record.outcome is not WebhookOutcome.RECEIVED or apply is None:
            await self._executor.execute(record)
            raise CallbackRefused
        stored = self._executor.enqueue(record)
        applied = self._executor.enqueue(apply)
        _, fault = await asyncio.gather(stored, _outcome_of(applied))
        if fault is not None:
            self._log.error("a stored callback could not be applied yet: %s", type(fault).__name__)
        self._applied()

    def _is_allowed(self, remote_address: str) -> bool:
        try:
            address = ip_address(remote_address)
        except ValueError:
            return False
        return any(address in network for network in self._allowed_sources)


def read(body: bytes) -> StkCallback | None:
    """The callback in a stored body, None when it is not one."""
    try:
        return parse_stk_callback(body)
    except UnreadableCallback:
        return None


async def _outcome_of(applied: asyncio.Future[WebhookOutcome]) -> Exception | None:
    try:
        await applied
    except Exception as fault:  # noqa: BLE001  (the message is stored; whatever this is, the worker tries again)
        return fault
    return None
