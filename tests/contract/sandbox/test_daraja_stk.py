"""STK pushes of the sandbox's Daraja, over real HTTP on loopback, against a real database."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from penpay.bootstrap.operator import kenyan_policy
from penpay.domain.mobile_money.errors import InvalidPin
from penpay.sandbox.daraja.switches import DarajaSwitches
from tests.contract.sandbox.world import OTHER_PAYER, PAYER, World, WorldMaker, items, kes, paid


async def test_a_payment_runs_from_the_push_to_the_callback(world_on_each_engine: World) -> None:
    """Accepted, shown, paid with the PIN, told by callback and by query; the money has moved once."""
    world = world_on_each_engine
    await world.subscriber(PAYER, shillings=2_000)
    response = await world.push(PAYER, 500, reference="ACC-7")
    answer = response.json(parse_float=Decimal)
    assert 200 == response.status_code
    assert {
        "MerchantRequestID",
        "CheckoutRequestID",
        "ResponseCode",
        "ResponseDescription",
        "CustomerMessage",
    } == answer.keys()
    assert "0" == answer["ResponseCode"]
    assert re.fullmatch(r"ws_CO_[0-9]{14}[0-9]{1,3}712345678", answer["CheckoutRequestID"])

    phone = world.phone(PAYER)
    prompt = await phone.next_prompt()
    assert ("PENPAY", kes(500), "ACC-7") == (prompt.merchant, prompt.amount, prompt.account_reference)
    assert "0" == (await phone.give_pin("1234")).code

    callback = await world.callback()
    assert answer["CheckoutRequestID"] == callback["CheckoutRequestID"]
    assert answer["MerchantRequestID"] == callback["MerchantRequestID"]
    told = items(callback)
    assert (0, "500.00", None, 254712345678) == (
        callback["ResultCode"],
        str(told["Amount"]),
        told["Balance"],
        told["PhoneNumber"],
    )
    assert re.fullmatch(r"[A-Z0-9]{10}", told["MpesaReceiptNumber"])
    assert (await world.messages(PAYER))[-1].startswith(
        f"{told['MpesaReceiptNumber']} Confirmed. Ksh500.00 sent to PENPAY"
    )
    assert phone.prompt is None

    query = await world.query(answer["CheckoutRequestID"])
    assert {
        "ResponseCode": "0",
        "ResponseDescription": "The service request has been accepted successfully",
        "MerchantRequestID": answer["MerchantRequestID"],
        "CheckoutRequestID": answer["CheckoutRequestID"],
        "ResultCode": "0",
        "ResultDesc": "The service request is processed successfully.",
    } == query.json(parse_float=Decimal)
    await world.balances_are({PAYER: 1_500}, merchant=500)


async def test_the_callback_body_is_exact_on_the_wire(world: World) -> None:
    """JSON content type; integers and decimals as the real one writes them, Balance without a value."""
    await world.subscriber(PAYER, shillings=2_000)
    answer = await paid(world)
    await world.callback()
    request = world.receiver.requests[0]
    assert "application/json" == request.content_type
    pattern = (
        rb'\{"Body":\{"stkCallback":\{"MerchantRequestID":"%s","CheckoutRequestID":"%s","ResultCode":0,'
        rb'"ResultDesc":"The service request is processed successfully.","CallbackMetadata":\{"Item":\['
        rb'\{"Name":"Amount","Value":500.00\},\{"Name":"MpesaReceiptNumber","Value":"[A-Z0-9]{10}"\},'
        rb'\{"Name":"Balance"\},\{"Name":"TransactionDate","Value":20[0-9]{12}\},'
        rb'\{"Name":"PhoneNumber","Value":254712345678\}\]\}\}\}\}'
    ) % (answer["MerchantRequestID"].encode(), answer["CheckoutRequestID"].encode())
    assert re.fullmatch(pattern, request.body), request.body


@pytest.mark.parametrize(
    ("do", "code", "text"),
    [
        ("wrong pin", 2001, "The initiator information is invalid."),
        ("cancel", 1032, "Request cancelled by user"),
        ("short of funds", 1, "The balance is insufficient for the transaction."),
        ("above the maximum", 3, "Declined due to limit rule: greater than the maximum transaction amount."),
    ],
)
async def test_what_is_not_paid_moves_nothing_and_says_why(world: World, do: str, code: int, text: str) -> None:
    """The callback has the code as a number and no metadata, the query has it as a string."""
    await world.subscriber(PAYER, shillings=400_000)
    shillings = {"short of funds": 400_001, "above the maximum": 250_001}.get(do, 500)
    if do == "short of funds":
        await world.subscriber(OTHER_PAYER, shillings=499)
    msisdn = OTHER_PAYER if do == "short of funds" else PAYER
    answer = (await world.push(msisdn, 500 if do == "short of funds" else shillings)).json(parse_float=Decimal)
    phone = world.phone(msisdn)
    await phone.next_prompt()
    if do == "cancel":
        await phone.cancel()
    else:
        await phone.give_pin("9999" if do == "wrong pin" else "1234")
    callback = await world.callback()
    assert (code, text, False) == (callback["ResultCode"], callback["ResultDesc"], "CallbackMetadata" in callback)
    query = (await world.query(answer["CheckoutRequestID"])).json(parse_float=Decimal)
    assert (str(code), text) == (query["ResultCode"], query["ResultDesc"])
    await world.balances_are(
        {PAYER: 400_000, OTHER_PAYER: 499} if do == "short of funds" else {PAYER: 400_000}, merchant=0
    )


async def test_a_prompt_that_is_ignored_ends_in_silence(make_world: WorldMaker) -> None:
    """After its time the push is over with 1037, and the phone is free for the next one."""
    async with make_world(DarajaSwitches(prompt_timeout_ms=150, sweep_every_ms=20)) as world:
        await world.subscriber(PAYER, shillings=2_000)
        await world.push(PAYER, 500)
        callback = await world.callback()
        assert (1037, "No response from user.") == (callback["ResultCode"], callback["ResultDesc"])
        assert world.phone(PAYER).prompt is None
        assert 200 == (await world.push(PAYER, 500)).status_code


async def test_a_number_without_a_wallet_cannot_be_reached(make_world: WorldMaker) -> None:
    """The push is accepted, as the real one accepts it, and runs into silence."""
    async with make_world(DarajaSwitches(prompt_timeout_ms=100, sweep_every_ms=20)) as world:
        answer = await world.push("254708374149", 10)
        assert 200 == answer.status_code
        callback = await world.callback()
        assert (1037, "DS timeout user cannot be reached.") == (callback["ResultCode"], callback["ResultDesc"])


async def test_three_wrong_pins_lock_the_wallet(world_on_each_engine: World) -> None:
    """From the fourth push on the answer is 8006, whether the PIN is wrong or right."""
    world = world_on_each_engine
    await world.subscriber(PAYER, shillings=2_000)
    codes = []
    for pin in ("0000", "1111", "2222", "3333", "1234"):
        await world.push(PAYER, 500)
        phone = world.phone(PAYER)
        await phone.next_prompt()
        codes.append((await phone.give_pin(pin)).code)
        await world.callback()
    assert ["2001", "2001", "2001", "8006", "8006"] == codes
    await world.balances_are({PAYER: 2_000}, merchant=0)


async def test_the_day_is_limited_to_half_a_million(world: World) -> None:
    """Two payments of the maximum fill the day; one more shilling is declined with code 4."""
    await world.subscriber(PAYER, shillings=600_000)
    codes = []
    for shillings in (250_000, 250_000, 1):
        await world.push(PAYER, shillings)
        phone = world.phone(PAYER)
        await phone.next_prompt()
        codes.append((await phone.give_pin("1234")).code)
    assert ["0", "0", "4"] == codes
    await world.balances_are({PAYER: 100_000}, merchant=500_000)


async def test_the_same_amount_again_is_refused_where_the_rule_is_on(make_world: WorldMaker) -> None:
    """Within the window the second payment of the same amount is rule limited; another amount is not."""
    async with make_world(policy=replace(kenyan_policy(), repeat_window=timedelta(seconds=120))) as world:
        await world.subscriber(PAYER, shillings=2_000)
        codes = []
        for shillings in (500, 500, 501):
            await world.push(PAYER, shillings)
            phone = world.phone(PAYER)
            await phone.next_prompt()
            codes.append((await phone.give_pin("1234")).code)
        assert ["0", "17", "0"] == codes


async def test_a_second_push_to_a_phone_with_a_prompt_is_refused(world: World) -> None:
    """The message of the real one, and nothing is shown twice."""
    await world.subscriber(PAYER, shillings=2_000)
    await world.push(PAYER, 500)
    response = await world.push(PAYER, 400)
    refusal = response.json(parse_float=Decimal)
    assert (500, "500.001.1001") == (response.status_code, refusal["errorCode"])
    assert (
        "Unable to lock subscriber, a transaction is already in process for the current subscriber"
        == refusal["errorMessage"]
    )
    shown = world.phone(PAYER).prompt
    assert shown is not None
    assert kes(500) == shown.amount


async def test_two_pushes_at_once_give_one_prompt(world: World) -> None:
    """Of twenty simultaneous pushes to one phone one is accepted."""
    await world.subscriber(PAYER, shillings=2_000)
    responses = await asyncio.gather(*(world.push(PAYER, 100 + n) for n in range(20)))
    assert [200] + [500] * 19 == sorted(response.status_code for response in responses)


async def test_what_is_no_pin_leaves_the_prompt_open(world: World) -> None:
    """A slip of the thumb is not counted as a wrong PIN."""
    await world.subscriber(PAYER, shillings=2_000)
    await world.push(PAYER, 500)
    phone = world.phone(PAYER)
    with pytest.raises(InvalidPin):
        await phone.give_pin("12")
    assert "0" == (await phone.give_pin("1234")).code


async def test_a_push_for_another_receiver_is_not_permitted(world: World) -> None:
    """Accepted, then refused by callback with 2028, and no prompt."""
    await world.subscriber(PAYER, shillings=2_000)
    await world.push(PAYER, 500, PartyB=600100)
    callback = await world.callback()
    assert 2028 == callback["ResultCode"]
    assert world.phone(PAYER).prompt is None


async def test_fifty_payments_at_once_leave_exact_balances(world_on_each_engine: World) -> None:
    """Fifty phones pay different amounts at the same time: every cent is where it belongs, every receipt differs."""
    world = world_on_each_engine
    phones = [f"2547000000{n:02d}" for n in range(50)]
    for msisdn in phones:
        await world.subscriber(msisdn, shillings=1_000)
    await asyncio.gather(*(paid(world, msisdn, 100 + n) for n, msisdn in enumerate(phones)))
    receipts = {items(await world.callback())["MpesaReceiptNumber"] for _ in phones}
    assert 50 == len(receipts)
    await world.balances_are(
        {msisdn: 900 - n for n, msisdn in enumerate(phones)}, merchant=sum(100 + n for n in range(50))
    )


async def test_one_answer_wins_when_two_are_given_at_once(world: World) -> None:
    """The PIN and the cancelling race: one ends the push, the other is told it is over, and the books agree."""
    await world.subscriber(PAYER, shillings=2_000)
    await world.push(PAYER, 500)
    phone = world.phone(PAYER)
    await phone.next_prompt()
    outcomes = await asyncio.gather(phone.give_pin("1234"), phone.cancel(), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert ["push_ended"] == [getattr(error, "code", None) for error in refused]
    callback = await world.callback()
    paid_shillings = 500 if callback["ResultCode"] == 0 else 0
    await world.balances_are({PAYER: 2_000 - paid_shillings}, merchant=paid_shillings)
