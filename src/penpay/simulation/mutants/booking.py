"""Bugs in the books: postings left out, made twice, or of another amount than was agreed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from penpay.application.payments.deposit import FundDepositHandler
from penpay.application.payments.rows import CURRENT_RATES
from penpay.application.wallet import postings
from penpay.application.wallet.ledger import post
from penpay.domain.shared import locked_rate
from penpay.domain.shared.locked_rate import LockedRate
from penpay.domain.shared.money import Currency
from penpay.domain.wallet.journal import credit, debit
from penpay.infrastructure.deriv.credits import IncomingCredits
from penpay.infrastructure.deriv.gateway import DerivWsGateway
from penpay.infrastructure.mpesa.client import DarajaClient
from penpay.simulation.mutants.planting import Function, Mutant, Replacement
from penpay.simulation.profile import Hazard, Level

_PAIR: Final = (Currency.USD, Currency.KES)


def _not_posted(_: Function) -> Function:
    def posting(work: Any, **journal: Any) -> None:  # noqa: ARG001  (it posts nothing)
        return

    return posting


def _as_revenue(_: Function) -> Function:
    def payment_unmatched(work: Any, *, transaction: Any, reference: str, amount: Any, happened_at: Any) -> None:
        lines = [debit(postings.COLLECTION, amount), credit("revenue:rounding", amount)]
        kind = postings.UNMATCHED_PAYMENT
        post(work, kind, reference, lines, happened_at=happened_at, transaction_id=transaction)

    return payment_unmatched


def _without_margin(right: Function) -> Function:
    def quote_deposit(self: Any, amount: Any) -> Any:
        return right(replace(self, spread_bps=0), amount)

    return quote_deposit


def _rounded_down(_: Function) -> Function:
    def divide(numerator: int, denominator: int) -> int:
        return numerator // denominator

    return divide


def _rounding_as_spread(right: Function) -> Function:
    def deposit_converted(work: Any, **journal: Any) -> None:
        quote = journal["quote"]
        right(work, **{**journal, "quote": replace(quote, kes_priced=quote.kes_charged)})

    return deposit_converted


def _looking_at_todays_rate(right: Function) -> Function:
    async def footprint(self: Any, commands: Any, find: Any) -> Any:
        await find(CURRENT_RATES, [_PAIR])
        return await right(self, commands, find)

    return footprint


def _at_todays_rate(right: Function) -> Function:
    def deposit_converted(work: Any, **journal: Any) -> None:
        quote, today = journal["quote"], work.found(CURRENT_RATES, _PAIR)
        cents = locked_rate.divide_half_even(quote.usd.cents * today.mid_e8, locked_rate.RATE_SCALE)
        at_mid = replace(quote.kes_at_mid, cents=min(cents, quote.kes_priced.cents))
        right(work, **{**journal, "quote": replace(quote, kes_at_mid=at_mid)})

    return deposit_converted


def _a_shilling_more(right: Function) -> Function:
    def fields(self: Any, push: Any) -> Any:
        asked = right(self, push)
        return {**asked, "Amount": asked["Amount"] + 1}

    return fields


def _booked_whenever_told(_: Function) -> Function:
    def incoming_credit(work: Any, *, amount: Any, reference: str, happened_at: Any) -> Any:
        lines = [debit(postings.DERIV_AGENT, amount), credit("suspense:USD", amount)]
        name = f"{reference}/{work.ids.new()}"
        return post(work, postings.INCOMING_CREDIT, name, lines, happened_at=happened_at).journal.id

    return incoming_credit


def _offered_whenever_told(_: Function) -> Function:
    def offer(self: Any, told: Any) -> None:
        self._queue.put_nowait(told)

    return offer


def _gap_left(_: Function) -> Function:
    async def fill_gap(self: Any, connection: Any) -> bool:  # noqa: ARG001  (it reads nothing)
        return True

    return fill_gap


def _gap_from_the_last_credit(right: Function) -> Function:
    def offer(self: Any, told: Any) -> None:
        right(self, told)
        self._begins = max(self._begins, told.happened_at)

    return offer


BOOKING: Final = (
    Mutant(
        name="posting_dropped",
        bug="That a transfer has arrived is not posted.",
        breaks=("I2",),
        within=10,
        replacements=(Replacement(postings, "transfer_confirmed", _not_posted),),
    ),
    Mutant(
        name="unmatched_is_revenue",
        bug="Money that fits no deposit is kept as revenue instead of suspense.",
        breaks=("I2",),
        within=20,
        hazards={Hazard.CALLBACK_ALTERED: Level.EXTREME},
        replacements=(Replacement(postings, "payment_unmatched", _as_revenue),),
    ),
    Mutant(
        name="margin_forgotten",
        bug="A deposit is priced at the mid, without our margin.",
        breaks=("I11",),
        within=5,
        replacements=(Replacement(LockedRate, "quote_deposit", _without_margin),),
    ),
    Mutant(
        name="reversal_dropped",
        bug="What Deriv refused stays in flight in the books.",
        breaks=("I1",),
        hazards={Hazard.DERIV_REFUSES: Level.MILD},
        replacements=(Replacement(postings, "transfer_failed", _not_posted),),
    ),
    Mutant(
        name="refuted_payment_kept",
        bug="A payment that M-Pesa denies stays in the books.",
        breaks=("I2",),
        hazards={Hazard.FORGER: Level.EXTREME, Hazard.CARELESS_PAYER: Level.EXTREME},
        replacements=(Replacement(postings, "deposit_payment_refuted", _not_posted),),
    ),
    Mutant(
        name="cents_lost_in_conversion",
        bug="A conversion drops what is left below a cent instead of rounding it half-even.",
        breaks=("I11",),
        within=20,
        replacements=(Replacement(locked_rate, "divide_half_even", _rounded_down),),
    ),
    Mutant(
        name="rounding_hidden",
        bug="What rounding up to shillings brings in is posted as margin.",
        breaks=("I11",),
        within=10,
        replacements=(Replacement(postings, "deposit_converted", _rounding_as_spread),),
    ),
    Mutant(
        name="converted_at_todays_rate",
        bug="A deposit is converted at the rate of the moment, not at the one it was promised.",
        breaks=("I11",),
        hazards={Hazard.RATE_MOVES: Level.EXTREME},
        replacements=(
            Replacement(FundDepositHandler, "footprint", _looking_at_todays_rate),
            Replacement(postings, "deposit_converted", _at_todays_rate),
        ),
    ),
    Mutant(
        name="wrong_amount_asked",
        bug="The phone is asked for one shilling more than was quoted.",
        breaks=("I11", "I2"),
        within=5,
        replacements=(Replacement(DarajaClient, "_push_fields", _a_shilling_more),),
    ),
    Mutant(
        name="credit_booked_twice",
        bug="A credit at Deriv is booked as often as it is told.",
        breaks=("I2",),
        hazards={Hazard.STRANGE_CREDIT: Level.EXTREME, Hazard.DERIV_PUSHES: Level.EXTREME},
        replacements=(
            Replacement(postings, "incoming_credit", _booked_whenever_told),
            Replacement(IncomingCredits, "offer", _offered_whenever_told),
        ),
    ),
    Mutant(
        name="gap_not_filled",
        bug="What came in at Deriv while nobody listened is never read.",
        breaks=("I2",),
        hazards={
            Hazard.STRANGE_CREDIT: Level.EXTREME,
            Hazard.DERIV_PUSHES: Level.EXTREME,
            Hazard.DERIV_DOWN: Level.MILD,
        },
        replacements=(Replacement(DerivWsGateway, "_fill_gap", _gap_left),),
    ),
    Mutant(
        name="gap_begins_after_the_last_credit",
        bug="The statement is read only from the last credit that the stream told.",
        breaks=("I2",),
        hazards={Hazard.STRANGE_CREDIT: Level.EXTREME, Hazard.DERIV_PUSHES: Level.EXTREME},
        replacements=(Replacement(IncomingCredits, "offer", _gap_from_the_last_credit),),
    ),
)
