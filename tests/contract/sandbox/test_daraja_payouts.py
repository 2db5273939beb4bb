"""B2C over HTTP: what is accepted, what moves, what is told, and what is refused (daraja.md §4)."""

from __future__ import annotations

import asyncio
import re
from decimal import Decimal
from importlib import resources
from typing import Any

import pytest

from penpay.application.mobile_money.settling import SettleCharges
from penpay.application.mobile_money.tariff_file import parse_tariff
from penpay.application.mobile_money.tariffs import LoadTariff
from penpay.domain.mobile_money.customer import CustomerStatus
from penpay.domain.shared.errors import InvalidAmount
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql.queries import SqlLedgerBooks
from tests.contract.sandbox.organisation import Organisation, Results, parameters
from tests.contract.sandbox.world import OTHER_PAYER, PAYBILL, PAYER, World, kes

TARIFF = (resources.files("penpay") / "data" / "mpesa-2023-07.json").read_bytes()


async def test_a_payout_moves_money_and_tells_what_the_real_one_tells(organisation: Organisation) -> None:
    """Synchronous answer, result, message and books, field by field and type by type."""
    world = organisation.world
    await organisation.earned(1_000)
    await world.subscriber(OTHER_PAYER, shillings=5)

    answered = await organisation.pay(OTHER_PAYER, 300, OriginatorConversationID="600997_Test_1")
    result = await organisation.result()

    answer = answered.json(parse_float=Decimal)
    assert (200, "0", "Accept the service request successfully.") == (
        answered.status_code,
        answer["ResponseCode"],
        answer["ResponseDescription"],
    )
    assert re.fullmatch(r"AG_\d{8}_[0-9a-f]{20}", answer["ConversationID"])
    assert ("600997_Test_1", answer["ConversationID"]) == (
        result["OriginatorConversationID"],
        result["ConversationID"],
    )
    assert (0, 0, "The service request is processed successfully.") == (
        result["ResultType"],
        result["ResultCode"],
        result["ResultDesc"],
    )
    told = parameters(result)
    completed = told.pop("TransactionCompletedDateTime")
    assert re.fullmatch(r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d", completed)
    assert {
        "TransactionAmount": 300,
        "TransactionReceipt": result["TransactionID"],
        "ReceiverPartyPublicName": f"{OTHER_PAYER} - ",
        "B2CUtilityAccountAvailableFunds": Decimal("700.00"),
        "B2CWorkingAccountAvailableFunds": Decimal("0.00"),
        "B2CRecipientIsRegisteredCustomer": "Y",
        "B2CChargesPaidAccountAvailableFunds": Decimal("0.00"),
    } == told
    assert {"ReferenceItem": {"Key": "QueueTimeoutURL", "Value": f"{organisation.results.url}/timeout"}} == result[
        "ReferenceData"
    ]
    (message,) = await world.messages(OTHER_PAYER)
    assert message.startswith(f"{result['TransactionID']} Confirmed.You have received Ksh300.00 from PENPAY on ")
    await world.balances_are({PAYER: 1_000, OTHER_PAYER: 305}, merchant=700)
    await organisation.books()


async def test_a_charge_waits_until_it_is_settled(organisation: Organisation) -> None:
    """Nine shillings for 2,000: below zero on Charges Paid, nobody's revenue; settled, 1.17 of it is excise."""
    world = organisation.world
    await world.operator.do(LoadTariff(tariff=parse_tariff(TARIFF), by="operator"))
    by = await organisation.administrator()
    await organisation.earned(3_000)
    await world.subscriber(OTHER_PAYER, shillings=5)
    before = await organisation.books()

    await organisation.pay(OTHER_PAYER, 2_000)
    told = parameters(await organisation.result())

    after = await organisation.books()
    assert Decimal("-9.00") == told["B2CChargesPaidAccountAvailableFunds"]
    assert (-9_00, 9_00, before.own_funds) == (
        after.charges_paid.cents,
        after.unsettled_charges.cents,
        after.own_funds,
    )
    merchant = await world.operator.merchant(PAYBILL)
    settle = SettleCharges(merchant=merchant.customer_id, by=by)
    settled = await world.operator.do(settle)
    last = await organisation.books()
    assert (9_00, 0) == (settled["amountCents"], settled["notSettledCents"])
    assert (0, 0, 7_83, 1_17) == (
        last.charges_paid.cents,
        last.unsettled_charges.cents,
        (last.own_funds - before.own_funds).cents,
        (last.excise_payable - before.excise_payable).cents,
    )
    assert (after.merchants - last.merchants) == kes(9)
    with pytest.raises(InvalidAmount):
        await world.operator.do(settle)


async def test_an_id_is_good_once(organisation: Organisation) -> None:
    """Twins at once and a repeat later: one is paid, the others are told that the id was seen, whatever they say."""
    await organisation.earned(1_000)
    await organisation.world.subscriber(OTHER_PAYER, shillings=5)

    twins = await asyncio.gather(
        *(organisation.pay(OTHER_PAYER, 100, OriginatorConversationID="once") for _ in range(20))
    )
    await organisation.result()
    later = await organisation.pay(OTHER_PAYER, 50, OriginatorConversationID="once")

    refused = [one for one in (*twins, later) if one.status_code != 200]
    assert 20 == len(refused)
    assert {(500, "500.002.1001", "Duplicate OriginatorConversationID.")} == {
        (one.status_code, (body := one.json(parse_float=Decimal))["errorCode"], body["errorMessage"]) for one in refused
    }
    await organisation.world.settled()
    await organisation.world.balances_are({PAYER: 1_000, OTHER_PAYER: 105}, merchant=900)


async def test_without_an_id_of_its_own_a_repeat_pays_twice(organisation: Organisation) -> None:
    """Version 1 makes the ids, and ignores one that is given; so the real one does."""
    await organisation.earned(1_000)
    await organisation.world.subscriber(OTHER_PAYER, shillings=5)

    for _ in range(2):
        body = {"OriginatorConversationID": "mine", "InitiatorName": "testapi", "CommandID": "SalaryPayment"}
        await organisation.ask(
            "/mpesa/b2c/v1/paymentrequest",
            body | {"Amount": "100", "PartyA": PAYBILL, "PartyB": OTHER_PAYER, "Occasion": "x", "Surprise": []},
        )
    first, second = await organisation.result(), await organisation.result()

    assert 3 == len({first["OriginatorConversationID"], second["OriginatorConversationID"], "mine"})
    await organisation.world.balances_are({PAYER: 1_000, OTHER_PAYER: 205}, merchant=800)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Amount": 9}, 2),
        ({"Amount": 250_001}, 3),
        ({"Amount": 1_001}, 1),
        ({"PartyB": "254110000009"}, 2040),
        ({"PartyA": "600999"}, 2001),
        ({"PartyA": "600200"}, 2028),
        ({"InitiatorName": "nobody"}, 20),
        ({"SecurityCredential": "c2hvcnQ="}, 2001),
    ],
)
async def test_a_payout_that_cannot_be_made_says_why(
    organisation: Organisation, changes: dict[str, Any], code: int
) -> None:
    """Accepted, and told with the code of the reason: no receipt, no parameters, nothing moved."""
    await organisation.earned(1_000)
    await organisation.other_merchants()
    await organisation.world.subscriber(OTHER_PAYER, shillings=5)

    assert 200 == (await organisation.pay(OTHER_PAYER, 100, **changes)).status_code
    result = await organisation.result()

    assert (code, "0000000", True) == (result["ResultCode"], result["TransactionID"][3:], bool(result["ResultDesc"]))
    assert "ResultParameters" not in result
    assert (1_000_00, 0, 0) == await organisation.accounts()
    assert [] == await organisation.world.messages(OTHER_PAYER)


@pytest.mark.parametrize(
    ("whose", "status", "code"),
    [
        ({"number": PAYBILL}, CustomerStatus.FROZEN, 11),
        ({"number": PAYBILL}, CustomerStatus.SUSPENDED, 11),
        ({"phone": OTHER_PAYER}, CustomerStatus.SUSPENDED, 2006),
        ({"phone": OTHER_PAYER}, CustomerStatus.CLOSED, "SFC_IC0003"),
        ({"phone": OTHER_PAYER}, CustomerStatus.FROZEN, 0),
    ],
)
async def test_the_status_of_an_account_is_heeded(
    organisation: Organisation, whose: dict[str, str], status: CustomerStatus, code: object
) -> None:
    """A merchant that may not pay, and a customer who may not receive; a frozen one may."""
    await organisation.earned(1_000)
    await organisation.world.operator.register_subscriber(PhoneNumber("+" + OTHER_PAYER), "1234")
    await organisation.set_status(status, **whose)

    await organisation.pay(OTHER_PAYER, 100)

    assert code == (await organisation.result())["ResultCode"]
    assert (1_000_00 if code else 900_00, 0, 0) == await organisation.accounts()


async def test_the_largest_and_the_smallest_payout_are_made(organisation: Organisation) -> None:
    """250,000 and 10 shillings."""
    await organisation.earned(250_000)
    await organisation.earned(10, "254110000002")
    await organisation.world.operator.register_subscriber(PhoneNumber("+" + OTHER_PAYER), "1234")

    codes = []
    for shillings in (250_000, 10):
        await organisation.pay(OTHER_PAYER, shillings)
        codes.append((await organisation.result())["ResultCode"])

    assert ([0, 0], (0, 0, 0)) == (codes, await organisation.accounts())


async def test_a_wallet_that_would_be_too_full_gets_nothing(organisation: Organisation) -> None:
    """500,000 is the most a wallet may hold."""
    world = organisation.world
    await organisation.earned(1_000)
    await world.subscriber(OTHER_PAYER, shillings=499_950)

    await organisation.pay(OTHER_PAYER, 51)
    assert 8 == (await organisation.result())["ResultCode"]
    await organisation.pay(OTHER_PAYER, 50)
    assert 0 == (await organisation.result())["ResultCode"]
    await organisation.books()


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({"InitiatorName": None}, "InitiatorName"),
        ({"SecurityCredential": None}, "SecurityCredential"),
        ({"CommandID": "AccountBalance"}, "CommandID"),
        ({"Amount": "10.50"}, "Amount"),
        ({"Amount": -1}, "Amount"),
        ({"PartyA": "12"}, "PartyA"),
        ({"PartyB": "0712345678"}, "PartyB"),
        ({"Remarks": "x"}, "Remarks"),
        ({"Occassion": "x" * 101}, "Occassion"),
        ({"ResultURL": "ftp://x"}, "ResultURL"),
        ({"QueueTimeOutURL": None}, "QueueTimeOutURL"),
        ({"OriginatorConversationID": ""}, "OriginatorConversationID"),
        ({"OriginatorConversationID": "x" * 129}, "OriginatorConversationID"),
    ],
)
async def test_a_field_that_is_missing_or_wrong_is_named(
    organisation: Organisation, changes: dict[str, Any], missed: str
) -> None:
    """Refused at once, in the normal envelope; nothing is taken down."""
    refused = await organisation.pay(OTHER_PAYER, 100, **changes)

    body = refused.json(parse_float=Decimal)
    assert (400, "400.002.02", f"Bad Request - Invalid {missed}") == (
        refused.status_code,
        body["errorCode"],
        body["errorMessage"],
    )
    assert [] == await organisation.world.operator.requests.open_requests()


async def test_many_payouts_at_once_pay_what_is_there(world_on_each_engine: World, results: Results) -> None:
    """Of twenty payouts of 100 from 1,000 ten are made, on every engine, and the books agree."""
    organisation = Organisation(world_on_each_engine, results)
    await organisation.earned(1_000)
    await world_on_each_engine.subscriber(OTHER_PAYER, shillings=5)

    await asyncio.gather(*(organisation.pay(OTHER_PAYER, 100) for _ in range(20)))
    codes = [(await organisation.result())["ResultCode"] for _ in range(20)]

    assert [0] * 10 + [1] * 10 == sorted(codes)
    await world_on_each_engine.balances_are({PAYER: 1_000, OTHER_PAYER: 1_005}, merchant=0)
    assert (0, 0, 0) == await organisation.accounts()


async def test_the_ledger_is_sound_after_payouts(organisation: Organisation) -> None:
    """What `ledger verify` checks holds with charges below zero."""
    world = organisation.world
    await world.operator.do(LoadTariff(tariff=parse_tariff(TARIFF), by="operator"))
    await organisation.earned(3_000)
    await world.subscriber(OTHER_PAYER, shillings=5)
    await organisation.pay(OTHER_PAYER, 2_000)
    await organisation.result()

    assert [] == await SqlLedgerBooks(world.engine).verify()
