"""C2B over real HTTP: addresses registered, payments asked about before they move and told after they have."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from penpay.application.shared.idempotency import IdempotencyKey
from penpay.bootstrap.operator import kenyan_policy
from penpay.domain.mobile_money.customer import EAST_AFRICA
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.faults import DarajaCall, FaultRule, Spoilt, SpoiltReply
from tests.contract.sandbox.shop import (
    KEYS,
    TILL,
    Shop,
    named_subscriber,
    of,
    open_shop,
    pay,
    quiet,
    read,
    register,
    simulate,
    till_of_the_paybill,
    wish,
)
from tests.contract.sandbox.world import OTHER_PAYER, PAYBILL, PAYER, World, WorldMaker, items, kes, paid

SOON = DarajaSwitches(confirm_every_ms=10)
ASKING = DarajaSwitches(confirm_every_ms=10, external_validation=True)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_shop() as made:
        yield made


# -- registering


async def test_registering_answers_with_the_misspelt_key(world: World, shop: Shop) -> None:
    """The three fields of the real answer, and no other."""
    response = await register(world, shop)
    answer = response.json(parse_float=Decimal)
    assert 200 == response.status_code
    assert ["OriginatorCoversationID", "ResponseCode", "ResponseDescription"] == list(answer)
    assert ("0", "Success") == (answer["ResponseCode"], answer["ResponseDescription"])
    assert re.fullmatch(r"[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]+", answer["OriginatorCoversationID"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ShortCode": "12"}, "ShortCode"),
        ({"ShortCode": "600999"}, "ShortCode"),
        ({"ResponseType": "completed"}, "ResponseType"),
        ({"ResponseType": None}, "ResponseType"),
        ({"ConfirmationURL": "not an address"}, "ConfirmationURL"),
        ({"ValidationURL": None}, "ValidationURL"),
    ],
)
async def test_a_wrong_registration_is_refused(world: World, shop: Shop, changes: dict[str, Any], field: str) -> None:
    """The field is named; the case of ResponseType matters."""
    response = await register(world, shop, **changes)
    refusal = response.json(parse_float=Decimal)
    assert (400, "400.002.02") == (response.status_code, refusal["errorCode"])
    assert f"Bad Request - Invalid {field}" == refusal["errorMessage"]


async def test_c2b_words_an_invalid_token_in_its_own_way(world: World, shop: Shop) -> None:
    """400.003.01, where the STK calls say 404.001.03."""
    world.token = "gone"
    for response in (await register(world, shop), await simulate(world, PAYER, 5)):
        assert (400, "400.003.01") == (response.status_code, response.json(parse_float=Decimal)["errorCode"])


@pytest.mark.parametrize(
    "url",
    ["http://shop.example/tell", "https://shop.example/M-Pesa", "https://mysql.shop.example/", "https://localhost/x"],
)
async def test_strict_worlds_refuse_what_m_pesa_refuses(make_world: WorldMaker, shop: Shop, url: str) -> None:
    """Plain http, loopback and forbidden words in any case; elsewhere all of them pass."""
    async with make_world(DarajaSwitches(strict_callback_urls=True)) as world:
        https = {"ConfirmationURL": "https://shop.example/tell", "ValidationURL": "https://shop.example/ask"}
        assert 200 == (await register(world, shop, **https)).status_code
        assert 400 == (await register(world, shop, **(https | {"ConfirmationURL": url}))).status_code
    async with make_world() as world:
        assert 200 == (await register(world, shop, ConfirmationURL=url)).status_code


async def test_registering_again_replaces_and_survives_a_restart(make_world: WorldMaker, shop: Shop) -> None:
    """The newest addresses are told, also by the next process on the same database."""
    async with make_world(SOON) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await register(world, shop, "v1", ConfirmationURL=f"{shop.url}/nowhere")
        await register(world, shop, "v2")
        await simulate(world, PAYER, 5)
        assert "5.00" == (await shop.next())["TransAmount"]
    async with make_world(SOON, keep=True) as world:
        world.what_runs_now_never_ends()
        await simulate(world, PAYER, 6)
        assert ("6.00", "2547 ***** 678") == of(await shop.next(), "TransAmount", "MSISDN")
        await quiet(world)
        assert 2 == len(shop.told)


async def test_where_a_number_registers_once_one_of_many_twins_does(make_world: WorldMaker, shop: Shop) -> None:
    """As in production: the others are told that the addresses are registered, with the family's code."""
    async with make_world(DarajaSwitches(register_once=True)) as world:
        answers = await asyncio.gather(*(register(world, shop) for _ in range(8)))
        assert [200] + [500] * 7 == sorted(answer.status_code for answer in answers)
        refused = next(answer for answer in answers if answer.status_code == 500).json(parse_float=Decimal)
        assert ("500.003.1001", "Urls are already registered.") == of(refused, "errorCode", "errorMessage")


# -- paying and being told


async def test_a_simulated_payment_moves_money_and_is_told_with_the_exact_body(
    make_world: WorldMaker, shop: Shop
) -> None:
    """Accepted with the real words, then one confirmation with every key in its place, and messages to both."""
    async with make_world(SOON) as world:
        await named_subscriber(world, PAYER, "Subscriber Middle Two", shillings=1_000)
        await register(world, shop)
        response = await simulate(world, PAYER, 5, BillRefNumber="Sample Transaction")
        answer = response.json(parse_float=Decimal)
        assert ["OriginatorCoversationID", "ResponseCode", "ResponseDescription"] == list(answer)
        assert ("0", "Accept the service request successfully.") == of(answer, "ResponseCode", "ResponseDescription")
        told = await shop.next()
        assert KEYS == tuple(told)
        assert re.fullmatch(r"[A-Z]{2}[1-9A-V][0-9A-Z]{7}", told["TransID"])
        at = datetime.strptime(told["TransTime"], "%Y%m%d%H%M%S").replace(tzinfo=EAST_AFRICA)
        assert abs(world.clock.now() - at) < timedelta(minutes=1)
        rest = (
            f'"TransAmount":"5.00","BusinessShortCode":"{PAYBILL}","BillRefNumber":"Sample Transaction",'
            '"InvoiceNumber":"","OrgAccountBalance":"5.00","ThirdPartyTransID":"","MSISDN":"2547 ***** 678",'
            '"FirstName":"Subscriber","MiddleName":"Middle","LastName":"Two"}'
        )
        head = f'{{"TransactionType":"Pay Bill","TransID":"{told["TransID"]}","TransTime":"{told["TransTime"]}",'
        assert (head + rest).encode() == shop.told[0]
        await world.balances_are({PAYER: 995}, merchant=5)
        assert told["TransID"] in (await world.messages(PAYER))[-1]
        merchant = await world.operator.merchant(PAYBILL)
        newest = await world.operator.books.messages(merchant.customer_id, 1, None)
        assert told["TransID"] in newest[0].text


async def test_version_one_tells_the_hash_of_the_payers_number(make_world: WorldMaker, shop: Shop) -> None:
    """Unsalted SHA-256 of the twelve digits; with the switch the number itself, in either version."""
    async with make_world(SOON) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await register(world, shop, "v1")
        await simulate(world, PAYER, 5, "v1")
        assert hashlib.sha256(PAYER.encode()).hexdigest() == (await shop.next())["MSISDN"]
        for version, shillings in (("v1", 6), ("v2", 7)):
            await world.client.put("/sandbox/switches", json={"plain_c2b_phone": True})
            await register(world, shop, version)
            await simulate(world, PAYER, shillings, version)
            assert PAYER == (await shop.next())["MSISDN"]


async def test_a_till_is_paid_without_a_reference(make_world: WorldMaker, shop: Shop) -> None:
    """Buy Goods, an empty BillRefNumber, and the balance of the account that the till leads to."""
    async with make_world(SOON) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await till_of_the_paybill(world)
        await register(world, shop, ShortCode=TILL)
        await simulate(world, PAYER, 8, ShortCode=TILL, CommandID="CustomerBuyGoodsOnline", BillRefNumber=None)
        told = await shop.next()
        assert ("Buy Goods", TILL, "", "8.00") == of(
            told, "TransactionType", "BusinessShortCode", "BillRefNumber", "OrgAccountBalance"
        )
        found = await world.operator.books.balances()
        assert {PAYBILL: kes(8), TILL: kes(8)} == dict(found.merchants)
        assert [kes(992)] == [money for _, money in found.subscribers]


async def test_payments_that_cannot_be_made_are_accepted_and_never_heardof(make_world: WorldMaker, shop: Shop) -> None:
    """A number without a wallet, one without money, and a product that does not fit: nothing moves, nobody is told."""
    async with make_world(ASKING) as world:
        await world.subscriber(PAYER, shillings=10)
        await register(world, shop)
        for response in (
            await simulate(world, OTHER_PAYER, 5),
            await simulate(world, PAYER, 11),
            await simulate(world, PAYER, 5, CommandID="CustomerBuyGoodsOnline", BillRefNumber=None),
        ):
            assert (200, "0") == (response.status_code, response.json(parse_float=Decimal)["ResponseCode"])
        await quiet(world)
        assert ([], []) == (shop.asked, shop.told)
        await world.balances_are({PAYER: 10}, merchant=0)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ShortCode": 600999}, "ShortCode"),
        ({"CommandID": "CustomerPayBill"}, "CommandID"),
        ({"Amount": "1.50"}, "Amount"),
        ({"Msisdn": "0712345678"}, "Msisdn"),
        ({"BillRefNumber": None}, "BillRefNumber"),
        ({"BillRefNumber": "x" * 21}, "BillRefNumber"),
    ],
)
async def test_a_wrong_simulation_is_refused(world: World, changes: dict[str, Any], field: str) -> None:
    """The field is named and nothing is simulated."""
    response = await simulate(world, PAYER, 5, **changes)
    assert 400 == response.status_code
    assert f"Bad Request - Invalid {field}" == response.json(parse_float=Decimal)["errorMessage"]


async def test_nobody_is_told_of_payments_before_the_registration(make_world: WorldMaker, shop: Shop) -> None:
    """Without addresses a payment completes silently, and stays so."""
    async with make_world(SOON) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await simulate(world, PAYER, 5)
        await world.settled()
        await register(world, shop)
        await simulate(world, PAYER, 6)
        assert "6.00" == (await shop.next())["TransAmount"]
        await quiet(world)
        assert 1 == len(shop.told)
        await world.balances_are({PAYER: 989}, merchant=11)


async def test_a_push_is_told_twice_under_one_receipt(make_world: WorldMaker, shop: Shop) -> None:
    """The callback, and the confirmation with the AccountReference that the callback does not echo."""
    async with make_world(SOON) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await register(world, shop)
        await paid(world)
        told = await shop.next()
        assert items(await world.callback())["MpesaReceiptNumber"] == told["TransID"]
        assert ("Pay Bill", "ACC-1", "500.00") == of(told, "TransactionType", "BillRefNumber", "OrgAccountBalance")
        await world.client.put("/sandbox/switches", json={"push_confirmation": False})
        await paid(world, shillings=300)
        await world.callback()
        await quiet(world)
        assert 1 == len(shop.told)


async def test_a_payment_by_the_operators_own_interface_is_told_once(make_world: WorldMaker, shop: Shop) -> None:
    """Twenty twins under one idempotency key move the money once, and one confirmation tells of it."""
    async with make_world(SOON) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await register(world, shop)
        move = await wish(world, PAYER, 40)
        key = IdempotencyKey(
            key_hash="k" * 64, caller="subscriber", route="transfer", field_digests={"amount": "d" * 64}
        )
        answers = await asyncio.gather(*(world.operator.do(move, key) for _ in range(20)))
        receipts = {answer["receipt"] for answer in answers}
        assert receipts == {(await shop.next())["TransID"]}
        await quiet(world)
        assert 1 == len(shop.told)
        await world.balances_are({PAYER: 960}, merchant=40)


async def test_each_confirmation_carries_the_balance_after_its_own_payment(make_world: WorldMaker, shop: Shop) -> None:
    """Thirty payments at once: thirty different receipts, and every balance on the way up once."""
    async with make_world(SOON) as world:
        phones = [f"2547000000{n:02d}" for n in range(30)]
        for msisdn in phones:
            await world.subscriber(msisdn, shillings=100)
        await register(world, shop)
        await asyncio.gather(*(simulate(world, msisdn, 10) for msisdn in phones))
        told = [await shop.next() for _ in phones]
        assert {f"{10 * n}.00" for n in range(1, 31)} == {one["OrgAccountBalance"] for one in told}
        assert 30 == len({one["TransID"] for one in told})
        await world.balances_are(dict.fromkeys(phones, 90), merchant=300)


async def test_every_engine_tells_and_lists_alike(world_on_each_engine: World, shop: Shop) -> None:
    """Registered twice, paid, told, pulled: the same on each of them."""
    world = world_on_each_engine
    await world.subscriber(PAYER, shillings=1_000)
    await register(world, shop, "v1")
    await register(world, shop, "v2")
    for shillings in (5, 6):
        await simulate(world, PAYER, shillings)
        assert f"{shillings}.00" == (await shop.next())["TransAmount"]
    pull = {"ShortCode": PAYBILL, "RequestType": "Pull", "NominatedNumber": PAYER, "CallBackURL": shop.url}
    for status in ("1000", "1001"):
        answer = await world.post("/pulltransactions/v1/register", **pull)
        assert status == answer.json(parse_float=Decimal)["ResponseStatus"]
    days = {"StartDate": "2020-08-04 8:36:00", "EndDate": "2031-08-04 8:36:00", "OffSetValue": "1"}
    found = (await world.post("/pulltransactions/v1/query", ShortCode=PAYBILL, **days)).json(parse_float=Decimal)
    assert [["6.00"]] == [[line["amount"] for line in page] for page in found["Response"]]
    await world.balances_are({PAYER: 989}, merchant=11)


async def test_c2b_calls_can_be_spoilt_before_and_after_they_take_effect(make_world: WorldMaker, shop: Shop) -> None:
    """A lost answer to a registration or a payment says nothing about whether it counts."""
    async with make_world(SOON) as world:
        await world.subscriber(PAYER, shillings=1_000)
        for call in (DarajaCall.C2B_REGISTER, DarajaCall.C2B_SIMULATE):
            for done in (False, True):
                rule = FaultRule(fault=SpoiltReply(call=call, reply=Spoilt.ERROR_500, done=done))
                world.sandbox.faults.add(rule)
        assert 500 == (await register(world, shop)).status_code
        await world.operator.do(await wish(world, PAYER, 7))
        assert 500 == (await register(world, shop)).status_code
        assert 500 == (await simulate(world, PAYER, 5)).status_code
        assert 500 == (await simulate(world, PAYER, 6)).status_code
        assert "6.00" == (await shop.next())["TransAmount"]
        await quiet(world)
        assert ["6.00"] == [read(body)["TransAmount"] for body in shop.told]
        await world.balances_are({PAYER: 987}, merchant=13)


# -- the sandbox's own way to pay


async def test_a_bill_paid_over_the_sandboxes_route_answers_with_the_receipt(
    make_world: WorldMaker, shop: Shop
) -> None:
    """With a PIN or without one; and of two twins one pays, where the rules refuse the same amount within minutes."""
    async with make_world(SOON, replace(kenyan_policy(), repeat_window=timedelta(minutes=2))) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await register(world, shop)
        first = await pay(world, 5, pin="1234")
        assert first.json(parse_float=Decimal) == {"receipt": (await shop.next())["TransID"]}
        answers = await asyncio.gather(pay(world, 7), pay(world, 7))
        assert [200, 409] == sorted(answer.status_code for answer in answers)
        await world.balances_are({PAYER: 988}, merchant=12)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"pin": "9999"}, 409, "wrong_pin"),
        ({"amount_cents": 2_000_00}, 409, "insufficient_funds"),
        ({"phone": OTHER_PAYER}, 404, "customer_not_found"),
        ({"short_code": "600999"}, 404, "merchant_not_found"),
        ({"short_code": "1"}, 422, "invalid_short_code"),
        ({"account": None}, 409, "bill_reference_required"),
        ({"amount_cents": "5"}, 422, "invalid_request"),
    ],
)
async def test_a_bill_that_cannot_be_paid_says_why(
    world: World, changes: dict[str, Any], status: int, code: str
) -> None:
    """By a stable code, and nothing moves."""
    await world.subscriber(PAYER, shillings=1_000)
    response = await pay(world, 5, **changes)
    assert (status, code) == (response.status_code, response.json(parse_float=Decimal)["code"])
    await world.balances_are({PAYER: 1_000}, merchant=0)
