"""External validation: a merchant is asked before the money moves, and what becomes of each answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from penpay.sandbox.daraja.switches import DarajaSwitches
from tests.contract.sandbox.shop import KEYS, Shop, of, open_shop, pay, quiet, read, register, simulate, wish
from tests.contract.sandbox.world import PAYER, WorldMaker, paid

ASKING = DarajaSwitches(confirm_every_ms=10, external_validation=True, validation_timeout_ms=10_000)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_shop() as made:
        yield made


async def test_a_merchant_is_asked_before_the_money_moves(make_world: WorldMaker, shop: Shop) -> None:
    """The validation has no balance and the receipt of the confirmation, which echoes the merchant's own id."""
    async with make_world(ASKING) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await register(world, shop)
        shop.answer = b'{"ResultCode":0,"ResultDesc":"Accepted","ThirdPartyTransID":"ORDER-7"}'
        shop.may_answer.clear()
        await simulate(world, PAYER, 5)
        await shop.is_asked()
        await world.balances_are({PAYER: 1_000}, merchant=0)
        shop.may_answer.set()
        told, asked = await shop.next(), read(shop.asked[0])
        assert KEYS == tuple(asked)
        assert (told["TransID"], "", "") == of(asked, "TransID", "OrgAccountBalance", "ThirdPartyTransID")
        assert ("5.00", "ORDER-7") == of(told, "OrgAccountBalance", "ThirdPartyTransID")
        await world.balances_are({PAYER: 995}, merchant=5)


@pytest.mark.parametrize("code", [f"C2B0001{digit}" for digit in range(1, 7)] + ["1"])
async def test_a_merchant_can_reject_a_payment(make_world: WorldMaker, shop: Shop, code: str) -> None:
    """Any code but zero: no money moves, no confirmation, and the payer's side is told why."""
    async with make_world(ASKING) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await register(world, shop)
        shop.answer = f'{{"ResultCode":"{code}","ResultDesc":"Rejected"}}'.encode()
        response = await pay(world, 5)
        refusal = response.json(parse_float=Decimal)
        assert (409, "payment_rejected", code) == (response.status_code, refusal["code"], refusal["result_code"])
        await quiet(world)
        assert (1, []) == (len(shop.asked), shop.told)
        await world.balances_are({PAYER: 1_000}, merchant=0)


@pytest.mark.parametrize("trouble", ["late", "status", "html", "no code", "unreachable"])
async def test_without_an_answer_the_default_action_decides(make_world: WorldMaker, shop: Shop, trouble: str) -> None:
    """Completed lets the payment through and tells it, Cancelled ends it there."""
    async with make_world(replace(ASKING, validation_timeout_ms=300)) as world:
        await world.subscriber(PAYER, shillings=1_000)
        if trouble == "late":
            shop.may_answer.clear()
        shop.status = 500 if trouble == "status" else 200
        shop.answer = {"html": b"<html>", "no code": b"{}"}.get(trouble, shop.answer)
        gone = {"ValidationURL": "http://127.0.0.1:9/ask"} if trouble == "unreachable" else {}
        await register(world, shop, ResponseType="Cancelled", **gone)
        cancelled = await pay(world, 5)
        assert "payment_unanswered" == cancelled.json(parse_float=Decimal)["code"]
        await world.balances_are({PAYER: 1_000}, merchant=0)
        await register(world, shop, ResponseType="Completed", **gone)
        completed = await pay(world, 6)
        assert completed.json(parse_float=Decimal)["receipt"] == (await shop.next())["TransID"]
        await world.balances_are({PAYER: 994}, merchant=6)


async def test_a_push_is_confirmed_and_not_validated(make_world: WorldMaker, shop: Shop) -> None:
    """Its merchant asked for it; one that would reject everything is paid all the same."""
    async with make_world(ASKING) as world:
        await world.subscriber(PAYER, shillings=1_000)
        await register(world, shop)
        shop.answer = b'{"ResultCode":"C2B00012","ResultDesc":"Rejected"}'
        await paid(world, PAYER, 5)
        assert 0 == (await world.callback())["ResultCode"]
        assert "5.00" == (await shop.next())["TransAmount"]
        assert [] == shop.asked
        await world.balances_are({PAYER: 995}, merchant=5)


async def test_money_that_is_spent_while_the_merchant_thinks_cannot_be_paid(make_world: WorldMaker, shop: Shop) -> None:
    """The rules are asked again when the payment commits; accepting it does not make money."""
    async with make_world(ASKING) as world:
        await world.subscriber(PAYER, shillings=100)
        await register(world, shop)
        shop.may_answer.clear()
        asking = asyncio.create_task(pay(world, 80))
        await shop.is_asked()
        await world.operator.do(await wish(world, PAYER, 90))
        assert "90.00" == (await shop.next())["TransAmount"]
        shop.may_answer.set()
        late = (await asking).json(parse_float=Decimal)
        assert ("insufficient_funds", "INSUFFICIENT_FUNDS") == of(late, "code", "bar")
        await quiet(world)
        assert 1 == len(shop.told)
        await world.balances_are({PAYER: 10}, merchant=90)


async def test_twins_that_are_both_accepted_pay_no_more_than_there_is(make_world: WorldMaker, shop: Shop) -> None:
    """Five payments of eighty at once from a hundred: the merchant says yes to all, one moves, one is told."""
    async with make_world(ASKING) as world:
        await world.subscriber(PAYER, shillings=100)
        await register(world, shop)
        shop.may_answer.clear()
        paying = [asyncio.create_task(pay(world, 80)) for _ in range(5)]
        await shop.is_asked(5)
        shop.may_answer.set()
        answers = await asyncio.gather(*paying)
        assert [200] + [409] * 4 == sorted(answer.status_code for answer in answers)
        await quiet(world)
        assert (5, 1) == (len({read(body)["TransID"] for body in shop.asked}), len(shop.told))
        await world.balances_are({PAYER: 20}, merchant=80)
