"""Who may move money to whom at the operator, and how much of it can be given back."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from penpay.domain.mobile_money.errors import NothingToReverse
from penpay.domain.mobile_money.policy import OPEN
from penpay.domain.mobile_money.tariff import Service
from penpay.domain.mobile_money.transaction import (
    CHARGED,
    Operation,
    OperatorTransaction,
    OperatorTransactionId,
    banded_service,
    check_allowed,
)
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.money import Currency, Money
from tests.unit.mobile_money.people import KINDS, NOON, a_customer, kes

MATRIX = """
DEPOSIT     | subscriber    | agent         | super agent         | merchant
subscriber  | not_an_agent  | not_an_agent  | not_an_agent        | not_an_agent
agent       | yes           | yes           | deposit_not_allowed | deposit_not_allowed
super agent | super_agent   | yes           | deposit_not_allowed | super_agent
merchant    | not_an_agent  | not_an_agent  | not_an_agent        | not_an_agent

WITHDRAW    | subscriber    | agent         | super agent         | merchant
subscriber  | not_an_agent  | yes           | super_agent         | not_an_agent
agent       | not_an_agent  | yes           | super_agent         | not_an_agent
super agent | super_agent   | super_agent   | super_agent         | super_agent
merchant    | not_an_agent  | yes           | super_agent         | not_an_agent

TRANSFER    | subscriber    | agent         | super agent         | merchant
subscriber  | yes           | not_offered   | super_agent         | yes
agent       | not_offered   | yes           | super_agent         | yes
super agent | super_agent   | super_agent   | super_agent         | super_agent
merchant    | yes           | not_offered   | super_agent         | not_offered
"""
"""Rows pay, columns receive (earlier_systems.md 1A). Withdrawing at a super agent worked there and does not here."""
CODES = {"super_agent": "super_agent_not_allowed", "not_offered": "operation_not_offered"}


def cells() -> list[tuple[Operation, str, str, str]]:
    """Operation, who pays, who receives, and what comes of it."""
    found = []
    for block in MATRIX.strip().split("\n\n"):
        head, *rows = ([cell.strip() for cell in line.split("|")] for line in block.splitlines())
        operation, *targets = head
        for source, *outcomes in rows:
            pairs = zip(targets, outcomes, strict=True)
            found += [(Operation(operation), source, target, outcome) for target, outcome in pairs]
    return found


def outcome(operation: Operation, source: str, target: str, amount: Money = kes(10)) -> str:
    """`yes`, or the code of the first rule that is broken."""
    try:
        check_allowed(operation, a_customer(source, 1), a_customer(target, 2), amount, OPEN)
    except DomainError as refusal:
        return refusal.code
    return "yes"


def test_the_matrix_is_whole() -> None:
    """Every operation between every two kinds of customers."""
    assert {(operation, source, target) for operation, source, target, _ in cells()} == {
        (operation, source, target)
        for operation in (Operation.DEPOSIT, Operation.WITHDRAW, Operation.TRANSFER)
        for source in KINDS
        for target in KINDS
    }


@pytest.mark.parametrize(("operation", "source", "target", "expected"), cells())
def test_who_may_move_money_to_whom(operation: Operation, source: str, target: str, expected: str) -> None:
    """One cell of the matrix."""
    assert CODES.get(expected, expected) == outcome(operation, source, target)


def test_what_is_charged_is_what_is_offered_between_ordinary_customers() -> None:
    """Deposits are free; of withdrawals and transfers exactly those with a charge can be made."""
    offered = {
        (operation, KINDS[source][0], KINDS[target][0])
        for operation, source, target, expected in cells()
        if expected == "yes" and operation is not Operation.DEPOSIT
    }
    assert set(CHARGED) == offered
    assert 8 == len(CHARGED)


@pytest.mark.parametrize(
    ("operation", "source", "target", "smallest"),
    [
        (Operation.DEPOSIT, "agent", "subscriber", 10_00),
        (Operation.WITHDRAW, "subscriber", "agent", 1_00),
        (Operation.TRANSFER, "subscriber", "subscriber", 10_00),
    ],
)
def test_the_smallest_amounts_are_ten_one_and_ten_shillings(
    operation: Operation, source: str, target: str, smallest: int
) -> None:
    """Inclusive; a cent less is refused."""
    assert "yes" == outcome(operation, source, target, Money(smallest, Currency.KES))
    assert "below_minimum" == outcome(operation, source, target, Money(smallest - 1, Currency.KES))


def test_rules_are_told_in_the_order_of_the_original_interface() -> None:
    """Same account, then the minimum, then who one is."""
    merchant = a_customer("merchant", 1)
    with pytest.raises(DomainError) as same:
        check_allowed(Operation.DEPOSIT, merchant, merchant, kes(1), OPEN)
    assert ["same_account", "below_minimum", "not_an_agent"] == [
        same.value.code,
        outcome(Operation.DEPOSIT, "merchant", "merchant", kes(1)),
        outcome(Operation.DEPOSIT, "merchant", "merchant"),
    ]


def test_the_public_tariff_prices_what_it_knows() -> None:
    """Five of the eight charges are services of the public tariff; the other three only have their flat charge."""
    priced = {key: banded_service(*key) for key in CHARGED}
    assert [
        Service.WITHDRAW_AT_AGENT,
        None,
        None,
        None,
        Service.SEND_MONEY,
        Service.SEND_MONEY,
        Service.PAY_BILL,
        Service.PAY_BILL,
    ] == list(priced.values())


# -- giving back


def a_payment(operation: Operation = Operation.TRANSFER) -> OperatorTransaction:
    """1,000 shillings for a fee of 13."""
    return OperatorTransaction(
        id=OperatorTransactionId(UUID(int=9)),
        receipt="UKK1234567",
        operation=operation,
        source_id=a_customer(number=1).id,
        target_id=a_customer(number=2).id,
        amount=kes(1_000),
        payer_fee=kes(13),
        payee_fee=kes(2),
        excise=kes(1),
        commission=kes(0),
        happened_at=NOON,
    )


@pytest.mark.parametrize(
    ("given_back", "held", "expected"),
    [
        (0, 5_000, 1_000),  # the amount, never the fee
        (0, 1_000, 1_000),
        (0, 400, 400),  # the rest is spent
        (400, 5_000, 600),
        (400, 100, 100),
        (999, 5_000, 1),
    ],
)
def test_what_is_left_and_still_held_can_be_given_back(given_back: int, held: int, expected: int) -> None:
    """Shillings: given back before, held by the receiver now, and what can be given back."""
    payment = replace(a_payment(), reversed=kes(given_back))
    assert kes(expected) == payment.reversible(kes(held))


@pytest.mark.parametrize(("given_back", "held"), [(1_000, 5_000), (0, 0)])
def test_nothing_left_or_nothing_held_is_nothing_to_reverse(given_back: int, held: int) -> None:
    """All of it was given back, or all of it is spent."""
    with pytest.raises(NothingToReverse):
        replace(a_payment(), reversed=kes(given_back)).reversible(kes(held))


@pytest.mark.parametrize("operation", Operation)
def test_only_payments_between_customers_are_reversed(operation: Operation) -> None:
    """Float, commission, payments between merchants and reversals themselves are not."""
    reversible = {Operation.DEPOSIT, Operation.WITHDRAW, Operation.TRANSFER, Operation.PAYOUT}
    try:
        assert kes(1_000) == a_payment(operation).reversible(kes(5_000))
        found = True
    except NothingToReverse:
        found = False
    assert (operation in reversible) is found


def test_giving_back_adds_up() -> None:
    """Twice, in parts, each a new version; then nothing is left."""
    payment = a_payment().give_back(kes(400)).give_back(kes(600))
    assert (kes(1_000), 2, kes(15)) == (payment.reversed, payment.version, payment.fees)
    with pytest.raises(NothingToReverse):
        payment.reversible(kes(5_000))
