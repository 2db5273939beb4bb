"""Whatever is sent, the answer is a clear problem with a stable code, and nothing in the database has changed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from penpay.presentation.http.app import bind, create_app
from penpay.presentation.http.errors import INTERNAL_ERROR
from tests.contract.sandbox.world import serving
from tests.integration.http.stage import DEPOSIT, USER_ONE_KEY, USER_TWO_LOGIN, Stage, read

URL = "/api/v1/deposits"
PLAIN_AMOUNT = '"amount_cents": 10000'


def amount(literal: str) -> bytes:
    """A deposit whose amount is written like this."""
    text = json.dumps(DEPOSIT)
    assert PLAIN_AMOUNT in text
    return text.replace(PLAIN_AMOUNT, f'"amount_cents": {literal}').encode()


def changed(**fields: Any) -> bytes:
    return json.dumps({**DEPOSIT, **fields}).encode()


def without(field: str) -> bytes:
    return json.dumps({name: value for name, value in DEPOSIT.items() if name != field}).encode()


def nested(levels: int) -> bytes:
    return b'{"amount_cents":' + b"[" * levels + b"]" * levels + b"}"


BAD_BODIES = {
    # amounts
    "negative": (amount("-1"), 422, "invalid_amount"),
    "zero": (amount("0"), 422, "invalid_amount"),
    "negative zero": (amount("-0"), 422, "invalid_amount"),
    "fractional": (amount("100.5"), 400, "invalid_request"),
    "float that is whole": (amount("10000.0"), 400, "invalid_request"),
    "exponent": (amount("1e4"), 400, "invalid_request"),
    "negative exponent": (amount("1E-7"), 400, "invalid_request"),
    "string": (amount('"10000"'), 400, "invalid_request"),
    "full-width string": (amount('"\uff11\uff10\uff10"'), 400, "invalid_request"),
    "full-width digits": (amount("\uff11\uff10\uff10"), 400, "invalid_request"),
    "boolean": (amount("true"), 400, "invalid_request"),
    "null": (amount("null"), 400, "invalid_request"),
    "list": (amount("[10000]"), 400, "invalid_request"),
    "object": (amount('{"cents": 10000}'), 400, "invalid_request"),
    "leading zero": (amount("010000"), 400, "invalid_request"),
    "thousands separator": (amount("10,000"), 400, "invalid_request"),
    "NaN": (amount("NaN"), 400, "invalid_request"),
    "Infinity": (amount("-Infinity"), 400, "invalid_request"),
    "below the limit": (amount("199"), 422, "amount_out_of_range"),
    "above the limit": (amount("100001"), 422, "amount_out_of_range"),
    "2^31": (amount(str(2**31)), 422, "amount_out_of_range"),
    "2^53 + 1": (amount(str(2**53 + 1)), 422, "invalid_amount"),
    "2^63": (amount(str(2**63)), 400, "invalid_request"),
    "10^30": (amount("1" + "0" * 30), 400, "invalid_request"),
    "400 digits": (amount("9" * 400), 400, "invalid_request"),
    "5,000 digits": (amount("9" * 5_000), 400, "invalid_request"),
    "half a shilling": (changed(amount_cents=100_050, currency="KES"), 422, "invalid_amount"),
    # the other fields
    "unknown currency": (changed(currency="EUR"), 422, "unknown_currency"),
    "currency in lower case": (changed(currency="usd"), 422, "unknown_currency"),
    "currency as a list": (changed(currency=["USD"]), 400, "invalid_request"),
    "another user's account": (changed(deriv_login_id=USER_TWO_LOGIN), 403, "deriv_account_not_yours"),
    "nobody's account": (changed(deriv_login_id="CR999999"), 403, "deriv_account_not_yours"),
    "no login id at all": (changed(deriv_login_id="' OR 1=1--"), 422, "invalid_deriv_login_id"),
    "login id in other letters": (changed(deriv_login_id="\u0421R123456"), 422, "invalid_deriv_login_id"),
    "login id with NUL": (changed(deriv_login_id="CR123456\x00"), 422, "invalid_deriv_login_id"),
    "short key": (changed(idempotency_key="seven-7"), 422, "invalid_idempotency_key"),
    "long key": (changed(idempotency_key="k" * 129), 422, "invalid_idempotency_key"),
    "key with a space": (changed(idempotency_key="two words here"), 422, "invalid_idempotency_key"),
    "key with emoji": (changed(idempotency_key="\U0001f4b8" * 8), 422, "invalid_idempotency_key"),
    "mass assignment": (changed(status="COMPLETED", user_id="x"), 400, "invalid_request"),
    "a field missing": (without("amount_cents"), 400, "invalid_request"),
    # JSON
    "nothing": (b"", 400, "invalid_request"),
    "malformed": (b'{"amount_cents": 1', 400, "invalid_request"),
    "no object": (b"[1]", 400, "invalid_request"),
    "null body": (b"null", 400, "invalid_request"),
    "trailing text": (changed() + b"{}", 400, "invalid_request"),
    "duplicate key": (b'{"amount_cents": 1, ' + changed()[1:], 400, "invalid_request"),
    "duplicate key, escaped": (b'{"\\u0061mount_cents": 1, ' + changed()[1:], 400, "invalid_request"),
    "33 levels": (nested(33), 400, "invalid_request"),
    "10,000 levels": (nested(10_000), 400, "invalid_request"),
    "unclosed levels": (b"[" * 60_000, 400, "invalid_request"),
    "byte order mark": (b"\xef\xbb\xbf" + changed(), 400, "invalid_request"),
    "UTF-16": (changed().decode().encode("utf-16"), 400, "invalid_request"),
    "invalid UTF-8": (changed().replace(b"USD", b"U\xffD"), 400, "invalid_request"),
    "half a surrogate pair": (changed().replace(b'"USD"', b'"\\ud800"'), 400, "invalid_request"),
    "64 KB and a byte": (b" " * (64 * 1024 + 1), 413, "request_too_large"),
}


def is_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem in an answer, which has this status and code and tells nothing of our inside."""
    body = read(response)
    assert (status, code) == (response.status_code, body["code"])
    assert response.headers["content-type"] == "application/problem+json"
    assert status == body["status"]
    assert body["type"] == f"urn:penpay:error:{code}"
    assert body["title"]
    assert body["detail"]
    assert "Traceback" not in response.text
    return body


async def test_every_bad_deposit_is_a_clear_problem_and_changes_nothing(stage: Stage) -> None:
    """Each bad body is refused with its own stable code, and the database is as it was."""
    before = await stage.contents()
    expected, found = {}, {}

    async with stage.client() as client:
        for name, (body, status, code) in BAD_BODIES.items():
            response = await client.post(URL, content=body, headers={"content-type": "application/json"})
            expected[name] = (status, code, before)
            found[name] = (response.status_code, read(response)["code"], await stage.contents())
            is_problem(response, response.status_code, read(response)["code"])

    assert expected == found


async def test_a_body_as_deep_and_large_as_allowed_is_read(stage: Stage) -> None:
    """The bounds refuse nothing inside them: 64 KB of deposit is a deposit."""
    body = changed().ljust(64 * 1024)

    async with stage.client() as client:
        response = await client.post(URL, content=body, headers={"content-type": "application/json; charset=UTF-8"})

    assert response.status_code == 202


async def test_the_offending_fields_are_named_with_reasons_and_without_values(stage: Stage) -> None:
    """A client learns which fields are wrong and why, and what it sent is not repeated."""
    body = {"amount_cents": "secret-value", "currency": 5, "deriv_login_id": "CR123456", "role": "secret-role"}

    async with stage.client() as client:
        response = await client.post(URL, json=body)

    problem = is_problem(response, 400, "invalid_request")
    assert problem["reasons"] == {
        "amount_cents": "must be an integer",
        "currency": "must be text",
        "idempotency_key": "is required",
        "role": "is not a field of this request",
    }
    assert sorted(problem["reasons"]) == problem["fields"]
    assert "secret" not in response.text


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/vnd.api+json",
        None,
    ],
)
async def test_only_json_in_utf8_is_taken(stage: Stage, content_type: str | None) -> None:
    """A body of another type, or of none, is refused unread."""
    headers = {} if content_type is None else {"content-type": content_type}
    before = await stage.contents()

    async with stage.client() as client:
        response = await client.post(URL, content=changed(), headers=headers)

    is_problem(response, 415, "unsupported_media_type")
    assert before == await stage.contents()


async def chunks(sent: list[int], total: int) -> AsyncIterator[bytes]:
    """A body without a length; `sent` grows with what has been taken of it."""
    for _ in range(total // 50_000):
        sent.append(50_000)
        yield b"x" * 50_000


async def test_ten_megabytes_are_refused_over_a_real_connection(stage: Stage) -> None:
    """The client learns why, whether it told the length or not, and nothing has changed."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {USER_ONE_KEY}"}
    before = await stage.contents()

    async with serving(bind(create_app(), stage.system)) as url, httpx.AsyncClient(base_url=url) as client:
        told = await client.post(URL, content=b"x" * 10_000_000, headers=headers)
        untold = await client.post(URL, content=chunks([], 10_000_000), headers=headers)

    is_problem(told, 413, "request_too_large")
    is_problem(untold, 413, "request_too_large")
    assert before == await stage.contents()


async def test_a_body_without_end_is_not_read_to_its_end(stage: Stage) -> None:
    """What comes after the refusal is decided is let run dry for 16 MB, and no further."""
    sent: list[int] = []
    headers = {"content-type": "application/json"}

    async with stage.client() as client:
        response = await client.post(URL, content=chunks(sent, 1_000_000_000), headers=headers)

    is_problem(response, 413, "request_too_large")
    assert 16_000_000 < sum(sent) < 17_000_000


@pytest.mark.parametrize("length", [b"1e3", b"-5", b"9" * 30, "\u0661".encode(), b""])
async def test_a_length_that_is_no_number_is_refused(stage: Stage, length: bytes) -> None:
    """A nonsense Content-Length never reaches a parser."""
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]

    async with stage.client() as client:
        response = await client.post(URL, content=changed(), headers=headers)

    is_problem(response, 400, "invalid_request")


@pytest.mark.parametrize("key", [None, "", "no-such-key", "A" * 52])
async def test_without_a_valid_credential_nothing_happens(stage: Stage, key: str | None) -> None:
    """A missing, empty, malformed or unknown key is 401, says how to do better, and changes nothing."""
    before = await stage.contents()

    async with stage.client(key) as client:
        response = await client.post(URL, json=dict(DEPOSIT))

    is_problem(response, 401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"
    assert before == await stage.contents()


async def test_unknown_paths_and_methods_are_problems_too(stage: Stage) -> None:
    """The router's own refusals look like all others."""
    async with stage.client() as client:
        is_problem(await client.get("/api/v1/nothing"), 404, "not_found")
        refused = await client.delete(URL)

    is_problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "POST"


async def test_a_fault_of_ours_tells_nothing(stage: Stage) -> None:
    """An unexpected exception is a 500 without a word about it."""
    async with stage.client(payment_books=None) as client:
        response = await client.get("/api/v1/transactions")

    is_problem(response, 500, INTERNAL_ERROR)
    assert "NoneType" not in response.text


async def test_a_full_queue_is_told_with_when_to_come_back(stage: Stage) -> None:
    """Overload is 503 with Retry-After, and nothing was done."""
    stage.system.executor._queue_limit = 0
    async with stage.client() as client:
        response = await client.post(URL, json=dict(DEPOSIT))

    is_problem(response, 503, "overloaded")
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=1e1", "limit=9999999999999999999999", "before=1", "before=%00"]
)
async def test_a_bad_page_is_refused(stage: Stage, query: str) -> None:
    """Limits and cursors outside their form are refused by name."""
    async with stage.client() as client:
        response = await client.get(f"/api/v1/transactions?{query}")

    assert [query.partition("=")[0]] == is_problem(response, 400, "invalid_request")["fields"]


@pytest.mark.parametrize(
    "moment",
    ["now", "1700000000", "2026-01-31", "2026-02-30T00:00:00Z", "2026-01-31T00:00:00", "0001-01-01T00:00:00%2B14:00"],
)
async def test_a_bad_moment_is_refused(stage: Stage, moment: str) -> None:
    """A balance is as of an exact moment with its offset, or it is refused."""
    async with stage.client() as client:
        response = await client.get(f"/api/v1/balances?as_of={moment}")

    assert is_problem(response, 400, "invalid_request")["fields"] == ["as_of"]
