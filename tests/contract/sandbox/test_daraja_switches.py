"""The switches of a running sandbox: read, turned, and what each does to callbacks, tokens and tills."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest

from penpay.application.mobile_money.registration import RegisterMerchant
from penpay.domain.mobile_money.merchant import NumberKind
from penpay.sandbox.daraja.switches import CallbackOrder, DarajaSwitches
from penpay.sandbox.faults import DarajaCall, FaultRule, SlowReply
from penpay.sandbox.phone import Habit, StandingAnswer
from tests.contract.sandbox.shop import TILL, Shop, open_shop, quiet, register, simulate, till_of_the_paybill
from tests.contract.sandbox.world import PAYBILL, PAYER, World, WorldMaker, caller, items, kes, paid


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_shop() as made:
        yield made


# -- reading and turning


async def test_every_switch_can_be_read_and_turned(world: World) -> None:
    """All by name; what is named changes, at once and for all parts, and the rest stays."""
    before = (await world.client.get("/sandbox/switches")).json(parse_float=Decimal)
    assert [field.name for field in fields(DarajaSwitches)] == list(before)
    changes = {"token_expiry": "NUMBER", "pending_style": "500", "callback_delay_ms": 5}
    turned = await _turn(world, **changes)
    assert before | changes == turned
    assert turned == (await world.client.get("/sandbox/switches")).json(parse_float=Decimal)
    assert 3599 == (await world.ask_for_token()).json(parse_float=Decimal)["expires_in"]
    await world.subscriber(PAYER, shillings=1_000)
    push = (await world.push(PAYER, 5)).json(parse_float=Decimal)
    assert 500 == (await world.query(push["CheckoutRequestID"])).status_code


async def test_an_unknown_switch_is_refused_with_the_list(world: World) -> None:
    """Nothing is turned, not even the switches that exist."""
    response = await world.client.put("/sandbox/switches", json={"callback_times": 2, "no_such": 1})
    refusal = response.json(parse_float=Decimal)
    assert (422, ["no_such"]) == (response.status_code, refusal["unknown"])
    assert sorted(field.name for field in fields(DarajaSwitches)) == refusal["switches"]
    assert 1 == (await world.client.get("/sandbox/switches")).json(parse_float=Decimal)["callback_times"]


@pytest.mark.parametrize(
    "changes",
    [
        {"callback_times": 0},
        {"callback_delay_ms": -1},
        {"callback_delay_ms": "5"},
        {"callback_dropped_permille": 1001},
        {"external_validation": 1},
        {"callback_order": "SIDEWAYS"},
        {"callback_hosts": "shop.example"},
        {"callback_hosts": "shop.example=127.0.0.1:70000"},
    ],
)
async def test_a_value_that_means_nothing_is_refused(world: World, changes: dict[str, Any]) -> None:
    """And the switch stays as it was."""
    before = (await world.client.get("/sandbox/switches")).json(parse_float=Decimal)
    response = await world.client.put("/sandbox/switches", json=changes)
    assert (422, "invalid_request") == (response.status_code, response.json(parse_float=Decimal)["code"])
    assert before == (await world.client.get("/sandbox/switches")).json(parse_float=Decimal)


# -- callbacks


async def test_callbacks_can_come_before_every_answer(make_world: WorldMaker, shop: Shop) -> None:
    """The answers to a push and to a simulated payment wait until the merchant has been told."""
    switches = DarajaSwitches(callback_order=CallbackOrder.BEFORE, confirm_every_ms=10)
    async with make_world(switches) as world:
        await world.subscriber(PAYER, shillings=1_000)
        world.phone(PAYER).standing_answer = StandingAnswer(habit=Habit.ENTER_PIN, pin="1234", after_ms=50)
        push = (await world.push(PAYER, 5)).json(parse_float=Decimal)
        assert 1 == len(world.receiver.requests)
        assert push["CheckoutRequestID"] == (await world.callback())["CheckoutRequestID"]
        await register(world, shop)
        await simulate(world, PAYER, 6)
        assert 1 == len(shop.told)


async def test_an_answer_waits_for_its_callbacks_only_so_long(make_world: WorldMaker, shop: Shop) -> None:
    """Nobody answers the prompt, and the other merchant is slow to be told: both answers come all the same."""
    switches = DarajaSwitches(
        callback_order=CallbackOrder.BEFORE, callback_before_at_most_ms=50, confirm_every_ms=10, callback_delay_ms=400
    )
    async with make_world(switches) as world:
        await world.subscriber(PAYER, shillings=1_000)
        assert 200 == (await world.push(PAYER, 5)).status_code
        await register(world, shop)
        await simulate(world, PAYER, 6)
        assert [] == shop.told
        assert "6.00" == (await shop.next())["TransAmount"]


async def test_a_payment_that_fails_or_is_told_nobody_holds_no_answer_up(make_world: WorldMaker) -> None:
    """With callbacks before answers, there is nothing to wait for."""
    switches = DarajaSwitches(callback_order=CallbackOrder.BEFORE, callback_before_at_most_ms=60_000)
    async with make_world(switches) as world:
        await world.subscriber(PAYER, shillings=10)
        for shillings in (5, 500):
            async with asyncio.timeout(10):
                assert 200 == (await simulate(world, PAYER, shillings)).status_code


async def test_callbacks_can_wait_until_the_answer_has_left(make_world: WorldMaker, shop: Shop) -> None:
    """However slow the answer is; otherwise they overtake it."""
    for order, overtaken, held_back_ms in ((CallbackOrder.WITH, True, 2_000), (CallbackOrder.AFTER, False, 300)):
        async with make_world(DarajaSwitches(callback_order=order, confirm_every_ms=10)) as world:
            await world.subscriber(PAYER, shillings=1_000)
            await register(world, shop)
            world.phone(PAYER).standing_answer = StandingAnswer(habit=Habit.ENTER_PIN, pin="1234")
            for call in (DarajaCall.PUSH, DarajaCall.C2B_SIMULATE):
                world.sandbox.faults.add(FaultRule(fault=SlowReply(call=call, milliseconds=held_back_ms)))
            calls = ((simulate(world, PAYER, 6), shop.next()), (world.push(PAYER, 5), world.callback()))
            for asking, hearing in calls:
                answer, told = asyncio.create_task(asking), asyncio.create_task(hearing)
                await asyncio.wait({answer, told}, return_when=asyncio.FIRST_COMPLETED)
                assert overtaken == told.done()
                assert overtaken != answer.done()
                await asyncio.gather(answer, told)
            assert "5.00" == (await shop.next())["TransAmount"]


async def test_callbacks_can_be_sent_several_times(make_world: WorldMaker, shop: Shop) -> None:
    """Three of each kind, byte for byte the same, and one payment."""
    async with make_world(DarajaSwitches(callback_times=3, confirm_every_ms=10)) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await register(world, shop)
        await paid(world)
        for _ in range(3):
            await world.callback()
            await shop.next()
        assert (1, 1) == (len({one.body for one in world.receiver.requests}), len(set(shop.told)))
        await world.balances_are({PAYER: 500}, merchant=500)


async def test_callbacks_can_be_lost(make_world: WorldMaker, shop: Shop) -> None:
    """All of them, or by chance some; the money has moved."""
    async with make_world(DarajaSwitches(callback_dropped_permille=1000, confirm_every_ms=10)) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await register(world, shop)
        await paid(world)
        await quiet(world)
        assert (0, 0) == (len(world.receiver.requests), len(shop.told))
        await _turn(world, callback_dropped_permille=500)
        for _ in range(40):
            await world.post("/sandbox/c2b", phone=PAYER, short_code=PAYBILL, account="A", amount_cents=100)
        await shop.next()
        await quiet(world)
        assert 0 < len(shop.told) < 40


async def test_a_confirmation_is_tried_again_until_it_is_taken(make_world: WorldMaker, shop: Shop) -> None:
    """As often as the switch says."""
    async with make_world(DarajaSwitches(callback_tries=3, callback_retry_after_ms=10, confirm_every_ms=10)) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await register(world, shop, ConfirmationURL=world.receiver.url)
        world.receiver.statuses = [500, 503]
        await simulate(world, PAYER, 5)
        async with asyncio.timeout(10):
            while len(world.receiver.requests) < 3:
                await world.clock.sleep(5)
        await quiet(world)
        assert 3 == len(world.receiver.requests)


async def test_an_https_host_can_be_served_on_this_machine(make_world: WorldMaker, shop: Shop) -> None:
    """Validation and confirmation go to the local port by http, and name the host they are meant for."""
    home = shop.url.removeprefix("http://")
    switches = DarajaSwitches(
        strict_callback_urls=True,
        external_validation=True,
        confirm_every_ms=10,
        callback_hosts=f"other.example=127.0.0.1:9,shop.example={home}",
    )
    async with make_world(switches) as world:
        await world.subscriber(PAYER, shillings=1_000)
        outside = {"ConfirmationURL": "https://Shop.example/tell", "ValidationURL": "https://shop.example:8443/ask"}
        await register(world, shop, ResponseType="Cancelled", **outside)
        await simulate(world, PAYER, 5)
        assert "5.00" == (await shop.next())["TransAmount"]
        assert (1, ["shop.example"]) == (len(shop.asked), shop.hosts)


async def test_the_balance_item_can_be_left_out_and_the_phone_masked(world: World) -> None:
    """Both shapes are seen of the real one."""
    await world.subscriber(PAYER, shillings=2_000)
    await paid(world)
    usual = items(await world.callback())
    assert (None, int(PAYER)) == (usual["Balance"], usual["PhoneNumber"])
    await _turn(world, balance_item="ABSENT", masked_push_phone=True)
    await paid(world, shillings=300)
    other = items(await world.callback())
    assert ["Amount", "MpesaReceiptNumber", "TransactionDate", "PhoneNumber"] == list(other)
    assert "2547*****678" == other["PhoneNumber"]


# -- pushes for tills


async def test_a_push_pays_a_till_of_the_merchant_who_asks(make_world: WorldMaker, shop: Shop) -> None:
    """The prompt names the till, the money is the merchant's, and the till's address is told, without a reference."""
    async with make_world(DarajaSwitches(confirm_every_ms=10)) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await till_of_the_paybill(world)
        await register(world, shop, ShortCode=TILL)
        await world.push(PAYER, 50, TransactionType="CustomerBuyGoodsOnline", PartyB=int(TILL))
        phone = world.phone(PAYER)
        assert "PENPAY SHOP" == (await phone.next_prompt()).merchant
        assert "0" == (await phone.give_pin("1234")).code
        told = await shop.next()
        assert items(await world.callback())["MpesaReceiptNumber"] == told["TransID"]
        assert ("Buy Goods", TILL, "") == tuple(
            told[key] for key in ("TransactionType", "BusinessShortCode", "BillRefNumber")
        )
        assert kes(50) == dict((await world.operator.books.balances()).merchants)[PAYBILL]


async def test_an_open_push_for_a_till_is_shown_again_after_a_restart(make_world: WorldMaker) -> None:
    """The till is part of the push."""
    async with make_world() as world:
        await world.subscriber(PAYER, shillings=1_000)
        await till_of_the_paybill(world)
        await world.push(PAYER, 50, TransactionType="CustomerBuyGoodsOnline", PartyB=int(TILL))
    async with make_world(keep=True) as world:
        phone = world.phone(PAYER)
        assert "PENPAY SHOP" == (await phone.next_prompt()).merchant
        await phone.give_pin("1234")
        assert 0 == (await world.callback())["ResultCode"]


@pytest.mark.parametrize(
    ("kind", "party_b", "code"),
    [
        ("CustomerBuyGoodsOnline", PAYBILL, 2028),
        ("CustomerBuyGoodsOnline", "600999", 2028),
        ("CustomerBuyGoodsOnline", "5099999", 2002),
        ("CustomerPayBillOnline", TILL, 2028),
    ],
)
async def test_a_push_for_a_number_that_does_not_fit_is_not_permitted(
    world: World, kind: str, party_b: str, code: int
) -> None:
    """A PayBill as till, nobody's number, another merchant's till, a till as PayBill: refused by callback."""
    await world.subscriber(PAYER, shillings=1_000)
    await till_of_the_paybill(world)
    await world.operator.do(RegisterMerchant(short_code="5099999", name="OTHER", kind=NumberKind.TILL))
    await world.push(PAYER, 50, TransactionType=kind, PartyB=int(party_b))
    assert code == (await world.callback())["ResultCode"]
    assert world.phone(PAYER).prompt is None


async def test_a_till_can_ask_for_itself_but_not_as_a_pay_bill_number(world: World) -> None:
    """With a passkey of its own: bought at, it is paid; billed, it is refused."""
    await world.subscriber(PAYER, shillings=1_000)
    await till_of_the_paybill(world, "600100")
    itself = {**caller("600100"), "PartyB": 600100}
    for kind, code in (("CustomerPayBillOnline", 2028), ("CustomerBuyGoodsOnline", 0)):
        world.phone(PAYER).standing_answer = StandingAnswer(habit=Habit.ENTER_PIN, pin="1234")
        await world.push(PAYER, 50, TransactionType=kind, **itself)
        assert code == (await world.callback())["ResultCode"]


async def _turn(world: World, **changes: Any) -> dict[str, Any]:
    response = await world.client.put("/sandbox/switches", json=changes)
    assert 200 == response.status_code
    found: dict[str, Any] = response.json(parse_float=Decimal)
    return found
