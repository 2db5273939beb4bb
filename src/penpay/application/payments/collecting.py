"""What happens to an STK push: the licence to send it, its answer, and the answers to our questions about it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from penpay.application.payments.policy import (
    PAYMENT_UNRESOLVED_AFTER,
    QUERY_BACKOFF_SECONDS,
    SEND_BACKOFF_SECONDS,
    TRIES_BEFORE_GIVING_UP,
    PaymentsPolicy,
    backoff,
)
from penpay.application.payments.reviewing import open_review
from penpay.application.payments.rows import (
    MPESA_REQUESTS,
    REQUESTS_BY_CHECKOUT,
    REQUESTS_BY_RECEIPT,
    SUBJECTS_OF_REQUESTS,
    TRANSACTIONS,
    ReviewReason,
    Subject,
)
from penpay.application.shared.push_ids import OTHER_OWNERS, may_be_anothers
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings
from penpay.domain.mpesa.gateway import PaymentAnswer, PaymentOutcome, PushAnswer, PushOutcome
from penpay.domain.payments.evidence import EvidenceState, MpesaRequest
from penpay.domain.payments.transaction import Transaction, TransactionStatus
from penpay.domain.shared.errors import LostLicence, NotFound
from penpay.domain.shared.ids import MpesaRequestId
from penpay.domain.shared.money import Currency, Money

_ACTOR = "worker:deposit"
RATE_EXPIRED = "rate_expired"


async def requests_footprint(requests: Collection[MpesaRequestId], find: Find) -> Footprint:
    """The pushes, their transactions, and every account and journal that a verdict about them can touch."""
    footprint = Footprint().add(MPESA_REQUESTS, *requests)
    for request_id, subject in (await find(SUBJECTS_OF_REQUESTS, requests)).items():
        footprint.add(TRANSACTIONS, subject.transaction_id)
        postings.deposit_footprint(footprint, subject.user_id)
        postings.journal_footprint(footprint, (postings.DEPOSIT_PAID, str(request_id)))
    return footprint


def request_and_transaction(work: Work, request_id: MpesaRequestId) -> tuple[MpesaRequest, Transaction, Subject]:
    """The push, the deposit it is for and whose that is; raises NotFound."""
    request = work.get(MPESA_REQUESTS, request_id)
    subject = work.found(SUBJECTS_OF_REQUESTS, request_id)
    if request is None or subject is None:
        raise NotFound
    transaction = work.get(TRANSACTIONS, subject.transaction_id)
    if transaction is None:
        raise NotFound
    return request, transaction, subject


def fail_deposit(work: Work, transaction: Transaction, failure_code: str, **facts: str) -> None:
    """The payer was not charged; ends the transaction unless people are looking at it or it has ended."""
    if transaction.is_terminal or transaction.status is TransactionStatus.IN_REVIEW:
        return
    after, event = transaction.moved(
        "TransactionFailed", TransactionStatus.FAILED, work.now, failure_code=failure_code, **facts
    )
    work.put(TRANSACTIONS, after.id, after)
    work.record(event)


def book_payment(
    work: Work,
    request: MpesaRequest,
    transaction: Transaction,
    subject: Subject,
    *,
    event: str,
    happened_at: datetime,
    **facts: str | None,
) -> None:
    """The payer's money is here: post it to the wallet and say so; what follows hangs on the event.

    Money that comes while people are deciding about the deposit stays in the wallet, under a review of its own.
    """
    postings.deposit_paid(
        work,
        user=subject.user_id,
        transaction=transaction.id,
        reference=str(request.id),
        amount=request.amount,
        happened_at=happened_at,
    )
    with_people = transaction.status is TransactionStatus.IN_REVIEW
    status = TransactionStatus.IN_REVIEW if with_people else TransactionStatus.VERIFYING_MPESA_PAYMENT
    after, moved = transaction.moved(event, status, work.now, user_id=str(subject.user_id), **facts)
    work.put(TRANSACTIONS, after.id, after)
    work.record(moved)
    if with_people:
        open_review(work, after, ReviewReason.CONFIRMED_LATE, request.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMpesaRequest:
    """Take the licence to act on a push that is due: to send it, or to ask about it."""

    request_id: MpesaRequestId


class ClaimMpesaRequestHandler:
    def __init__(self, lease: timedelta) -> None:
        self._lease = lease

    async def footprint(self, commands: Sequence[ClaimMpesaRequest], find: Find) -> Footprint:
        return await requests_footprint({command.request_id for command in commands}, find)

    def handle(self, command: ClaimMpesaRequest, work: Work) -> MpesaRequest | None:
        """The claimed push, or None when its rate expired before a prompt was sent. Raises LostLicence."""
        request, transaction, _ = request_and_transaction(work, command.request_id)
        if (
            request.state is EvidenceState.INTENDED
            and transaction.rate.is_expired(work.now)
            and request.is_due(work.now)
        ):
            failed = request.moved(EvidenceState.FAILED, work.now, due_at=None, code=RATE_EXPIRED)
            work.put(MPESA_REQUESTS, request.id, failed)
            fail_deposit(work, transaction, RATE_EXPIRED)
            work.audit(_ACTOR, "mpesa_request.expired", "mpesa_request", request.id)
            return None
        claimed = request.claimed(work.now, self._lease)
        work.put(MPESA_REQUESTS, request.id, claimed)
        work.audit(_ACTOR, "mpesa_request.claimed", "mpesa_request", request.id, state=claimed.state.value)
        return claimed


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPushAnswer:
    """What M-Pesa answered to the push sent under this fence."""

    request_id: MpesaRequestId
    fence: int
    answer: PushAnswer


class RecordPushAnswerHandler:
    def __init__(self, policy: PaymentsPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[RecordPushAnswer], find: Find) -> Footprint:
        told = {command.answer.checkout_request_id for command in commands}
        await find(REQUESTS_BY_CHECKOUT, {checkout for checkout in told if checkout is not None})
        return await requests_footprint({command.request_id for command in commands}, find)

    def handle(self, command: RecordPushAnswer, work: Work) -> bool:
        """Record the answer; one that comes after the callback only adds ids, as does one from a lapsed licence.

        False when another push, which a callback gave our CheckoutRequestID, had to give it up first: record it again.
        """
        request, transaction, _ = request_and_transaction(work, command.request_id)
        answer = command.answer
        if _taken_back(work, request, answer.checkout_request_id):
            return False
        if command.fence != request.fence:
            self._too_late(request, answer, work)
        else:
            self._record(request, transaction, answer, work)
        return True

    def _record(self, request: MpesaRequest, transaction: Transaction, answer: PushAnswer, work: Work) -> None:
        work.audit(
            _ACTOR,
            "mpesa_request.answered",
            "mpesa_request",
            request.id,
            outcome=answer.outcome.value,
            code=answer.code,
        )
        request = request.identified(answer.checkout_request_id, answer.merchant_request_id)
        if request.state is not EvidenceState.SENDING:
            self._after_the_callback(request, transaction, answer, work)
            return
        state, due_at = self._next(request, answer, work.now)
        work.put(MPESA_REQUESTS, request.id, request.moved(state, work.now, due_at=due_at, code=answer.code))
        if state is EvidenceState.FAILED:
            fail_deposit(work, transaction, failure_code(answer.code))
        elif state is not EvidenceState.INTENDED and transaction.status is TransactionStatus.PROCESSING:
            name = "MpesaPromptAccepted" if state is EvidenceState.ACCEPTED else "MpesaPromptUnanswered"
            after, event = transaction.moved(name, TransactionStatus.AWAITING_MPESA_CALLBACK, work.now)
            work.put(TRANSACTIONS, after.id, after)
            work.record(event)

    def _next(self, request: MpesaRequest, answer: PushAnswer, now: datetime) -> tuple[EvidenceState, datetime | None]:
        if answer.outcome is PushOutcome.ACCEPTED:
            return EvidenceState.ACCEPTED, now + self._policy.first_query_after
        if answer.outcome is PushOutcome.FAILED:
            return EvidenceState.FAILED, None
        if answer.outcome is PushOutcome.NOT_SENT:
            return EvidenceState.INTENDED, now + backoff(SEND_BACKOFF_SECONDS, request.fence, answer.retry_after_ms)
        # Without a CheckoutRequestID there is nothing to ask by: a callback or other evidence may come for two days.
        wait = self._policy.first_query_after if request.checkout_request_id else PAYMENT_UNRESOLVED_AFTER
        return EvidenceState.UNKNOWN, now + wait

    def _too_late(self, request: MpesaRequest, answer: PushAnswer, work: Work) -> None:
        """The lease had lapsed. What the sender decides no longer counts, but the id is what we can ask by."""
        if request.is_identified or answer.checkout_request_id is None:
            raise LostLicence
        learned = request.identified(answer.checkout_request_id, answer.merchant_request_id)
        due_at = request.due_at and min(request.due_at, work.now + self._policy.first_query_after)
        work.put(MPESA_REQUESTS, request.id, replace(learned, due_at=due_at, version=request.version + 1))
        work.audit(_ACTOR, "mpesa_request.identified", "mpesa_request", request.id)

    @staticmethod
    def _after_the_callback(request: MpesaRequest, transaction: Transaction, answer: PushAnswer, work: Work) -> None:
        """The callback was faster: its verdict stands, and a refusal that contradicts a payment is for people."""
        if answer.outcome is PushOutcome.FAILED and request.state is EvidenceState.CONFIRMED:
            open_review(work, transaction, ReviewReason.CONTRADICTION, booked_amount(request), code=answer.code)
        work.put(MPESA_REQUESTS, request.id, replace(request, version=request.version + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPaymentAnswer:
    """What M-Pesa answered to our question about a push, asked under this fence."""

    request_id: MpesaRequestId
    fence: int
    answer: PaymentAnswer
    heard_id: str | None = None
    """The CheckoutRequestID that was asked by, where only a callback has told it: it may be another push's."""

    @property
    def doubted_id(self) -> str | None:
        """`heard_id`, where the answer decides something if the id is this push's."""
        return self.heard_id if self.answer.decides else None


class RecordPaymentAnswerHandler:
    async def footprint(self, commands: Sequence[RecordPaymentAnswer], find: Find) -> Footprint:
        if doubtful := {(command.request_id, command.doubted_id) for command in commands if command.doubted_id}:
            await find(OTHER_OWNERS, doubtful)
        if told := {command.answer.receipt for command in commands if command.answer.receipt is not None}:
            await find(REQUESTS_BY_RECEIPT, told)
        return await requests_footprint({command.request_id for command in commands}, find)

    def handle(self, command: RecordPaymentAnswer, work: Work) -> bool:
        """Move on what the answer decides; ask again later where it decides nothing. Raises LostLicence.

        False, and nothing is recorded, when the answer may be about another push of ours: record what M-Pesa tells of
        this push's own reference instead.
        """
        request, transaction, subject = request_and_transaction(work, command.request_id)
        request.check_fence(command.fence)
        answer = command.answer
        if command.doubted_id is not None:
            if may_be_anothers(work, request, command.doubted_id):
                return False
            request = request.identified(command.doubted_id, request.merchant_request_id)
        if answer.receipt is not None and work.found(REQUESTS_BY_RECEIPT, answer.receipt) in {None, request.id}:
            request = replace(request, receipt=answer.receipt)
        work.audit(
            _ACTOR, "mpesa_request.asked", "mpesa_request", request.id, outcome=answer.outcome.value, code=answer.code
        )
        if answer.outcome is PaymentOutcome.PAID:
            self._paid(request, transaction, subject, work)
        elif answer.outcome is PaymentOutcome.FAILED:
            self._not_paid(request, transaction, answer, work)
        else:
            self._ask_again(request, transaction, answer, work)
        return True

    @staticmethod
    def _paid(request: MpesaRequest, transaction: Transaction, subject: Subject, work: Work) -> None:
        now = work.now
        verified = replace(request, verified_at=now)
        if request.is_disputed or request.state is EvidenceState.FAILED:
            # What was paid is what we asked for: that push is what M-Pesa confirms, whatever a callback tells of it.
            postings.payment_unmatched(
                work, transaction=transaction.id, reference=str(request.id), amount=request.amount, happened_at=now
            )
            reason = (
                ReviewReason.CONTRADICTION
                if request.state is EvidenceState.FAILED
                else ReviewReason.AMOUNT_OR_PHONE_MISMATCH
            )
            open_review(work, transaction, reason, request.amount, told_cents=request.disputed_cents)
            state = request.state if request.is_final else EvidenceState.CONFIRMED
            told = replace(verified, disputed_cents=request.disputed_cents or request.amount.cents)
            work.put(MPESA_REQUESTS, request.id, told.moved(state, now, due_at=None))
        elif request.state is EvidenceState.CONFIRMED:
            work.put(MPESA_REQUESTS, request.id, verified.moved(request.state, now, due_at=None))
            after, event = transaction.moved(
                "MpesaPaymentVerified", transaction.status, now, user_id=str(subject.user_id)
            )
            work.put(TRANSACTIONS, after.id, after)
            work.record(event)
        else:
            work.put(MPESA_REQUESTS, request.id, verified.moved(EvidenceState.CONFIRMED, now, due_at=None))
            # Nothing has told of the payment before, so a receipt is there only if M-Pesa's list has named it now.
            known = {} if request.receipt is None else {"receipt": request.receipt}
            book_payment(
                work,
                request,
                transaction,
                subject,
                event="MpesaPaymentVerified",
                happened_at=now,
                recovered_by="pull" if known else "stk_query",
                **known,
            )

    @staticmethod
    def _not_paid(request: MpesaRequest, transaction: Transaction, answer: PaymentAnswer, work: Work) -> None:
        now = work.now
        nothing = Money.zero(Currency.KES)
        if request.state is EvidenceState.CONFIRMED:
            postings.deposit_payment_refuted(work, reference=str(request.id))
            open_review(work, transaction, ReviewReason.PAYMENT_REFUTED, nothing, code=answer.code)
            refuted = replace(request, disputed_cents=request.amount.cents)
            work.put(MPESA_REQUESTS, request.id, refuted.moved(request.state, now, due_at=None, code=answer.code))
            return
        if request.is_disputed:
            open_review(
                work,
                transaction,
                ReviewReason.AMOUNT_OR_PHONE_MISMATCH,
                nothing,
                told_cents=request.disputed_cents,
                asked_cents=request.amount.cents,
            )
        else:
            fail_deposit(work, transaction, failure_code(answer.code), recovered_by="stk_query")
        state = EvidenceState.FAILED
        work.put(MPESA_REQUESTS, request.id, request.moved(state, now, due_at=None, code=answer.code))

    @staticmethod
    def _ask_again(request: MpesaRequest, transaction: Transaction, answer: PaymentAnswer, work: Work) -> None:
        now = work.now
        asked = request.checkout_request_id is None or request.attempts >= TRIES_BEFORE_GIVING_UP
        if asked and now - request.created_at >= PAYMENT_UNRESOLVED_AFTER:
            open_review(work, transaction, ReviewReason.PAYMENT_UNRESOLVED, booked_amount(request), code=answer.code)
            work.put(MPESA_REQUESTS, request.id, request.moved(request.state, now, due_at=None, code=answer.code))
            return
        if request.checkout_request_id is None:  # nothing to ask by: a callback or other evidence may still come
            due_at = request.created_at + PAYMENT_UNRESOLVED_AFTER
        else:
            due_at = now + backoff(QUERY_BACKOFF_SECONDS, request.attempts, answer.retry_after_ms)
        work.put(MPESA_REQUESTS, request.id, request.moved(request.state, now, due_at=due_at, code=answer.code))


def _taken_back(work: Work, request: MpesaRequest, checkout_request_id: str | None) -> bool:
    """Whether another push went by the id that our own call was answered for this one; it does no longer."""
    if checkout_request_id is None:
        return False
    owner = work.found(REQUESTS_BY_CHECKOUT, checkout_request_id)
    other = None if owner in {None, request.id} else work.get(MPESA_REQUESTS, owner)
    if other is None or other.checkout_request_id != checkout_request_id:
        return False
    # A commit of its own: in one statement the unique key may meet the new owner before the old one has let go.
    work.put(MPESA_REQUESTS, other.id, replace(other, checkout_request_id=None, version=other.version + 1))
    work.audit(_ACTOR, "mpesa_request.id_taken_back", "mpesa_request", other.id, owner=str(request.id))
    return True


def booked_amount(request: MpesaRequest) -> Money:
    """What the books hold for this push, on the wallet or in suspense: its amount, or nothing."""
    in_suspense = request.is_disputed and request.verified_at is not None
    in_wallet = request.state is EvidenceState.CONFIRMED and not request.is_disputed
    return request.amount if in_wallet or in_suspense else Money.zero(Currency.KES)


def failure_code(code: str | None) -> str:
    """The word users get for a Daraja code (daraja.md §2.3)."""
    words = {
        "1": "insufficient_funds",
        "2": "below_minimum",
        "3": "above_maximum",
        "4": "daily_limit",
        "8": "balance_limit",
        "17": "repeated_too_soon",
        "1019": "prompt_expired",
        "1032": "cancelled_by_user",
        "1037": "no_response",
        "2001": "wrong_pin",
        "8006": "pin_locked",
    }
    return words.get(code or "", "mpesa_refused")
