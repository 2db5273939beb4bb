"""Reading the STK callback: the shapes Safaricom sends, and bytes that are no callback."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest

from penpay.domain.mpesa.callback import StkCallback, UnreadableCallback, parse_stk_callback, phone_matches
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

PAID = b"""{"Body": {"stkCallback": {
  "MerchantRequestID": "29115-34620561-1",
  "CheckoutRequestID": "ws_CO_191220191020363925",
  "ResultCode": 0,
  "ResultDesc": "The service request is processed successfully.",
  "CallbackMetadata": {"Item": [
    {"Name": "Amount", "Value": 1.00},
    {"Name": "MpesaReceiptNumber", "Value": "NLJ7RT61SV"},
    {"Name": "Balance"},
    {"Name": "TransactionDate", "Value": 20191219102115},
    {"Name": "PhoneNumber", "Value": 254708374149}]}}}}"""
PHONE = PhoneNumber("+254708374149")
NO_CODES: list[object] = [None, True, 0.0, [], "", " 0", "x" * 41]
NO_IDS: list[object] = [None, 5, "", "a b", "x" * 65, "\ud800", "ws_CO_1\n"]
NO_METADATA: list[object] = ["x", 5, {"Item": "x"}, {"Item": ["x"]}, {"Item": [{}]}]


def with_items(items: str, code: str = "0") -> StkCallback:
    return parse_stk_callback(
        b'{"Body":{"stkCallback":{"MerchantRequestID":"1-2-3","CheckoutRequestID":"ws_CO_1","ResultCode":%s,'
        b'"ResultDesc":"Done.","CallbackMetadata":{"Item":%s}}}}' % (code.encode(), items.encode())
    )


def test_a_paid_callback_is_read_exactly() -> None:
    """The documented success, to the cent and the second, in UTC."""
    assert StkCallback(
        merchant_request_id="29115-34620561-1",
        checkout_request_id="ws_CO_191220191020363925",
        result_code="0",
        result_desc="The service request is processed successfully.",
        amount=Money(100, Currency.KES),
        amount_readable=True,
        receipt="NLJ7RT61SV",
        phone_text="254708374149",
        paid_at=datetime(2019, 12, 19, 7, 21, 15, tzinfo=UTC),
    ) == parse_stk_callback(PAID)


def test_a_failed_callback_has_no_metadata() -> None:
    """A cancelled prompt names the request and the reason, and nothing else."""
    callback = parse_stk_callback(
        b'{"Body": {"stkCallback": {"MerchantRequestID": "f1e2-4b95-a71d-b30d3cdbb7a7942864",'
        b'"CheckoutRequestID": "ws_CO_21072024125243250722943992",'
        b'"ResultCode": 1032, "ResultDesc": "Request cancelled by user"}}}'
    )

    assert ("1032", "Request cancelled by user") == (callback.result_code, callback.result_desc)
    assert (None, True) == (callback.amount, callback.amount_readable)
    assert (None, None, None) == (callback.receipt, callback.phone_text, callback.paid_at)


@pytest.mark.parametrize(
    "raw",
    [
        PAID.replace(b'"Item": [', b'"Item": [{"Name": "New", "Value": {"a": []}},'),
        PAID.replace(b'{"Name": "Balance"},', b""),
        PAID.replace(b'{"Name": "Balance"}', b'{"Name": "Balance", "Value": null}'),
        PAID.replace(b'{"Name": "Balance"}', b'{"Name": "Balance", "Value": "{Amount={CurrencyCode=KES}}"}'),
        PAID.replace(b'"ResultCode": 0', b'"ResultCode": "0"'),
        PAID.replace(b"1.00", b'"1.00"').replace(b"20191219102115", b'"20191219102115"'),
        PAID.replace(b"1.00", b"1").replace(b"254708374149", b'"254708374149"'),
        b"\xef\xbb\xbf" + PAID,
    ],
)
def test_items_are_found_by_name_whatever_stands_around_them(raw: bytes) -> None:
    """Items move, vanish and change type between Daraja's releases; the payment they tell of does not."""
    assert parse_stk_callback(PAID) == parse_stk_callback(raw)


def test_a_single_item_may_be_an_object_instead_of_an_array() -> None:
    """Daraja's XML heritage: a list of one is sometimes not a list."""
    assert Money(500, Currency.KES) == with_items('{"Name": "Amount", "Value": 5}').amount
    assert with_items("[]").amount is None


@pytest.mark.parametrize("code", ["SFC_IC0003", "E3008", "R000002"])
def test_codes_with_letters_are_kept(code: str) -> None:
    """Not every code is a number."""
    assert code == with_items("[]", code=f'"{code}"').result_code


@pytest.mark.parametrize(
    ("sent", "cents"),
    [("1", 100), ("10.5", 1050), ("0.01", 1), ("250000.00", 25_000_000), ('"5.00"', 500), ('"10"', 1000), ("0", 0)],
)
def test_amounts_are_exact(sent: str, cents: int) -> None:
    """Numbers and text, with and without decimals."""
    callback = with_items(f'[{{"Name": "Amount", "Value": {sent}}}]')
    assert (Money(cents, Currency.KES), True) == (callback.amount, callback.amount_readable)


@pytest.mark.parametrize(
    "sent",
    [
        *("1.005", "1e2", "1E+2", "-1", "-0.5", "1e999999", "9" * 400, "true", "[]", "{}"),
        *('"1,000"', '" 1"', '"one"', '""', '"\\uff11"', '"1.000"'),
    ],
)
def test_an_unreadable_amount_is_told_apart_from_an_absent_one(sent: str) -> None:
    """The rest of the callback stays readable, and nobody guesses what was meant."""
    callback = with_items(f'[{{"Name": "Amount", "Value": {sent}}}]')
    assert (None, False) == (callback.amount, callback.amount_readable)


@pytest.mark.parametrize(
    "sent", ['"XYZ0000000"', '"UKK0000000"', '""', '"a b"', "7", "null", '"\\ud800"', f'"{"A" * 21}"']
)
def test_what_cannot_be_a_key_is_no_receipt(sent: str) -> None:
    """Placeholder receipts repeat; as a unique key one would block the next payment."""
    assert with_items(f'[{{"Name": "MpesaReceiptNumber", "Value": {sent}}}]').receipt is None


@pytest.mark.parametrize("sent", ["20191319102115", "2019121910211", '"now"', "0", "true", '"00010101000000"', "2e13"])
def test_what_is_no_time_is_left_out(sent: str) -> None:
    """A wrong date never costs the payment."""
    assert with_items(f'[{{"Name": "TransactionDate", "Value": {sent}}}]').paid_at is None


def test_paid_at_crosses_midnight_into_utc() -> None:
    """Nairobi is three hours ahead: its first hours belong to the day before in UTC."""
    paid_at = with_items('[{"Name": "TransactionDate", "Value": 20260101023000}]').paid_at
    assert datetime(2025, 12, 31, 23, 30, tzinfo=UTC) == paid_at


def test_text_for_people_is_made_harmless() -> None:
    """No control characters for a terminal, no lone surrogates for a database, no phone number for a log."""
    raw = PAID.replace(b"The service request is processed successfully.", b"a\\u0000b\\u001b[1m\\ud800 254708374149")
    assert "a b [1m [redacted]" == parse_stk_callback(raw).result_desc


def message(**changes: object) -> bytes:
    callback = {"MerchantRequestID": "1-2-3", "CheckoutRequestID": "ws_CO_1", "ResultCode": 0, "ResultDesc": "Done."}
    return json.dumps({"Body": {"stkCallback": {**callback, **changes}}}).encode()


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"null", b"[]", b"7", b'"x"', b"{}", b'{"Body": []}', b'{"Body": {"stkCallback": 1}}'),
        *(b"\xff\xfe{\x00}\x00", b"ResultCode=0&Amount=1", b"<xml/>", b'{"Body": NaN}', b'{"Body": -Infinity}'),
        *(b"[" * 100_000, b'{"Body":' * 50_000, b'{"a": ' + b"9" * 5_000 + b"}", b'{"a": 1e99999999999999999999}'),
        PAID + PAID,
        PAID.replace(b'"ResultCode": 0,', b'"ResultCode": 1032, "ResultCode": 0,'),
        PAID.replace(b'{"Name": "Balance"}', b'{"Name": "Amount", "Value": 9999}'),
        PAID.replace(b'"Value": 1.00', b'"Value": 1.00, "Value": 9999'),
        *(message(ResultCode=code) for code in NO_CODES),
        *(message(CheckoutRequestID=value) for value in NO_IDS),
        message(MerchantRequestID=None),
        *(message(CallbackMetadata=value) for value in NO_METADATA),
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_bytes_that_are_no_callback_are_named_so(raw: bytes) -> None:
    """One exception for everything that cannot be read in exactly one way."""
    with pytest.raises(UnreadableCallback):
        parse_stk_callback(raw)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("254708374149", True),
        ("0708374149", True),
        ("+254 708 374 149", True),
        ("254708374148", False),
        ("254", False),
        (hashlib.sha256(b"254708374149").hexdigest(), True),
        (hashlib.sha256(b"254708374149").hexdigest().upper(), True),
        (hashlib.sha256(b"254708374148").hexdigest(), False),
        (None, None),
        ("", None),
        ("withheld", None),
        ("2547*****149", None),
        ("2547 ***** 149", None),
        ("25470****149", None),
        ("0708374***", None),
        ("*******149", None),
        ("************", None),
        ("2547*149", None),
        ("254711***149", False),
        ("2547*****148", False),
        ("0722000***", False),
        ("1*1*1*1*1*1*1*1*1*1*1*1*1*1*1*1*1*1*1*1", False),
        ("\u0662\u0665\u0664\u0667", None),
    ],
)
def test_a_phone_matches_contradicts_or_cannot_tell(text: str | None, *, told: bool | None) -> None:
    """A mask can only contradict: many numbers share the digits it shows."""
    assert told is phone_matches(text, PHONE)


def test_the_reference_hash_matches_its_number() -> None:
    """The pair that a real sandbox notification carried."""
    digest = "94c392c311d522da950619227b3361752a42042db7e1e699b26e628305c68a88"
    assert phone_matches(digest, PhoneNumber("+254705912645")) is True
