"""Bugs at the operator of mobile money: money moved twice, fees and messages left out, rules not kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from penpay.application.mobile_money import float_issue, messages, moving, notices, reversing
from penpay.application.mobile_money.float_issue import EnterBankDepositHandler
from penpay.application.mobile_money.moving import Mover
from penpay.application.mobile_money.rows import BankDepositState
from penpay.application.shared.executor import Executor
from penpay.application.shared.idempotency import IdempotencyKey
from penpay.application.wallet import postings
from penpay.domain.mobile_money.approval import Approval
from penpay.domain.mobile_money.cash_out import CashOutCode
from penpay.domain.mobile_money.customer import Bar, Customer
from penpay.domain.mobile_money.receipt import ReceiptCounter
from penpay.domain.mobile_money.transaction import OperatorTransaction
from penpay.domain.shared.money import Money
from penpay.presentation.operator.routes import transactions
from penpay.simulation.mutants.planting import Function, Mutant, Replacement
from penpay.simulation.profile import Hazard, Level

_MUCH: Final = Level.EXTREME
_USED: Final[Mapping[Hazard, Level]] = {Hazard.MOBILE_MONEY: Level.EXTREME}


def _without_key(_: Function) -> Function:
    async def customers_key(request: Any, route: str, fields: Any) -> None:  # noqa: ARG001  (it looks at none)
        return None

    return customers_key


def _uncounted(_: Function) -> Function:
    def enter_wrong_pin(self: Any, policy: Any) -> Any:  # noqa: ARG001  (it counts nothing)
        return self.changed()

    return enter_wrong_pin


def _free(right: Function) -> Function:
    def price(*asked: Any) -> Any:
        found = right(*asked)
        nothing = found.excise - found.excise
        return replace(found, fees=replace(found.fees, payer=nothing, payee=nothing), excise=nothing)

    return price


def _excise_kept(_: Function) -> Function:
    def excise_in(gross: Money, rate_bps: int) -> Money:  # noqa: ARG001  (it splits nothing off)
        return gross - gross

    return excise_in


def _one_side_told(right: Function) -> Function:
    def of_movement(*about: Any, **named: Any) -> Any:
        yield next(iter(right(*about, **named)))

    return of_movement


def _nobody_told(_: Function) -> Function:
    def tell(*about: Any) -> None:  # noqa: ARG001  (it tells nobody)
        return

    return tell


def _receipt_of_the_original(_: Function) -> Function:
    def given_back_message(**told: Any) -> str:
        return f"{told['reversed_receipt']} Confirmed. It was reversed."

    return given_back_message


def _receipt_reused(right: Function) -> Function:
    def after(self: Any, today: Any) -> Any:
        counter, receipt = right(self, today)
        return (replace(counter, used=counter.used - 1), receipt) if counter.used % 5 == 0 else (counter, receipt)

    return after


def _own_approval_taken(right: Function) -> Function:
    def decided(self: Any, state: Any, by: str, at: Any) -> Any:
        return replace(right(replace(self, requested_by=""), state, by, at), requested_by=self.requested_by)

    return decided


def _decided_again(right: Function) -> Function:
    def decided(self: Any, state: Any, by: str, at: Any) -> Any:
        return right(replace(self, state=type(self.state).PENDING), state, by, at)

    return decided


def _whole_balance_without_fee(right: Function) -> Function:
    def bar_to(self: Any, amount: Any, **named: Any) -> Any:
        found = right(self, amount, **named)
        return None if found is Bar.INSUFFICIENT_FUNDS and amount <= named["balance"] else found

    return bar_to


def _whole_balance_refused(right: Function) -> Function:
    def bar_to(self: Any, amount: Any, **named: Any) -> Any:
        found = right(self, amount, **named)
        return Bar.INSUFFICIENT_FUNDS if found is None and amount + named["fee"] == named["balance"] else found

    return bar_to


def _commission_twice(right: Function) -> Function:
    def commission_accrued(work: Any, *, agent: Any, amount: Any, id_: Any) -> None:
        right(work, agent=agent, amount=amount, id_=id_)
        right(work, agent=agent, amount=amount, id_=work.ids.new())

    return commission_accrued


def _commission_still_owed(_: Function) -> Function:
    def commission_paid(work: Any, *, agent: Any, wallet: str, amount: Any, id_: Any) -> None:  # noqa: ARG001  (not hers)
        postings.float_assigned(work, holder=wallet, amount=amount, against=postings.TRUST_UNEVIDENCED, id_=id_)

    return commission_paid


def _evidence_taken_again(_: Function) -> Function:
    def state(self: Any, command: Any, work: Any) -> Any:  # noqa: ARG001  (it looks for no issue)
        return BankDepositState.FLOAT

    return state


def _against_the_bank(_: Function) -> Function:
    def evidence(command: Any, work: Any) -> str:  # noqa: ARG001  (it asks for no evidence)
        return postings.TRUST_BANK

    return evidence


def _given_to_nobody(right: Function) -> Function:
    def operator_reversal(work: Any, *, payer: str, payee: str, amount: Any, id_: Any) -> None:
        right(work, payer=payee, payee=payer, amount=amount, id_=id_)

    return operator_reversal


def _once_more(_: Function) -> Function:
    def used(self: Any) -> Any:
        return replace(self, version=self.version + 1)

    return used


def _not_noted(_: Function) -> Function:
    def give_back(self: Any, amount: Any) -> Any:  # noqa: ARG001  (it notes nothing)
        return replace(self, version=self.version + 1)

    return give_back


def _whatever_was_asked(_: Function) -> Function:
    def replay(self: Any, stored: Any) -> Any:  # noqa: ARG001  (it compares nothing)
        return stored.answer

    return replay


def _believing(*, can_never_commit: bool) -> Callable[[Function], Function]:
    def make(_: Function) -> Function:
        async def never(self: Any, *_: Any) -> bool:  # noqa: ARG001  (it asks nobody)
            return can_never_commit

        return never

    return make


OPERATING: Final[tuple[Mutant, ...]] = (
    Mutant(
        name="operator_key_ignored",
        bug="A payment is made again for each repeat under its key.",
        breaks=("O4", "O3", "O6"),
        within=5,
        hazards=_USED,
        replacements=(Replacement(transactions, "customers_key", _without_key),),
    ),
    Mutant(
        name="operator_key_for_another_body",
        bug="Whatever is asked for under a key that was used is answered as the first request was.",
        breaks=("O6",),
        within=5,
        hazards=_USED,
        replacements=(Replacement(IdempotencyKey, "replay", _whatever_was_asked),),
    ),
    Mutant(
        name="operator_commit_made_again",
        bug="A batch of the operator whose commit was not answered is run again, although it was done.",
        breaks=("O3",),
        hazards={**_USED, Hazard.OPERATOR_COMMIT_LOST: _MUCH},
        replacements=(Replacement(Executor, "_can_never_commit", _believing(can_never_commit=True)),),
    ),
    Mutant(
        name="operator_commit_taken_for_done",
        bug="A batch of the operator whose commit was not answered counts as done.",
        breaks=("O3",),
        hazards={**_USED, Hazard.OPERATOR_COMMIT_LOST: _MUCH},
        replacements=(Replacement(Executor, "_can_never_commit", _believing(can_never_commit=False)),),
    ),
    Mutant(
        name="wrong_pin_not_counted",
        bug="A wrong PIN is refused and not counted, so one may go on guessing.",
        breaks=("O6",),
        within=10,
        hazards=_USED,
        replacements=(Replacement(Customer, "enter_wrong_pin", _uncounted),),
    ),
    Mutant(
        name="fee_dropped",
        bug="Money is moved for nothing.",
        breaks=("O2",),
        within=5,
        hazards=_USED,
        replacements=(Replacement(Mover, "price", _free),),
    ),
    Mutant(
        name="excise_not_split",
        bug="The duty inside a fee is kept as revenue.",
        breaks=("O2",),
        within=5,
        hazards=_USED,
        replacements=(Replacement(moving, "excise_in", _excise_kept),),
    ),
    Mutant(
        name="payer_not_told",
        bug="Only one side of a movement gets a message.",
        breaks=("O5",),
        within=5,
        hazards=_USED,
        replacements=(Replacement(notices, "of_movement", _one_side_told),),
    ),
    Mutant(
        name="reversal_not_told",
        bug="Nobody gets a message of a reversal.",
        breaks=("O5",),
        within=20,
        hazards=_USED,
        replacements=(Replacement(reversing, "tell", _nobody_told),),
    ),
    Mutant(
        name="reversal_told_under_another_receipt",
        bug="The message of a reversal bears the receipt of the payment.",
        breaks=("O5",),
        within=20,
        hazards=_USED,
        replacements=(Replacement(messages, "given_back_message", _receipt_of_the_original),),
    ),
    Mutant(
        name="receipt_repeated",
        bug="A receipt number is given out twice.",
        breaks=("O7", "I15"),
        within=5,
        hazards=_USED,
        replacements=(Replacement(ReceiptCounter, "next", _receipt_reused),),
    ),
    Mutant(
        name="reversed_twice",
        bug="How much of a payment was given back is not noted, so it can be given back again.",
        breaks=("O3", "O6"),
        within=20,
        hazards=_USED,
        replacements=(Replacement(OperatorTransaction, "give_back", _not_noted),),
    ),
    Mutant(
        name="reversal_the_wrong_way",
        bug="A reversal takes the money from whoever has paid, once more.",
        breaks=("O2",),
        within=20,
        hazards=_USED,
        replacements=(Replacement(postings, "operator_reversal", _given_to_nobody),),
    ),
    Mutant(
        name="own_approval_taken",
        bug="Whoever has asked for something may approve it herself.",
        breaks=("O6",),
        within=10,
        hazards=_USED,
        replacements=(Replacement(Approval, "decided", _own_approval_taken),),
    ),
    Mutant(
        name="approval_decided_again",
        bug="What was approved can be approved again, and is done again.",
        breaks=("O6", "O3"),
        within=20,
        hazards=_USED,
        replacements=(Replacement(Approval, "decided", _decided_again),),
    ),
    Mutant(
        name="whole_balance_without_fee",
        bug="Whoever pays all she has need not have the fee as well.",
        breaks=("O6",),
        hazards=_USED,
        replacements=(Replacement(Customer, "bar_to", _whole_balance_without_fee),),
    ),
    Mutant(
        name="whole_balance_refused",
        bug="Nobody can pay out her last shilling.",
        breaks=("O6",),
        hazards=_USED,
        replacements=(Replacement(Customer, "bar_to", _whole_balance_refused),),
    ),
    Mutant(
        name="code_redeemed_twice",
        bug="A cash-out code stays good after cash was paid for it.",
        breaks=("O6",),
        within=20,
        hazards=_USED,
        replacements=(Replacement(CashOutCode, "used", _once_more),),
    ),
    Mutant(
        name="commission_accrued_twice",
        bug="An agent earns her commission twice.",
        breaks=("O2",),
        within=5,
        hazards=_USED,
        replacements=(Replacement(postings, "commission_accrued", _commission_twice),),
    ),
    Mutant(
        name="commission_paid_again",
        bug="Commission that was paid is still owed.",
        breaks=("O2",),
        within=30,
        hazards=_USED,
        replacements=(Replacement(postings, "commission_paid", _commission_still_owed),),
    ),
    Mutant(
        name="evidence_for_no_issue",
        bug="A bank deposit counts as evidence although no float waits for it, or float that has some already.",
        breaks=("O2",),
        within=20,
        hazards=_USED,
        replacements=(Replacement(EnterBankDepositHandler, "_state", _evidence_taken_again),),
    ),
    Mutant(
        name="float_against_no_deposit",
        bug="Float is booked against the bank, although no deposit is known.",
        breaks=("O2",),
        within=10,
        hazards=_USED,
        replacements=(Replacement(float_issue, "_evidence", _against_the_bank),),
    ),
)
"""Bugs at the operator; in every seed it is used."""
