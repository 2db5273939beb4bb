"""The Daraja client over a real socket: what it sends, and what it makes of every kind of answer."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from penpay.domain.mpesa.gateway import MpesaGateway, PaymentOutcome, PushOutcome, StkPush
from penpay.domain.shared.errors import CurrencyMismatch, DomainError, InvalidAmount, InvalidRequest
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.mpesa.client import DarajaClient, daraja_password, daraja_timestamp
from tests.contract.mpesa.scripted_daraja import (
    OAUTH,
    PUSH,
    QUERY,
    Reply,
    ScriptedDaraja,
    http,
    raw,
    refused,
    reset,
    said,
    silence,
    trickle,
)
from tests.contract.mpesa.steps import ACCEPTED, CHECKOUT, PASSKEY, PUSHED, SteppedClock

PASSWORD = (
    "MTc0Mzc5YmZiMjc5ZjlhYTliZGJjZjE1OGU5N2RkNzFhNDY3Y2QyZTBjODkzMDU5YjEwZjc4ZTZiNzJhZGExZWQyYzkxOTIwMjEwNjI4MDkyNDA4"
)


def test_timestamp_and_password_follow_the_reference() -> None:
    """The portal's own sample, from a moment given in UTC, and the hours in which the two calendars differ."""
    assert "20210628092408" == daraja_timestamp(datetime(2021, 6, 28, 6, 24, 8, tzinfo=UTC))
    assert "20261121021725" == daraja_timestamp(datetime(2026, 11, 20, 23, 17, 25, tzinfo=UTC))
    assert PASSWORD == daraja_password("174379", PASSKEY, "20210628092408")


async def test_a_push_says_what_daraja_documents(client: MpesaGateway, daraja: ScriptedDaraja) -> None:
    """Field names, numbers as numbers, the callback address with our token, and both credentials in their place."""
    answer = await client.stk_push(PUSHED)

    oauth, push = daraja.received
    assert ("GET", OAUTH) == (oauth.method, oauth.target)
    assert "Basic " + base64.b64encode(b"consumer-key:consumer-secret").decode() == oauth.headers["authorization"]
    assert ("POST", PUSH, "token-1") == (push.method, push.target, push.bearer)
    assert "application/json" == push.headers["content-type"]
    assert {
        "BusinessShortCode": 174379,
        "Password": PASSWORD,
        "Timestamp": "20210628092408",
        "TransactionType": "CustomerPayBillOnline",
        "Amount": 1500,
        "PartyA": 254708374149,
        "PartyB": 174379,
        "PhoneNumber": 254708374149,
        "CallBackURL": "https://pay.example.com/callbacks/stk/" + "0f" * 32,
        "AccountReference": "PP7K2M9QX4AB",
        "TransactionDesc": "Deposit",
    } == json.loads(push.body)
    assert b'"Amount": 1500,' in push.body
    assert (PushOutcome.ACCEPTED, CHECKOUT) == (answer.outcome, answer.checkout_request_id)


async def test_a_push_for_a_till_says_what_daraja_documents(client: MpesaGateway, daraja: ScriptedDaraja) -> None:
    """The head office's number asks and signs, the till is PartyB (daraja.md §2.1)."""
    await client.stk_push(replace(PUSHED, till="600100"))

    body = json.loads(daraja.to(PUSH)[0].body)
    assert ("CustomerBuyGoodsOnline", 600100) == (body["TransactionType"], body["PartyB"])
    assert (174379, PASSWORD) == (body["BusinessShortCode"], body["Password"])


@pytest.mark.parametrize("till", ["", "1234", "0600100", "60010012", "6001OO"])
async def test_a_till_that_is_none_is_refused_before_anything_is_sent(
    client: MpesaGateway, daraja: ScriptedDaraja, till: str
) -> None:
    """Not even a token is asked for."""
    with pytest.raises(InvalidRequest, match="five to seven digits"):
        await client.stk_push(replace(PUSHED, till=till))
    assert [] == daraja.received


async def test_a_query_says_what_daraja_documents(client: MpesaGateway, daraja: ScriptedDaraja) -> None:
    """The same signature, and the id as it was given."""
    daraja.scripts[QUERY] = lambda _: said(
        200, {"ResponseCode": "0", "CheckoutRequestID": CHECKOUT, "ResultCode": "0", "ResultDesc": "Processed."}
    )
    answer = await client.stk_query(CHECKOUT)

    assert {
        "BusinessShortCode": 174379,
        "Password": PASSWORD,
        "Timestamp": "20210628092408",
        "CheckoutRequestID": CHECKOUT,
    } == json.loads(daraja.to(QUERY)[0].body)
    assert (PaymentOutcome.PAID, "0") == (answer.outcome, answer.code)


async def test_an_answer_about_another_payment_says_nothing_about_ours(
    client: MpesaGateway, daraja: ScriptedDaraja
) -> None:
    """The id we asked about reaches the verdict."""
    daraja.scripts[QUERY] = lambda _: said(
        200, {"ResponseCode": "0", "CheckoutRequestID": "ws_CO_1", "ResultCode": "0"}
    )
    assert PaymentOutcome.UNKNOWN is (await client.stk_query(CHECKOUT)).outcome


BROKEN: list[tuple[Reply, str]] = [
    (silence, "timed_out"),
    (trickle, "deadline_passed"),
    (reset, "connection_broken"),
    (raw(b""), "connection_broken"),
    (raw(b"not HTTP at all\r\n\r\n"), "connection_broken"),
    (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"), "connection_broken"),
    (http(302, Location="javascript:1"), "connection_broken"),
    (http(302, Location="/elsewhere", Set_Cookie="é=1; Path=/"), "connection_broken"),
    (http(200, b" " * 70_000), "answer_too_large"),
    (http(200, gzip.compress(b" " * 5_000_000), Content_Encoding="gzip"), "answer_too_large"),
    (http(200, b"\x1f\x8bnonsense", Content_Encoding="gzip"), "answer_unreadable"),
    (http(200, b"", "text/html"), "unreadable_answer"),
    (http(200, b"<html>ok</html>", "text/html"), "unreadable_answer"),
    (http(500), "unreadable_answer"),
    (http(503, b"<html>busy</html>", "text/html"), "unreadable_answer"),
    (http(302, b"", Location="/elsewhere"), "unreadable_answer"),
    (http(200, b'{"ResponseCode": "0", "Checkout'), "unreadable_answer"),
]


@pytest.mark.parametrize(("reply", "code"), BROKEN)
async def test_a_push_that_may_have_arrived_is_unknown_and_never_sent_again(
    client: MpesaGateway, daraja: ScriptedDaraja, reply: Reply, code: str
) -> None:
    """The prompt may be on the handset: one request went out, and no second one may."""
    daraja.scripts[PUSH] = lambda _: reply
    async with asyncio.timeout(5):  # well above the client's own deadline of one second
        answer = await client.stk_push(PUSHED)

    assert (PushOutcome.UNKNOWN, code, None) == (answer.outcome, answer.code, answer.retry_after_ms)
    assert 1 == len(daraja.to(PUSH))


@pytest.mark.parametrize(("reply", "code"), BROKEN)
async def test_a_query_that_breaks_says_nothing_about_the_money(
    client: MpesaGateway, daraja: ScriptedDaraja, reply: Reply, code: str
) -> None:
    """However it breaks, it can be asked again."""
    daraja.scripts[QUERY] = lambda _: reply
    answer = await client.stk_query(CHECKOUT)

    assert (PaymentOutcome.UNKNOWN, code) == (answer.outcome, answer.code)


async def test_a_server_that_is_not_there_was_sent_nothing(client: MpesaGateway, daraja: ScriptedDaraja) -> None:
    """Connection refused: the push is safe to repeat, and the query simply open."""
    await client.stk_push(PUSHED)
    await daraja.close()
    push = await client.stk_push(PUSHED)
    query = await client.stk_query(CHECKOUT)

    assert (PushOutcome.NOT_SENT, "not_connected") == (push.outcome, push.code)
    assert (PaymentOutcome.UNKNOWN, "not_connected") == (query.outcome, query.code)


async def test_an_acceptance_packed_against_our_wish_is_read(client: MpesaGateway, daraja: ScriptedDaraja) -> None:
    """A proxy that compresses everything must not turn every push into an unknown one."""
    packed = gzip.compress(json.dumps(ACCEPTED).encode())
    daraja.scripts[PUSH] = lambda _: http(200, packed, Content_Encoding="gzip")

    assert PushOutcome.ACCEPTED is (await client.stk_push(PUSHED)).outcome
    assert "identity" == daraja.to(PUSH)[0].headers["accept-encoding"]


async def test_a_cookie_from_a_firewall_is_not_carried_along(client: MpesaGateway, daraja: ScriptedDaraja) -> None:
    """One that is not ASCII could not even be sent back, and would end all calls."""
    daraja.scripts[PUSH] = lambda _: http(403, b"<html/>", "text/html", Set_Cookie="visit=\u00e9; Path=/")
    outcomes = [(await client.stk_push(PUSHED)).outcome for _ in range(2)]

    assert [PushOutcome.UNKNOWN] * 2 == outcomes
    assert all("cookie" not in request.headers for request in daraja.received)


async def test_a_refusal_reaches_the_caller_with_its_code(client: MpesaGateway, daraja: ScriptedDaraja) -> None:
    """The wire's error envelope and the verdict tables meet."""
    daraja.scripts[PUSH] = lambda _: refused(400, "400.002.02", "Bad Request - Invalid PhoneNumber 254708374149")
    answer = await client.stk_push(PUSHED)

    assert (PushOutcome.FAILED, "400.002.02") == (answer.outcome, answer.code)
    assert "Bad Request - Invalid PhoneNumber [redacted]" == answer.message


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"amount": Money(150_050, Currency.KES)}, InvalidAmount),
        ({"amount": Money(0, Currency.KES)}, InvalidAmount),
        ({"amount": Money(-100, Currency.KES)}, InvalidAmount),
        ({"amount": Money(100, Currency.USD)}, CurrencyMismatch),
        ({"callback_token": "a/b"}, InvalidRequest),
        ({"callback_token": "a" * 65}, InvalidRequest),
        ({"account_reference": "PP7K2M9QX4ABC"}, InvalidRequest),
        ({"account_reference": "ref & co"}, InvalidRequest),
        ({"description": ""}, InvalidRequest),
        ({"description": "a longer deposit"}, InvalidRequest),
    ],
)
async def test_what_is_no_push_is_refused_before_anything_is_sent(
    client: MpesaGateway, daraja: ScriptedDaraja, change: dict[str, object], refusal: type[DomainError]
) -> None:
    """A fault on our side never becomes an answer about money."""
    fields = {name: getattr(PUSHED, name) for name in PUSHED.__dataclass_fields__}
    with pytest.raises(refusal):
        await client.stk_push(StkPush(**{**fields, **change}))
    with pytest.raises(InvalidRequest):
        await client.stk_query("ws_CO 1")

    assert issubclass(refusal, DomainError)
    assert [] == daraja.received


async def test_a_short_code_that_is_none_stops_the_start(clock: SteppedClock) -> None:
    """A leading zero would be lost on the wire and break the password."""
    async with httpx.AsyncClient() as session:
        with pytest.raises(ValueError, match="PayBill short code"):
            DarajaClient(
                http=session,
                clock=clock,
                base_url="http://127.0.0.1:1",
                consumer_key="key",
                consumer_secret="secret",
                short_code="017437",
                passkey=PASSKEY,
                callback_base_url="https://pay.example.com",
            )
