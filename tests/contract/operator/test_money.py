"""Every shilling accounted for, on every engine: fees, excise, commission, float, sweeps, reversals."""

from __future__ import annotations

import asyncio
from importlib import resources
from uuid import UUID

import pytest

from penpay.application.mobile_money.approving import Actor, Decide
from penpay.application.mobile_money.float_issue import EnterBankDeposit, PayCommission, Sweep
from penpay.application.mobile_money.reversing import Reverse
from penpay.application.mobile_money.tariff_file import parse_tariff
from penpay.application.mobile_money.tariffs import LoadTariff
from penpay.domain.mobile_money.approval import ApprovalId
from penpay.domain.mobile_money.customer import CustomerType
from penpay.domain.mobile_money.errors import (
    BankDepositExists,
    CommissionNotCovered,
    InsufficientFunds,
    NothingToReverse,
    SweepTooLarge,
)
from penpay.domain.mobile_money.transaction import Operation, OperatorTransactionId
from penpay.infrastructure.sql.queries import SqlLedgerBooks
from tests.contract.operator.stage import Stage, kes

DEPOSIT, WITHDRAW, TRANSFER = Operation.DEPOSIT, Operation.WITHDRAW, Operation.TRANSFER
SUBSCRIBER = CustomerType.SUBSCRIBER


async def balances(stage: Stage) -> dict[str, int]:
    """Every account that holds something, customers' by the name the test gave them."""
    names = {customer.wallet: name for name, customer in stage.people.items()}
    rows = await SqlLedgerBooks(stage.process.engine).trial_balance()
    return {
        names.get(row.code, row.code.replace(str(stage.people["agent"].id), "agent")): row.debit_cents
        - row.credit_cents
        for row in rows
        if row.debit_cents != row.credit_cents
    }


async def test_a_fee_goes_to_revenue_and_to_the_tax_authority(stage: Stage) -> None:
    """Of a fee of 23 shillings, 15/115 is excise: 3.00; the predecessor let the whole fee vanish."""
    await stage.charge(TRANSFER, SUBSCRIBER, SUBSCRIBER, 23_00)
    await stage.move(DEPOSIT, "agent", "first", 1_000)

    answer = await stage.move(TRANSFER, "first", "second", 500)

    assert (23_00, 477_00) == (answer["feeCents"], answer["balanceCents"])
    assert {
        "trust:unevidenced": 10_000_00,
        "agent": -9_000_00,
        "first": -477_00,
        "second": -500_00,
        "revenue:mobile_money_fees": -20_00,
        "excise:payable": -3_00,
    } == await balances(stage)
    assert await stage.agrees()


async def test_spending_a_full_balance_leaves_zero(stage: Stage) -> None:
    """In the predecessor who spent everything still had it."""
    await stage.move(DEPOSIT, "agent", "first", 100)

    await stage.move(TRANSFER, "first", "second", 100)

    assert (0, 100_00) == (await stage.cents("first"), await stage.cents("second"))
    assert await stage.agrees()


async def test_nobody_pays_more_than_she_has(stage: Stage) -> None:
    """The fee counts: 100 shillings are not enough for 100 and a fee of one cent."""
    await stage.charge(TRANSFER, SUBSCRIBER, SUBSCRIBER, 1)
    await stage.move(DEPOSIT, "agent", "first", 100)

    with pytest.raises(InsufficientFunds):
        await stage.move(TRANSFER, "first", "second", 100)

    assert (100_00, 0) == (await stage.cents("first"), await stage.cents("second"))
    assert await stage.agrees()


async def test_a_hundred_transfers_at_once_lose_nothing(stage: Stage) -> None:
    """In the predecessor a hundred transfers of 10 charged 41 times and credited 49 times."""
    await stage.move(DEPOSIT, "agent", "first", 1_005)

    await asyncio.gather(*(stage.move(TRANSFER, "first", "second", 10) for _ in range(100)))

    assert (5_00, 1_000_00) == (await stage.cents("first"), await stage.cents("second"))
    assert await stage.agrees()


async def test_of_too_many_transfers_at_once_exactly_those_that_are_covered_happen(stage: Stage) -> None:
    """Fifty shillings pay five times ten, whoever asks first."""
    await stage.move(DEPOSIT, "agent", "first", 50)

    asked = await asyncio.gather(
        *(stage.move(TRANSFER, "first", "second", 10) for _ in range(20)), return_exceptions=True
    )

    assert 15 == sum(isinstance(answer, InsufficientFunds) for answer in asked)
    assert (0, 50_00) == (await stage.cents("first"), await stage.cents("second"))
    assert await stage.agrees()


async def test_the_public_tariff_prices_a_withdrawal_and_pays_the_agent(stage: Stage) -> None:
    """Withdrawing 1,500 costs 29, of which 3.78 is excise; the agent earns 12, and 10 for the deposit before."""
    tariff = parse_tariff((resources.files("penpay") / "data" / "mpesa-2023-07.json").read_bytes())
    await stage.do(LoadTariff(tariff=tariff, by=str(Actor.administrator(stage.administrator.id))))
    await stage.move(DEPOSIT, "agent", "first", 1_600)

    answer = await stage.move(WITHDRAW, "first", "agent", 1_500)

    assert 29_00 == answer["feeCents"]
    assert {
        "trust:unevidenced": 10_000_00,
        "agent": -9_900_00,
        "first": -71_00,
        "revenue:mobile_money_fees": -25_22,
        "excise:payable": -3_78,
        "expense:agent_commission": 23_00,
        "commission:agent:KES": -23_00,
    } == await balances(stage)
    assert await stage.agrees()


async def test_commission_is_paid_once_it_is_earned(stage: Stage) -> None:
    """A deposit costs the operator commission and brings no fee: until its own money covers it, nothing is paid."""
    tariff = parse_tariff((resources.files("penpay") / "data" / "mpesa-2023-07.json").read_bytes())
    await stage.do(LoadTariff(tariff=tariff, by=str(Actor.administrator(stage.administrator.id))))
    await stage.move(DEPOSIT, "agent", "first", 1_000)
    pay = PayCommission(agent=stage.people["agent"].id, by=stage.administrator.id)

    with pytest.raises(CommissionNotCovered):
        await stage.do(pay)
    await stage.do(EnterBankDeposit(reference="OWN-1", amount=kes(100), own_funds=True, by="operator"))
    paid = await stage.do(pay)

    assert 9_00 == paid["amountCents"]
    assert 9_009_00 == await stage.cents("agent")
    assert await stage.agrees()


async def test_only_what_was_earned_is_swept(stage: Stage) -> None:
    """Of 23 shillings of fees 20 are ours and 3 the tax authority's; what customers hold stays."""
    await stage.charge(TRANSFER, SUBSCRIBER, SUBSCRIBER, 23_00)
    await stage.move(DEPOSIT, "agent", "first", 1_000)
    await stage.move(TRANSFER, "first", "second", 500)
    await stage.do(EnterBankDeposit(reference="BANK-1", amount=kes(10_000), own_funds=False, by="operator"))
    by = stage.administrator.id

    for too_much in (Sweep(amount=kes(21), excise=False, by=by), Sweep(amount=kes(4), excise=True, by=by)):
        with pytest.raises(SweepTooLarge):
            await stage.do(too_much)
    await stage.do(Sweep(amount=kes(20), excise=False, by=by))
    await stage.do(Sweep(amount=kes(3), excise=True, by=by))

    found = await stage.process.operator.books.reconciliation()
    assert (9_977_00, 0, 0) == (found.bank.cents, found.own_funds.cents, found.excise_payable.cents)
    assert await stage.agrees()


async def test_float_without_evidence_is_listed_until_the_bank_tells_of_it(stage: Stage) -> None:
    """The oldest issue of the amount is matched; a deposit of another amount waits in suspense, and is used by name."""
    books = stage.process.operator.books
    assert [kes(10_000)] == [issue.amount for issue in (await books.reconciliation()).waiting]

    await stage.do(EnterBankDeposit(reference="BANK-1", amount=kes(10_000), own_funds=False, by="operator"))
    await stage.do(EnterBankDeposit(reference="BANK-2", amount=kes(7), own_funds=False, by="operator"))
    await stage.do(EnterBankDeposit(reference="BANK-2", amount=kes(7), own_funds=False, by="operator"))
    found = await books.reconciliation()

    assert [] == found.waiting
    assert ["BANK-2"] == [deposit.reference for deposit in found.unexplained]
    assert (10_007_00, 7_00) == (found.bank.cents, found.suspense.cents)

    await stage.assign_float(7, "BANK-2")
    found = await books.reconciliation()

    assert [] == found.unexplained
    assert (10_007_00, 10_007_00, 0) == (found.issued.cents, found.evidenced.cents, found.suspense.cents)
    for used in ("BANK-1", "BANK-2"):
        with pytest.raises(BankDepositExists):
            await stage.assign_float(7, used)
    assert await stage.agrees()


async def test_two_equal_deposits_at_once_stand_behind_two_issues(stage: Stage) -> None:
    """Each evidences one, even in one commit."""
    for _ in range(2):
        await stage.assign_float(300)

    deposits = (EnterBankDeposit(reference=f"B-{n}", amount=kes(300), own_funds=False, by="operator") for n in range(3))
    states = [answer["state"] for answer in await asyncio.gather(*map(stage.do, deposits))]

    assert ["FLOAT", "FLOAT", "SUSPENSE"] == sorted(states, key=str)
    assert await stage.agrees()


async def test_a_reversal_gives_back_what_is_left(stage: Stage) -> None:
    """Of 500 sent, 200 were spent: 300 come back with the receiver's consent, and later nothing more can."""
    await stage.move(DEPOSIT, "agent", "first", 500)
    sent = await stage.move(TRANSFER, "first", "second", 500)
    await stage.move(TRANSFER, "second", "first", 200)
    id_ = OperatorTransactionId(_uuid(sent["transactionId"]))
    first, second = stage.people["first"], stage.people["second"]

    asked = await stage.do(Reverse(transaction_id=id_, by=Actor.customer(first.id)))
    assert (200_00, 300_00) == (await stage.cents("first"), await stage.cents("second"))
    consent = Decide(approval_id=ApprovalId(_uuid(asked["approvalId"])), by=Actor.customer(second.id), approve=True)
    done = await stage.do(consent)

    assert (300_00, 200_00) == (done["amountCents"], done["notReversedCents"])
    assert (500_00, 0) == (await stage.cents("first"), await stage.cents("second"))
    with pytest.raises(NothingToReverse):
        await stage.do(Reverse(transaction_id=id_, by=Actor.administrator(stage.administrator.id)))
    assert await stage.agrees()


async def test_everybody_is_told(stage: Stage) -> None:
    """The promised message comes, to both sides; an agent who runs low is warned once."""
    await stage.move(DEPOSIT, "agent", "first", 9_001)
    await stage.move(TRANSFER, "first", "second", 500)

    assert "Confirmed. Ksh500.00 sent to Second 0712000002" in (await stage.texts("first"))[0]
    assert "Confirmed.You have received Ksh500.00 from First 0712***001" in (await stage.texts("second"))[0]
    assert 1 == sum("float is low" in text for text in await stage.texts("agent"))


def _uuid(text: object) -> UUID:
    return UUID(str(text))
