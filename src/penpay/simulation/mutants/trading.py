"""Bugs at the counter and after it: pushes, refunds and reminders that are sent, believed or booked wrongly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from penpay.application.collections import missed, refunding, reminding
from penpay.application.collections.till_money import TillMoney
from penpay.application.collections.till_pushing import RecordTillPaymentAnswerHandler, RecordTillPushAnswerHandler
from penpay.application.payments.disbursing import RecordDisbursementAnswerHandler, fail_payout
from penpay.application.payments.payout_subjects import OfRefund
from penpay.application.payments.results import ApplyResultHandler
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.domain.collections.reminder import Reminder
from penpay.domain.mpesa.gateway import CallOutcome, PaymentOutcome, PushOutcome
from penpay.domain.mpesa.verdicts_results import ResultOutcome
from penpay.domain.shared.money import Currency, Money
from penpay.simulation.mutants.planting import Function, Hunt, Mutant, Replacement
from penpay.simulation.profile import Hazard, Level

_MUCH: Final = Level.EXTREME
_mutant: Final = Hunt(hazards={Hazard.COLLECTIONS: Level.EXTREME}, within=30, alone=True).mutant
_ABOVE_ALL: Final = Money(10**12, Currency.KES)


def _not_of_tills(right: Function) -> Function:
    def own_reference(told: Any) -> Any:
        own = right(told)
        return None if own is not None and own.startswith("TP") else own

    return own_reference


def _silence_is_nothing_sent(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> Any:
        if command.answer.outcome is PushOutcome.UNKNOWN:
            command = replace(command, answer=replace(command.answer, outcome=PushOutcome.NOT_SENT))
        return right(self, command, work)

    return handle


def _whatever_is_told(right: Function) -> Function:
    def told(self: Any, work: Any, facts: Any, told: Any, *, fits: bool) -> Any:  # noqa: ARG001  (it does not compare)
        return right(self, work, facts, told, fits=True)

    return told


def _no_question_first(right: Function) -> Function:
    def made(self: Any, receive: Any, policy: Any) -> None:
        right(self, receive, replace(policy, verify_above=_ABOVE_ALL))

    return made


def _not_yet_is_paid(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> Any:
        if command.answer.outcome is PaymentOutcome.PENDING:
            command = replace(command, answer=replace(command.answer, outcome=PaymentOutcome.PAID))
        return right(self, command, work)

    return handle


def _paid_all_the_same(_: Function) -> Function:
    def failed(self: Any, work: Any, payout: Any, code: Any) -> None:  # noqa: ARG001  (it does not ask why)
        self.refunds.paid(work, self.refund_id, payout.receipt)

    return failed


def _nothing(_: Function) -> Function:
    def did(*about: Any, **named: Any) -> None:  # noqa: ARG001  (it does nothing)
        return

    return did


def _silence_is_no_payout(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> Any:
        if command.answer.outcome is CallOutcome.UNKNOWN:
            command = replace(command, answer=replace(command.answer, outcome=CallOutcome.FAILED))
        return right(self, command, work)

    return handle


def _any_failure_believed(right: Function) -> Function:
    def told(self: Any, disbursement: Any, subject: Any, message: Any, work: Any) -> Any:
        if message.outcome is ResultOutcome.FAILED and not disbursement.is_final:
            fail_payout(work, disbursement, subject, "told")
            return WebhookOutcome.APPLIED
        return right(self, disbursement, subject, message, work)

    return told


def _named_by_try(right: Function) -> Function:
    def message_id(self: Any) -> str:
        return f"{right(self)}.{self.attempts}"

    return message_id


TRADING: Final[tuple[Mutant, ...]] = (
    _mutant(
        "listed_push_booked",
        "What M-Pesa's list tells of a push from the till is booked as a payment of its own.",
        ("K12", "K4"),
        Replacement(missed, "own_reference", _not_of_tills),
        hazards={Hazard.CALLBACK_LOST: _MUCH},
    ),
    _mutant(
        "till_push_sent_again",
        "A push from the till without an answer is sent again.",
        ("K12",),
        Replacement(RecordTillPushAnswerHandler, "handle", _silence_is_nothing_sent),
        hazards={Hazard.PUSH_SPOILT: _MUCH, Hazard.CARELESS_PAYER: _MUCH},
    ),
    _mutant(
        "altered_push_booked",
        "A push from the till is booked with the amount that its callback tells, whatever it asked for.",
        ("K12",),
        Replacement(TillMoney, "told", _whatever_is_told),
        hazards={Hazard.CALLBACK_ALTERED: _MUCH},
    ),
    _mutant(
        "large_push_believed",
        "However large a push from the till is, its callback pays the sale before M-Pesa was asked.",
        ("K12",),
        Replacement(TillMoney, "__init__", _no_question_first),
        hazards={Hazard.FORGER: _MUCH, Hazard.CARELESS_PAYER: _MUCH},
        within=60,
    ),
    _mutant(
        "prompt_counts_as_paid",
        "A push from the till that is still on the handset counts as paid when M-Pesa is asked about it.",
        ("K12",),
        Replacement(RecordTillPaymentAnswerHandler, "handle", _not_yet_is_paid),
        hazards={Hazard.CALLBACK_LOST: _MUCH, Hazard.CARELESS_PAYER: _MUCH},
    ),
    _mutant(
        "refund_of_hearsay",
        "What a message alone tells of is paid back once two persons agree.",
        ("K6",),
        Replacement(refunding, "_require_confirmed", _nothing),
    ),
    _mutant(
        "failed_refund_counts_as_paid",
        "A refund that M-Pesa has not paid out is told as paid.",
        ("K13",),
        Replacement(OfRefund, "failed", _paid_all_the_same),
        hazards={Hazard.PAYOUT_FAILED: _MUCH},
    ),
    _mutant(
        "paid_refund_left_in_flight",
        "A refund that M-Pesa has paid out stays in flight.",
        ("K13",),
        Replacement(OfRefund, "confirmed", _nothing),
    ),
    _mutant(
        "refund_silence_is_failure",
        "A refund's payout without an answer counts as refused, and its money is the customer's again.",
        ("K13",),
        Replacement(RecordDisbursementAnswerHandler, "handle", _silence_is_no_payout),
        hazards={Hazard.PAYOUT_SPOILT: _MUCH},
    ),
    _mutant(
        "refund_failure_believed",
        "Whoever posts that a refund has failed is believed, and M-Pesa is not asked.",
        ("K13",),
        Replacement(ApplyResultHandler, "_told", _any_failure_believed),
        hazards={Hazard.FORGED_RESULT: _MUCH, Hazard.PAYOUT_QUEUED: _MUCH},
        within=60,
    ),
    _mutant(
        "late_reminder_not_looked_at",
        "A reminder that had to wait is sent although its invoice was paid meanwhile.",
        ("K14",),
        Replacement(reminding, "_no_cause", _nothing),
        within=60,
    ),
    _mutant(
        "reminder_named_by_try",
        "Each try to send a reminder goes by an id of its own, so that whoever carries it cannot know it again.",
        ("K14",),
        Replacement(Reminder, "message_id", _named_by_try),
        hazards={Hazard.REPLY_LOST: _MUCH},
    ),
)
