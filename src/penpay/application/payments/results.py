"""What M-Pesa posts about payouts: Results, answers to our questions, and notices that a call waited too long.

As for pushes, each is stored raw and then applied, in two commands. What a payout's own Result says moves money inside
our books only; what lets money leave again, a failure, is decided by the answer to our own question. That answer comes
as a message too: under a token that is made for one question, told to nobody but M-Pesa, and good while it is out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from penpay.application.payments.disbursing import (
    ACTOR,
    UNHEARD_OF,
    ask_again,
    complete_payout,
    disbursement_and_subject,
    disbursements_footprint,
    fail_payout,
    first_status_after,
)
from penpay.application.payments.payout_subjects import PayoutSubject, RefundBooks
from penpay.application.payments.policy import PaymentsPolicy
from penpay.application.payments.rows import (
    DISBURSEMENTS_BY_QUESTION,
    DISBURSEMENTS_BY_RECEIPT,
    MPESA_DISBURSEMENTS,
    ReviewReason,
)
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.shared.webhooks import WEBHOOKS, WebhookOutcome
from penpay.application.wallet import withdrawal_postings
from penpay.domain.mpesa.b2c_result import B2cResult, parse_b2c_result
from penpay.domain.mpesa.fields import fee_of
from penpay.domain.mpesa.gateway import PaymentOutcome
from penpay.domain.mpesa.queue_timeout import parse_queue_timeout
from penpay.domain.mpesa.status_result import StatusResult, parse_status_result
from penpay.domain.mpesa.verdicts_results import ResultOutcome
from penpay.domain.mpesa.wire import UnreadableMessage
from penpay.domain.payments.evidence import EvidenceState, MpesaDisbursement
from penpay.domain.shared.ids import MpesaDisbursementId, WebhookId
from penpay.domain.shared.money import Currency, Money

PAYOUT_SOURCE: Final = "daraja_b2c"
STATUS_SOURCE: Final = "daraja_status"
TIMEOUT_SOURCE: Final = "daraja_timeout"
"""What a stored message is, and what its path token is bound to."""
_UNKNOWN_RECEIPT: Final = "2032"
"""The answer to a question about what M-Pesa does not know (daraja.md §5.1)."""

Message = B2cResult | StatusResult | None
"""What a message says; None when it cannot be read, or says nothing but that it waited."""


def read_message(source: str, body: bytes) -> Message:
    """What a stored message says; None when it cannot be read. A notice of a time-out says nothing."""
    try:
        if source == PAYOUT_SOURCE:
            return parse_b2c_result(body)
        if source == STATUS_SOURCE:
            return parse_status_result(body)
        parse_queue_timeout(body)
    except UnreadableMessage:
        return None
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyResult:
    """Let a stored message do what it says, as far as it may. Applying it again changes nothing."""

    webhook_id: WebhookId
    source: str
    subject_id: UUID
    """The payout; for an answer to a question, that question."""
    message: Message


class ApplyResultHandler:
    def __init__(self, policy: PaymentsPolicy, refunds: RefundBooks) -> None:
        self._policy = policy
        self._refunds = refunds

    async def footprint(self, commands: Sequence[ApplyResult], find: Find) -> Footprint:
        questions = {command.subject_id for command in commands if command.source == STATUS_SOURCE}
        asked = await find(DISBURSEMENTS_BY_QUESTION, questions)
        receipts = {told for told in (_receipt(command.message) for command in commands) if told is not None}
        await find(DISBURSEMENTS_BY_RECEIPT, receipts)
        others = {MpesaDisbursementId(c.subject_id) for c in commands if c.source != STATUS_SOURCE}
        footprint = await disbursements_footprint({*asked.values(), *others}, find, self._refunds)
        return footprint.add(WEBHOOKS, *(command.webhook_id for command in commands))

    def handle(self, command: ApplyResult, work: Work) -> WebhookOutcome:
        """Apply it once and say what became of it."""
        webhook = work.get(WEBHOOKS, command.webhook_id)
        if webhook is None or webhook.outcome is not WebhookOutcome.RECEIVED:
            return webhook.outcome if webhook else WebhookOutcome.UNKNOWN_SUBJECT
        outcome = self._outcome(command, work)
        work.put(WEBHOOKS, webhook.id, replace(webhook, outcome=outcome, due_at=None, version=webhook.version + 1))
        work.audit("mpesa", "webhook.applied", "webhook", webhook.id, outcome=outcome.value)
        return outcome

    def _outcome(self, command: ApplyResult, work: Work) -> WebhookOutcome:
        answered = command.source == STATUS_SOURCE
        payout = (
            work.found(DISBURSEMENTS_BY_QUESTION, command.subject_id)
            if answered
            else MpesaDisbursementId(command.subject_id)
        )
        if payout is None or work.get(MPESA_DISBURSEMENTS, payout) is None:
            # For a question: another one has been asked since.
            return WebhookOutcome.REPEATED if answered else WebhookOutcome.UNKNOWN_SUBJECT
        disbursement, subject = disbursement_and_subject(work, payout, self._refunds)
        message = command.message
        if isinstance(message, StatusResult):
            if disbursement.question_id != command.subject_id:
                return WebhookOutcome.REPEATED
            return self._answered(disbursement, subject, message, work)
        if isinstance(message, B2cResult):
            return self._told(disbursement, subject, message, work)
        if command.source == TIMEOUT_SOURCE:
            _ask_now(work, disbursement)
            return WebhookOutcome.APPLIED
        return WebhookOutcome.UNREADABLE

    # -- the Result of a payout

    def _told(
        self, disbursement: MpesaDisbursement, subject: PayoutSubject, told: B2cResult, work: Work
    ) -> WebhookOutcome:
        named = told.result.originator_conversation_id
        if named not in {None, disbursement.originator_conversation_id}:
            return WebhookOutcome.CONTRADICTS
        code, succeeded = told.result.result_code, told.outcome is ResultOutcome.SUCCEEDED
        fits = succeeded and _fits(disbursement, told.receipt, told.amount.money, work)
        if disbursement.state is EvidenceState.CONFIRMED and fits:
            return WebhookOutcome.REPEATED
        if disbursement.told_code == code and disbursement.is_final:
            return WebhookOutcome.REPEATED
        disbursement = replace(disbursement, told_code=code)
        sent = disbursement.state in {EvidenceState.SENDING, EvidenceState.ACCEPTED, EvidenceState.UNKNOWN}
        if sent and fits:
            complete_payout(
                work,
                replace(disbursement, receipt=told.receipt),
                subject,
                happened_at=min(told.completed_at or work.now, work.now),
                due_at=work.now + first_status_after(self._policy),
            )
            return WebhookOutcome.APPLIED
        # A failure, an odd success, or one that contradicts what is final: our own question decides.
        _ask_now(work, disbursement)
        return WebhookOutcome.APPLIED

    # -- the answer to our question

    def _answered(
        self, disbursement: MpesaDisbursement, subject: PayoutSubject, answer: StatusResult, work: Work
    ) -> WebhookOutcome:
        named = answer.originator_conversation_id
        other = named not in {None, disbursement.originator_conversation_id}
        work.audit(
            ACTOR,
            "mpesa_disbursement.status",
            "mpesa_disbursement",
            disbursement.id,
            payment=answer.payment.value,
            code=answer.result.result_code,
        )
        disbursement = replace(disbursement, question_id=None)
        if other:
            ask_again(work, disbursement, subject)
            return WebhookOutcome.CONTRADICTS
        if answer.payment is PaymentOutcome.PAID:
            self._paid(disbursement, subject, answer, work)
        elif answer.payment is PaymentOutcome.FAILED:
            self._not_paid(disbursement, subject, answer, work)
        else:
            if (
                answer.result.result_code == _UNKNOWN_RECEIPT
                and disbursement.state is EvidenceState.UNKNOWN
                and disbursement.told_code is None
            ):
                disbursement = replace(disbursement, code=UNHEARD_OF)
            ask_again(work, disbursement, subject)
        return WebhookOutcome.APPLIED

    @staticmethod
    def _paid(disbursement: MpesaDisbursement, subject: PayoutSubject, answer: StatusResult, work: Work) -> None:
        """Paid, by M-Pesa's own word: cleared now, or verified; after we gave the money back, somebody owes it."""
        now = work.now
        happened_at = min(answer.finalised_at or now, now)
        receipt = answer.receipt if _is_free(disbursement, answer.receipt, work) else None
        verified = replace(disbursement, verified_at=now, receipt=disbursement.receipt or receipt)
        told = answer.amount.money
        if told is not None and told != disbursement.amount:
            subject.question(work, disbursement, ReviewReason.CONTRADICTION, told, told_cents=told.cents)
        if disbursement.state is EvidenceState.FAILED:
            if withdrawal_postings.recovery_claimed(
                work,
                transaction=subject.transaction_id,
                reference=str(disbursement.id),
                amount=disbursement.amount,
                happened_at=happened_at,
            ):
                subject.question(work, disbursement, ReviewReason.CONTRADICTION, disbursement.amount, recovery=True)
            work.put(MPESA_DISBURSEMENTS, verified.id, verified.moved(verified.state, now, due_at=None))
            return
        if disbursement.state is EvidenceState.CONFIRMED:
            work.put(MPESA_DISBURSEMENTS, verified.id, verified.moved(verified.state, now, due_at=None))
        else:
            complete_payout(work, verified, subject, happened_at=happened_at, due_at=None, recovered_by="mpesa_status")
        _charge(work, verified, subject, answer)

    @staticmethod
    def _not_paid(disbursement: MpesaDisbursement, subject: PayoutSubject, answer: StatusResult, work: Work) -> None:
        """Not paid, by M-Pesa's own word: reversed and given back; after a Result that said paid, it is for people."""
        verified = replace(disbursement, verified_at=work.now)
        if disbursement.state is EvidenceState.CONFIRMED:
            subject.question(
                work,
                disbursement,
                ReviewReason.CONTRADICTION,
                disbursement.amount,
                code=answer.status,
                mpesa_disbursement_id=str(disbursement.id),
            )
            # What it is booked as is not what M-Pesa says: it stays unproven.
            told = disbursement.moved(disbursement.state, work.now, due_at=None)
            work.put(MPESA_DISBURSEMENTS, told.id, told)
        elif disbursement.state is EvidenceState.FAILED:
            work.put(MPESA_DISBURSEMENTS, verified.id, verified.moved(verified.state, work.now, due_at=None))
        else:
            fail_payout(work, verified, subject, disbursement.told_code or answer.status[:40])


def _receipt(message: Message) -> str | None:
    return None if message is None else message.receipt


def _is_free(disbursement: MpesaDisbursement, receipt: str | None, work: Work) -> bool:
    return receipt is not None and work.found(DISBURSEMENTS_BY_RECEIPT, receipt) in {None, disbursement.id}


def _fits(disbursement: MpesaDisbursement, receipt: str | None, amount: Money | None, work: Work) -> bool:
    """Whether a Result tells our amount and a receipt that is no other payout's."""
    return amount == disbursement.amount and _is_free(disbursement, receipt, work)


def _ask_now(work: Work, disbursement: MpesaDisbursement) -> None:
    """Nothing is decided; M-Pesa is asked now, or when whoever holds the lease is done."""
    state = EvidenceState.UNKNOWN if disbursement.state is EvidenceState.INTENDED else disbursement.state
    if disbursement.lease_until is None:
        disbursement = disbursement.moved(state, work.now, due_at=work.now)
    else:
        disbursement = replace(disbursement, due_at=work.now, version=disbursement.version + 1)
    work.put(MPESA_DISBURSEMENTS, disbursement.id, disbursement)


def _charge(work: Work, disbursement: MpesaDisbursement, subject: PayoutSubject, answer: StatusResult) -> None:
    """Book what the payout cost us, as the answer words it."""
    fees = [fee for fee in map(fee_of, answer.charges) if fee is not None and fee.cents > 0]
    total = sum((fee.cents for fee in fees), 0)
    if total:
        subject.charged(work, disbursement, Money(total, Currency.KES))
