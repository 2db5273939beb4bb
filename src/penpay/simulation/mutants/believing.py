"""Bugs in what is believed: callbacks that are late, wrong, repeated or forged, and questions that nobody asks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from penpay.application.payments import callbacks, collecting
from penpay.application.payments.callbacks import ApplyWebhookHandler
from penpay.application.payments.collecting import RecordPaymentAnswerHandler
from penpay.application.payments.deposit import CreateDepositHandler, FundDepositHandler, InitiateDepositHandler
from penpay.application.payments.rows import DERIV_TRANSFERS, MPESA_REQUESTS, PAYERS, TRANSACTIONS
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.application.wallet import postings
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.payments.transaction import TransactionStatus
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.path_tokens import PathTokens
from penpay.infrastructure.sql.evidence import RequestsByReceipt
from penpay.simulation.mutants.planting import Function, Mutant, Replacement
from penpay.simulation.profile import Hazard, Level

_MUCH: Final = Level.EXTREME
_ONE_PHONE: Final = PhoneNumber.parse("254712000001")


def _signed_by_anybody(_: Function) -> Function:
    def verify(self: Any, purpose: str, token: str) -> UUID | None:  # noqa: ARG001  (it checks no signature)
        return UUID(hex=token[:32])

    return verify


def _verified_by_itself(right: Function) -> Function:
    def book_payment(*payment: Any, **facts: Any) -> None:
        right(*payment, **{**facts, "event": "MpesaPaymentVerified"})

    return book_payment


def _anything_fits(_: Function) -> Function:
    def fits(request: Any, callback: Any, work: Any) -> bool:  # noqa: ARG001  (it compares nothing)
        return True

    return fits


def _phone_not_compared(_: Function) -> Function:
    def matches(phone_text: Any, phone: Any) -> bool:  # noqa: ARG001  (as above)
        return True

    return matches


def _success_after_failure(right: Function) -> Function:
    """A success reverses a failure and is booked, as if it had come in time."""

    def told(self: Any, command: Any, callback: Any, work: Any) -> Any:
        request, transaction, _ = collecting.request_and_transaction(work, command.request_id)
        is_paid = callback.result_code == "0" and callback.checkout_request_id == request.checkout_request_id
        if request.state is EvidenceState.FAILED and is_paid and transaction.status is TransactionStatus.FAILED:
            waiting = replace(request, state=EvidenceState.ACCEPTED, version=request.version + 1)
            work.put(MPESA_REQUESTS, request.id, waiting)
            work.put(TRANSACTIONS, transaction.id, replace(transaction, status=TransactionStatus.PROCESSING))
        return right(self, command, callback, work)

    return told


def _booked_with_its_receipt(right: Function) -> Function:
    """The receipt that a callback brings later is booked as a payment of its own."""

    def after_the_end(request: Any, transaction: Any, callback: Any, verdict: Any, work: Any) -> Any:
        outcome = right(request, transaction, callback, verdict, work)
        if outcome is WebhookOutcome.APPLIED and request.receipt is None and callback.receipt is not None:
            postings.deposit_paid(
                work,
                user=transaction.user_id,
                transaction=transaction.id,
                reference=callback.receipt,
                amount=request.amount,
                happened_at=work.now,
            )
        return outcome

    return after_the_end


def _nobodys_receipt(_: Function) -> Function:
    async def find(self: Any, connection: Any, keys: Any) -> dict[str, Any]:  # noqa: ARG001  (it does not look)
        return {}

    return find


def _named_by_the_callback(right: Function) -> Function:
    def told(self: Any, command: Any, callback: Any, work: Any) -> Any:
        request = work.get(MPESA_REQUESTS, command.request_id)
        named = replace(request, checkout_request_id=callback.checkout_request_id, version=request.version + 1)
        work.put(MPESA_REQUESTS, request.id, named)
        return right(self, command, callback, work)

    return told


def _nobody_elses(_: Function) -> Function:
    def may_be_anothers(work: Any, request: Any, heard_id: Any) -> bool:  # noqa: ARG001  (it looks for no other push)
        return False

    return may_be_anothers


def _failure_not_asked_about(right: Function) -> Function:
    def told(self: Any, command: Any, callback: Any, work: Any) -> Any:
        before = work.get(MPESA_REQUESTS, command.request_id)
        outcome = right(self, command, callback, work)
        request = work.get(MPESA_REQUESTS, command.request_id)
        if request.state is EvidenceState.FAILED and not before.is_final:
            work.put(MPESA_REQUESTS, request.id, replace(request, due_at=None))
        return outcome

    return told


def _as_claimed(right: Function) -> Function:
    def paid(request: Any, transaction: Any, subject: Any, work: Any) -> None:
        if request.is_disputed:
            request = replace(request, amount=Money(request.disputed_cents, request.amount.currency))
        right(request, transaction, subject, work)

    return paid


def _about_more(right: Function) -> Function:
    def open_review(work: Any, transaction: Any, reason: Any, amount: Money, **facts: Any) -> Any:
        return right(work, transaction, reason, Money(amount.cents + 12_345, amount.currency), **facts)

    return open_review


def _on_one_phone(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> None:
        right(self, command, work)
        for change in work.changes(MPESA_REQUESTS):
            if change.before is None and change.after is not None:
                work.add(MPESA_REQUESTS, change.after.id, replace(change.after, phone=_ONE_PHONE))

    return handle


def _nobody_asked(_: Function) -> Function:
    def open_review(work: Any, transaction: Any, *question: Any, **facts: Any) -> Any:  # noqa: ARG001  (it opens none)
        return transaction

    return open_review


def _for_anybodys_account(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> Any:
        payer = work.found(PAYERS, command.user_id)
        logins = frozenset({*payer.deriv_login_ids, command.deriv_login_id})
        work.looked_up(PAYERS, {command.user_id: replace(payer, deriv_login_ids=logins)})
        return right(self, command, work)

    return handle


def _to_one_account(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> None:
        right(self, command, work)
        for change in work.changes(DERIV_TRANSFERS):
            if change.before is None and change.after is not None:
                work.add(DERIV_TRANSFERS, change.after.id, replace(change.after, deriv_login_id="CR500001"))

    return handle


BELIEVING: Final = (
    Mutant(
        name="token_not_verified",
        bug="A callback's path token is read, and its signature is not checked.",
        breaks=("I9",),
        hazards={Hazard.FORGER: Level.MILD},
        replacements=(Replacement(PathTokens, "verify", _signed_by_anybody),),
    ),
    Mutant(
        name="forged_callback_forwarded",
        bug="Money leaves for Deriv on a callback's word, without our own question.",
        breaks=("I4",),
        within=150,
        hazards={Hazard.FORGER: _MUCH, Hazard.CARELESS_PAYER: _MUCH},
        replacements=(Replacement(callbacks, "book_payment", _verified_by_itself),),
    ),
    Mutant(
        name="amount_mismatch_ignored",
        bug="A callback that tells of another amount, phone or receipt counts as ours.",
        breaks=("I4",),
        hazards={Hazard.CALLBACK_ALTERED: Level.EXTREME},
        replacements=(Replacement(callbacks, "_fits", _anything_fits),),
    ),
    Mutant(
        name="phone_mismatch_ignored",
        bug="A callback that tells of another phone counts as ours.",
        breaks=("I4",),
        hazards={Hazard.CALLBACK_ALTERED: Level.EXTREME},
        replacements=(Replacement(callbacks, "phone_matches", _phone_not_compared),),
    ),
    Mutant(
        name="late_callback_unguarded",
        bug="A success that comes after a failure is booked and forwarded as if it had come in time.",
        breaks=("I6", "I7"),
        hazards={Hazard.FORGER: _MUCH},
        replacements=(Replacement(ApplyWebhookHandler, "_told", _success_after_failure),),
    ),
    Mutant(
        name="booked_by_query_and_callback",
        bug="A payment found by asking is booked once more when its receipt comes.",
        breaks=("I2",),
        hazards={Hazard.CALLBACK_LATE: Level.EXTREME},
        replacements=(Replacement(ApplyWebhookHandler, "_after_the_end", _booked_with_its_receipt),),
    ),
    Mutant(
        name="duplicate_receipt_accepted",
        bug="Nobody looks whether a receipt belongs to another payment.",
        breaks=("I15", "I7"),
        within=150,
        hazards={Hazard.FORGER: _MUCH, Hazard.CARELESS_PAYER: _MUCH},
        replacements=(Replacement(RequestsByReceipt, "find", _nobodys_receipt),),
    ),
    Mutant(
        name="foreign_checkout_id_accepted",
        bug="A callback says which prompt is ours, against the answer to our own call.",
        breaks=("I9", "I15", "I4", "I2"),
        hazards={Hazard.FORGER: Level.EXTREME},
        replacements=(Replacement(ApplyWebhookHandler, "_told", _named_by_the_callback),),
    ),
    Mutant(
        name="failure_not_asked_about",
        bug="A failure told by a callback is believed, and M-Pesa is not asked.",
        breaks=("I6", "I2"),
        hazards={Hazard.FORGER: _MUCH, Hazard.CALLBACK_LOST: _MUCH},
        replacements=(Replacement(ApplyWebhookHandler, "_told", _failure_not_asked_about),),
    ),
    Mutant(
        name="suspense_as_claimed",
        bug="Suspense gets the amount that a callback claims, not the one that was paid.",
        breaks=("I2",),
        hazards={Hazard.CALLBACK_ALTERED: Level.EXTREME},
        replacements=(Replacement(RecordPaymentAnswerHandler, "_paid", _as_claimed),),
    ),
    Mutant(
        name="review_not_opened",
        bug="What people must decide is not shown to them.",
        breaks=("I7", "I2"),
        hazards={Hazard.CALLBACK_ALTERED: Level.EXTREME},
        replacements=(Replacement(collecting, "open_review", _nobody_asked),),
    ),
    Mutant(
        name="review_about_more",
        bug="A review names more money than it is about.",
        breaks=("I2",),
        within=20,
        hazards={Hazard.CALLBACK_ALTERED: _MUCH},
        replacements=(Replacement(collecting, "open_review", _about_more),),
    ),
    Mutant(
        name="wrong_payer",
        bug="Every prompt goes to the same phone.",
        breaks=("I4",),
        within=20,
        replacements=(Replacement(InitiateDepositHandler, "handle", _on_one_phone),),
    ),
    Mutant(
        name="others_account_accepted",
        bug="A deposit may go to a Deriv account that is not the user's.",
        breaks=("I12",),
        hazards={Hazard.BAD_REQUEST: _MUCH},
        replacements=(Replacement(CreateDepositHandler, "handle", _for_anybodys_account),),
    ),
    Mutant(
        name="wrong_recipient",
        bug="Every transfer goes to the same Deriv account.",
        breaks=("I4",),
        within=20,
        replacements=(Replacement(FundDepositHandler, "handle", _to_one_account),),
    ),
)

IDENTITY: Final[tuple[Mutant, ...]] = (
    Mutant(
        name="any_owner_believed",
        bug="What M-Pesa tells of an id that only a callback named is taken for this push, whoever else may own it.",
        breaks=("I2", "I4", "I6"),
        within=150,
        hazards=dict.fromkeys((Hazard.FORGER, Hazard.PUSH_SPOILT, Hazard.CALLBACK_LOST, Hazard.CARELESS_PAYER), _MUCH),
        users=3,
        alone=True,
        replacements=(Replacement(collecting, "may_be_anothers", _nobody_elses),),
    ),
)
"""Needs several faults at once: it is planted by its name, and is not on the page of those that are hunted."""
