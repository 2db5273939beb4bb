"""Merchants' three accounts on every engine: payouts, charges and their settlement, payments, and closing."""

from __future__ import annotations

import asyncio
from importlib import resources

import pytest

from penpay.application.mobile_money.approving import Actor
from penpay.application.mobile_money.care import ChangeStatus
from penpay.application.mobile_money.daraja_requests import AcceptRequest, CarryOut, Outcome
from penpay.application.mobile_money.float_issue import Sweep
from penpay.application.mobile_money.reversing import Reverse
from penpay.application.mobile_money.settling import SettleCharges
from penpay.application.mobile_money.tariff_file import parse_tariff
from penpay.application.mobile_money.tariffs import LoadTariff
from penpay.domain.mobile_money.customer import CustomerStatus
from penpay.domain.mobile_money.daraja_request import DarajaRequest, RequestDetails, RequestKind, RequestState
from penpay.domain.mobile_money.errors import (
    BalanceLeft,
    ConversationIdTaken,
    CustomerNotFound,
    InsufficientFunds,
    RequestEnded,
    SweepTooLarge,
)
from penpay.domain.mobile_money.merchant import NumberKind
from penpay.domain.mobile_money.tariff import PayBillPlan
from penpay.domain.mobile_money.transaction import Operation
from penpay.domain.shared.errors import InvalidAmount
from tests.contract.operator.stage import Stage, kes

SHOP = "600500"
TO_WORKING = "MerchantTransferFromMerchantToWorking"


async def shop(stage: Stage, shillings: int) -> None:
    """The shop has a PayBill and this much on Utility; the public tariff is in force."""
    await stage.process.operator.open_number(
        stage.people["shop"].id, SHOP, "SHOP", NumberKind.PAYBILL, PayBillPlan.CUSTOMER_PAYS
    )
    await stage.move(Operation.DEPOSIT, "agent", "first", shillings)
    await stage.move(Operation.TRANSFER, "first", "shop", shillings)
    tariff = parse_tariff((resources.files("penpay") / "data" / "mpesa-2023-07.json").read_bytes())
    await stage.do(LoadTariff(tariff=tariff, by="operator"))


async def asked(
    stage: Stage, number: int, shillings: int, *, kind: RequestKind = RequestKind.B2C, command: str = "BusinessPayment"
) -> DarajaRequest:
    """Accepted: a payout to the second subscriber, or a payment to the shop itself."""
    details = RequestDetails(
        command=command,
        initiator="testapi",
        security_credential="",
        party="+254712000002" if kind is RequestKind.B2C else SHOP,
        reference="",
        conversation="",
        occasion="",
        result_url="https://example.org/result",
        queue_timeout_url="https://example.org/timeout",
        body="{}",
    )
    request: DarajaRequest = await stage.process.operator.do(
        AcceptRequest(
            kind=kind,
            short_code=SHOP,
            originator_conversation_id=f"O{number}",
            conversation_id=f"C{number}",
            amount=kes(shillings),
            details=details,
        )
    )
    return request


async def paid_out(stage: Stage, number: int, shillings: int) -> Outcome:
    request = await asked(stage, number, shillings)
    outcome: Outcome = await stage.process.operator.do(CarryOut(request=request))
    return outcome


def settling(stage: Stage) -> SettleCharges:
    return SettleCharges(merchant=stage.people["shop"].id, by=stage.administrator.id)


async def charges(stage: Stage) -> tuple[int, int, int, int]:
    """Charges Paid, unsettled charges, own funds and excise, in cents; the equation holds."""
    found = await stage.process.operator.books.reconciliation()
    assert (0, True) == (found.difference.cents, found.is_covered)
    return (
        found.charges_paid.cents,
        found.unsettled_charges.cents,
        found.own_funds.cents,
        found.excise_payable.cents,
    )


@pytest.mark.parametrize(
    ("shillings", "fee"),
    [(10, 0), (100, 0), (101, 5), (1_500, 5), (1_501, 9), (5_000, 9), (5_001, 11)],
)
async def test_a_payout_costs_what_its_band_says(stage: Stage, shillings: int, fee: int) -> None:
    """The fee is on Charges Paid and with the operator's unsettled charges, and on the record; no excise yet."""
    await shop(stage, 6_000)

    outcome = await paid_out(stage, 1, shillings)

    assert outcome.transaction is not None
    assert (kes(fee), kes(0)) == (outcome.transaction.payer_fee, outcome.transaction.excise)
    assert (shillings * 100, 6_000_00 - shillings * 100) == (await stage.cents("second"), await stage.cents("shop"))
    assert (-fee * 100, fee * 100, 0, 0) == await charges(stage)
    assert await stage.agrees()


async def test_unsettled_charges_are_not_swept(stage: Stage) -> None:
    """Nothing is earned before it is settled: 8.70 of ten shillings then, and 1.30 is excise."""
    await shop(stage, 3_000)
    await paid_out(stage, 1, 500)
    await paid_out(stage, 2, 500)
    sweep = Sweep(amount=kes(8), excise=False, by=stage.administrator.id)

    with pytest.raises(SweepTooLarge):
        await stage.do(sweep)
    answer = await stage.do(settling(stage))

    assert (10_00, 0, 1_990_00) == (answer["amountCents"], answer["notSettledCents"], await stage.cents("shop"))
    assert (0, 0, 8_70, 1_30) == await charges(stage)
    await stage.do(sweep)
    assert await stage.agrees()


async def test_what_is_there_is_settled_and_the_rest_later(stage: Stage) -> None:
    """Of five shillings owed two are there; with nothing there, or nothing owed, it is refused."""
    await shop(stage, 502)
    await paid_out(stage, 1, 500)

    first = await stage.do(settling(stage))
    assert (-3_00, 3_00, 1_74, 26) == await charges(stage)
    with pytest.raises(InsufficientFunds):
        await stage.do(settling(stage))
    await stage.move(Operation.TRANSFER, "second", "shop", 100)
    second = await stage.do(settling(stage))
    with pytest.raises(InvalidAmount):
        await stage.do(settling(stage))

    assert [(2_00, 3_00), (3_00, 0)] == [(one["amountCents"], one["notSettledCents"]) for one in (first, second)]
    assert 97_00 == await stage.cents("shop")
    with pytest.raises(CustomerNotFound):
        await stage.do(SettleCharges(merchant=stage.people["first"].id, by=stage.administrator.id))
    assert await stage.agrees()


async def test_twins_are_carried_out_once(stage: Stage) -> None:
    """One request told ten times to move its money moves it once; one id is taken by one of ten requests."""
    await shop(stage, 1_000)
    request = await asked(stage, 1, 100)

    carried = await asyncio.gather(
        *(stage.process.operator.do(CarryOut(request=request)) for _ in range(10)), return_exceptions=True
    )
    accepted = await asyncio.gather(*(asked(stage, 2, 100) for _ in range(10)), return_exceptions=True)

    assert (1, 9) == (
        sum(isinstance(one, Outcome) for one in carried),
        sum(isinstance(one, RequestEnded) for one in carried),
    )
    assert 9 == sum(isinstance(one, ConversationIdTaken) for one in accepted)
    assert (100_00, 900_00) == (await stage.cents("second"), await stage.cents("shop"))
    assert await stage.agrees()


async def test_a_request_and_its_money_are_read_as_they_were_written(stage: Stage) -> None:
    """By its id and by the money it moved; what is open is listed, what is over is not."""
    await shop(stage, 1_000)
    books = stage.process.operator.requests
    waiting = await asked(stage, 1, 100)
    outcome = await paid_out(stage, 2, 100)

    assert [waiting] == list(await books.open_requests())
    assert outcome.transaction is not None
    assert outcome.request == await books.request("O2") == await books.request_of(outcome.transaction.id)
    assert outcome.transaction == await books.transaction(outcome.transaction.receipt)
    assert (RequestState.DONE, None) == (outcome.request.state, await books.request("o2"))


@pytest.mark.parametrize(("shillings", "to_working"), [(100, 0), (500, 0), (500, 5), (100, 5)])
async def test_a_merchant_with_money_or_charges_is_not_closed(stage: Stage, shillings: int, to_working: int) -> None:
    """Nothing is on Utility any more; Working counts, and what is owed counts too, and the two do not even out."""
    await shop(stage, shillings + to_working)
    close = ChangeStatus(
        customer_id=stage.people["shop"].id,
        status=CustomerStatus.CLOSED,
        reason="at its request",
        by=stage.administrator.id,
    )
    await paid_out(stage, 1, shillings)
    if to_working:
        request = await asked(stage, 2, to_working, kind=RequestKind.B2B, command=TO_WORKING)
        await stage.process.operator.do(CarryOut(request=request))
    assert 0 == await stage.cents("shop")

    if (shillings, to_working) == (100, 0):
        await stage.do(close)
        return
    with pytest.raises(BalanceLeft):
        await stage.do(close)
    assert await stage.agrees()


async def test_a_payout_can_be_given_back_by_administrators(stage: Stage) -> None:
    """The money returns to Utility; what the payout cost stays."""
    await shop(stage, 1_000)
    outcome = await paid_out(stage, 1, 500)
    assert outcome.transaction is not None

    await stage.do(Reverse(transaction_id=outcome.transaction.id, by=Actor.administrator(stage.administrator.id)))

    assert (0, 1_000_00) == (await stage.cents("second"), await stage.cents("shop"))
    assert (-5_00, 5_00, 0, 0) == await charges(stage)
    assert await stage.agrees()
