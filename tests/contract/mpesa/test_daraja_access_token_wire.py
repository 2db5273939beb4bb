"""The bearer token over a real socket: kept, shared, renewed once, and never missing without a word."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penpay.domain.mpesa.gateway import MpesaGateway, PaymentOutcome, PushOutcome
from tests.contract.mpesa.scripted_daraja import (
    OAUTH,
    PUSH,
    Received,
    Reply,
    Script,
    ScriptedDaraja,
    http,
    refused,
    reset,
    said,
    silence,
)
from tests.contract.mpesa.steps import ACCEPTED, CHECKOUT, PUSHED, SteppedClock


@pytest.mark.parametrize("lifetime", ["3599", 3599])
async def test_a_token_is_kept_until_a_minute_before_its_end(
    client: MpesaGateway, daraja: ScriptedDaraja, clock: SteppedClock, lifetime: object
) -> None:
    """`expires_in` counts as text and as a number."""
    daraja.scripts[OAUTH] = lambda _: said(200, {"access_token": "t", "expires_in": lifetime})
    asked = []
    for seconds in (0, 3538, 1, 3538):
        clock.moment += timedelta(seconds=seconds)
        await client.stk_push(PUSHED)
        asked.append(len(daraja.to(OAUTH)))

    assert [1, 1, 2, 2] == asked


@pytest.mark.parametrize(("lifetime", "kept_seconds"), [("20", 10), ("soon", 3540), (None, 3540), (0, 0)])
async def test_an_odd_lifetime_does_not_ask_for_a_token_on_every_call(
    client: MpesaGateway, daraja: ScriptedDaraja, clock: SteppedClock, lifetime: object, kept_seconds: int
) -> None:
    """A short life is used to its half; an unreadable one is the documented hour."""
    daraja.scripts[OAUTH] = lambda _: said(200, {"access_token": "t", "expires_in": lifetime})
    await client.stk_push(PUSHED)
    if kept_seconds:
        clock.moment += timedelta(seconds=kept_seconds, milliseconds=-1)
        await client.stk_push(PUSHED)
        assert 1 == len(daraja.to(OAUTH))
        clock.moment += timedelta(milliseconds=1)
    await client.stk_push(PUSHED)

    assert 2 == len(daraja.to(OAUTH))


async def test_many_first_calls_ask_for_one_token(client: MpesaGateway, daraja: ScriptedDaraja) -> None:
    """Twenty callers at once share one renewal."""
    answers = await asyncio.gather(*(client.stk_push(PUSHED) for _ in range(20)))

    assert {PushOutcome.ACCEPTED} == {answer.outcome for answer in answers}
    assert (1, 20) == (len(daraja.to(OAUTH)), len(daraja.to(PUSH)))


async def test_many_first_calls_share_one_failure(client: MpesaGateway, daraja: ScriptedDaraja) -> None:
    """A wrong secret is not tried once per waiting caller."""
    daraja.scripts[OAUTH] = lambda _: http(400)
    answers = await asyncio.gather(*(client.stk_push(PUSHED) for _ in range(20)))

    assert {"daraja_credentials"} == {answer.code for answer in answers}
    assert (1, 0) == (len(daraja.to(OAUTH)), len(daraja.to(PUSH)))


async def test_a_cancelled_renewal_is_done_by_the_next_caller(client: MpesaGateway, daraja: ScriptedDaraja) -> None:
    """Whoever leaves in the middle takes nobody along."""
    daraja.scripts[OAUTH] = lambda _: silence
    leaving = asyncio.ensure_future(client.stk_push(PUSHED))
    await daraja.first_request.wait()
    staying = asyncio.ensure_future(client.stk_push(PUSHED))
    await asyncio.sleep(0)
    daraja.scripts[OAUTH] = lambda _: said(200, {"access_token": "t", "expires_in": "3599"})
    leaving.cancel()

    assert PushOutcome.ACCEPTED is (await staying).outcome
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (2, 1) == (len(daraja.to(OAUTH)), len(daraja.to(PUSH)))


def only(token: str) -> Script:
    """Accept one bearer token and turn every other away as Daraja does for STK."""

    def script(request: Received) -> Reply:
        if request.bearer == token:
            return said(200, ACCEPTED)
        return refused(404, "404.001.03", "Invalid Access Token")

    return script


async def test_a_token_killed_elsewhere_is_renewed_once_and_the_call_repeated(
    client: MpesaGateway, daraja: ScriptedDaraja
) -> None:
    """Another process asked for a token; many calls find ours dead at once, and each is made good."""
    issued = iter(("token-1", "token-2", "token-3"))
    daraja.scripts[OAUTH] = lambda _: said(200, {"access_token": next(issued), "expires_in": "3599"})
    await client.stk_push(PUSHED)
    daraja.scripts[PUSH] = only("token-2")
    daraja.received.clear()

    answers = await asyncio.gather(*(client.stk_push(PUSHED) for _ in range(10)))

    assert {PushOutcome.ACCEPTED} == {answer.outcome for answer in answers}
    assert 1 == len(daraja.to(OAUTH))
    assert ["token-1"] * 10 + ["token-2"] * 10 == sorted(request.bearer for request in daraja.to(PUSH))


async def test_a_second_refusal_of_the_token_is_not_argued_with(client: MpesaGateway, daraja: ScriptedDaraja) -> None:
    """One renewal, one repeat, then people must look; the echoed token goes nowhere."""
    echo = "Error Occurred - Invalid Access Token - "
    daraja.scripts[OAUTH] = lambda _: said(200, {"access_token": "onlyletters", "expires_in": "9"})
    daraja.scripts[PUSH] = lambda request: refused(401, "401.002.01", echo + request.bearer + " (again)")
    answer = await client.stk_push(PUSHED)

    assert (PushOutcome.NOT_SENT, "daraja_credentials", 60_000) == (
        answer.outcome,
        answer.code,
        answer.retry_after_ms,
    )
    assert echo + "[redacted] (again)" == answer.message
    assert (2, 2) == (len(daraja.to(OAUTH)), len(daraja.to(PUSH)))


@pytest.mark.parametrize(
    ("reply", "code", "wait_ms"),
    [
        (http(400), "daraja_credentials", 60_000),
        (refused(400, "400.008.01", "Invalid Authentication passed"), "daraja_credentials", 60_000),
        (http(403, b"<html>Incapsula</html>", "text/html"), "daraja_token_unavailable", 12_000),
        (http(500), "daraja_token_unavailable", 12_000),
        (said(200, {"expires_in": "3599"}), "daraja_token_unavailable", 12_000),
        (said(200, {"access_token": "a b\r\nX: y", "expires_in": "3599"}), "daraja_token_unavailable", 12_000),
        (said(503, {"access_token": "t", "expires_in": "3599"}), "daraja_token_unavailable", 12_000),
        (reset, "daraja_token_unavailable", 12_000),
        (silence, "daraja_token_unavailable", 12_000),
    ],
)
async def test_without_a_token_no_push_is_made(
    client: MpesaGateway, daraja: ScriptedDaraja, reply: Reply, code: str, wait_ms: int
) -> None:
    """Nothing was asked of M-Pesa, so the deposit may try again; a query without a token stays open."""
    daraja.scripts[OAUTH] = lambda _: reply
    push = await client.stk_push(PUSHED)
    query = await client.stk_query(CHECKOUT)

    assert (PushOutcome.NOT_SENT, code, wait_ms) == (push.outcome, push.code, push.retry_after_ms)
    assert (PaymentOutcome.UNKNOWN, code, wait_ms) == (query.outcome, query.code, query.retry_after_ms)
    assert {OAUTH} == {request.target for request in daraja.received}
    assert "consumer-" not in push.message + query.message
