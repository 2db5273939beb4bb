"""Properties of what M-Pesa's answers mean and of sealed fields, over inputs nobody thought of."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penpay.domain.mpesa.callback import StkCallback, UnreadableCallback, parse_stk_callback, phone_matches
from penpay.domain.mpesa.gateway import PaymentOutcome, PushOutcome
from penpay.domain.mpesa.verdicts import callback_verdict, push_verdict, query_verdict
from penpay.domain.mpesa.verdicts_errors import is_invalid_token
from penpay.domain.mpesa.wire import shown_text
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.field_cipher import FieldCipher, UnopenableField
from penpay.infrastructure.security.keys import KeyRing
from penpay.infrastructure.security.path_tokens import PathTokens

CHECKOUT = "ws_CO_191220191020363925"
STATUSES = st.sampled_from([200, 201, 302, 400, 401, 403, 404, 405, 429, 500, 502, 503, 504]) | st.integers(100, 599)
ITEM_NAMES = st.sampled_from(["Amount", "MpesaReceiptNumber", "Balance", "TransactionDate", "PhoneNumber"]) | st.text()
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats()  # what json.dumps writes for NaN and Infinity comes along
    | st.sampled_from(["0", "4999", "1032", "400.002.02", "500.001.1001", "Wrong credentials", CHECKOUT])
)
KEYS = st.sampled_from(
    [
        *("Body", "stkCallback", "ResultCode", "ResponseCode", "ResultDesc", "CheckoutRequestID", "MerchantRequestID"),
        *("CallbackMetadata", "Item", "Name", "Value", "errorCode", "errorMessage", "fault", "faultstring", "detail"),
    ]
)
ANY_JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner, max_size=6)
).map(lambda value: json.dumps(value).encode())
CALLBACKS = st.fixed_dictionaries(
    {
        "MerchantRequestID": st.just("29115-34620561-1") | LEAVES,
        "CheckoutRequestID": st.just(CHECKOUT) | LEAVES,
        "ResultCode": st.sampled_from([0, "0", 1032, "SFC_IC0003"]) | LEAVES,
    },
    optional={
        "ResultDesc": LEAVES,
        "CallbackMetadata": LEAVES
        | st.fixed_dictionaries(
            {},
            optional={
                "Item": st.lists(st.fixed_dictionaries({"Name": ITEM_NAMES}, optional={"Value": LEAVES})) | LEAVES
            },
        ),
    },
).map(lambda callback: json.dumps({"Body": {"stkCallback": callback}}).encode())
BODIES = st.binary(max_size=300) | ANY_JSON | CALLBACKS
PHONES = st.from_regex(r"\+254[17][0-9]{8}", fullmatch=True).map(PhoneNumber)


def test_three_thousand_codes_hold_exactly_one_that_means_paid() -> None:
    """Whatever else Daraja may say, only "0" is money."""
    numbers = [str(number) for number in range(3_000)]
    others = [
        "-1",
        "00",
        "0.0",
        "0x0",
        "",
        " ",
        "\u0660",
        "\uff10",
        "SFC_IC0000",
        "E0",
        "null",
        "false",
        "4999",
        "9999",
    ]
    paid = [code for code in numbers + others if callback_verdict(code) is PaymentOutcome.PAID]
    assert ["0"] == paid


@given(st.text())
def test_no_other_text_means_paid(code: str) -> None:
    """A verdict of PAID has one spelling."""
    assert ("0" == code) is (callback_verdict(code) is PaymentOutcome.PAID)


@given(STATUSES, BODIES)
@example(200, b'{"ResponseCode": 0e0, "CheckoutRequestID": "ws_CO_1"}')
@example(500, b"[" * 100_000)
@example(500, b'{"a":1e99999999999999999999}')
def test_an_answer_never_crashes_a_verdict(status: int, body: bytes) -> None:
    """Every status with every body ends as an answer, and only HTTP 200 can be good news."""
    push = push_verdict(status, body)
    query = query_verdict(status, body, checkout_request_id=CHECKOUT)

    assert is_invalid_token(status, body) in {True, False}
    if push.outcome is PushOutcome.ACCEPTED:
        assert 200 == status
        assert push.checkout_request_id
    assert (push.outcome is PushOutcome.NOT_SENT) is (push.retry_after_ms is not None)
    assert query.outcome is not PaymentOutcome.PAID or 200 == status
    assert len(push.message) < 240
    assert all(text.isprintable() for text in (push.message, push.code or "", query.message, query.code or ""))


@given(
    st.integers(500, 599),
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="replace")),
)
def test_a_server_error_without_json_is_never_final(status: int, body: bytes) -> None:
    """An outage says nothing about the prompt that was asked for."""
    if not body.strip().startswith(b"{"):
        assert PushOutcome.UNKNOWN is push_verdict(status, body).outcome
        assert PaymentOutcome.UNKNOWN is query_verdict(status, body, checkout_request_id=CHECKOUT).outcome


@given(BODIES)
@example(b'{"Body":' * 10_000)
@example(b'{"Body": {"stkCallback": {"ResultCode": 0e0}}}')
def test_any_bytes_are_a_callback_or_named_unreadable(raw: bytes) -> None:
    """Anybody can post to a callback address; nothing they send crashes the reader."""
    with contextlib.suppress(UnreadableCallback):
        callback = parse_stk_callback(raw)

        assert isinstance(callback, StkCallback)
        assert callback.amount_readable or callback.amount is None
        assert phone_matches(callback.phone_text, PhoneNumber("+254712345678")) in {True, False, None}
        for text in (callback.result_desc, callback.receipt or "", callback.phone_text or "", callback.result_code):
            assert text.isprintable()


@given(st.integers(0, 10**15))
def test_every_amount_with_cents_is_read_exactly(cents: int) -> None:
    """What is written with two places, as a number or as text, is the same to the cent."""
    shown = str(Decimal(cents).scaleb(-2).quantize(Decimal("0.01")))
    for sent in (shown, f'"{shown}"'):
        raw = (
            '{"Body":{"stkCallback":{"MerchantRequestID":"1","CheckoutRequestID":"2","ResultCode":0,'
            f'"CallbackMetadata":{{"Item":[{{"Name":"Amount","Value":{sent}}}]}}}}}}}}'
        )
        assert Money(cents, Currency.KES) == parse_stk_callback(raw.encode()).amount


@given(PHONES, st.sets(st.integers(0, 11), min_size=1))
def test_a_masked_phone_never_contradicts_its_own_number(phone: PhoneNumber, hidden: set[int]) -> None:
    """Whichever digits a mask hides, the rest agree; and one changed visible digit contradicts."""
    shown = ["*" if at in hidden else digit for at, digit in enumerate(phone.msisdn)]
    assert phone_matches("".join(shown), phone) is None

    visible = [at for at in range(3, 12) if at not in hidden]
    if visible and not hidden & {0, 1, 2}:
        at = visible[0]
        shown[at] = str((int(shown[at]) + 1) % 10)
        before_first_mask = all(earlier not in hidden for earlier in range(at))
        if before_first_mask:
            assert phone_matches("".join(shown), phone) is False


@given(PHONES, PHONES)
def test_a_plain_phone_is_told_exactly(one: PhoneNumber, other: PhoneNumber) -> None:
    """Plain digits decide, in every form they are written."""
    for text in (one.msisdn, "0" + one.msisdn[3:], one.e164):
        assert (one == other) is phone_matches(text, other)


@given(st.text(max_size=40), PHONES, st.text(max_size=40))
def test_no_shown_text_holds_a_phone_number(before: str, phone: PhoneNumber, after: str) -> None:
    """Wherever a number stands in what Daraja says, it is not shown."""
    assert phone.msisdn not in shown_text(f"{before} {phone.msisdn} {after}")


class FixedNonce:
    """The Random port for one known nonce."""

    def __init__(self, nonce: bytes) -> None:
        self._nonce = nonce

    def below(self, limit: int) -> int:
        return limit - 1

    def token_bytes(self, count: int) -> bytes:
        return self._nonce[:count]


@given(
    st.binary(max_size=200),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.binary(min_size=12, max_size=12),
    st.data(),
)
def test_sealed_fields_open_unchanged_and_never_changed(
    plaintext: bytes, context: str, nonce: bytes, data: st.DataObject
) -> None:
    """What comes out is what went in, or nothing."""
    cipher = FieldCipher(KeyRing("k1", {"k1": bytes(range(32)), "k2": bytes(32)}), FixedNonce(nonce))
    sealed = cipher.seal(plaintext, context)
    at = data.draw(st.integers(0, len(sealed) - 1))
    flipped = sealed[at] ^ data.draw(st.integers(1, 255))

    assert plaintext == cipher.open(sealed, context)
    with pytest.raises(UnopenableField):
        cipher.open(sealed[:at] + bytes([flipped]) + sealed[at + 1 :], context)
    with pytest.raises(UnopenableField):
        cipher.open(sealed, context + "x")


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_open(sealed: bytes) -> None:
    """A column full of junk is named unopenable."""
    cipher = FieldCipher(KeyRing("k1", {"k1": bytes(range(32))}), FixedNonce(bytes(12)))
    with pytest.raises(UnopenableField):
        cipher.open(sealed, "")


@given(st.uuids(), st.text(max_size=80))
def test_only_a_signed_token_names_a_subject(subject: UUID, junk: str) -> None:
    """Every token verifies to its own subject, and text that was not signed to none."""
    tokens = PathTokens(bytes(range(32)))
    token = tokens.sign("stk", subject)

    assert subject == tokens.verify("stk", token)
    assert tokens.verify("stk", junk) is None
    assert tokens.verify("stk", subject.hex + junk) is None
    assert UUID(hex=token[:32]) == subject
    assert not {"exe", "cmd", "sql", "query", "mpesa"} & {token[at : at + n] for n in (3, 5) for at in range(64)}
