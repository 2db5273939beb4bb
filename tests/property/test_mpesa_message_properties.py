"""Properties of what M-Pesa posts to us and answers us, over messages nobody thought of."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penpay.domain.mpesa.b2b_result import parse_b2b_result
from penpay.domain.mpesa.b2c_result import parse_b2c_result
from penpay.domain.mpesa.balance_result import parse_balance_result, parse_balances
from penpay.domain.mpesa.c2b import parse_c2b_payment
from penpay.domain.mpesa.fields import EAST_AFRICA_TIME, amount, moment
from penpay.domain.mpesa.gateway import CallAnswer, CallOutcome, PullAnswer
from penpay.domain.mpesa.payer_phone import payer_phone
from penpay.domain.mpesa.queue_timeout import parse_queue_timeout, without_credential
from penpay.domain.mpesa.result import parse_result
from penpay.domain.mpesa.reversal_result import parse_reversal_result
from penpay.domain.mpesa.status_result import parse_status_result
from penpay.domain.mpesa.verdicts_calls import (
    c2b_verdict,
    payment_verdict,
    pull_registration_verdict,
    pull_verdict,
    question_verdict,
)
from penpay.domain.mpesa.verdicts_results import ResultOutcome, b2b_verdict, b2c_verdict, reversal_verdict
from penpay.domain.mpesa.wire import UnreadableMessage
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

WORDS = st.sampled_from(
    [
        *("0", "1000", "1001", "R000001", "SFC_IC0003", "Completed", "20240706224852", "06.07.2024 22:48:52", "5.00"),
        *("OAI0000TST", "XYZ0000000", "Working Account|KES|1.00|1.00|0.00|0.00", "2547 ***** 126", "600966"),
        *("500.002.1001", "Duplicate OriginatorConversationID.", "AG_20240706_2010364430d9bbdaf872", "254705912645"),
        *("{Amount={CurrencyCode=KES, MinimumAmount=5, BasicAmount=0.05}}", "policies.ratelimit.SpikeArrestViolation"),
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.text() | st.floats() | WORDS
NAMES = st.sampled_from(
    [
        *("Result", "ResultCode", "ResultDesc", "OriginatorConversationID", "ConversationID", "TransactionID"),
        *("ResultParameters", "ResultParameter", "ReferenceData", "ReferenceItem", "Key", "Value", "CommandID"),
        *("TransID", "TransAmount", "BusinessShortCode", "TransTime", "MSISDN", "OrgAccountBalance", "Response"),
        *("ResponseCode", "ResponseStatus", "ResponseDescription", "errorCode", "errorMessage", "fault", "detail"),
        *("transactionId", "amount", "msisdn", "trxDate", "SecurityCredential", "faultstring", "errorcode"),
    ]
)
PARAMETERS = st.sampled_from(
    [
        *("TransactionAmount", "TransactionReceipt", "TransactionCompletedDateTime", "ReceiptNo", "Amount"),
        *("TransactionStatus", "AccountBalance", "FinalisedTime", "DebitAccountBalance", "OriginalTransactionID"),
        *("B2CUtilityAccountAvailableFunds", "B2CRecipientIsRegisteredCustomer", "DebitPartyName", "ConversationID"),
    ]
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(), inner, max_size=6)
)
ITEMS = st.lists(st.fixed_dictionaries({"Key": PARAMETERS | st.text()}, optional={"Value": ANYTHING}), max_size=8)
RESULTS = st.fixed_dictionaries(
    {"ResultCode": st.sampled_from([0, "0", 1, "R000001"]) | LEAVES, "OriginatorConversationID": st.just("1-2")},
    optional={
        "ResultDesc": LEAVES,
        "TransactionID": LEAVES,
        "ResultParameters": st.fixed_dictionaries({"ResultParameter": ITEMS | ANYTHING}) | ANYTHING,
        "ReferenceData": ANYTHING,
    },
).map(lambda result: {"Result": result})
PAYMENTS = st.fixed_dictionaries(
    {"TransID": st.just("RKL51ZDR4F"), "TransAmount": WORDS, "BusinessShortCode": st.just("600966")},
    optional={"TransTime": LEAVES, "MSISDN": ANYTHING, "BillRefNumber": ANYTHING, "FirstName": ANYTHING},
)
BODIES = st.binary(max_size=300) | (ANYTHING | RESULTS | PAYMENTS).map(lambda value: json.dumps(value).encode())
STATUSES = st.sampled_from([200, 400, 401, 403, 404, 429, 500, 503]) | st.integers(100, 599)

READERS: list[Callable[[bytes], object]] = [
    parse_result,
    parse_b2c_result,
    parse_b2b_result,
    parse_status_result,
    parse_balance_result,
    parse_reversal_result,
    parse_c2b_payment,
    parse_queue_timeout,
]


@pytest.mark.parametrize("read", READERS)
@given(raw=BODIES)
@example(raw=b'{"Result":' * 10_000)
@example(raw=b'{"Result": {"ResultCode": 0e0, "ConversationID": "1"}}')
@example(raw=b'{"TransID": "RKL51ZDR4F", "TransAmount": 1e99999999, "BusinessShortCode": 600966}')
def test_any_bytes_are_a_message_or_come_back_whole(read: Callable[[bytes], object], raw: bytes) -> None:
    """Anybody can post to our addresses; one error, and no byte lost."""
    assert raw == _kept(read, raw)


def _kept(read: Callable[[bytes], object], raw: bytes) -> bytes:
    """The bytes a refusal holds, or those that were read."""
    try:
        read(raw)
    except UnreadableMessage as refused:
        return refused.raw
    return raw


@given(STATUSES, BODIES)
@example(200, b'{"ResponseCode": 0e0}')
@example(500, b"[" * 100_000)
def test_any_answer_has_a_meaning(status: int, body: bytes) -> None:
    """No status with no body crashes a verdict; only HTTP 200, or an id seen before, is good news."""
    calls: list[CallAnswer] = [
        payment_verdict(status, body, sent_id="1-2"),
        payment_verdict(status, body, sent_id=None),
        question_verdict(status, body),
        c2b_verdict(status, body),
        pull_registration_verdict(status, body),
    ]
    answers: list[CallAnswer | PullAnswer] = [*calls, pull_verdict(status, body, offset=0)]

    for answer in answers:
        waits = answer.outcome in {CallOutcome.RETRY_LATER, CallOutcome.MISCONFIGURED}
        assert waits is (answer.retry_after_ms is not None)
        assert (answer.code or "").isprintable()
        assert answer.message.isprintable()
        assert len(answer.message) < 240
        if answer.outcome is CallOutcome.ACCEPTED:
            assert 200 == status or (isinstance(answer, CallAnswer) and answer.existed)


@given(st.text())
def test_one_code_is_success_in_every_product(code: str) -> None:
    """A payment, a payment to a business and a reversal succeed in one spelling."""
    for verdict in (b2c_verdict, b2b_verdict, reversal_verdict):
        assert ("0" == code) is (verdict(code) is ResultOutcome.SUCCEEDED)


@given(st.integers(-(10**14), 10**14))
def test_every_amount_is_read_back_to_the_cent(cents: int) -> None:
    """As text, as a number, and as the record B2B prints."""
    money = Money(cents, Currency.KES)
    text = money.decimal_text()
    record = f"{{Amount={{CurrencyCode=KES, MinimumAmount={cents}, BasicAmount={text}}}}}"

    assert [money] * 3 == [amount(sent).money for sent in (text, Decimal(text), record)]


@given(st.integers(0, 10**10).map(lambda seconds: datetime(1970, 1, 2, tzinfo=UTC) + timedelta(seconds=seconds)))
def test_every_second_is_read_back_in_every_form(here: datetime) -> None:
    """Whatever the form, the moment is the one in Nairobi."""
    nairobi = here.astimezone(EAST_AFRICA_TIME)
    forms = ("%Y%m%d%H%M%S", "%d.%m.%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ")

    assert [here] * 4 == [moment(nairobi.strftime(form)) for form in forms]
    assert here == moment(int(nairobi.strftime("%Y%m%d%H%M%S")))
    assert nairobi.utcoffset() == timedelta(hours=3)


FIGURES = st.lists(st.integers(-(10**13), 10**13), min_size=4, max_size=4)
ACCOUNTS = st.dictionaries(st.from_regex(r"[A-Z][a-z]{1,9} Account", fullmatch=True), FIGURES, min_size=1, max_size=6)


@given(ACCOUNTS)
def test_balances_are_read_back_account_by_account(accounts: dict[str, list[int]]) -> None:
    """Every figure in its place, to the cent, and none when one is missing."""
    printed = [
        "|".join([name, "KES", *(Money(cents, Currency.KES).decimal_text() for cents in figures)])
        for name, figures in accounts.items()
    ]
    read = parse_balances("&".join(printed))

    assert read is not None
    assert accounts == {
        name: [funds.current.cents, funds.available.cents, funds.reserved.cents, funds.uncleared.cents]
        for name, funds in read.items()
    }
    assert parse_balances("&".join([*printed, printed[0]])) is None
    assert parse_balances("&".join(printed).rpartition("|")[0]) is None


@given(st.from_regex(r"\+254[17][0-9]{8}", fullmatch=True).map(PhoneNumber))
def test_no_form_of_a_phone_is_shown(phone: PhoneNumber) -> None:
    """Plain or not, `repr` shows the kind only; and the number knows itself."""
    for sent in (phone.msisdn, int(phone.msisdn), "0" + phone.msisdn[3:]):
        read = payer_phone(sent)

        assert read.matches(phone) is True
        assert phone.msisdn[-6:] not in repr(read)


@given(secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=12), ascii_only=st.booleans())
def test_no_credential_survives_in_an_echo(secret: str, *, ascii_only: bool) -> None:
    """However JSON writes it, an echo made fit to be shown holds none of it."""
    raw = json.dumps({"SecurityCredential": secret, "CommandID": "x"}, ensure_ascii=ascii_only).encode()

    assert {"SecurityCredential": "[redacted]", "CommandID": "x"} == json.loads(without_credential(raw))
    with contextlib.suppress(UnreadableMessage):
        assert secret not in repr(parse_queue_timeout(raw))
