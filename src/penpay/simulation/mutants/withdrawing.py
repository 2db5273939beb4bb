"""Bugs in withdrawals, refunds and decisions: money out twice, both ways or too early, and what is believed of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from penpay.application.payments import deciding, disbursing
from penpay.application.payments.crediting import BookIncomingCreditHandler
from penpay.application.payments.deciding import ApproveDecisionHandler, review_held
from penpay.application.payments.disbursing import (
    RecordDisbursementAnswerHandler,
    RecordStatusAskedHandler,
    disbursement_and_subject,
    fail_payout,
)
from penpay.application.payments.giving_back import ReturnWithdrawalHandler
from penpay.application.payments.results import TIMEOUT_SOURCE, ApplyResultHandler
from penpay.application.payments.withdrawing import RecordWithdrawalAnswerHandler
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.application.wallet import postings, withdrawal_postings
from penpay.domain.deriv.gateway import TransferOutcome
from penpay.domain.mpesa.gateway import CallOutcome, PaymentOutcome
from penpay.domain.mpesa.verdicts_results import ResultOutcome
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.shared.errors import OwnProposal
from penpay.domain.shared.ids import MpesaDisbursementId
from penpay.domain.shared.locked_rate import WithdrawalQuote
from penpay.domain.shared.money import Money
from penpay.simulation.mutants.planting import Function, Hunt, Mutant, Replacement
from penpay.simulation.profile import Hazard, Level
from penpay.workers.mpesa_disbursement import MpesaDisbursementWorker

_MUCH: Final = Level.EXTREME
_mutant: Final = Hunt(hazards={Hazard.WITHDRAWALS: Level.EXTREME}, within=20, alone=True).mutant


def _new_id(right: Function) -> Function:
    async def pay(self: Any, disbursement: Any) -> Any:
        if disbursement.fence > 1:
            again = f"{disbursement.originator_conversation_id[:50]}-{disbursement.fence}"
            disbursement = replace(disbursement, originator_conversation_id=again)
        return await right(self, disbursement)

    return pay


def _booked_again(right: Function) -> Function:
    def told(self: Any, disbursement: Any, transaction: Any, message: Any, work: Any) -> Any:
        if disbursement.state is EvidenceState.CONFIRMED and message.outcome is ResultOutcome.SUCCEEDED:
            withdrawal_postings.payout_confirmed(
                work,
                transaction=transaction.id,
                reference=str(work.ids.new()),
                amount=disbursement.amount,
                happened_at=work.now,
            )
            return WebhookOutcome.APPLIED
        return right(self, disbursement, transaction, message, work)

    return told


def _late_means_failed(right: Function) -> Function:
    def outcome(self: Any, command: Any, work: Any) -> Any:
        if command.source == TIMEOUT_SOURCE:
            payout = MpesaDisbursementId(command.subject_id)
            disbursement, subject = disbursement_and_subject(work, payout, self._refunds)
            if not disbursement.is_final:
                fail_payout(work, disbursement, subject, "timed_out")
                return WebhookOutcome.APPLIED
        return right(self, command, work)

    return outcome


def _answered_as(unknown: Any, failed: Any) -> Any:
    def make(right: Function) -> Function:
        def handle(self: Any, command: Any, work: Any) -> Any:
            if command.answer.outcome is unknown:
                command = replace(command, answer=replace(command.answer, outcome=failed))
            return right(self, command, work)

        return handle

    return make


def _told_failure(right: Function) -> Function:
    def told(self: Any, disbursement: Any, transaction: Any, message: Any, work: Any) -> Any:
        if message.outcome is ResultOutcome.FAILED and not disbursement.is_final:
            fail_payout(work, disbursement, transaction, message.result.result_code)
            return WebhookOutcome.APPLIED
        return right(self, disbursement, transaction, message, work)

    return told


def _asked_and_returned(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> Any:
        right(self, command, work)
        disbursement, subject = disbursement_and_subject(work, command.disbursement_id, self._refunds)
        if not disbursement.is_final:
            fail_payout(work, disbursement, subject, "no_result")

    return handle


def _open_means_failed(right: Function) -> Function:
    def answered(self: Any, disbursement: Any, transaction: Any, answer: Any, work: Any) -> Any:
        if answer.payment is PaymentOutcome.PENDING:
            answer = replace(answer, payment=PaymentOutcome.FAILED)
        return right(self, disbursement, transaction, answer, work)

    return answered


def _counted_again(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> Any:
        booked = right(self, command, work)
        if not booked:
            credit = command.credit
            postings.incoming_credit(
                work, amount=credit.amount, reference=str(work.ids.new()), happened_at=min(credit.happened_at, work.now)
            )
        return booked

    return handle


def _believed_at_once(right: Function) -> Function:
    def made(withdrawal: Any, transaction: Any, answer: Any, work: Any) -> Any:
        right(withdrawal, transaction, answer, work)
        if answer.outcome is not TransferOutcome.CONFIRMED:
            return
        withdrawal_postings.deriv_debited(
            work,
            user=transaction.user_id,
            transaction=transaction.id,
            amount=withdrawal.amount,
            reference=str(answer.provider_id),
            happened_at=work.now,
        )

    return made


def _by_anybody(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> Any:
        try:
            return right(self, command, work)
        except OwnProposal:
            return right(self, replace(command, approved_by="somebody"), work)

    return handle


def _open_again(_: Function) -> Function:
    def open_review(work: Any, review_id: Any) -> Any:
        held = review_held(work, review_id)
        return replace(held, review=replace(held.review, approved_by=None, resolved_at=None))

    return open_review


def _none(right: Function) -> Function:
    def rounding(quote: Any) -> Money:
        return right(quote) - right(quote)  # type: ignore[no-any-return]  # an amount

    return rounding


def _with_rounding(_: Function) -> Function:
    def spread(quote: Any) -> Money:
        return quote.kes_at_mid - quote.kes_paid  # type: ignore[no-any-return]  # as above

    return spread


def _hours_later(_: Function) -> Function:
    def first_status_after(policy: Any) -> timedelta:  # noqa: ARG001  (whatever the installation decides)
        return timedelta(hours=6)

    return first_status_after


def _nothing(_: Function) -> Function:
    def did(*about: Any, **named: Any) -> None:  # noqa: ARG001  (it does nothing)
        return

    return did


WITHDRAWING: Final[tuple[Mutant, ...]] = (
    _mutant(
        "payout_under_new_id",
        "A payout that M-Pesa has not heard of is sent again under another OriginatorConversationID.",
        ("W2",),
        Replacement(MpesaDisbursementWorker, "_pay", _new_id),
        hazards={Hazard.PAYOUT_REFUSED: _MUCH},
    ),
    _mutant(
        "result_booked_again",
        "A Result that comes again is booked again, whatever state its payout is in.",
        ("I7", "I15", "W4", "W8"),
        Replacement(ApplyResultHandler, "_told", _booked_again),
        hazards={Hazard.CALLBACK_REPEATED: _MUCH},
    ),
    _mutant(
        "timeout_as_failure",
        "A notice that a payout waited too long is taken for its failure.",
        ("W2", "W4"),
        Replacement(ApplyResultHandler, "_outcome", _late_means_failed),
        hazards={Hazard.PAYOUT_QUEUED: _MUCH},
    ),
    _mutant(
        "refund_on_unknown",
        "A payout whose answer cannot be read is taken for refused, and its money goes back.",
        ("W2", "W4"),
        Replacement(RecordDisbursementAnswerHandler, "handle", _answered_as(CallOutcome.UNKNOWN, CallOutcome.FAILED)),
        hazards={Hazard.PAYOUT_SPOILT: _MUCH},
    ),
    _mutant(
        "forged_failure_believed",
        "What a Result says of a failure is believed, whoever posted it.",
        ("W2", "W4"),
        Replacement(ApplyResultHandler, "_told", _told_failure),
        hazards={Hazard.FORGED_RESULT: _MUCH, Hazard.CALLBACK_LOST: _MUCH},
    ),
    _mutant(
        "payout_returned_while_asked",
        "While M-Pesa is asked about a payout its dollars are sent back.",
        ("W2", "W4"),
        Replacement(RecordStatusAskedHandler, "handle", _asked_and_returned),
        hazards={Hazard.CALLBACK_LOST: _MUCH},
    ),
    _mutant(
        "unfinished_as_failed",
        "A payout of which M-Pesa says that it is not over is taken for failed.",
        ("W2", "W4"),
        Replacement(ApplyResultHandler, "_answered", _open_means_failed),
        hazards={Hazard.PAYOUT_QUEUED: _MUCH},
    ),
    _mutant(
        "credit_counted_again",
        "A credit that both the stream and the statement show is booked twice.",
        ("I2",),
        Replacement(BookIncomingCreditHandler, "handle", _counted_again),
    ),
    _mutant(
        "answer_taken_for_the_credit",
        "Deriv's answer to the call is booked as the dollars, which are paid out before they are seen.",
        ("I2", "W4", "W7"),
        Replacement(RecordWithdrawalAnswerHandler, "_made", _believed_at_once),
        hazards={Hazard.DERIV_PUSHES: _MUCH},
    ),
    _mutant(
        "debit_refused_by_silence",
        "A call that debits Deriv and is not answered is taken for refused.",
        ("W3", "W4"),
        Replacement(
            RecordWithdrawalAnswerHandler,
            "handle",
            _answered_as(TransferOutcome.UNKNOWN, TransferOutcome.FAILED),
        ),
        hazards={Hazard.DERIV_DROP_AFTER: _MUCH, Hazard.DERIV_PUSHES: _MUCH},
    ),
    _mutant(
        "debit_sent_again",
        "A call that may have debited Deriv and is not answered is made again.",
        ("W1", "W3", "W4"),
        Replacement(
            RecordWithdrawalAnswerHandler,
            "handle",
            _answered_as(TransferOutcome.UNKNOWN, TransferOutcome.NOT_SENT),
        ),
        hazards={Hazard.DERIV_DROP_AFTER: _MUCH, Hazard.DERIV_PUSHES: _MUCH},
    ),
    _mutant(
        "return_forgotten",
        "Nobody sends the dollars back when M-Pesa has refused the shillings.",
        ("W7",),
        Replacement(ReturnWithdrawalHandler, "handle", _nothing),
        hazards={Hazard.PAYOUT_FAILED: _MUCH},
    ),
    _mutant(
        "lost_result_asked_late",
        "M-Pesa is asked about a payout whose Result does not come after six hours only.",
        ("W7",),
        Replacement(disbursing, "first_status_after", _hours_later),
        hazards={Hazard.CALLBACK_LOST: _MUCH},
    ),
    _mutant(
        "payout_not_booked",
        "What M-Pesa has paid stays in flight in the books.",
        ("W4",),
        Replacement(withdrawal_postings, "payout_confirmed", _nothing),
    ),
    _mutant(
        "rounding_dropped",
        "What whole shillings leave over is not told from the margin.",
        ("I11",),
        Replacement(WithdrawalQuote, "rounding", _none),
        Replacement(WithdrawalQuote, "spread", _with_rounding),
    ),
    _mutant(
        "decided_by_one",
        "Whoever proposes a decision about a review can approve it.",
        ("W5",),
        Replacement(ApproveDecisionHandler, "handle", _by_anybody),
        hazards={Hazard.STRANGE_CREDIT: _MUCH},
    ),
    _mutant(
        "decided_again",
        "A review that is resolved can be decided once more.",
        ("W5",),
        Replacement(deciding, "_open_review", _open_again),
        hazards={Hazard.DERIV_REFUSES: _MUCH, Hazard.STRANGE_CREDIT: _MUCH},
    ),
)
