"""What the fault plan does to answers and callbacks, over real HTTP."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import httpx
import pytest

from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.faults import (
    AlteredCallback,
    CallbackFirst,
    DarajaCall,
    FaultRule,
    ForcedResult,
    LateCallback,
    LostCallback,
    RepeatedCallback,
    SlowReply,
    Spoilt,
    SpoiltReply,
    StuckPending,
)
from tests.contract.sandbox.world import OTHER_PAYER, PAYER, World, WorldMaker, items, paid

OPEN = [reply for reply in Spoilt if reply not in {Spoilt.SYSTEM_BUSY, Spoilt.RATE_LIMITED, Spoilt.INVALID_TOKEN}]
"""What leaves it open whether the call was done."""


async def test_a_lost_callback_leaves_the_truth_to_the_query(world: World) -> None:
    """Nothing arrives, the money has moved, and the query says so."""
    await world.subscriber(PAYER, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=LostCallback(), msisdn=PAYER))
    answer = await paid(world)
    await world.settled()
    assert [] == world.receiver.requests
    query = (await world.query(answer["CheckoutRequestID"])).json(parse_float=Decimal)
    assert "0" == query["ResultCode"]
    await world.balances_are({PAYER: 1_500}, merchant=500)


async def test_a_repeated_callback_is_byte_equal(world: World) -> None:
    """Three times the same, and one payment."""
    await world.subscriber(PAYER, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=RepeatedCallback(times=3)))
    await paid(world)
    for _ in range(3):
        await world.callback()
    assert 1 == len({request.body for request in world.receiver.requests})
    await world.balances_are({PAYER: 1_500}, merchant=500)


async def test_a_callback_can_be_late(world: World) -> None:
    """It arrives after its delay and not before."""
    await world.subscriber(PAYER, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=LateCallback(milliseconds=200)))
    before = world.clock.monotonic_ms()
    await paid(world)
    await world.callback()
    assert world.clock.monotonic_ms() - before >= 200


async def test_a_callback_can_come_before_the_answer(world: World) -> None:
    """The answer is held back until the callback was sent."""
    await world.subscriber(PAYER, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=CallbackFirst(at_most_ms=5_000)))
    push = asyncio.create_task(world.push(PAYER, 500))
    phone = world.phone(PAYER)
    await phone.next_prompt()
    await phone.give_pin("1234")
    callback = await world.callback()
    answered_early = push.done()
    answer = (await push).json(parse_float=Decimal)
    assert not answered_early
    assert answer["CheckoutRequestID"] == callback["CheckoutRequestID"]


async def test_an_answer_waits_for_a_callback_only_so_long(world: World) -> None:
    """If nobody enters a PIN the answer comes all the same."""
    await world.subscriber(PAYER, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=CallbackFirst(at_most_ms=50)))
    assert 200 == (await world.push(PAYER, 500)).status_code
    assert [] == world.receiver.requests


async def test_a_callback_is_tried_once(world: World) -> None:
    """A receiver that fails has lost it."""
    await world.subscriber(PAYER, shillings=2_000)
    world.receiver.statuses = [500]
    await paid(world)
    await world.callback()
    await world.settled()
    assert 1 == len(world.receiver.requests)


async def test_a_callback_is_tried_again_until_it_is_taken_where_the_switch_says_so(make_world: WorldMaker) -> None:
    """With four tries and two failures it is sent three times."""
    async with make_world(DarajaSwitches(callback_tries=4, callback_retry_after_ms=10)) as world:
        await world.subscriber(PAYER, shillings=2_000)
        world.receiver.statuses = [500, 503]
        await paid(world)
        for _ in range(3):
            await world.callback()
        await world.settled()
        assert 3 == len(world.receiver.requests)


async def test_a_receiver_that_is_gone_hurts_nobody(world: World) -> None:
    """The payment stands, and the next one goes well."""
    await world.subscriber(PAYER, shillings=2_000)
    await world.push(PAYER, 500, callback_url="http://127.0.0.1:9/nobody")
    phone = world.phone(PAYER)
    await phone.next_prompt()
    await phone.give_pin("1234")
    await paid(world)
    await world.callback()
    await world.balances_are({PAYER: 1_000}, merchant=1_000)


async def test_an_altered_callback_lies_about_amount_and_phone(world: World) -> None:
    """The books know what was paid; the callback tells something else."""
    await world.subscriber(PAYER, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=AlteredCallback(amount_cents=1_00, msisdn=OTHER_PAYER)))
    await paid(world)
    told = items(await world.callback())
    assert ("1.00", int(OTHER_PAYER)) == (str(told["Amount"]), told["PhoneNumber"])
    await world.balances_are({PAYER: 1_500}, merchant=500)


@pytest.mark.parametrize(("reply", "done"), [*((reply, False) for reply in Spoilt), *((reply, True) for reply in OPEN)])
async def test_a_push_whose_answer_is_spoilt_has_taken_effect_or_not(
    world: World, reply: Spoilt, *, done: bool
) -> None:
    """Cut, HTML, empty or an error: only the fault plan knows whether a prompt was shown."""
    await world.subscriber(PAYER, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=SpoiltReply(call=DarajaCall.PUSH, reply=reply, done=done)))
    try:
        response = await world.push(PAYER, 500)
    except httpx.RemoteProtocolError:
        assert Spoilt.CUT is reply
    else:
        expected = {
            Spoilt.ERROR_500: (500, b"500.003.1001"),
            Spoilt.HTML_200: (200, b"<html>"),
            Spoilt.HTML_503: (503, b"<html>"),
            Spoilt.EMPTY_200: (200, b""),
            Spoilt.EMPTY_500: (500, b""),
            Spoilt.SYSTEM_BUSY: (500, b"System is busy. Please try again in few minutes."),
            Spoilt.RATE_LIMITED: (429, b"policies.ratelimit.SpikeArrestViolation"),
            Spoilt.INVALID_TOKEN: (404, b"404.001.03"),
        }[reply]
        assert expected[0] == response.status_code
        assert expected[1] in response.content
        assert bool(expected[1]) == bool(response.content)
    assert done == (world.phone(PAYER).prompt is not None)


async def test_tokens_and_queries_can_be_spoilt_too(world: World) -> None:
    """Each rule strikes its own call once, and the call works again after it."""
    await world.subscriber(PAYER, shillings=2_000)
    answer = await paid(world)
    for call in (DarajaCall.TOKEN, DarajaCall.QUERY):
        for done in (False, True):
            world.sandbox.faults.add(FaultRule(fault=SpoiltReply(call=call, reply=Spoilt.HTML_503, done=done)))
    token = [await world.ask_for_token() for _ in range(3)]
    query = [await world.query(answer["CheckoutRequestID"]) for _ in range(3)]
    assert [503, 503, 200] == [response.status_code for response in token]
    assert [503, 503, 200] == [response.status_code for response in query]


async def test_an_operator_with_too_much_to_do_says_system_busy(world: World) -> None:
    """The push is not accepted, and the words are those of the real one."""
    await world.subscriber(PAYER, shillings=2_000)
    world.executor._queue_limit = 0
    response = await world.push(PAYER, 500)
    refusal = response.json(parse_float=Decimal)
    assert (500, "500.003.02") == (response.status_code, refusal["errorCode"])
    assert world.phone(PAYER).prompt is None


async def test_an_answer_can_be_slower_than_the_client_waits(world: World) -> None:
    """The client times out; the prompt is there."""
    await world.subscriber(PAYER, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=SlowReply(call=DarajaCall.PUSH, milliseconds=1_500)))
    with pytest.raises(httpx.ReadTimeout):
        await world.push(PAYER, 500, patience_seconds=1)
    assert world.phone(PAYER).prompt is not None


async def test_a_query_can_be_stuck_although_the_push_is_paid(world: World) -> None:
    """Pending for ever, until the rule is cleared."""
    await world.subscriber(PAYER, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=StuckPending(), times=None))
    answer = await paid(world)
    codes = [(await world.query(answer["CheckoutRequestID"])).json(parse_float=Decimal)["ResultCode"] for _ in range(3)]
    world.sandbox.faults.clear()
    codes.append((await world.query(answer["CheckoutRequestID"])).json(parse_float=Decimal)["ResultCode"])
    assert ["4999", "4999", "4999", "0"] == codes


async def test_a_result_can_be_forced_for_one_subscriber(world: World) -> None:
    """A code that nobody listed, with no prompt and no money; the next push is normal."""
    await world.subscriber(PAYER, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=ForcedResult(code="SFC_IC0003", text="The operator does not exist.")))
    await world.push(PAYER, 500)
    callback = await world.callback()
    assert "SFC_IC0003" == callback["ResultCode"]
    assert world.phone(PAYER).prompt is None
    await paid(world)
    assert 0 == (await world.callback())["ResultCode"]
    await world.balances_are({PAYER: 1_500}, merchant=500)
