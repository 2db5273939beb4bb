"""What each documented Daraja answer means for money."""

from __future__ import annotations

import json

import pytest

from penpay.domain.mpesa.gateway import PaymentOutcome, PushOutcome
from penpay.domain.mpesa.verdicts import callback_verdict, push_verdict, query_verdict
from penpay.domain.mpesa.verdicts_errors import is_invalid_token

CHECKOUT = "ws_CO_191220191020363925"
ACCEPTED = {
    "MerchantRequestID": "29115-34620561-1",
    "CheckoutRequestID": CHECKOUT,
    "ResponseCode": "0",
    "ResponseDescription": "Success. Request accepted for processing",
    "CustomerMessage": "Success. Request accepted for processing",
}
QUERIED = {
    "ResponseCode": "0",
    "ResponseDescription": "The service request has been accepted successsfully",
    "MerchantRequestID": "22205-34066-1",
    "CheckoutRequestID": CHECKOUT,
    "ResultCode": "0",
    "ResultDesc": "The service request is processed successfully.",
}
SPIKE = {
    "fault": {
        "faultstring": "Spike arrest violation. Allowed rate : MessageRate{messagesPerPeriod=5}",
        "detail": {"errorcode": "policies.ratelimit.SpikeArrestViolation"},
    }
}


def body(fields: object) -> bytes:
    return json.dumps(fields).encode()


def refusal(code: str, message: str) -> bytes:
    return body({"requestId": "1c5b-4ba8-815c-ac45c57a3db01495926", "errorCode": code, "errorMessage": message})


def test_an_accepted_push_carries_both_ids() -> None:
    """The two ids are what a later query and callback are paired by."""
    answer = push_verdict(200, body(ACCEPTED))

    assert PushOutcome.ACCEPTED is answer.outcome
    assert CHECKOUT == answer.checkout_request_id
    assert "29115-34620561-1" == answer.merchant_request_id
    assert "0" == answer.code


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (200, {"ResponseCode": 0, "CheckoutRequestID": CHECKOUT}),
        (200, {"ResponseCode": "0", "CheckoutRequestID": CHECKOUT, "ResponseDescription": None}),
    ],
)
def test_a_sparse_acceptance_is_still_one(status: int, fields: dict[str, object]) -> None:
    """CustomerMessage and MerchantRequestID may be missing and the code may be a number."""
    assert PushOutcome.ACCEPTED is push_verdict(status, body(fields)).outcome


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (200, {**ACCEPTED, "ResponseCode": "1"}),
        (200, {**ACCEPTED, "ResponseCode": "00"}),
        (200, {**ACCEPTED, "ResponseCode": None}),
        (200, {**ACCEPTED, "ResponseCode": False}),
        (200, {**ACCEPTED, "ResponseCode": 0.0}),
        (200, {**ACCEPTED, "errorCode": "400.002.02"}),
        (202, ACCEPTED),
        (429, ACCEPTED),
        (500, ACCEPTED),
    ],
)
def test_an_acceptance_that_contradicts_itself_is_unknown(status: int, fields: dict[str, object]) -> None:
    """Neither half of a contradiction is believed, but the id is kept to ask about."""
    answer = push_verdict(status, body(fields))

    assert PushOutcome.UNKNOWN is answer.outcome
    assert CHECKOUT == answer.checkout_request_id


@pytest.mark.parametrize("checkout", [None, "", 17, "x" * 65, "ws CO 1"])
def test_an_acceptance_without_a_usable_id_is_unknown(checkout: object) -> None:
    """A prompt that cannot be asked about is in the same place as a lost answer."""
    answer = push_verdict(200, body({**ACCEPTED, "CheckoutRequestID": checkout}))

    assert PushOutcome.UNKNOWN is answer.outcome
    assert "accepted_without_id" == answer.code


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "400.002.02", "Bad Request - Invalid BusinessShortCode"),
        (400, "400.002.02", "Bad Request - Invalid CallBackURL"),
        (400, "400.002.05", "Invalid Request Payload"),
        (500, "500.001.1001", "Merchant does not exist"),
        (500, "500.001.1001", "Wrong credentials"),
        (500, "500.001.1001", "[MerchantValidate] - Wrong credentials"),
    ],
)
def test_a_listed_refusal_of_a_push_is_final(status: int, code: str, message: str) -> None:
    """These say that no prompt was made."""
    answer = push_verdict(status, refusal(code, message))

    assert (PushOutcome.FAILED, code, message, None) == (
        answer.outcome,
        answer.code,
        answer.message,
        answer.retry_after_ms,
    )


@pytest.mark.parametrize(
    ("status", "raw", "code", "wait_ms"),
    [
        (
            500,
            refusal(
                "500.001.1001",
                "Unable to lock subscriber, a transaction is already in process for the current subscriber",
            ),
            "500.001.1001",
            60_000,
        ),
        (500, refusal("500.003.02", "Error Occurred: Spike Arrest Violation"), "500.003.02", 12_000),
        (500, refusal("500.003.02", "System is busy. Please try again in few minutes."), "500.003.02", 60_000),
        (500, refusal("500.003.03", "Error Occurred: Quota Violation"), "500.003.03", 60_000),
        (429, body(SPIKE), "policies.ratelimit.SpikeArrestViolation", 12_000),
        (500, body(SPIKE), "policies.ratelimit.SpikeArrestViolation", 12_000),
        (429, b"", "unreadable_answer", 12_000),
        (429, b"{}", "429", 12_000),
        (404, refusal("404.001.03", "Invalid Access Token"), "daraja_credentials", 60_000),
        (
            401,
            refusal(
                "401.003.01", "Error Occurred - Invalid Access Token - Invalid API call as no apiproduct match found"
            ),
            "401.003.01",
            60_000,
        ),
        (404, refusal("404.001.01", "Resource not found"), "404.001.01", 60_000),
        (404, body({"fault": {"faultstring": "Unable to identify proxy for host: secure and url: /x"}}), "404", 60_000),
    ],
)
def test_a_listed_try_later_answer_means_no_prompt_was_made(
    status: int, raw: bytes, code: str, wait_ms: int | None
) -> None:
    """Sending again is safe, but not at once."""
    answer = push_verdict(status, raw)

    assert (PushOutcome.NOT_SENT, code, wait_ms) == (answer.outcome, answer.code, answer.retry_after_ms)


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (500, refusal("500.001.1001", "The transaction is being processed")),
        (500, refusal("500.001.1001", "Internal error")),
        (500, refusal("500.003.1001", "Internal Server Error")),
        (500, refusal("500.002.1001", "Service is currently under maintenance. Please try again later")),
        (400, refusal("400.003.02", "Bad Request")),
        (200, refusal("400.002.02", "Bad Request - Invalid Amount")),
        (500, refusal("400.002.02", "Bad Request - Invalid Amount")),
        (403, b"<html><head><title>Request unsuccessful. Incapsula incident</title></head></html>"),
        (200, b"<html>ok</html>"),
        (503, b"<html>busy</html>"),
        (500, b""),
        (200, b""),
        (400, b""),
        (200, b'{"ResponseCode": "0", "CheckoutReq'),
        (200, b'{"ResponseCode":"1","ResponseCode":"0","CheckoutRequestID":"ws_CO_1"}'),
        (200, b"[]"),
        (200, b"null"),
        (200, b"\xff\xfe\x00"),
        (200, b"[" * 200_000),
        (200, b"{}"),
        (404, b'{"fault": "x"}'),
        (404, b'{"fault": {}}'),
        (400, b'{"errorCode": null, "errorMessage": 7}'),
    ],
)
def test_any_other_answer_to_a_push_is_unknown(status: int, raw: bytes) -> None:
    """What is not listed may have made a prompt."""
    answer = push_verdict(status, raw)

    assert PushOutcome.UNKNOWN is answer.outcome
    assert answer.retry_after_ms is None


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("0", PaymentOutcome.PAID),
        ("4999", PaymentOutcome.PENDING),
        *((code, PaymentOutcome.FAILED) for code in ("1", "2", "3", "4", "8", "17", "26", "1001", "1019")),
        *((code, PaymentOutcome.FAILED) for code in ("1025", "1032", "1037", "2001", "2002", "2028", "8006")),
        *((code, PaymentOutcome.FAILED) for code in ("9999", "SFC_IC0003", "E3008")),
        *(
            (code, PaymentOutcome.UNKNOWN)
            for code in ["", "00", "0.0", " 0", "-0", "\u0660", "5", "1036", "R000002", "null"]
        ),
    ],
)
def test_result_codes_as_the_reference_lists_them(code: str, outcome: PaymentOutcome) -> None:
    """The table of result codes, written down a second time."""
    assert outcome is callback_verdict(code)
    answer = query_verdict(200, body({**QUERIED, "ResultCode": code}), checkout_request_id=CHECKOUT)
    assert outcome is answer.outcome


def test_both_styles_of_pending_are_pending() -> None:
    """Neither style may ever be read as a failure."""
    current = query_verdict(
        200,
        body({**QUERIED, "ResultCode": "4999", "ResultDesc": "The transaction is still under processing"}),
        checkout_request_id=CHECKOUT,
    )
    older = query_verdict(
        500, refusal("500.001.1001", "The transaction is being processed"), checkout_request_id=CHECKOUT
    )

    assert (PaymentOutcome.PENDING, "4999") == (current.outcome, current.code)
    assert (PaymentOutcome.PENDING, "500.001.1001") == (older.outcome, older.code)


@pytest.mark.parametrize(
    ("status", "raw", "wait_ms"),
    [
        (200, body({**QUERIED, "CheckoutRequestID": "ws_CO_1"}), None),
        (200, body({**QUERIED, "ResponseCode": "1"}), None),
        (200, body({key: value for key, value in QUERIED.items() if key != "ResponseCode"}), None),
        (200, body({**QUERIED, "ResultCode": 0.0}), None),
        (200, body({**QUERIED, "ResultCode": True}), None),
        (200, body({**QUERIED, "errorCode": "500.001.1001"}), None),
        (500, body(QUERIED), None),
        (200, body(ACCEPTED), None),
        (400, refusal("400.002.02", "Bad Request - Invalid CheckoutRequestID"), None),
        (500, refusal("500.001.1001", "Merchant does not exist"), None),
        (500, refusal("500.001.1001", "Unable to lock subscriber, a transaction is already in process"), 60_000),
        (404, refusal("404.001.03", "Invalid Access Token"), 60_000),
        (429, body(SPIKE), 12_000),
        (429, b"<html>slow down</html>", 12_000),
        (503, b"<html>busy</html>", None),
        (200, b"", None),
    ],
)
def test_any_other_answer_to_a_query_is_unknown(status: int, raw: bytes, wait_ms: int | None) -> None:
    """A query that failed says nothing about the payment."""
    answer = query_verdict(status, raw, checkout_request_id=CHECKOUT)

    assert (PaymentOutcome.UNKNOWN, wait_ms) == (answer.outcome, answer.retry_after_ms)


def test_a_query_code_may_be_a_number_and_the_id_may_be_left_out() -> None:
    """Only a contradiction takes an answer's meaning away."""
    fields = {"ResponseCode": 0, "ResultCode": 1032, "ResultDesc": "Request cancelled by user"}
    answer = query_verdict(200, body(fields), checkout_request_id=CHECKOUT)

    assert (PaymentOutcome.FAILED, "1032", "Request cancelled by user") == (answer.outcome, answer.code, answer.message)


def test_only_a_token_refusal_asks_for_a_new_token() -> None:
    """An app without the product is not cured by a new token."""
    assert is_invalid_token(404, refusal("404.001.03", "Invalid Access Token"))
    assert is_invalid_token(401, refusal("401.002.01", "Error Occurred - Invalid Access Token - abc"))
    assert is_invalid_token(400, refusal("400.003.01", "Invalid Access Token"))
    assert not is_invalid_token(401, refusal("401.003.01", "Invalid API call as no apiproduct match found"))
    assert not is_invalid_token(200, refusal("404.001.03", "Invalid Access Token"))
    assert not is_invalid_token(200, body(ACCEPTED))
    assert not is_invalid_token(401, b"")


def test_messages_hold_neither_token_nor_phone_number() -> None:
    """Daraja echoes tokens, ids hold phone numbers, and messages end up in logs and on screens."""
    token = "c9SQxWWhmdVRlyh0zh8gZDTkubVF"
    echoed = push_verdict(401, refusal("401.002.01", f"Error Occurred - Invalid Access Token - {token}"))
    letters = push_verdict(401, refusal("401.002.01", "Error Occurred - Invalid Access Token - abcdefghijklmnop"))
    phone = push_verdict(400, refusal("400.002.02", "Bad Request - Invalid PhoneNumber 254708374149 (0708 374 149)"))
    page = push_verdict(503, f"<html>Bearer {token}\x00\x1b[31m 254708374149</html>".encode())

    assert "Error Occurred - Invalid Access Token - [redacted]" == echoed.message
    assert "Error Occurred - Invalid Access Token - [redacted]" == letters.message
    assert "Bad Request - Invalid PhoneNumber [redacted] ([redacted])" == phone.message
    assert "HTTP 503: <html>Bearer [redacted] [31m [redacted]</html>" == page.message


def test_a_message_is_short_whatever_was_sent() -> None:
    """A firewall's page does not fill a column or a screen."""
    assert 220 > len(push_verdict(503, b"<p>busy</p>" * 5_000).message)
    assert 200 == len(push_verdict(400, refusal("400.002.02", "word " * 5_000)).message)
