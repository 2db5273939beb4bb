"""Bugs in what users and people are told, and when: other figures than the books', reviews too soon, work too late."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from penpay.application.payments import collecting, transferring
from penpay.application.payments.callbacks import MpesaCallbackVerifier, RecordWebhookHandler
from penpay.application.payments.collecting import RecordPaymentAnswerHandler, booked_amount
from penpay.application.payments.deposit import CreateDepositHandler, InitiateDepositHandler
from penpay.application.payments.reviewing import open_review
from penpay.application.payments.rows import MPESA_REQUESTS, ReviewReason
from penpay.application.payments.transferring import RecordTransferSearchHandler
from penpay.application.shared.unit_of_work import Transient
from penpay.domain.deriv.gateway import TransferOutcome
from penpay.domain.deriv.verdicts import Verdict
from penpay.domain.shared.errors import CallbackRefused
from penpay.domain.shared.money import Money
from penpay.infrastructure.deriv import transfers
from penpay.infrastructure.sql.fx import CurrentRateFinder
from penpay.infrastructure.sql.queries import SqlPaymentBooks
from penpay.simulation.mutants.planting import Function, Mutant, Replacement
from penpay.simulation.profile import Hazard, Level

_MUCH: Final = Level.EXTREME


def _for_more(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> Any:
        more = Money(command.amount.cents + 100, command.amount.currency)
        return right(self, replace(command, amount=more), work)

    return handle


def _price_before_rounding(right: Function) -> Function:
    async def transaction(self: Any, user_id: Any, transaction_id: Any) -> Any:
        found = await right(self, user_id, transaction_id)
        return found and replace(found, quote=replace(found.quote, kes_charged=found.quote.kes_priced))

    return transaction


def _as_first_found(right: Function) -> Function:
    async def find(self: Any, connection: Any, keys: Any) -> Any:
        first = vars(self).setdefault("first", {})
        found = await right(self, connection, keys)
        return {pair: first.setdefault(pair, rate) for pair, rate in found.items()}

    return find


def _given_up_at_once(_: Function) -> Function:
    def ask_again(request: Any, transaction: Any, answer: Any, work: Any) -> None:
        reason = ReviewReason.PAYMENT_UNRESOLVED
        open_review(work, transaction, reason, booked_amount(request), code=answer.code)
        work.put(MPESA_REQUESTS, request.id, request.moved(request.state, work.now, due_at=None, code=answer.code))

    return ask_again


def _handed_over_at_once(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> None:
        if command.found:
            right(self, command, work)
            return
        transfer, transaction = transferring.transfer_and_transaction(work, command.transfer_id)
        transfer.check_fence(command.fence)
        rows = None if command.found is None else 0
        transferring._hand_over(work, transfer, transaction, ReviewReason.DERIV_UNRESOLVED, rows=rows)  # noqa: SLF001  (the bug is when it is called)

    return handle


def _hours_later(_: Function) -> Function:
    def backoff(schedule: Any, attempts: int, at_least_ms: Any) -> timedelta:  # noqa: ARG001  (it knows one pause)
        return timedelta(hours=6)

    return backoff


def _too_fast_is_no(right: Function) -> Function:
    def verdict_on_refusal(code: Any, *told: Any) -> Any:
        return Verdict(TransferOutcome.FAILED) if code == "RateLimit" else right(code, *told)

    return verdict_on_refusal


def _cut(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> None:
        right(self, replace(command, body=command.body[:64]), work)

    return handle


def _not_recorded(right: Function) -> Function:
    async def receive(self: Any, *, token: str, **message: Any) -> None:
        if self._tokens.verify("stk", token) is None:
            raise CallbackRefused
        await right(self, token=token, **message)

    return receive


def _from_anywhere(_: Function) -> Function:
    def is_allowed(self: Any, remote_address: str) -> bool:  # noqa: ARG001  (it asks for nothing)
        return True

    return is_allowed


def _past_the_executor(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> None:
        tried = vars(self).setdefault("tried", set())
        if command.transaction_id not in tried:
            tried.add(command.transaction_id)
            raise Transient("database is locked")
        right(self, command, work)

    return handle


TELLING: Final = (
    Mutant(
        name="deposit_for_another_amount",
        bug="A deposit is made for one unit of its currency more than was asked for.",
        breaks=("I12",),
        within=5,
        replacements=(Replacement(CreateDepositHandler, "handle", _for_more),),
    ),
    Mutant(
        name="price_shown_unrounded",
        bug="A user is shown the price of a deposit before it was rounded to the shillings that are charged.",
        breaks=("I12",),
        within=5,
        replacements=(Replacement(SqlPaymentBooks, "transaction", _price_before_rounding),),
    ),
    Mutant(
        name="first_rate_kept",
        bug="The exchange rate that a process has found first stays in force, whatever is approved later.",
        breaks=("I11",),
        within=20,
        hazards={Hazard.RATE_MOVES: _MUCH},
        replacements=(Replacement(CurrentRateFinder, "find", _as_first_found),),
    ),
    Mutant(
        name="payment_given_up_at_once",
        bug="The first question about a prompt that decides nothing hands it over to people.",
        breaks=("I7",),
        within=20,
        hazards={Hazard.PENDING_FOR_EVER: _MUCH},
        replacements=(Replacement(RecordPaymentAnswerHandler, "_ask_again", _given_up_at_once),),
    ),
    Mutant(
        name="transfer_given_up_at_once",
        bug="A transfer that the first look at the statement does not show is handed over to people.",
        breaks=("I7",),
        within=20,
        hazards={Hazard.DERIV_DROP_BEFORE: _MUCH},
        replacements=(Replacement(RecordTransferSearchHandler, "handle", _handed_over_at_once),),
    ),
    Mutant(
        name="asked_again_hours_later",
        bug="M-Pesa is asked again six hours after a question that decided nothing.",
        breaks=("I7",),
        within=20,
        hazards={Hazard.CALLBACK_LOST: _MUCH, Hazard.QUERY_SPOILT: _MUCH},
        replacements=(Replacement(collecting, "backoff", _hours_later),),
    ),
    Mutant(
        name="rate_limit_is_refusal",
        bug="Being told by Deriv to wait counts as a refusal, and people must see to a deposit that could go on.",
        breaks=("I7",),
        within=20,
        hazards={Hazard.DERIV_RATE_LIMITED: _MUCH, Hazard.DERIV_REFUSES: Level.MILD},
        replacements=(Replacement(transfers, "verdict_on_refusal", _too_fast_is_no),),
    ),
    Mutant(
        name="callback_kept_cut",
        bug="Of a callback the first 64 bytes are kept.",
        breaks=("I9",),
        within=5,
        replacements=(Replacement(RecordWebhookHandler, "handle", _cut),),
    ),
    Mutant(
        name="refusal_not_kept",
        bug="A message under a token that is not ours is refused, and nobody ever learns of it.",
        breaks=("I9",),
        within=20,
        hazards={Hazard.FORGER: _MUCH},
        replacements=(Replacement(MpesaCallbackVerifier, "receive", _not_recorded),),
    ),
    Mutant(
        name="any_source_taken",
        bug="A callback is taken from whatever address it comes.",
        breaks=("I9",),
        within=10,
        hazards={Hazard.FOREIGN_ADDRESS: _MUCH},
        replacements=(Replacement(MpesaCallbackVerifier, "_is_allowed", _from_anywhere),),
    ),
    Mutant(
        name="database_fault_in_a_handler",
        bug="A command reads the database by itself, past its batch, and fails when that is busy.",
        breaks=("I15",),
        within=10,
        hazards={Hazard.DATABASE_BUSY: _MUCH},
        replacements=(Replacement(InitiateDepositHandler, "handle", _past_the_executor),),
    ),
)
