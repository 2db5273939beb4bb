"""What happens to a payout by M-Pesa: the intent, the licence to send it or to ask, and the answers to our calls.

Its Result, and the answer to a question about it, come as messages: see `results`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from penpay.application.payments.payout_subjects import PayoutSubject, RefundBooks, subject_of
from penpay.application.payments.policy import (
    DISBURSEMENT_REFUSED_AFTER,
    DISBURSEMENT_UNRESOLVED_AFTER,
    SEND_BACKOFF_SECONDS,
    STATUS_BACKOFF_SECONDS,
    TRIES_BEFORE_GIVING_UP,
    PaymentsPolicy,
    backoff,
)
from penpay.application.payments.rows import (
    MPESA_DISBURSEMENTS,
    REFUNDS_OF_DISBURSEMENTS,
    SUBJECTS_OF_DISBURSEMENTS,
    TRANSACTIONS,
    ReviewReason,
)
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings, withdrawal_postings
from penpay.domain.mpesa.gateway import CallAnswer, CallOutcome
from penpay.domain.payments.evidence import EvidenceState, MpesaDisbursement, Purpose
from penpay.domain.payments.transaction import Transaction, TransactionStatus
from penpay.domain.shared.errors import NotFound, WithdrawalsUnavailable
from penpay.domain.shared.ids import MpesaDisbursementId, TransactionId
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber

ACTOR: Final = "worker:mpesa_disbursement"
UNHEARD_OF: Final = "unheard_of"
"""Our word for a payout that M-Pesa, asked by our id, does not know: it may be sent again under the same id."""


def intend_payout(  # what a payout is, and what it does to its transaction
    work: Work,
    transaction: Transaction,
    purpose: Purpose,
    *,
    phone: PhoneNumber,
    policy: PaymentsPolicy,
    event: str,
    status: TransactionStatus,
) -> Transaction:
    """Record the intent to pay the transaction's shillings to a phone, in the commit that takes them off the wallet.

    The footprint is `payout_footprint` and the transaction. Raises WithdrawalsUnavailable without a payout account.
    """
    disbursement = new_payout(work, purpose, transaction.id, amount=transaction.quote.kes, phone=phone, policy=policy)
    withdrawal_postings.payout_intended(
        work,
        user=transaction.user_id,
        transaction=transaction.id,
        reference=str(disbursement.id),
        amount=disbursement.amount,
    )
    work.add(MPESA_DISBURSEMENTS, disbursement.id, disbursement)
    after, moved = transaction.moved(event, status, work.now, mpesa_disbursement_id=str(disbursement.id))
    work.put(TRANSACTIONS, after.id, after)
    work.record(moved)
    work.audit(ACTOR, "mpesa_disbursement.intended", "mpesa_disbursement", disbursement.id, purpose=purpose.value)
    return after


def new_payout(
    work: Work,
    purpose: Purpose,
    subject_id: TransactionId,
    *,
    amount: Money,
    phone: PhoneNumber,
    policy: PaymentsPolicy,
) -> MpesaDisbursement:
    """A payout nobody has sent yet, with the id under which M-Pesa pays it once.

    Raises WithdrawalsUnavailable without a payout account.
    """
    if policy.payouts is None:
        raise WithdrawalsUnavailable
    disbursement_id = MpesaDisbursementId(work.ids.new())
    return MpesaDisbursement(
        id=disbursement_id,
        purpose=purpose,
        subject_id=subject_id,
        state=EvidenceState.INTENDED,
        amount=amount,
        due_at=work.now,
        created_at=work.now,
        originator_conversation_id=f"{policy.payouts.short_code}-{disbursement_id}",
        phone=phone,
    )


async def disbursements_footprint(
    disbursements: Collection[MpesaDisbursementId], find: Find, refunds: RefundBooks
) -> Footprint:
    """The payouts, what they are for, and every account and journal that a verdict about them can touch."""
    footprint = Footprint().add(MPESA_DISBURSEMENTS, *disbursements)
    for disbursement_id, subject in (await find(SUBJECTS_OF_DISBURSEMENTS, disbursements)).items():
        footprint.add(TRANSACTIONS, subject.transaction_id)
        withdrawal_postings.payout_footprint(footprint, subject.user_id)
        journals = (
            withdrawal_postings.PAYOUT_INTENDED,
            withdrawal_postings.MPESA_CHARGE,
            withdrawal_postings.RECOVERY_CLAIMED,
        )
        postings.journal_footprint(footprint, *((kind, str(disbursement_id)) for kind in journals))
    refunded = await find(REFUNDS_OF_DISBURSEMENTS, disbursements)
    if refunded:
        footprint.merge(await refunds.footprint(set(refunded.values()), find))
        withdrawal_postings.refund_payout_footprint(footprint, *map(str, refunded))
    return footprint


def disbursement_and_subject(
    work: Work, disbursement_id: MpesaDisbursementId, refunds: RefundBooks
) -> tuple[MpesaDisbursement, PayoutSubject]:
    """The payout and what it is for; raises NotFound."""
    disbursement = work.get(MPESA_DISBURSEMENTS, disbursement_id)
    if disbursement is None:
        raise NotFound
    return disbursement, subject_of(work, disbursement, refunds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMpesaDisbursement:
    """Take the licence to act on a payout that is due: to send it, or to ask about it."""

    disbursement_id: MpesaDisbursementId


class ClaimMpesaDisbursementHandler:
    def __init__(self, lease: timedelta) -> None:
        self._lease = lease

    async def footprint(self, commands: Sequence[ClaimMpesaDisbursement], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(MPESA_DISBURSEMENTS, *(command.disbursement_id for command in commands))

    def handle(self, command: ClaimMpesaDisbursement, work: Work) -> MpesaDisbursement:
        """The claimed payout, with a question of its own where it is to be asked about. Raises LostLicence."""
        disbursement = work.get(MPESA_DISBURSEMENTS, command.disbursement_id)
        if disbursement is None:
            raise NotFound
        claimed = disbursement.claimed(work.now, self._lease)
        if not is_to_be_sent(claimed):
            claimed = replace(claimed, question_id=work.ids.new())
        work.put(MPESA_DISBURSEMENTS, claimed.id, claimed)
        work.audit(ACTOR, "mpesa_disbursement.claimed", "mpesa_disbursement", claimed.id, state=claimed.state.value)
        return claimed


def is_to_be_sent(claimed: MpesaDisbursement) -> bool:
    """Whether its claim is the licence to send it: for the first time, or again under the id M-Pesa does not know."""
    return claimed.state is EvidenceState.SENDING or (
        claimed.state is EvidenceState.UNKNOWN and claimed.code == UNHEARD_OF
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDisbursementAnswer:
    """What M-Pesa answered to the payout sent under this fence."""

    disbursement_id: MpesaDisbursementId
    fence: int
    answer: CallAnswer


class RecordDisbursementAnswerHandler:
    def __init__(self, policy: PaymentsPolicy, refunds: RefundBooks) -> None:
        self._policy = policy
        self._refunds = refunds

    async def footprint(self, commands: Sequence[RecordDisbursementAnswer], find: Find) -> Footprint:
        return await disbursements_footprint({command.disbursement_id for command in commands}, find, self._refunds)

    def handle(self, command: RecordDisbursementAnswer, work: Work) -> None:
        """Record the answer; one that comes after the Result changes nothing. Raises LostLicence.

        A refusal is final only for what was sent once: of what was sent before, it says nothing.
        """
        disbursement, subject = disbursement_and_subject(work, command.disbursement_id, self._refunds)
        disbursement.check_fence(command.fence)
        answer, now = command.answer, work.now
        work.audit(
            ACTOR,
            "mpesa_disbursement.answered",
            "mpesa_disbursement",
            disbursement.id,
            outcome=answer.outcome.value,
            code=answer.code,
        )
        disbursement = replace(disbursement, conversation_id=answer.conversation_id or disbursement.conversation_id)
        if disbursement.state is EvidenceState.UNKNOWN:
            self._sent_again(disbursement, answer, work)
        elif disbursement.state is not EvidenceState.SENDING:
            # The Result was faster: what it told stands, and our question is due as it left it.
            work.put(MPESA_DISBURSEMENTS, disbursement.id, _freed(disbursement))
        elif answer.outcome is CallOutcome.FAILED or (
            _never_left(answer) and _was_tried_long_enough(disbursement, now)
        ):
            fail_payout(work, disbursement, subject, answer.code)
        elif _never_left(answer):
            due_at = now + backoff(SEND_BACKOFF_SECONDS, disbursement.fence, answer.retry_after_ms)
            waiting = disbursement.moved(EvidenceState.INTENDED, now, due_at=due_at, code=answer.code)
            work.put(MPESA_DISBURSEMENTS, waiting.id, waiting)
        else:
            accepted = answer.outcome is CallOutcome.ACCEPTED
            state = EvidenceState.ACCEPTED if accepted else EvidenceState.UNKNOWN
            due_at = now + first_status_after(self._policy)
            work.put(
                MPESA_DISBURSEMENTS,
                disbursement.id,
                disbursement.moved(state, now, due_at=due_at, code=answer.code),
            )

    def _sent_again(self, disbursement: MpesaDisbursement, answer: CallAnswer, work: Work) -> None:
        accepted = answer.outcome is CallOutcome.ACCEPTED
        state = EvidenceState.ACCEPTED if accepted else EvidenceState.UNKNOWN
        due_at = work.now + first_status_after(self._policy)
        code = answer.code or "no_code"
        work.put(MPESA_DISBURSEMENTS, disbursement.id, disbursement.moved(state, work.now, due_at=due_at, code=code))


def _never_left(answer: CallAnswer) -> bool:
    return answer.outcome in {CallOutcome.RETRY_LATER, CallOutcome.MISCONFIGURED}


def _was_tried_long_enough(disbursement: MpesaDisbursement, now: datetime) -> bool:
    tried = disbursement.fence >= TRIES_BEFORE_GIVING_UP
    return tried and now - disbursement.created_at >= DISBURSEMENT_REFUSED_AFTER


def _freed(disbursement: MpesaDisbursement) -> MpesaDisbursement:
    return replace(disbursement, lease_until=None, version=disbursement.version + 1)


def first_status_after(policy: PaymentsPolicy) -> timedelta:
    """How long a Result is waited for before M-Pesa is asked."""
    return timedelta(0) if policy.payouts is None else policy.payouts.first_status_after


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStatusAsked:
    """How M-Pesa took our question about a payout, asked under this fence; what it says comes as a message."""

    disbursement_id: MpesaDisbursementId
    fence: int
    answer: CallAnswer


class RecordStatusAskedHandler:
    def __init__(self, refunds: RefundBooks) -> None:
        self._refunds = refunds

    async def footprint(self, commands: Sequence[RecordStatusAsked], find: Find) -> Footprint:
        return await disbursements_footprint({command.disbursement_id for command in commands}, find, self._refunds)

    def handle(self, command: RecordStatusAsked, work: Work) -> None:
        """Wait for the message, and ask again when it does not come. Raises LostLicence."""
        disbursement, subject = disbursement_and_subject(work, command.disbursement_id, self._refunds)
        disbursement.check_fence(command.fence)
        answer = command.answer
        work.audit(
            ACTOR,
            "mpesa_disbursement.asked",
            "mpesa_disbursement",
            disbursement.id,
            outcome=answer.outcome.value,
            code=answer.code,
        )
        if disbursement.due_at is None:  # the message was faster
            work.put(MPESA_DISBURSEMENTS, disbursement.id, _freed(disbursement))
            return
        ask_again(work, disbursement, subject, answer.retry_after_ms)


def ask_again(
    work: Work, disbursement: MpesaDisbursement, subject: PayoutSubject, retry_after_ms: int | None = None
) -> None:
    """Ask about it later, until it is for people; so is a payout that nothing but a Result has confirmed."""
    now = work.now
    asked_enough = disbursement.attempts >= TRIES_BEFORE_GIVING_UP
    if asked_enough and now - disbursement.created_at >= DISBURSEMENT_UNRESOLVED_AFTER:
        if disbursement.state is not EvidenceState.FAILED and disbursement.verified_at is None:
            subject.question(
                work,
                disbursement,
                ReviewReason.DISBURSEMENT_UNRESOLVED,
                disbursement.amount,
                code=disbursement.told_code or disbursement.code,
                mpesa_disbursement_id=str(disbursement.id),
            )
        work.put(MPESA_DISBURSEMENTS, disbursement.id, disbursement.moved(disbursement.state, now, due_at=None))
        return
    due_at = now + backoff(STATUS_BACKOFF_SECONDS, disbursement.attempts, retry_after_ms)
    work.put(MPESA_DISBURSEMENTS, disbursement.id, disbursement.moved(disbursement.state, now, due_at=due_at))


def complete_payout(
    work: Work,
    disbursement: MpesaDisbursement,
    subject: PayoutSubject,
    *,
    happened_at: datetime,
    due_at: datetime | None,
    recovered_by: str | None = None,
) -> None:
    """M-Pesa has paid the phone: clear what was in flight and end what it was for; our question follows at `due_at`."""
    confirmed = disbursement.moved(EvidenceState.CONFIRMED, work.now, due_at=due_at)
    work.put(MPESA_DISBURSEMENTS, confirmed.id, confirmed)
    subject.confirmed(work, confirmed, happened_at=happened_at, recovered_by=recovered_by)


def fail_payout(work: Work, disbursement: MpesaDisbursement, subject: PayoutSubject, code: str | None) -> None:
    """M-Pesa paid nothing and will not: the shillings are where they were before."""
    failed = disbursement.moved(EvidenceState.FAILED, work.now, due_at=None, code=code)
    work.put(MPESA_DISBURSEMENTS, failed.id, failed)
    subject.failed(work, failed, code)


def refute_payout(work: Work, disbursement: MpesaDisbursement, subject: PayoutSubject, code: str) -> None:
    """People have seen that M-Pesa never paid what its Result alone confirmed. Raises IllegalMove unless unproven."""
    refuted = disbursement.refuted(work.now, code)
    work.put(MPESA_DISBURSEMENTS, refuted.id, refuted)
    subject.refuted(work, refuted, code)
