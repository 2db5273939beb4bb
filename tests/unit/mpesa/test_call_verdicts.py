"""What each documented answer to a call other than STK means, as tables to read beside the reference."""

from __future__ import annotations

import json

import pytest

from penpay.domain.mpesa.gateway import CallOutcome
from penpay.domain.mpesa.payer_phone import PhoneKind
from penpay.domain.mpesa.verdicts_calls import (
    c2b_verdict,
    payment_verdict,
    pull_registration_verdict,
    pull_verdict,
    question_verdict,
)
from penpay.domain.mpesa.verdicts_errors import Api, is_invalid_token
from penpay.domain.shared.money import Currency, Money

ACCEPTED, FAILED, LATER, PEOPLE, UNKNOWN = (
    CallOutcome.ACCEPTED,
    CallOutcome.FAILED,
    CallOutcome.RETRY_LATER,
    CallOutcome.MISCONFIGURED,
    CallOutcome.UNKNOWN,
)
SENT = "600997-0f0f"
SPIKE = {
    "fault": {
        "faultstring": "Spike arrest violation. Allowed rate : MessageRate{messagesPerPeriod=5}",
        "detail": {"errorcode": "policies.ratelimit.SpikeArrestViolation"},
    }
}
NO_PROXY = {"fault": {"faultstring": "Unable to identify proxy for host: secure and url: /x", "detail": {}}}
SOAP = b"<soapenv:Envelope><faultstring>SCO-AddURLVault failed: 409</faultstring></soapenv:Envelope>"


def body(fields: object) -> bytes:
    return json.dumps(fields).encode()


def error(code: str, message: str) -> bytes:
    return body({"requestId": "1c5b-4ba8-815c-ac45c57a3db01495926", "errorCode": code, "errorMessage": message})


# status, answer, what it means for a B2C payment, for a status or balance query, and for a registration of URLs
ERRORS = [
    (400, error("400.002.02", "Bad Request - Invalid Remarks"), FAILED, FAILED, FAILED),
    (400, error("400.002.05", "Invalid Request Payload"), FAILED, FAILED, FAILED),
    (400, error("400.003.01", "Invalid Access Token"), PEOPLE, PEOPLE, PEOPLE),
    (400, error("400.003.02", "Bad Request"), UNKNOWN, FAILED, FAILED),
    (401, error("401.002.01", "Error Occurred - Invalid Access Token - abc"), PEOPLE, PEOPLE, PEOPLE),
    (401, error("401.003.01", "Invalid API call as no apiproduct match found"), PEOPLE, PEOPLE, PEOPLE),
    (404, error("404.001.01", "Resource not found"), PEOPLE, PEOPLE, PEOPLE),
    (404, error("404.002.01", "Resource not found"), PEOPLE, PEOPLE, PEOPLE),
    (404, error("404.003.01", "Resource not found"), PEOPLE, PEOPLE, PEOPLE),
    (404, error("404.001.03", "Invalid Access Token"), PEOPLE, PEOPLE, PEOPLE),
    (404, error("404.001.04", "Invalid Authentication Header"), PEOPLE, PEOPLE, PEOPLE),
    (405, error("405.001", "GET Method Not Allowed"), PEOPLE, PEOPLE, PEOPLE),
    (403, error("403.002.1001", "You are not authorized to initiate this transaction"), PEOPLE, PEOPLE, UNKNOWN),
    (500, error("500.001.1001", "Merchant does not exist"), UNKNOWN, UNKNOWN, UNKNOWN),
    (500, error("500.001.1001", "Wrong credentials"), UNKNOWN, UNKNOWN, UNKNOWN),
    (500, error("500.002.1001", "Duplicate OriginatorConversationID."), ACCEPTED, UNKNOWN, UNKNOWN),
    (500, error("500.002.1001", "System internal error."), UNKNOWN, UNKNOWN, UNKNOWN),
    (
        500,
        error("500.002.1001", "Service is currently under maintenance. Please try again later"),
        UNKNOWN,
        LATER,
        UNKNOWN,
    ),
    (500, error("500.003.1001", "Internal Server Error"), UNKNOWN, UNKNOWN, UNKNOWN),
    (500, error("500.003.1001", "Urls are already registered."), UNKNOWN, UNKNOWN, FAILED),
    (500, error("500.003.1001", "Duplicate notification info, SP ID is 1, correlator is 2"), UNKNOWN, UNKNOWN, UNKNOWN),
    (500, error("500.003.02", "Error Occurred: Spike Arrest Violation"), LATER, LATER, LATER),
    (500, error("500.003.02", "System is busy. Please try again in few minutes."), LATER, LATER, LATER),
    (500, error("500.003.02", "Something else"), UNKNOWN, UNKNOWN, UNKNOWN),
    (500, error("500.003.03", "Error Occurred: Quota Violation"), LATER, LATER, LATER),
    (400, error("400.999.99", "Never heard of"), UNKNOWN, UNKNOWN, UNKNOWN),
    (200, error("400.002.02", "Bad Request - Invalid Remarks"), UNKNOWN, UNKNOWN, UNKNOWN),
    (500, error("400.002.02", "Bad Request - Invalid Remarks"), UNKNOWN, UNKNOWN, UNKNOWN),
    (400, body({"errorCode": 7}), UNKNOWN, UNKNOWN, UNKNOWN),
    (400, body({"errorMessage": "no code"}), UNKNOWN, UNKNOWN, UNKNOWN),
    (429, body(SPIKE), LATER, LATER, LATER),
    (500, body(SPIKE), LATER, LATER, LATER),
    (429, b"<html>slow down</html>", LATER, LATER, LATER),
    (404, body(NO_PROXY), PEOPLE, PEOPLE, PEOPLE),
    (500, body({"fault": {"faultstring": "Something broke"}}), UNKNOWN, UNKNOWN, UNKNOWN),
    (500, SOAP, UNKNOWN, UNKNOWN, UNKNOWN),
    (200, b"<html>Incapsula</html>", UNKNOWN, UNKNOWN, UNKNOWN),
    (403, b"<html>Incapsula</html>", UNKNOWN, UNKNOWN, UNKNOWN),
    (503, b"<html>busy</html>", UNKNOWN, UNKNOWN, UNKNOWN),
    (200, b"", UNKNOWN, UNKNOWN, UNKNOWN),
    (400, b"", UNKNOWN, UNKNOWN, UNKNOWN),
    (502, b"", UNKNOWN, UNKNOWN, UNKNOWN),
]


@pytest.mark.parametrize(("status", "answer", "payment", "question", "registration"), ERRORS)
def test_an_error_means_what_the_reference_says_and_no_more(
    status: int, answer: bytes, payment: CallOutcome, question: CallOutcome, registration: CallOutcome
) -> None:
    """Only what is listed for a family of calls counts for it, and money is the last to be given up."""
    answers = (
        payment_verdict(status, answer, sent_id=SENT),
        question_verdict(status, answer),
        c2b_verdict(status, answer),
    )

    assert (payment, question, registration) == tuple(one.outcome for one in answers)
    for one in answers:
        assert (one.retry_after_ms is not None) is (one.outcome in {LATER, PEOPLE})
        assert one.retry_after_ms is None or one.retry_after_ms >= 12_000


def test_an_id_that_was_seen_before_is_a_payment_whose_outcome_is_pending() -> None:
    """Neither failed nor paid: the Result of the first one tells."""
    seen = error("500.002.1001", "Duplicate OriginatorConversationID.")
    answer = payment_verdict(500, seen, sent_id=SENT)

    assert (ACCEPTED, True, "500.002.1001") == (answer.outcome, answer.existed, answer.code)
    assert UNKNOWN is payment_verdict(400, seen, sent_id=SENT).outcome
    assert (UNKNOWN, False) == (
        (without := payment_verdict(500, seen, sent_id=None)).outcome,
        without.existed,
    )


TAKEN = {
    "ConversationID": "AG_20240706_20106e9209f64bebd05b",
    "OriginatorConversationID": SENT,
    "ResponseCode": "0",
    "ResponseDescription": "Accept the service request successfully.",
}


@pytest.mark.parametrize(
    ("status", "change", "outcome"),
    [
        (200, {}, ACCEPTED),
        (200, {"ResponseCode": 0}, ACCEPTED),
        (200, {"OriginatorConversationID": None}, ACCEPTED),
        (200, {"OriginatorConversationID": "another"}, UNKNOWN),
        (200, {"ResponseCode": "1"}, UNKNOWN),
        (200, {"ResponseCode": "00"}, UNKNOWN),
        (200, {"ResponseCode": "00000000"}, UNKNOWN),
        (200, {"ResponseCode": None}, UNKNOWN),
        (200, {"errorCode": "500.002.1001"}, UNKNOWN),
        (200, {"fault": {}}, UNKNOWN),
        (201, {}, UNKNOWN),
        (500, {}, UNKNOWN),
    ],
)
def test_a_payment_is_accepted_in_one_way_only(status: int, change: dict[str, object], outcome: CallOutcome) -> None:
    """Anything that contradicts itself or names another payment may or may not have been taken."""
    assert outcome is payment_verdict(status, body({**TAKEN, **change}), sent_id=SENT).outcome


def test_a_description_alone_accepts_no_payment() -> None:
    """It does for a registration of URLs, and for nothing else."""
    said = body({"OriginatorConversationID": SENT, "ResponseDescription": "Success"})

    assert ACCEPTED is c2b_verdict(200, said).outcome
    assert [UNKNOWN] * 2 == [payment_verdict(200, said, sent_id=SENT).outcome, question_verdict(200, said).outcome]


def test_an_acceptance_carries_both_ids() -> None:
    """What a Result will name."""
    answer = question_verdict(200, body(TAKEN))

    assert (SENT, "AG_20240706_20106e9209f64bebd05b") == (answer.originator_conversation_id, answer.conversation_id)
    assert "Accept the service request successfully." == answer.message


@pytest.mark.parametrize(
    ("fields", "outcome", "existed"),
    [
        (
            {"OriginatorCoversationID": "6e86-45dd", "ResponseCode": "0", "ResponseDescription": "Success"},
            ACCEPTED,
            False,
        ),
        ({"OriginatorConversationID": "6e86-45dd", "ResponseCode": "0"}, ACCEPTED, False),
        ({"OriginatorCoversationID": "6e86-45dd", "ResponseCode": "00000000"}, ACCEPTED, False),
        ({"OriginatorCoversationID": "6e86-45dd", "ResponseDescription": "success"}, ACCEPTED, False),
        (
            {"OriginatorCoversationID": "6e86-45dd", "ConversationID": "", "ResponseDescription": "Success"},
            ACCEPTED,
            False,
        ),
        ({"OriginatorCoversationID": "6e86-45dd", "ResponseDescription": "Not so"}, UNKNOWN, False),
        ({"OriginatorCoversationID": "6e86-45dd", "ResponseCode": "1"}, UNKNOWN, False),
        (
            {
                "OriginatorCoversationID": "6e86-45dd",
                "ResponseCode": "0",
                "ResponseDescription": "URLs already registered",
            },
            FAILED,
            True,
        ),
    ],
)
def test_a_registration_of_urls_is_accepted_in_four_spellings(
    fields: dict[str, object], outcome: CallOutcome, *, existed: bool
) -> None:
    """And an acceptance that says the old URLs stay is none."""
    answer = c2b_verdict(200, body(fields))

    assert (outcome, existed) == (answer.outcome, answer.existed)
    if outcome is ACCEPTED:
        assert "6e86-45dd" == answer.originator_conversation_id


@pytest.mark.parametrize(
    ("status", "fields", "outcome", "existed"),
    [
        (200, {"ResponseRefID": "1", "ResponseStatus": "1000"}, ACCEPTED, False),
        (200, {"ResponseRefID": "1", "Response Status": "1000"}, ACCEPTED, False),
        (200, {"ResponseRefID": "1", "ResponseStatus": 1001}, ACCEPTED, True),
        (200, {"ResponseRefID": "1", "ResponseStatus": "1002"}, UNKNOWN, False),
        (500, {"ResponseRefID": "1", "ResponseStatus": "1000"}, UNKNOWN, False),
        (400, {"errorCode": "400.001", "errorMessage": "Invalid ShortCode"}, PEOPLE, False),
        (401, {"errorCode": "401.001", "errorMessage": "Invalid Access Token"}, PEOPLE, False),
        (500, {"errorCode": "500", "errorMessage": "Failed to retrieve transactions"}, LATER, False),
    ],
)
def test_a_registration_for_pulling(status: int, fields: object, outcome: CallOutcome, *, existed: bool) -> None:
    """1001 says it was registered before, which is as good."""
    answer = pull_registration_verdict(status, body(fields))

    assert (outcome, existed) == (answer.outcome, answer.existed)


def test_a_pulls_own_token_code_counts_for_pulls_only() -> None:
    """Elsewhere 401.001 is not listed, and nothing is sent again on it."""
    dead = error("401.001", "Invalid Access Token")

    assert is_invalid_token(401, dead, Api.PULL)
    assert not is_invalid_token(401, dead, Api.STK)
    assert not is_invalid_token(401, dead, Api.DISBURSEMENT)


ROW = {
    "transactionId": "OAI0000TST",
    "trxDate": "2020-08-05T10:13:00Z",
    "msisdn": 722000000,
    "sender": "MPESA",
    "transactiontype": "c2b-pay-bill-debit",
    "billreference": "37207636392",
    "amount": "168.00",
    "organizationname": "Daraja Pull API Test",
}


def page(response: object, code: object = "1000") -> bytes:
    return body({"ResponseRefID": "1", "ResponseCode": code, "ResponseMessage": "Success", "Response": response})


@pytest.mark.parametrize("response", [[[ROW]], [ROW], [[{**ROW, "amount": 168, "msisdn": "722000000"}]]])
def test_a_pulled_payment_is_read_exactly(response: object) -> None:
    """Nested or not, numbers or text: the same payment, in cents and UTC."""
    answer = pull_verdict(200, page(response), offset=0)
    (pulled,) = answer.transactions

    assert (ACCEPTED, (), None) == (answer.outcome, answer.unreadable, answer.next_offset)
    assert ("OAI0000TST", Money(16_800, Currency.KES)) == (pulled.receipt, pulled.amount)
    assert pulled.paid_at is not None
    assert "2020-08-05T07:13:00+00:00" == pulled.paid_at.isoformat()
    assert (PhoneKind.PLAIN, "37207636392") == (pulled.phone.kind, pulled.bill_reference)


def test_a_row_that_cannot_be_read_is_handed_over_as_it_came() -> None:
    """It is a payment all the same, and counts for where the next page begins."""
    rows = [{**ROW, "amount": "1.005"}, {**ROW, "transactionId": None}, {**ROW, "amount": 0}, "text"]
    answer = pull_verdict(200, page([rows + [ROW] * 96]), offset=200)

    assert (96, 300) == (len(answer.transactions), answer.next_offset)
    assert rows == [json.loads(row) for row in answer.unreadable]
    assert "1.005" not in repr(answer)


@pytest.mark.parametrize(
    ("status", "answer", "outcome"),
    [
        (200, page([[]], "1001"), ACCEPTED),
        (200, body({"ResponseRefID": "1", "ResponseCode": 1001}), ACCEPTED),
        (200, body({"ResponseRefID": "1", "ResponseCode": "1000"}), UNKNOWN),
        (200, page({"a": 1}), UNKNOWN),
        (200, page([[]], "7"), UNKNOWN),
        (500, page([[ROW]]), UNKNOWN),
        (500, error("500", "Failed to retrieve transactions"), LATER),
        (401, error("401.001", "Invalid Access Token"), PEOPLE),
        (429, body(SPIKE), LATER),
        (503, b"<html>busy</html>", UNKNOWN),
    ],
)
def test_a_list_without_payments_is_told_from_no_list(status: int, answer: bytes, outcome: CallOutcome) -> None:
    """Nothing paid and nothing learned must not look alike."""
    read = pull_verdict(status, answer, offset=0)

    assert (outcome, (), (), None) == (read.outcome, read.transactions, read.unreadable, read.next_offset)


def test_a_pulls_unlisted_code_is_handed_on() -> None:
    """For whoever has to find out what it means."""
    assert (UNKNOWN, "7") == ((read := pull_verdict(200, page([[]], "7"), offset=0)).outcome, read.code)
