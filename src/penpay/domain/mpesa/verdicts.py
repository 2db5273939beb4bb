"""Which answers of Daraja about an STK payment mean paid, failed, pending or unknown.

Only listed codes mean FAILED or NOT_SENT, and one code means PAID; whatever is not listed here is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from penpay.domain.mpesa.gateway import PaymentAnswer, PaymentOutcome, PushAnswer, PushOutcome
from penpay.domain.mpesa.verdicts_errors import (
    RATE_LIMIT_RETRY_MS,
    RETRY_MS,
    TOO_MANY_REQUESTS,
    Api,
    Refusal,
    read_error,
    read_payload,
    unreadable_message,
)
from penpay.domain.mpesa.wire import code_text, opaque_id, shown_text

_OK: Final = 200

_PAID: Final = "0"
_STILL_PROCESSING: Final = "4999"
_NOT_CHARGED: Final = frozenset(
    {
        "1",  # the payer's balance is insufficient
        "2",  # below the minimum
        "3",  # above the maximum
        "4",  # above the payer's daily limit
        "8",  # above the receiver's balance limit
        "17",  # the same amount to the same receiver within two minutes
        "26",  # system busy
        "1001",  # another transaction holds the subscriber
        "1019",  # expired
        "1025",  # the prompt could not be sent
        "1032",  # cancelled by the payer
        "1037",  # the payer could not be reached
        "2001",  # wrong PIN
        "2002",  # agent and store number do not match
        "2028",  # the product does not permit it
        "8006",  # the payer's PIN is locked
        "9999",  # the prompt could not be sent
        "SFC_IC0003",  # the receiver does not exist
        "E3008",  # the payer has a bad debt contract
    }
)
"""Final result codes of an STK payment under which nobody was charged (daraja.md §2.3)."""


_PUSH_OUTCOMES: Final[Mapping[Refusal, PushOutcome]] = MappingProxyType(
    {
        Refusal.TOKEN_INVALID: PushOutcome.NOT_SENT,
        Refusal.MISCONFIGURED: PushOutcome.NOT_SENT,
        Refusal.REFUSED: PushOutcome.FAILED,
        Refusal.SUBSCRIBER_LOCKED: PushOutcome.NOT_SENT,
        Refusal.RATE_LIMITED: PushOutcome.NOT_SENT,
        Refusal.BUSY: PushOutcome.NOT_SENT,
    }
)
"""What is not in here is UNKNOWN, IN_PROCESS included: a prompt may be on the handset."""


def callback_verdict(result_code: str) -> PaymentOutcome:
    """What a ResultCode says about the payer's money; the same table serves callback and query (daraja.md §2.3)."""
    if result_code == _PAID:
        return PaymentOutcome.PAID
    if result_code in _NOT_CHARGED:
        return PaymentOutcome.FAILED
    if result_code == _STILL_PROCESSING:
        return PaymentOutcome.PENDING
    return PaymentOutcome.UNKNOWN


def push_verdict(http_status: int, body: bytes) -> PushAnswer:
    """What the answer to an STK push says about the prompt (daraja.md §1.3 to §1.5, §2.1). Never raises.

    An acceptance without a CheckoutRequestID is UNKNOWN: the prompt cannot be asked about, as if the answer were lost.
    """
    payload = read_payload(body)
    if payload is None:
        return _push_without_json(http_status, body)
    if "ResponseCode" not in payload:
        error = read_error(http_status, payload, Api.STK)
        return PushAnswer(
            outcome=_PUSH_OUTCOMES.get(error.refusal, PushOutcome.UNKNOWN),
            code=error.code,
            message=error.message,
            retry_after_ms=RETRY_MS.get(error.refusal),
        )
    code = code_text(payload["ResponseCode"])
    checkout_request_id = opaque_id(payload.get("CheckoutRequestID"))
    accepted = http_status == _OK and code == _PAID and "errorCode" not in payload
    return PushAnswer(
        outcome=PushOutcome.ACCEPTED if accepted and checkout_request_id is not None else PushOutcome.UNKNOWN,
        checkout_request_id=checkout_request_id,
        merchant_request_id=opaque_id(payload.get("MerchantRequestID")),
        code="accepted_without_id" if accepted and checkout_request_id is None else code,
        message=shown_text(payload.get("ResponseDescription")),
    )


def query_verdict(http_status: int, body: bytes, *, checkout_request_id: str) -> PaymentAnswer:
    """What the answer to an STK query about `checkout_request_id` says about the money (daraja.md §2.4). Never raises.

    An answer that names another CheckoutRequestID is UNKNOWN. Pending comes in two styles: ResultCode 4999, or
    HTTP 500 with 500.001.1001.
    """
    payload = read_payload(body)
    if payload is None:
        retry_after_ms = RATE_LIMIT_RETRY_MS if http_status == TOO_MANY_REQUESTS else None
        return PaymentAnswer(
            outcome=PaymentOutcome.UNKNOWN,
            code="unreadable_answer",
            message=unreadable_message(http_status, body),
            retry_after_ms=retry_after_ms,
        )
    if "ResultCode" not in payload:
        error = read_error(http_status, payload, Api.STK)
        pending = error.refusal is Refusal.IN_PROCESS
        return PaymentAnswer(
            outcome=PaymentOutcome.PENDING if pending else PaymentOutcome.UNKNOWN,
            code=error.code,
            message=error.message,
            retry_after_ms=RETRY_MS.get(error.refusal),
        )
    message = shown_text(payload.get("ResultDesc"))
    if payload.get("CheckoutRequestID", checkout_request_id) != checkout_request_id:
        return PaymentAnswer(outcome=PaymentOutcome.UNKNOWN, code="other_checkout_request_id", message=message)
    code = code_text(payload["ResultCode"])
    answered = http_status == _OK and code_text(payload.get("ResponseCode")) == "0" and "errorCode" not in payload
    outcome = callback_verdict(code) if answered and code is not None else PaymentOutcome.UNKNOWN
    return PaymentAnswer(outcome=outcome, code=code, message=message)


def _push_without_json(http_status: int, body: bytes) -> PushAnswer:
    """An answer that is no JSON object: HTML of a firewall, nothing, garbage (daraja.md §1.4).

    Of these only HTTP 429 is listed as safe to send again (daraja.md §1.5): whoever limits a call does not pass it on.
    """
    limited = http_status == TOO_MANY_REQUESTS
    return PushAnswer(
        outcome=PushOutcome.NOT_SENT if limited else PushOutcome.UNKNOWN,
        code="unreadable_answer",
        message=unreadable_message(http_status, body),
        retry_after_ms=RATE_LIMIT_RETRY_MS if limited else None,
    )
