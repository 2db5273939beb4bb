"""Bugs in the rest of Daraja: payouts, reversals, Results, C2B payments and their list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from penpay.application.mobile_money.daraja_requests import AcceptRequestHandler
from penpay.application.mobile_money.paying_out import ReversingByReceipt
from penpay.application.mobile_money.rows import DARAJA_REQUESTS
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.operator_c2b import SqlC2bBooks
from penpay.sandbox.daraja import notifications, results
from penpay.sandbox.daraja.initiated import InitiatedDesk
from penpay.sandbox.daraja.notifications import C2bDesk, PaymentRejected
from penpay.simulation.mutants.planting import Function, Mutant, Replacement
from penpay.simulation.profile import Hazard, Level

_SHILLING: Final = Money(100, Currency.KES)


def _under_another_id(right: Function) -> Function:
    """An id that is taken gets a letter more, and the payment is made again."""

    def handle(self: Any, command: Any, work: Any) -> Any:
        if work.get(DARAJA_REQUESTS, command.originator_conversation_id) is not None:
            again = f"{command.originator_conversation_id}x"
            command = replace(command, originator_conversation_id=again)
        return right(self, command, work)

    return handle


def _a_shilling_more(right: Function) -> Function:
    def payout(transaction: Any, told: Any, accounts: Any) -> Any:
        return right(replace(transaction, amount=transaction.amount + _SHILLING), told, accounts)

    return payout


def _never_reversed(right: Function) -> Function:
    """What has been given back is forgotten, so that it can be given back once more."""

    def original(self: Any, work: Any, request: Any, merchant: Any) -> Any:
        found, payer = right(self, work, request, merchant)
        return replace(found, reversed=Money.zero(Currency.KES)), payer

    return original


def _refusals_unheard(right: Function) -> Function:
    async def validated(self: Any, asked: Any, urls: Any) -> Any:
        try:
            return await right(self, asked, urls)
        except PaymentRejected:
            return ""

    return validated


def _refusals_confirmed(right: Function) -> Function:
    """A payment that the merchant refuses is not made, and is confirmed all the same."""

    async def validated(self: Any, asked: Any, urls: Any) -> Any:
        try:
            return await right(self, asked, urls)
        except PaymentRejected:
            await self._callbacks.post(urls.confirmation_url, self._body(asked, urls))
            raise

    return validated


def _told_with_less(right: Function) -> Function:
    def body(told: Any, api: Any, *, plain: bool) -> Any:
        if told.balance is not None:
            told = replace(told, amount=told.amount - _SHILLING)
        return right(told, api, plain=plain)

    return body


def _not_taken_up(_: Function) -> Function:
    async def resume(self: Any) -> None:  # noqa: ARG001  (it leaves what was accepted)
        return

    return resume


def _first_row_missing(right: Function) -> Function:
    async def payments_to(self: Any, *asked: Any, **page: Any) -> Any:
        return (await right(self, *asked, **page))[1:]

    return payments_to


def _a_shilling_too_much(right: Function) -> Function:
    def accounts(found: Any) -> Any:
        return right(replace(found, utility=found.utility + _SHILLING))

    return accounts


SERVING: Final[tuple[Mutant, ...]] = (
    Mutant(
        name="conversation_id_not_deduplicated",
        bug="A payout that is asked for twice under one OriginatorConversationID is paid twice.",
        breaks=("M1", "M3"),
        within=20,
        hazards={Hazard.MERCHANT: Level.MILD},
        users=1,
        alone=True,
        replacements=(Replacement(AcceptRequestHandler, "handle", _under_another_id),),
    ),
    Mutant(
        name="result_with_another_amount",
        bug="The Result of a payout tells a shilling more than was paid.",
        breaks=("M4",),
        within=10,
        hazards={Hazard.MERCHANT: Level.MILD},
        users=1,
        alone=True,
        replacements=(Replacement(results, "_payout", _a_shilling_more),),
    ),
    Mutant(
        name="reversal_paid_twice",
        bug="A payment can be given back again and again.",
        breaks=("M3",),
        within=60,
        hazards={Hazard.MERCHANT: Level.MILD},
        users=1,
        alone=True,
        replacements=(Replacement(ReversingByReceipt, "_original", _never_reversed),),
    ),
    Mutant(
        name="refused_validation_paid",
        bug="A payment that the merchant refuses when asked is made.",
        breaks=("M6",),
        within=20,
        hazards={Hazard.MERCHANT: Level.MILD},
        users=1,
        alone=True,
        replacements=(Replacement(C2bDesk, "_validated", _refusals_unheard),),
    ),
    Mutant(
        name="refused_validation_confirmed",
        bug="A payment that the merchant refuses when asked is not made, but confirmed.",
        breaks=("M6", "M4"),
        within=20,
        hazards={Hazard.MERCHANT: Level.MILD},
        users=1,
        alone=True,
        replacements=(Replacement(C2bDesk, "_validated", _refusals_confirmed),),
    ),
    Mutant(
        name="confirmation_with_another_amount",
        bug="The confirmation of a payment tells a shilling less than was paid.",
        breaks=("M4",),
        within=10,
        hazards={Hazard.MERCHANT: Level.MILD},
        users=1,
        alone=True,
        replacements=(Replacement(notifications, "c2b_body", _told_with_less),),
    ),
    Mutant(
        name="accepted_request_forgotten",
        bug="What was accepted before the sandbox stopped is not carried out when it starts again.",
        breaks=("M5",),
        within=40,
        hazards={Hazard.MERCHANT: Level.MILD, Hazard.MERCHANT_CRASH: Level.EXTREME},
        users=1,
        alone=True,
        replacements=(Replacement(InitiatedDesk, "resume", _not_taken_up),),
    ),
    Mutant(
        name="payment_not_listed",
        bug="The first payment of every page of the list is missing.",
        breaks=("M4",),
        within=10,
        hazards={Hazard.MERCHANT: Level.MILD},
        users=1,
        alone=True,
        replacements=(Replacement(SqlC2bBooks, "payments_to", _first_row_missing),),
    ),
    Mutant(
        name="balance_told_wrong",
        bug="The Result of a balance query tells a shilling more than there is.",
        breaks=("M4",),
        within=10,
        hazards={Hazard.MERCHANT: Level.MILD},
        users=1,
        alone=True,
        replacements=(Replacement(results, "_all_accounts", _a_shilling_too_much),),
    ),
)
