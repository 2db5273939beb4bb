"""Tokens, envelopes, statuses and queries of the sandbox's Daraja, over real HTTP."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import httpx
import pytest

from penpay.sandbox.daraja.switches import DarajaSwitches, PendingStyle
from penpay.sandbox.faults import (
    DarajaCall,
    FaultRule,
    Spoilt,
    SpoiltReply,
)
from tests.contract.sandbox.world import KEY, PAYBILL, PAYER, SECRET, World, WorldMaker


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
        await world.subscriber(PAYER, shillings=2_000)
        answer = (await world.push(PAYER, 500)).json(parse_float=Decimal)
        query = await world.query(answer["CheckoutRequestID"])
        assert status == query.status_code
        assert words in query.text


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
            await world.subscriber(PAYER, shillings=2_000)
            old = world.token
            await world.log_in()
            world.token = old
            assert status == (await world.push(PAYER, 500)).status_code


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
    await world.subscriber(PAYER, shillings=2_000)
    world.sandbox.faults.add(FaultRule(fault=SpoiltReply(call=DarajaCall.PUSH, reply=Spoilt.INVALID_TOKEN)))
    statuses = [(await world.push(PAYER, 500)).status_code, (await world.push(PAYER, 500)).status_code]
    await world.log_in()
    statuses.append((await world.push(PAYER, 500)).status_code)
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
    response = await world.push(PAYER, 500, **changes)
    refusal = response.json(parse_float=Decimal)
    assert (status, code, message) == (response.status_code, refusal["errorCode"], refusal["errorMessage"])
    assert {"requestId", "errorCode", "errorMessage"} == refusal.keys()


async def test_an_unknown_or_foreign_push_is_not_told_about(world: World) -> None:
    """The refusal names CheckoutRequestID, for an id nobody has and for another merchant's alike."""
    await world.subscriber(PAYER, shillings=2_000)
    answer = (await world.push(PAYER, 500)).json(parse_float=Decimal)
    await world.operator.register_merchant("600100", "ANOTHER")
    for checkout, short_code in (("ws_CO_nobody", PAYBILL), (answer["CheckoutRequestID"], "600100")):
        response = await world.query(checkout, short_code=short_code)
        refusal = response.json(parse_float=Decimal)
        assert (400, "400.002.02") == (response.status_code, refusal["errorCode"])
        assert "CheckoutRequestID" in refusal["errorMessage"]


async def test_queries_are_limited_where_the_switch_is_on(make_world: WorldMaker) -> None:
    """The second query within twelve seconds gets Apigee's 429."""
    async with make_world(DarajaSwitches(limit_queries=True)) as world:
        await world.subscriber(PAYER, shillings=2_000)
        answer = (await world.push(PAYER, 500)).json(parse_float=Decimal)
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
