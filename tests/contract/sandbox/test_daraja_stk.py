"""The STK part of the sandbox's Daraja, over real HTTP on loopback, against a real database."""

from __future__ import annotations

import asyncio
import json
import re
from decimal import Decimal
from typing import Any

import httpx
import pytest

from penpay.domain.mobile_money.errors import InvalidPin
from penpay.domain.mobile_money.policy import PayerPolicy
from penpay.sandbox.daraja.switches import DarajaSwitches, PendingStyle
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
from tests.contract.sandbox.world import KEY, PAYBILL, SECRET, World, WorldMaker, kes

WANJIKU = "254712345678"
OTIENO = "254110000001"


async def paid(world: World, msisdn: str = WANJIKU, shillings: int = 500) -> dict[str, Any]:
    """A push answered with the right PIN; its synchronous answer."""
    answer = (await world.push(msisdn, shillings)).json(parse_float=Decimal)
    phone = world.phone(msisdn)
    await phone.next_prompt()
    await phone.give_pin("1234")
    return dict(answer)


def items(callback: dict[str, Any]) -> dict[str, Any]:
    return {item["Name"]: item.get("Value") for item in callback["CallbackMetadata"]["Item"]}


async def test_a_payment_runs_from_the_push_to_the_callback(world_on_each_engine: World) -> None:
    """Accepted, shown, paid with the PIN, told by callback and by query; the money has moved once."""
    world = world_on_each_engine
    await world.subscriber(WANJIKU, shillings=2_000)
    response = await world.push(WANJIKU, 500, reference="ACC-7")
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

    phone = world.phone(WANJIKU)
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
    assert phone.messages()[-1].startswith(f"{told['MpesaReceiptNumber']} Confirmed. Ksh500.00 sent to PENPAY")
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
    await world.balances_are({WANJIKU: 1_500}, merchant=500)


async def test_the_callback_body_is_exact_on_the_wire(world: World) -> None:
    """JSON content type; integers and decimals as the real one writes them, Balance without a value."""
    await world.subscriber(WANJIKU, shillings=2_000)
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
    await world.subscriber(WANJIKU, shillings=400_000)
    shillings = {"short of funds": 400_001, "above the maximum": 250_001}.get(do, 500)
    if do == "short of funds":
        await world.subscriber(OTIENO, shillings=499)
    msisdn = OTIENO if do == "short of funds" else WANJIKU
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
        {WANJIKU: 400_000, OTIENO: 499} if do == "short of funds" else {WANJIKU: 400_000}, merchant=0
    )


async def test_a_prompt_that_is_ignored_ends_in_silence(make_world: WorldMaker) -> None:
    """After its time the push is over with 1037, and the phone is free for the next one."""
    async with make_world(DarajaSwitches(prompt_timeout_ms=150, sweep_every_ms=20)) as world:
        await world.subscriber(WANJIKU, shillings=2_000)
        await world.push(WANJIKU, 500)
        callback = await world.callback()
        assert (1037, "No response from user.") == (callback["ResultCode"], callback["ResultDesc"])
        assert world.phone(WANJIKU).prompt is None
        assert 200 == (await world.push(WANJIKU, 500)).status_code


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
    await world.subscriber(WANJIKU, shillings=2_000)
    codes = []
    for pin in ("0000", "1111", "2222", "3333", "1234"):
        await world.push(WANJIKU, 500)
        phone = world.phone(WANJIKU)
        await phone.next_prompt()
        codes.append((await phone.give_pin(pin)).code)
        await world.callback()
    assert ["2001", "2001", "2001", "8006", "8006"] == codes
    await world.balances_are({WANJIKU: 2_000}, merchant=0)


async def test_the_day_is_limited_to_half_a_million(world: World) -> None:
    """Two payments of the maximum fill the day; one more shilling is declined with code 4."""
    await world.subscriber(WANJIKU, shillings=600_000)
    codes = []
    for shillings in (250_000, 250_000, 1):
        await world.push(WANJIKU, shillings)
        phone = world.phone(WANJIKU)
        await phone.next_prompt()
        codes.append((await phone.give_pin("1234")).code)
    assert ["0", "0", "4"] == codes
    await world.balances_are({WANJIKU: 100_000}, merchant=500_000)


async def test_the_same_amount_again_is_refused_where_the_rule_is_on(make_world: WorldMaker) -> None:
    """Within the window the second payment of the same amount is rule limited; another amount is not."""
    async with make_world(policy=PayerPolicy(repeat_window_seconds=120)) as world:
        await world.subscriber(WANJIKU, shillings=2_000)
        codes = []
        for shillings in (500, 500, 501):
            await world.push(WANJIKU, shillings)
            phone = world.phone(WANJIKU)
            await phone.next_prompt()
            codes.append((await phone.give_pin("1234")).code)
        assert ["0", "17", "0"] == codes


async def test_a_second_push_to_a_phone_with_a_prompt_is_refused(world: World) -> None:
    """The message of the real one, and nothing is shown twice."""
    await world.subscriber(WANJIKU, shillings=2_000)
    await world.push(WANJIKU, 500)
    response = await world.push(WANJIKU, 400)
    refusal = response.json(parse_float=Decimal)
    assert (500, "500.001.1001") == (response.status_code, refusal["errorCode"])
    assert (
        "Unable to lock subscriber, a transaction is already in process for the current subscriber"
        == refusal["errorMessage"]
    )
    shown = world.phone(WANJIKU).prompt
    assert shown is not None
    assert kes(500) == shown.amount


async def test_two_pushes_at_once_give_one_prompt(world: World) -> None:
    """Of twenty simultaneous pushes to one phone one is accepted."""
    await world.subscriber(WANJIKU, shillings=2_000)
    responses = await asyncio.gather(*(world.push(WANJIKU, 100 + n) for n in range(20)))
    assert [200] + [500] * 19 == sorted(response.status_code for response in responses)


async def test_a_lost_callback_leaves_the_truth_to_the_query(world: World) -> None:
    """Nothing arrives, the money has moved, and the query says so."""
    await world.subscriber(WANJIKU, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=LostCallback(), msisdn=WANJIKU))
    answer = await paid(world)
    await world.settled()
    assert [] == world.receiver.requests
    query = (await world.query(answer["CheckoutRequestID"])).json(parse_float=Decimal)
    assert "0" == query["ResultCode"]
    await world.balances_are({WANJIKU: 1_500}, merchant=500)


async def test_a_repeated_callback_is_byte_equal(world: World) -> None:
    """Three times the same, and one payment."""
    await world.subscriber(WANJIKU, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=RepeatedCallback(times=3)))
    await paid(world)
    for _ in range(3):
        await world.callback()
    assert 1 == len({request.body for request in world.receiver.requests})
    await world.balances_are({WANJIKU: 1_500}, merchant=500)


async def test_a_callback_can_be_late(world: World) -> None:
    """It arrives after its delay and not before."""
    await world.subscriber(WANJIKU, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=LateCallback(milliseconds=200)))
    before = world.clock.monotonic_ms()
    await paid(world)
    await world.callback()
    assert world.clock.monotonic_ms() - before >= 200


async def test_a_callback_can_come_before_the_answer(world: World) -> None:
    """The answer is held back until the callback was sent."""
    await world.subscriber(WANJIKU, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=CallbackFirst(at_most_ms=5_000)))
    push = asyncio.create_task(world.push(WANJIKU, 500))
    phone = world.phone(WANJIKU)
    await phone.next_prompt()
    await phone.give_pin("1234")
    callback = await world.callback()
    answered_early = push.done()
    answer = (await push).json(parse_float=Decimal)
    assert not answered_early
    assert answer["CheckoutRequestID"] == callback["CheckoutRequestID"]


async def test_an_answer_waits_for_a_callback_only_so_long(world: World) -> None:
    """If nobody enters a PIN the answer comes all the same."""
    await world.subscriber(WANJIKU, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=CallbackFirst(at_most_ms=50)))
    assert 200 == (await world.push(WANJIKU, 500)).status_code
    assert [] == world.receiver.requests


async def test_a_callback_is_tried_once(world: World) -> None:
    """A receiver that fails has lost it."""
    await world.subscriber(WANJIKU, shillings=2_000)
    world.receiver.statuses = [500]
    await paid(world)
    await world.callback()
    await world.settled()
    assert 1 == len(world.receiver.requests)


async def test_a_callback_is_tried_again_until_it_is_taken_where_the_switch_says_so(make_world: WorldMaker) -> None:
    """With four tries and two failures it is sent three times."""
    async with make_world(DarajaSwitches(callback_tries=4, callback_retry_after_ms=10)) as world:
        await world.subscriber(WANJIKU, shillings=2_000)
        world.receiver.statuses = [500, 503]
        await paid(world)
        for _ in range(3):
            await world.callback()
        await world.settled()
        assert 3 == len(world.receiver.requests)


async def test_a_receiver_that_is_gone_hurts_nobody(world: World) -> None:
    """The payment stands, and the next one goes well."""
    await world.subscriber(WANJIKU, shillings=2_000)
    await world.push(WANJIKU, 500, callback_url="http://127.0.0.1:9/nobody")
    phone = world.phone(WANJIKU)
    await phone.next_prompt()
    await phone.give_pin("1234")
    await paid(world)
    await world.callback()
    await world.balances_are({WANJIKU: 1_000}, merchant=1_000)


async def test_an_altered_callback_lies_about_amount_and_phone(world: World) -> None:
    """The books know what was paid; the callback tells something else."""
    await world.subscriber(WANJIKU, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=AlteredCallback(amount_cents=1_00, msisdn=OTIENO)))
    await paid(world)
    told = items(await world.callback())
    assert ("1.00", int(OTIENO)) == (str(told["Amount"]), told["PhoneNumber"])
    await world.balances_are({WANJIKU: 1_500}, merchant=500)


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("reply", list(Spoilt))
async def test_a_push_whose_answer_is_spoilt_has_taken_effect_or_not(
    world: World, reply: Spoilt, *, done: bool
) -> None:
    """Cut, HTML, empty or an error: only the fault plan knows whether a prompt was shown."""
    await world.subscriber(WANJIKU, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=SpoiltReply(call=DarajaCall.PUSH, reply=reply, done=done)))
    try:
        response = await world.push(WANJIKU, 500)
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
    assert done == (world.phone(WANJIKU).prompt is not None)


async def test_tokens_and_queries_can_be_spoilt_too(world: World) -> None:
    """Each rule strikes its own call once, and the call works again after it."""
    await world.subscriber(WANJIKU, shillings=2_000)
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
    await world.subscriber(WANJIKU, shillings=2_000)
    world.executor._queue_limit = 0
    response = await world.push(WANJIKU, 500)
    refusal = response.json(parse_float=Decimal)
    assert (500, "500.003.02") == (response.status_code, refusal["errorCode"])
    assert world.phone(WANJIKU).prompt is None


async def test_what_is_no_pin_leaves_the_prompt_open(world: World) -> None:
    """A slip of the thumb is not counted as a wrong PIN."""
    await world.subscriber(WANJIKU, shillings=2_000)
    await world.push(WANJIKU, 500)
    phone = world.phone(WANJIKU)
    with pytest.raises(InvalidPin):
        await phone.give_pin("12")
    assert "0" == (await phone.give_pin("1234")).code


async def test_an_answer_can_be_slower_than_the_client_waits(world: World) -> None:
    """The client times out; the prompt is there."""
    await world.subscriber(WANJIKU, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=SlowReply(call=DarajaCall.PUSH, milliseconds=1_500)))
    with pytest.raises(httpx.ReadTimeout):
        await world.push(WANJIKU, 500, patience_seconds=1)
    assert world.phone(WANJIKU).prompt is not None


@pytest.mark.parametrize(
    ("style", "status", "words"),
    [
        (PendingStyle.CODE_4999, 200, '"ResultCode":"4999","ResultDesc":"The transaction is still under processing"'),
        (PendingStyle.ERROR_500, 500, '"errorCode":"500.001.1001","errorMessage":"The transaction is being processed"'),
    ],
)
async def test_a_query_of_an_open_push_says_pending(
    make_world: WorldMaker, style: PendingStyle, status: int, words: str
) -> None:
    """In the newer form or the older one."""
    async with make_world(DarajaSwitches(pending_style=style)) as world:
        await world.subscriber(WANJIKU, shillings=2_000)
        answer = (await world.push(WANJIKU, 500)).json(parse_float=Decimal)
        query = await world.query(answer["CheckoutRequestID"])
        assert status == query.status_code
        assert words in query.text


async def test_a_query_can_be_stuck_although_the_push_is_paid(world: World) -> None:
    """Pending for ever, until the rule is cleared."""
    await world.subscriber(WANJIKU, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=StuckPending(), times=None))
    answer = await paid(world)
    codes = [(await world.query(answer["CheckoutRequestID"])).json(parse_float=Decimal)["ResultCode"] for _ in range(3)]
    world.sandbox.faults.clear()
    codes.append((await world.query(answer["CheckoutRequestID"])).json(parse_float=Decimal)["ResultCode"])
    assert ["4999", "4999", "4999", "0"] == codes


async def test_a_result_can_be_forced_for_one_subscriber(world: World) -> None:
    """A code that nobody listed, with no prompt and no money; the next push is normal."""
    await world.subscriber(WANJIKU, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=ForcedResult(code="SFC_IC0003", text="The operator does not exist.")))
    await world.push(WANJIKU, 500)
    callback = await world.callback()
    assert "SFC_IC0003" == callback["ResultCode"]
    assert world.phone(WANJIKU).prompt is None
    await paid(world)
    assert 0 == (await world.callback())["ResultCode"]
    await world.balances_are({WANJIKU: 1_500}, merchant=500)


async def test_a_push_for_another_receiver_is_not_permitted(world: World) -> None:
    """Accepted, then refused by callback with 2028, and no prompt."""
    await world.subscriber(WANJIKU, shillings=2_000)
    await world.push(WANJIKU, 500, PartyB=600100)
    callback = await world.callback()
    assert 2028 == callback["ResultCode"]
    assert world.phone(WANJIKU).prompt is None


@pytest.mark.parametrize(
    ("headers", "parameters", "status", "body"),
    [
        ({}, {"grant_type": "client_credentials"}, 400, "400.008.01"),
        ({"Authorization": "Bearer x"}, {"grant_type": "client_credentials"}, 400, "400.008.01"),
        ("right", {}, 400, "400.008.02"),
        ("right", {"grant_type": "password"}, 400, "400.008.02"),
        ("wrong", {"grant_type": "client_credentials"}, 400, ""),
        ({"Authorization": "Basic %%%"}, {"grant_type": "client_credentials"}, 400, ""),
    ],
)
async def test_a_token_is_refused_as_the_real_one_refuses_it(
    world: World, headers: dict[str, str] | str, parameters: dict[str, str], status: int, body: str
) -> None:
    """Wrong credentials have an empty body, a wrong form has an envelope."""
    auth = None
    if isinstance(headers, str):
        auth = httpx.BasicAuth(KEY, SECRET if headers == "right" else "guessed")
        headers = {}
    response = await world.client.get("/oauth/v1/generate", headers=headers, params=parameters, auth=auth)
    assert status == response.status_code
    assert body in response.text
    assert bool(body) == bool(response.content)


async def test_a_token_is_28_characters_and_its_lifetime_a_string(world: World) -> None:
    """The shape the portal and live answers agree on."""
    answer = (await world.ask_for_token()).json(parse_float=Decimal)
    assert "3599" == answer["expires_in"]
    assert re.fullmatch(r"[A-Za-z0-9]{28}", answer["access_token"])


async def test_an_old_token_lives_on_unless_the_switch_says_otherwise(make_world: WorldMaker) -> None:
    """Both behaviours are reported of the real one."""
    for revokes, status in ((False, 200), (True, 404)):
        async with make_world(DarajaSwitches(new_token_revokes_old=revokes)) as world:
            await world.subscriber(WANJIKU, shillings=2_000)
            old = world.token
            await world.log_in()
            world.token = old
            assert status == (await world.push(WANJIKU, 500)).status_code


@pytest.mark.parametrize(
    ("header", "code"), [("", "404.001.04"), ("Basic x", "404.001.04"), ("Bearer x", "404.001.03")]
)
async def test_a_call_without_a_living_token_is_404(world: World, header: str, code: str) -> None:
    """404, not 401."""
    for path in ("/mpesa/stkpush/v1/processrequest", "/mpesa/stkpushquery/v1/query"):
        response = await world.client.post(path, headers={"Authorization": header}, json={})
        assert (404, code) == (response.status_code, response.json(parse_float=Decimal)["errorCode"])


async def test_a_revoked_token_is_refused_until_a_new_one_is_asked_for(world: World) -> None:
    """One refresh cures it."""
    await world.subscriber(WANJIKU, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=SpoiltReply(call=DarajaCall.PUSH, reply=Spoilt.INVALID_TOKEN)))
    statuses = [(await world.push(WANJIKU, 500)).status_code, (await world.push(WANJIKU, 500)).status_code]
    await world.log_in()
    statuses.append((await world.push(WANJIKU, 500)).status_code)
    assert [404, 404, 200] == statuses


@pytest.mark.parametrize(
    ("changes", "status", "code", "message"),
    [
        ({"TransactionDesc": None}, 400, "400.002.02", "Bad Request - Invalid Remarks"),
        ({"Amount": "12.50"}, 400, "400.002.02", "Bad Request - Invalid Amount"),
        ({"BusinessShortCode": 600999}, 500, "500.001.1001", "Merchant does not exist"),
        ({"Password": "d3Jvbmc="}, 500, "500.001.1001", "Wrong credentials"),
    ],
)
async def test_a_push_is_refused_in_the_normal_envelope(
    world: World, changes: dict[str, Any], status: int, code: str, message: str
) -> None:
    """Status, code and message, and a request id."""
    response = await world.push(WANJIKU, 500, **changes)
    refusal = response.json(parse_float=Decimal)
    assert (status, code, message) == (response.status_code, refusal["errorCode"], refusal["errorMessage"])
    assert {"requestId", "errorCode", "errorMessage"} == refusal.keys()


async def test_an_unknown_or_foreign_push_is_not_told_about(world: World) -> None:
    """The refusal names CheckoutRequestID, for an id nobody has and for another merchant's alike."""
    await world.subscriber(WANJIKU, shillings=2_000)
    answer = (await world.push(WANJIKU, 500)).json(parse_float=Decimal)
    await world.operator.register_merchant("600100", "ANOTHER")
    for checkout, short_code in (("ws_CO_nobody", PAYBILL), (answer["CheckoutRequestID"], "600100")):
        response = await world.query(checkout, short_code=short_code)
        refusal = response.json(parse_float=Decimal)
        assert (400, "400.002.02") == (response.status_code, refusal["errorCode"])
        assert "CheckoutRequestID" in refusal["errorMessage"]


async def test_queries_are_limited_where_the_switch_is_on(make_world: WorldMaker) -> None:
    """The second query within twelve seconds gets Apigee's 429."""
    async with make_world(DarajaSwitches(limit_queries=True)) as world:
        await world.subscriber(WANJIKU, shillings=2_000)
        answer = (await world.push(WANJIKU, 500)).json(parse_float=Decimal)
        first, second = [await world.query(answer["CheckoutRequestID"]) for _ in range(2)]
        assert [200, 429] == [first.status_code, second.status_code]
        assert (
            "policies.ratelimit.SpikeArrestViolation"
            == (second.json(parse_float=Decimal)["fault"]["detail"]["errorcode"])
        )


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/mpesa/stkpush/v1/processrequest", 405, "GET Method Not Allowed"),
        ("POST", "/mpesa/stkpush/v9/processrequest", 404, "Resource not found"),
        ("GET", "/nowhere", 404, "Unable to identify proxy for host: secure and url: /nowhere"),
    ],
)
async def test_a_wrong_method_or_path_has_its_own_words(
    world: World, method: str, path: str, status: int, words: str
) -> None:
    """405 and 404 in Daraja's envelope, Apigee's outside its paths."""
    response = await world.client.request(method, path)
    assert status == response.status_code
    assert words in response.text


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
    await world.subscriber(WANJIKU, shillings=2_000)
    await world.push(WANJIKU, 500)
    phone = world.phone(WANJIKU)
    await phone.next_prompt()
    outcomes = await asyncio.gather(phone.give_pin("1234"), phone.cancel(), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert ["push_ended"] == [getattr(error, "code", None) for error in refused]
    callback = await world.callback()
    paid_shillings = 500 if callback["ResultCode"] == 0 else 0
    await world.balances_are({WANJIKU: 2_000 - paid_shillings}, merchant=paid_shillings)


async def test_a_restart_forgets_no_push(make_world: WorldMaker) -> None:
    """On the same database: a paid push is still told about, and an open one is shown again and can be paid."""
    async with make_world() as world:
        await world.subscriber(WANJIKU, shillings=2_000)
        await world.subscriber(OTIENO, shillings=2_000)
        old = await paid(world)
        await world.callback()
        await world.push(OTIENO, 300)
    async with make_world(keep=True) as world:
        query = (await world.query(old["CheckoutRequestID"])).json(parse_float=Decimal)
        assert "0" == query["ResultCode"]
        phone = world.phone(OTIENO)
        prompt = await phone.next_prompt()
        assert ("PENPAY", kes(300)) == (prompt.merchant, prompt.amount)
        await phone.give_pin("1234")
        assert 0 == (await world.callback())["ResultCode"]
        await world.balances_are({WANJIKU: 1_500, OTIENO: 1_700}, merchant=800)


async def test_what_ran_out_while_the_sandbox_was_down_ends_after_it_is_back(make_world: WorldMaker) -> None:
    """Silence is counted by the database, not by a task in memory."""
    switches = DarajaSwitches(prompt_timeout_ms=100, sweep_every_ms=20)
    async with make_world(DarajaSwitches(prompt_timeout_ms=100, sweep_every_ms=60_000)) as world:
        await world.subscriber(WANJIKU, shillings=2_000)
        await world.push(WANJIKU, 500)
        await world.clock.sleep(150)
        assert [] == world.receiver.requests
    async with make_world(switches, keep=True) as world:
        assert 1037 == (await world.callback())["ResultCode"]


async def test_float_is_issued_once_per_reference(world: World) -> None:
    """The same reference again changes nothing; the trust account carries what was issued."""
    await world.subscriber(WANJIKU, shillings=100)
    for _ in range(2):
        await world.issue(WANJIKU, 50, reference="seed-2")
    await world.balances_are({WANJIKU: 150}, merchant=0)


async def test_another_process_can_act_as_the_handset(world: World) -> None:
    """Register, fund, look, pay, read the message and the balances, all over HTTP."""
    http = world.client
    assert 201 == (await http.post("/sandbox/subscribers", json={"phone": "0712345678", "pin": "4321"})).status_code
    again = await http.post("/sandbox/subscribers", json={"phone": "0712345678", "pin": "4321"})
    assert (409, "subscriber_exists") == (again.status_code, again.json(parse_float=Decimal)["code"])
    funded = await http.post(
        f"/sandbox/subscribers/{WANJIKU}/float", json={"amount_cents": 2_000_00, "reference": "seed"}
    )
    assert 200 == funded.status_code
    await world.push(WANJIKU, 500, reference="ACC-9")
    seen = (await http.get(f"/sandbox/phones/{WANJIKU}")).json(parse_float=Decimal)
    assert ("PENPAY", 500_00, "ACC-9") == tuple(
        seen["prompt"][key] for key in ("merchant", "amount_cents", "account_reference")
    )
    answered = await http.post(f"/sandbox/phones/{WANJIKU}/pin", json={"pin": "4321"})
    assert "0" == answered.json(parse_float=Decimal)["code"]
    after = (await http.get(f"/sandbox/phones/{WANJIKU}")).json(parse_float=Decimal)
    assert after["prompt"] is None
    assert 1 == len(after["messages"])
    late = await http.post(f"/sandbox/phones/{WANJIKU}/cancel")
    assert (409, "no_prompt") == (late.status_code, late.json(parse_float=Decimal)["code"])
    assert {
        "trust_unevidenced_cents": 2_000_00,
        "subscribers": [{"phone": WANJIKU, "cents": 1_500_00}],
        "merchants": [{"short_code": PAYBILL, "cents": 500_00}],
    } == (await http.get("/sandbox/balances")).json(parse_float=Decimal)


async def test_a_handset_can_answer_by_itself(world: World) -> None:
    """A standing answer pays every prompt, until it is taken back."""
    await world.subscriber(WANJIKU, shillings=2_000)
    path = f"/sandbox/phones/{WANJIKU}/standing-answer"
    standing = {"answer": {"habit": "ENTER_PIN", "pin": "1234", "after_ms": 5}}
    assert 204 == (await world.client.put(path, json=standing)).status_code
    await world.push(WANJIKU, 500)
    assert 0 == (await world.callback())["ResultCode"]
    assert 204 == (await world.client.put(path, json={"answer": {"habit": "CANCEL"}})).status_code
    await world.push(WANJIKU, 500)
    assert 1032 == (await world.callback())["ResultCode"]
    assert 204 == (await world.client.put(path, json={"answer": None})).status_code
    await world.push(WANJIKU, 500)
    await world.settled()
    assert world.phone(WANJIKU).prompt is not None


async def test_faults_are_set_over_http(world: World) -> None:
    """Added, listed, struck and cleared; a rule that names no known fault is refused."""
    await world.subscriber(WANJIKU, shillings=2_000)
    rule = {
        "fault": {"kind": "forced_result", "code": "1025", "text": "An error occurred while sending a push request."}
    }
    assert 204 == (await world.client.post("/sandbox/faults", json=rule | {"msisdn": WANJIKU})).status_code
    listed = (await world.client.get("/sandbox/faults")).json(parse_float=Decimal)
    assert [("1025", WANJIKU, 1)] == [(one["fault"]["code"], one["msisdn"], one["times"]) for one in listed]
    await world.push(WANJIKU, 500)
    assert 1025 == (await world.callback())["ResultCode"]
    assert [] == (await world.client.get("/sandbox/faults")).json(parse_float=Decimal)
    assert 422 == (await world.client.post("/sandbox/faults", json={"fault": {"kind": "fire"}})).status_code
    await world.client.post("/sandbox/faults", json={"fault": {"kind": "lost_callback"}, "times": None})
    assert 204 == (await world.client.delete("/sandbox/faults")).status_code
    assert () == world.sandbox.faults.rules()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/sandbox/subscribers", {"phone": "0712", "pin": "1234"}, 422),
        ("/sandbox/subscribers", {"phone": "0712345679", "pin": "12"}, 422),
        ("/sandbox/subscribers/254712345679/float", {"amount_cents": 100, "reference": "x"}, 404),
        ("/sandbox/subscribers/254712345679/float", {"amount_cents": 0, "reference": "x"}, 422),
        ("/sandbox/subscribers/254712345679/float", {"amount_cents": 10.5, "reference": "x"}, 422),
        ("/sandbox/phones/254712345679/pin", {"pin": "1234"}, 404),
    ],
)
async def test_the_sandbox_routes_refuse_what_makes_no_sense(
    world: World, path: str, body: dict[str, Any], status: int
) -> None:
    """Malformed phones, PINs and amounts, and phones nobody has."""
    response = await world.client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert status == response.status_code
