"""Reading C2B validations and confirmations, and queue time-outs that echo our request."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from penpay.domain.mpesa.c2b import parse_c2b_payment
from penpay.domain.mpesa.payer_phone import PhoneKind
from penpay.domain.mpesa.queue_timeout import parse_queue_timeout, without_credential
from penpay.domain.mpesa.wire import UnreadableMessage
from penpay.domain.shared.money import Currency, Money

CONFIRMED = {
    "TransactionType": "Pay Bill",
    "TransID": "RKL51ZDR4F",
    "TransTime": "20231121121325",
    "TransAmount": "5.00",
    "BusinessShortCode": "600966",
    "BillRefNumber": "Sample  Transaction",
    "InvoiceNumber": "",
    "OrgAccountBalance": "25.00",
    "ThirdPartyTransID": "",
    "MSISDN": "2547 ***** 126",
    "FirstName": "SUBSCRIBER",
    "MiddleName": "",
}


def sent(**change: object) -> bytes:
    return json.dumps({**CONFIRMED, **change}).encode()


def test_a_confirmation_is_read_exactly() -> None:
    """To the cent and the second; a name may be missing; nothing of the payer is shown."""
    paid = parse_c2b_payment(sent())

    assert ("RKL51ZDR4F", "600966", "Sample Transaction") == (paid.receipt, paid.short_code, paid.bill_reference)
    assert (Money(500, Currency.KES), Money(2_500, Currency.KES)) == (paid.amount, paid.account_balance)
    assert datetime(2023, 11, 21, 9, 13, 25, tzinfo=UTC) == paid.paid_at
    assert (PhoneKind.MASKED, "SUBSCRIBER", "") == (paid.phone.kind, paid.first_name, paid.last_name)
    assert "SUBSCRIBER" not in repr(paid)
    assert "126" not in repr(paid)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"MSISDN": "94c392c311d522da950619227b3361752a42042db7e1e699b26e628305c68a88"}, PhoneKind.HASHED),
        ({"MSISDN": "254705912645"}, PhoneKind.PLAIN),
        ({"MSISDN": None, "TransTime": None, "OrgAccountBalance": ""}, PhoneKind.ABSENT),
        ({"MSISDN": {}, "TransTime": "soon", "BillRefNumber": None, "New": [1]}, PhoneKind.OTHER),
    ],
)
def test_what_does_not_matter_for_the_books_may_be_anything(change: dict[str, object], kind: PhoneKind) -> None:
    """The money came all the same."""
    paid = parse_c2b_payment(sent(**change))

    assert (kind, Money(500, Currency.KES)) == (paid.phone.kind, paid.amount)
    if "TransTime" in change:
        assert paid.paid_at is None


@pytest.mark.parametrize("bad", [None, "", "6009", "60096612", "60096a", [1]])
def test_a_payment_without_a_short_code_is_a_payment(bad: object) -> None:
    """M-Pesa has taken the money; whose number it was is seen by the address it was told at."""
    paid = parse_c2b_payment(sent(BusinessShortCode=bad))

    assert (None, Money(500, Currency.KES)) == (paid.short_code, paid.amount)


def test_four_fields_are_a_payment() -> None:
    """Receipt, amount, reference and number: all that some senders post."""
    paid = parse_c2b_payment(
        b'{"TransID":"QGK12XYZ9","TransAmount":"5000.00","BillRefNumber":"INV-20260203-0001","MSISDN":"254708374149"}'
    )

    assert ("QGK12XYZ9", Money(500_000, Currency.KES)) == (paid.receipt, paid.amount)
    assert ("INV-20260203-0001", PhoneKind.PLAIN, None) == (paid.bill_reference, paid.phone.kind, paid.paid_at)


@pytest.mark.parametrize(
    ("text", "cents"), [("5.00", 500), ("10", 1_000), (10, 1_000), ("0.01", 1), ("250000.5", 25_000_050)]
)
def test_amounts_as_text_are_exact(text: object, cents: int) -> None:
    """Older bodies have no decimals."""
    assert cents == parse_c2b_payment(sent(TransAmount=text)).amount.cents


@pytest.mark.parametrize(
    "change",
    [
        *({"TransID": bad} for bad in (None, "", "XYZ0000000", 5, "A B")),
        *({"TransAmount": bad} for bad in (None, "", "0", "0.00", "-5.00", "1.005", "1,000.00", "five", True)),
    ],
)
def test_what_cannot_be_booked_is_kept_and_named_unreadable(change: dict[str, object]) -> None:
    """People look at the bytes; a booking without receipt or amount helps nobody."""
    raw = sent(**change)
    with pytest.raises(UnreadableMessage) as refused:
        parse_c2b_payment(raw)

    assert raw == refused.value.raw


CREDENTIAL = "Zm9v" * 86
ECHO = {
    "OriginatorConversationID": "600997-0f0f",
    "InitiatorName": "testapi",
    "SecurityCredential": CREDENTIAL,
    "CommandID": "BusinessPayment",
    "Amount": 10,
}


def test_a_time_out_echoes_our_request_and_keeps_no_credential() -> None:
    """It names the payment whose status must be asked for."""
    read = parse_queue_timeout(json.dumps(ECHO).encode())

    assert ("600997-0f0f", "BusinessPayment", None) == (read.originator_conversation_id, read.command, read.result)
    assert "Zm9v" not in repr(read)


def test_a_time_out_of_a_question_or_reversal_names_its_receipt() -> None:
    """These carry no OriginatorConversationID of their own."""
    asked = {"CommandID": "TransactionStatusQuery", "OriginalConversationID": "600997-0f0f"}
    reversed_ = {"CommandID": "TransactionReversal", "TransactionID": "PDU91HIVIT"}

    assert "600997-0f0f" == parse_queue_timeout(json.dumps(asked).encode()).originator_conversation_id
    assert "PDU91HIVIT" == parse_queue_timeout(json.dumps(reversed_).encode()).receipt


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"Amount": 10}', b'{"CommandID": ""}'])
def test_a_time_out_about_nothing_is_unreadable(raw: bytes) -> None:
    """And its bytes are kept."""
    with pytest.raises(UnreadableMessage) as refused:
        parse_queue_timeout(raw)

    assert raw == refused.value.raw


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps(ECHO).encode(),
        json.dumps(ECHO, indent=4).encode(),
        json.dumps({**ECHO, "SecurityCredential": 'Zm9v"Zm9v\\'}).encode(),
        json.dumps({**ECHO, "SecurityCredential": CREDENTIAL.replace("m", "/")}).replace("/", "\\/").encode(),
        json.dumps({"a": [ECHO, {"Password": "Zm9v"}]}).encode(),
        b'{"SecurityCredential": "Zm9vZm9v',
    ],
)
def test_a_credential_is_cut_out_of_bytes_to_be_shown(raw: bytes) -> None:
    """Wherever it stands, and even if the body was cut off in it."""
    shown = without_credential(raw)

    assert b"9v" not in shown
    assert b"[redacted]" in shown
