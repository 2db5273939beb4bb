"""What Daraja's requests must look like, and the exact text of what it sends."""

from __future__ import annotations

import base64
import json
import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from penpay.domain.mobile_money.customer import CustomerId
from penpay.domain.mobile_money.stk_push import CANCELLED, PushResult, PushState, StkPush, StkPushId
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.daraja import wire
from penpay.sandbox.daraja.answers import DarajaRefusal
from penpay.sandbox.daraja.callbacks import callback_body
from penpay.sandbox.daraja.requests import parse_push, parse_query, read_body
from penpay.sandbox.faults import AlteredCallback

PASSKEY = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
"""Safaricom's published sandbox passkey of short code 174379 (daraja.md §6.6)."""
PUBLISHED_PASSWORD = (
    "MTc0Mzc5YmZiMjc5ZjlhYTliZGJjZjE1OGU5N2RkNzFhNDY3Y2QyZTBjODkzMDU5YjEwZjc4ZTZiNzJhZGExZWQyYzkxOTIwMjEwNjI4MDkyNDA4"
)
EVENING = datetime(2026, 11, 20, 21, 30, 5, tzinfo=UTC)  # half past midnight of the 21st in Nairobi


class Seeded:
    """A Random port whose draws repeat."""

    def __init__(self, seed: int = 1) -> None:
        self._source = random.Random(seed)

    def below(self, limit: int) -> int:
        return self._source.randrange(limit)

    def token_bytes(self, count: int) -> bytes:
        return self._source.randbytes(count)


def fields(**changes: Any) -> dict[str, Any]:
    """A complete push as the portal prints it; a change of None leaves the field out."""
    body = {
        "BusinessShortCode": 174379,
        "Password": PUBLISHED_PASSWORD,
        "Timestamp": "20210628092408",
        "TransactionType": "CustomerPayBillOnline",
        "Amount": 1,
        "PartyA": 254722000000,
        "PartyB": 174379,
        "PhoneNumber": 254722000000,
        "CallBackURL": "https://mydomain.com/path",
        "AccountReference": "accountref",
        "TransactionDesc": "txndesc",
    } | changes
    return {key: value for key, value in body.items() if value is not None}


def refused(**changes: Any) -> str:
    with pytest.raises(DarajaRefusal) as refusal:
        parse_push(fields(**changes), strict_urls=False)
    assert (400, "400.002.02") == (refusal.value.status, refusal.value.code)
    return refusal.value.message


def paid_push() -> StkPush:
    open_push = StkPush(
        id=StkPushId(UUID(int=7)),
        merchant_request_id="2654-4b64-97ff-b827b542881d3130",
        checkout_request_id="ws_CO_2111202600300517712345678",
        short_code="174379",
        phone=PhoneNumber("+254712345678"),
        customer_id=CustomerId(UUID(int=1)),
        amount=Money(500_00, Currency.KES),
        account_reference="A1",
        callback_url="http://127.0.0.1/callback",
        state=PushState.PROMPTED,
        accepted_at=EVENING,
        due_at=EVENING + timedelta(seconds=60),
    )
    return open_push.pay("UKL5A6B7C8", EVENING)


def test_the_portal_sample_is_accepted_with_its_published_password() -> None:
    """Numbers where the portal prints numbers, and the password it prints (daraja.md §2.1)."""
    request = parse_push(fields(), strict_urls=True)
    request.caller.check_password(PASSKEY)
    assert ("174379", Money(100, Currency.KES), "254722000000") == (
        request.caller.short_code,
        request.amount,
        request.phone.msisdn,
    )
    assert request.is_permitted


def test_numbers_may_be_written_as_strings() -> None:
    """The same push with every number quoted means the same."""
    quoted = {key: str(value) for key, value in fields().items()}
    assert parse_push(fields(), strict_urls=False) == parse_push(quoted, strict_urls=False)


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ("BusinessShortCode", "BusinessShortCode"),
        ("Password", "Password"),
        ("Timestamp", "Timestamp"),
        ("TransactionType", "TransactionType"),
        ("Amount", "Amount"),
        ("PartyA", "PartyA"),
        ("PartyB", "PartyB"),
        ("PhoneNumber", "PhoneNumber"),
        ("CallBackURL", "CallBackURL"),
        ("AccountReference", "AccountReference"),
        ("TransactionDesc", "Remarks"),
    ],
)
def test_a_missing_field_is_named(field: str, named: str) -> None:
    """TransactionDesc is called Remarks, as seen on the real service."""
    assert f"Bad Request - Invalid {named}" == refused(**{field: None})


@pytest.mark.parametrize(
    "amount",
    [0, -1, "0", "-5", "1.0", "1e3", "01", " 1", "１００", "", True, Decimal("1.5"), 10**12, [1], {"a": 1}],  # noqa: RUF001  (full-width digits on purpose)
)
def test_what_is_not_a_whole_positive_number_of_shillings_is_refused(amount: object) -> None:
    """Fractions, signs, exponents, blanks, other digits and other types."""
    assert "Bad Request - Invalid Amount" == refused(Amount=amount)


@pytest.mark.parametrize("phone", ["0722000000", "+254722000000", "25472200000", "254822000000", "2547220000000", ""])
def test_a_phone_is_twelve_digits_from_254(phone: str) -> None:
    """Local, international with plus, too short, too long and foreign forms are refused."""
    assert "Bad Request - Invalid PhoneNumber" == refused(PhoneNumber=phone)


@pytest.mark.parametrize(
    "stamp", ["20210230000000", "2021062809240", "20210628256000", "2021-06-28", "20210628092408Z"]
)
def test_a_timestamp_is_a_real_moment_in_fourteen_digits(stamp: str) -> None:
    """Impossible days and hours are no timestamps."""
    assert "Bad Request - Invalid Timestamp" == refused(Timestamp=stamp)


@pytest.mark.parametrize(
    "url", ["", "ftp://host/x", "//host/x", "http:///x", "http://ho st/x", "http://host:99999/", "x"]
)
def test_a_callback_url_must_lead_somewhere(url: str) -> None:
    """Other schemes, missing hosts, blanks and impossible ports are refused even when the rule is lenient."""
    assert "Bad Request - Invalid CallBackURL" == refused(CallBackURL=url)


@pytest.mark.parametrize("url", ["http://example.org/x", "https://localhost/x", "https://127.0.0.1:8000/x"])
def test_plain_http_and_loopback_are_refused_only_where_the_rule_is_strict(url: str) -> None:
    """On one machine they are needed; the real service refuses them."""
    assert url == parse_push(fields(CallBackURL=url), strict_urls=False).callback_url
    with pytest.raises(DarajaRefusal, match="Invalid CallBackURL"):
        parse_push(fields(CallBackURL=url), strict_urls=True)


def test_the_first_wrong_field_in_documented_order_is_named() -> None:
    """Two faults give one message."""
    assert "Bad Request - Invalid Amount" == refused(TransactionDesc=None, Amount="x", CallBackURL="x")


def test_a_password_for_another_timestamp_is_refused() -> None:
    """The password is bound to the timestamp it is sent with."""
    caller = parse_push(fields(Timestamp="20210628092409"), strict_urls=False).caller
    with pytest.raises(DarajaRefusal, match="Wrong credentials") as refusal:
        caller.check_password(PASSKEY)
    assert (500, "500.001.1001") == (refusal.value.status, refusal.value.code)


def test_a_pay_bill_push_pays_the_number_that_asked() -> None:
    """Another receiver, or the till product, is not permitted to a PayBill number."""
    assert not parse_push(fields(PartyB=600100), strict_urls=False).is_permitted
    assert not parse_push(fields(TransactionType="CustomerBuyGoodsOnline"), strict_urls=False).is_permitted


def test_another_content_type_hides_every_field() -> None:
    """So the first field is missed, as observed (daraja.md §1.1)."""
    hidden = read_body("application/x-www-form-urlencoded", json.dumps(fields()).encode())
    with pytest.raises(DarajaRefusal, match="Invalid BusinessShortCode"):
        parse_push(hidden, strict_urls=False)
    shown = read_body("Application/JSON; charset=utf-8", json.dumps(fields()).encode())
    assert "174379" == parse_push(shown, strict_urls=False).caller.short_code


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"1", b'{"Amount": NaN}', b"\xff\xfe{}", b'{"Amount": ' + b"9" * 5000 + b"}"),
        b"[" * 100_000,
    ],
)
def test_what_is_not_a_json_object_is_an_invalid_payload(body: bytes) -> None:
    """Broken, endless, nested without bottom, or not an object."""
    with pytest.raises(DarajaRefusal, match="Invalid Request Payload") as refusal:
        read_body("application/json", body)
    assert "400.002.05" == refusal.value.code


def test_a_query_needs_an_id_of_reasonable_length() -> None:
    """An id is opaque, but it is there and it ends."""
    ask = {key: fields()[key] for key in ("BusinessShortCode", "Password", "Timestamp")}
    assert "ws_CO_1" == parse_query(ask | {"CheckoutRequestID": "ws_CO_1"}).checkout_request_id
    for wrong in ("", "x" * 65, None):
        with pytest.raises(DarajaRefusal, match="Invalid CheckoutRequestID"):
            parse_query(ask | {"CheckoutRequestID": wrong})


def test_the_callback_of_a_payment_has_the_exact_body() -> None:
    """Number types, decimals, East Africa Time and the Balance item without a value (daraja.md §2.2)."""
    expected = (
        '{"Body":{"stkCallback":{"MerchantRequestID":"2654-4b64-97ff-b827b542881d3130",'
        '"CheckoutRequestID":"ws_CO_2111202600300517712345678","ResultCode":0,'
        '"ResultDesc":"The service request is processed successfully.",'
        '"CallbackMetadata":{"Item":[{"Name":"Amount","Value":500.00},'
        '{"Name":"MpesaReceiptNumber","Value":"UKL5A6B7C8"},{"Name":"Balance"},'
        '{"Name":"TransactionDate","Value":20261121003005},{"Name":"PhoneNumber","Value":254712345678}]}}}}'
    )
    assert expected == callback_body(paid_push())


def test_the_callback_of_a_failure_has_no_metadata() -> None:
    """Only the two ids, the code as a number and the text."""
    failed = replace(paid_push(), state=PushState.FAILED, result=CANCELLED, receipt=None)
    assert (
        '{"Body":{"stkCallback":{"MerchantRequestID":"2654-4b64-97ff-b827b542881d3130",'
        '"CheckoutRequestID":"ws_CO_2111202600300517712345678","ResultCode":1032,'
        '"ResultDesc":"Request cancelled by user"}}}'
    ) == callback_body(failed)


def test_a_code_that_is_no_number_stays_text() -> None:
    """SFC_IC0003 cannot be a JSON number."""
    result = PushResult("SFC_IC0003", "The operator does not exist.")
    failed = replace(paid_push(), state=PushState.FAILED, result=result, receipt=None)
    assert '"ResultCode":"SFC_IC0003"' in callback_body(failed)


def test_an_altered_callback_tells_another_amount_and_a_masked_phone() -> None:
    """The rest of the body stays as it was."""
    body = callback_body(paid_push(), AlteredCallback(amount_cents=499_99, msisdn="2547*****678"))
    assert '{"Name":"Amount","Value":499.99}' in body
    assert '{"Name":"PhoneNumber","Value":"2547*****678"}' in body
    assert "UKL5A6B7C8" in body


def test_ids_have_the_shapes_of_the_real_ones() -> None:
    """Request ids, CheckoutRequestIDs with the payer's number, and tokens of 28 characters."""
    chance = Seeded()
    phone = PhoneNumber("+254172396192")
    assert re.fullmatch(r"[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}[0-9]{1,7}", wire.dashed_id(chance))
    checkout = wire.checkout_request_id(EVENING, phone, chance)
    assert re.fullmatch(r"ws_CO_21112026003005[0-9]{1,3}172396192", checkout)
    tokens = {wire.access_token(chance) for _ in range(50)}
    assert 50 == len(tokens)
    assert all(re.fullmatch(r"[A-Za-z0-9]{28}", token) for token in tokens)


def test_numbers_keep_their_digits_both_ways() -> None:
    """No number becomes a float on the way in or out."""
    assert {"a": Decimal("1.10")} == wire.read_object(b'{"a": 1.10}')
    assert '{"a":1.10,"b":[true,null,"é"]}' == wire.write_json({"a": Decimal("1.10"), "b": [True, None, "é"]})
    with pytest.raises(TypeError):
        wire.write_json({"a": 1.5})


def test_a_password_that_is_not_ascii_is_only_a_wrong_one() -> None:
    """It is compared as bytes and never crashes the comparison."""
    caller = parse_push(fields(Password="п"), strict_urls=False).caller
    with pytest.raises(DarajaRefusal, match="Wrong credentials"):
        caller.check_password(PASSKEY)
    assert PUBLISHED_PASSWORD == base64.b64encode(f"174379{PASSKEY}20210628092408".encode()).decode()
