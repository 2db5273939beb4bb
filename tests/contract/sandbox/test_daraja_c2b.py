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
    TILL,
    Shop,
    named_subscriber,
    open_shop,
    quiet,
    read,
    register,
    simulate,
    till_of_the_paybill,
    wish,
)
from tests.contract.sandbox.world import OTHER_PAYER, PAYBILL, PAYER, World, WorldMaker, items, kes, paid

SOON = DarajaSwitches(confirm_every_ms=10)
ASKING = DarajaSwitches(confirm_every_ms=10, external_validation=True, validation_timeout_ms=300)
KEYS = (
    "TransactionType",
    "TransID",
    "TransTime",
    "TransAmount",
    "BusinessShortCode",
    "BillRefNumber",
    "InvoiceNumber",
    "OrgAccountBalance",
    "ThirdPartyTransID",
    "MSISDN",
    "FirstName",
    "MiddleName",
    "LastName",
)


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
        assert ("6.00", "2547 ***** 678") == _of(await shop.next(), "TransAmount", "MSISDN")
        await quiet(world)
        assert 2 == len(shop.told)


async def test_where_a_number_registers_once_one_of_many_twins_does(make_world: WorldMaker, shop: Shop) -> None:
    """As in production: the others are told that the addresses are registered, with the family's code."""
    async with make_world(DarajaSwitches(register_once=True)) as world:
        answers = await asyncio.gather(*(register(world, shop) for _ in range(8)))
        assert [200] + [500] * 7 == sorted(answer.status_code for answer in answers)
        refused = next(answer for answer in answers if answer.status_code == 500).json(parse_float=Decimal)
        assert ("500.003.1001", "Urls are already registered.") == _of(refused, "errorCode", "errorMessage")


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
        assert ("0", "Accept the service request successfully.") == _of(answer, "ResponseCode", "ResponseDescription")
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
        assert ("Buy Goods", TILL, "", "8.00") == _of(
            told, "TransactionType", "BusinessShortCode", "BillRefNumber", "OrgAccountBalance"
        )
        found = await world.operator.books.balances()
        assert {PAYBILL: kes(8), TILL: kes(8)} == dict(found.merchants)
        assert [kes(992)] == [money for _, money in found.subscribers]


async def test_payments_that_cannot_be_made_are_accepted_and_never_heard_of(make_world: WorldMaker, shop: Shop) -> None:
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
        assert ("Pay Bill", "ACC-1", "500.00") == _of(told, "TransactionType", "BillRefNumber", "OrgAccountBalance")
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


# -- being asked


async def test_a_merchant_is_asked_before_the_money_moves(make_world: WorldMaker, shop: Shop) -> None:
    """The validation has no balance and the receipt of the confirmation, which echoes the merchant's own id."""
    async with make_world(ASKING) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await register(world, shop)
        shop.answer = b'{"ResultCode":0,"ResultDesc":"Accepted","ThirdPartyTransID":"ORDER-7"}'
        shop.after_ms = 100
        await simulate(world, PAYER, 5)
        await world.clock.sleep(70)
        assert 1 == len(shop.asked)
        await world.balances_are({PAYER: 1_000}, merchant=0)
        told, asked = await shop.next(), read(shop.asked[0])
        assert KEYS == tuple(asked)
        assert (told["TransID"], "", "") == _of(asked, "TransID", "OrgAccountBalance", "ThirdPartyTransID")
        assert ("5.00", "ORDER-7") == _of(told, "OrgAccountBalance", "ThirdPartyTransID")
        await world.balances_are({PAYER: 995}, merchant=5)


@pytest.mark.parametrize("code", [f"C2B0001{digit}" for digit in range(1, 7)] + ["1"])
async def test_a_merchant_can_reject_a_payment(make_world: WorldMaker, shop: Shop, code: str) -> None:
    """Any code but zero: no money moves, no confirmation, and the payer's side is told why."""
    async with make_world(ASKING) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await register(world, shop)
        shop.answer = f'{{"ResultCode":"{code}","ResultDesc":"Rejected"}}'.encode()
        response = await _pay(world, 5)
        refusal = response.json(parse_float=Decimal)
        assert (409, "payment_rejected", code) == (response.status_code, refusal["code"], refusal["result_code"])
        await quiet(world)
        assert (1, []) == (len(shop.asked), shop.told)
        await world.balances_are({PAYER: 1_000}, merchant=0)


@pytest.mark.parametrize("trouble", ["late", "status", "html", "no code", "unreachable"])
async def test_without_an_answer_the_default_action_decides(make_world: WorldMaker, shop: Shop, trouble: str) -> None:
    """Completed lets the payment through and tells it, Cancelled ends it there."""
    async with make_world(ASKING) as world:
        await world.subscriber(PAYER, shillings=1_000)
        shop.after_ms = 900 if trouble == "late" else 0
        shop.status = 500 if trouble == "status" else 200
        shop.answer = {"html": b"<html>", "no code": b"{}"}.get(trouble, shop.answer)
        gone = {"ValidationURL": "http://127.0.0.1:9/ask"} if trouble == "unreachable" else {}
        await register(world, shop, ResponseType="Cancelled", **gone)
        before = world.clock.monotonic_ms()
        cancelled = await _pay(world, 5)
        assert "payment_unanswered" == cancelled.json(parse_float=Decimal)["code"]
        assert world.clock.monotonic_ms() - before < 800
        await world.balances_are({PAYER: 1_000}, merchant=0)
        await register(world, shop, ResponseType="Completed", **gone)
        completed = await _pay(world, 6)
        assert completed.json(parse_float=Decimal)["receipt"] == (await shop.next())["TransID"]
        await world.balances_are({PAYER: 994}, merchant=6)


async def test_money_that_is_spent_while_the_merchant_thinks_cannot_be_paid(make_world: WorldMaker, shop: Shop) -> None:
    """The rules are asked again when the payment commits; accepting it does not make money."""
    async with make_world(ASKING) as world:
        await world.subscriber(PAYER, shillings=100)
        await register(world, shop)
        shop.after_ms = 150
        asking = asyncio.create_task(_pay(world, 80))
        await world.clock.sleep(70)
        await world.operator.do(await wish(world, PAYER, 90))
        late = (await asking).json(parse_float=Decimal)
        assert ("insufficient_funds", "INSUFFICIENT_FUNDS") == _of(late, "code", "bar")
        await quiet(world)
        assert ["90.00"] == [read(body)["TransAmount"] for body in shop.told]
        await world.balances_are({PAYER: 10}, merchant=90)


async def test_twins_that_are_both_accepted_pay_no_more_than_there_is(make_world: WorldMaker, shop: Shop) -> None:
    """Five payments of eighty at once from a hundred: the merchant says yes to all, one moves, one is told."""
    async with make_world(ASKING) as world:
        await world.subscriber(PAYER, shillings=100)
        await register(world, shop)
        shop.after_ms = 150
        answers = await asyncio.gather(*(_pay(world, 80) for _ in range(5)))
        assert [200] + [409] * 4 == sorted(answer.status_code for answer in answers)
        await quiet(world)
        assert (5, 1) == (len({read(body)["TransID"] for body in shop.asked}), len(shop.told))
        await world.balances_are({PAYER: 20}, merchant=80)


# -- the sandbox's own way to pay


async def test_a_bill_paid_over_the_sandboxes_route_answers_with_the_receipt(
    make_world: WorldMaker, shop: Shop
) -> None:
    """With a PIN or without one; and of two twins one pays, where the rules refuse the same amount within minutes."""
    async with make_world(SOON, replace(kenyan_policy(), repeat_window=timedelta(minutes=2))) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await register(world, shop)
        first = await _pay(world, 5, pin="1234")
        assert first.json(parse_float=Decimal) == {"receipt": (await shop.next())["TransID"]}
        answers = await asyncio.gather(_pay(world, 7), _pay(world, 7))
        assert [200, 409] == sorted(answer.status_code for answer in answers)
        await world.balances_are({PAYER: 988}, merchant=12)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"pin": "9999"}, 409, "wrong_pin"),
        ({"amount_cents": 2_000_00}, 409, "insufficient_funds"),
        ({"phone": OTHER_PAYER}, 404, "customer_not_found"),
        ({"short_code": "600999"}, 404, "customer_not_found"),
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
    response = await _pay(world, 5, **changes)
    assert (status, code) == (response.status_code, response.json(parse_float=Decimal)["code"])
    await world.balances_are({PAYER: 1_000}, merchant=0)


async def _pay(world: World, shillings: int, **changes: Any) -> Any:
    body = {
        "phone": PAYER,
        "short_code": PAYBILL,
        "account": "ACC-1",
        "amount_cents": kes(shillings).cents,
    } | changes
    return await world.client.post("/sandbox/c2b", json=body)


def _of(found: dict[str, Any], *keys: str) -> tuple[Any, ...]:
    return tuple(found[key] for key in keys)
