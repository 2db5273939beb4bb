"""Our own limits: STK queries no faster than Daraja takes them, and no call that waits in memory."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from penpay.domain.mpesa.gateway import PaymentOutcome, PushOutcome
from penpay.infrastructure.mpesa.client import DarajaClient
from penpay.infrastructure.mpesa.rate_limit import STK_QUERY_LIMIT, HeldBack, RateLimit, RateLimiter
from tests.contract.mpesa.scripted_daraja import PUSH, QUERY, ScriptedDaraja, said
from tests.contract.mpesa.steps import ACCEPTED, CHECKOUT, PASSKEY, PUSHED, SteppedClock

PENDING = {"ResponseCode": "0", "CheckoutRequestID": CHECKOUT, "ResultCode": "4999", "ResultDesc": "Processing"}


def stk_client(
    http: httpx.AsyncClient, clock: SteppedClock, base_url: str, *, query: RateLimit | None, call: RateLimit | None
) -> DarajaClient:
    return DarajaClient(
        http=http,
        clock=clock,
        base_url=base_url,
        consumer_key="consumer-key",
        consumer_secret="consumer-secret",
        short_code="174379",
        passkey=PASSKEY,
        callback_base_url="https://pay.example.com/callbacks/stk",
        query_limit=query,
        call_limit=call,
    )


async def test_queries_are_held_back_to_five_a_minute(daraja: ScriptedDaraja, clock: SteppedClock) -> None:
    """One at a time, twelve seconds apart; pushes are not counted."""
    daraja.scripts[QUERY] = lambda _: said(200, PENDING)
    async with httpx.AsyncClient(trust_env=False) as http:
        client = stk_client(http, clock, daraja.url, query=STK_QUERY_LIMIT, call=None)
        answers = []
        for seconds in (0, 0, 11, 1, 60, 0):
            clock.moment += timedelta(seconds=seconds)
            answers.append(await client.stk_query(CHECKOUT))
        push = await client.stk_push(PUSHED)

    held = (PaymentOutcome.UNKNOWN, "held_back")
    asked = (PaymentOutcome.PENDING, "4999")
    assert [asked, held, held, asked, asked, held] == [(answer.outcome, answer.code) for answer in answers]
    assert [12_000, 1_000, 12_000] == [answers[at].retry_after_ms for at in (1, 2, 5)]
    assert (PushOutcome.ACCEPTED, 3) == (push.outcome, len(daraja.to(QUERY)))


async def test_a_push_that_is_held_back_was_not_sent(daraja: ScriptedDaraja, clock: SteppedClock) -> None:
    """It may be tried again when the limit allows."""
    daraja.scripts[PUSH] = lambda _: said(200, ACCEPTED)
    async with httpx.AsyncClient(trust_env=False) as http:
        client = stk_client(http, clock, daraja.url, query=None, call=RateLimit(calls=1, period_ms=1_000))
        pushes = [await client.stk_push(PUSHED) for _ in range(2)]
        query = await client.stk_query(CHECKOUT)

    assert [PushOutcome.ACCEPTED, PushOutcome.NOT_SENT] == [push.outcome for push in pushes]
    assert ("held_back", 1_000) == (pushes[1].code, pushes[1].retry_after_ms)
    assert (PaymentOutcome.UNKNOWN, "held_back", 1_000) == (query.outcome, query.code, query.retry_after_ms)
    assert 1 == len(daraja.to(PUSH))


@pytest.mark.parametrize(
    ("base_url", "asked"),
    [("https://sandbox.safaricom.co.ke", 1), ("https://api.safaricom.co.ke", 3), ("http://127.0.0.1:6700", 3)],
)
async def test_the_known_limit_holds_where_it_is_known(base_url: str, asked: int, clock: SteppedClock) -> None:
    """Safaricom's sandbox has one; elsewhere nobody has told us of any."""
    queries = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        query = scope["path"] == QUERY
        queries.extend([scope["path"]] * query)
        body = json.dumps(PENDING if query else {"access_token": "token-1", "expires_in": "3599"}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async with httpx.AsyncClient(transport=httpx.ASGITransport(answer)) as http:
        client = stk_client(http, clock, base_url, query=None, call=None)
        for _ in range(3):
            await client.stk_query(CHECKOUT)

    assert asked == len(queries)


def test_a_burst_is_used_up_and_earned_again(clock: SteppedClock) -> None:
    """Three at once, then one a second; a pause earns three again and no more."""
    limiter = RateLimiter(RateLimit(calls=60, period_ms=60_000, burst=3), clock)

    passed = []
    for seconds in (0, 1, 2, 600):
        clock.moment += timedelta(seconds=seconds)
        passed.append(sum(_passes(limiter) for _ in range(5)))

    assert [3, 1, 2, 3] == passed


def _passes(limiter: RateLimiter) -> bool:
    try:
        limiter.pass_one()
    except HeldBack:
        return False
    return True


def test_a_limit_that_does_not_divide_is_rounded_down(clock: SteppedClock) -> None:
    """Seven a second is never eight."""
    limiter = RateLimiter(RateLimit(calls=7, period_ms=1_000), clock)
    limiter.pass_one()
    with pytest.raises(HeldBack) as held:
        limiter.pass_one()

    assert 143 == held.value.retry_after_ms


@pytest.mark.parametrize("figures", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_a_limit_of_nothing_is_refused(figures: tuple[int, int, int]) -> None:
    """It would stop every call for ever."""
    calls, period_ms, burst = figures
    with pytest.raises(ValueError, match="rate limit"):
        RateLimit(calls=calls, period_ms=period_ms, burst=burst)
