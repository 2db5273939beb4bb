"""Which Daraja answers mean paid, failed, pending or unknown: the only place where a provider's code becomes a verdict.

Only listed codes mean FAILED or NOT_SENT, and one code means PAID; whatever is not listed here is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from penpay.domain.mpesa.gateway import PaymentAnswer, PaymentOutcome, PushAnswer, PushOutcome
from penpay.domain.mpesa.wire import UnreadableJson, code_text, opaque_id, read_object, shown_text

CREDENTIALS_REFUSED: Final = "daraja_credentials"
"""Our word for an app credential or bearer token that Daraja does not take; people must cure it."""
CREDENTIALS_RETRY_MS: Final = 60_000
RATE_LIMIT_RETRY_MS: Final = 12_000
"""Daraja's sandbox allows five STK queries a minute, one at a time (daraja.md §0.1 fact 6, §1.5)."""
_ONE_MINUTE_MS: Final = 60_000
_OK: Final = 200
_TOO_MANY_REQUESTS: Final = 429

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


class _Refusal(Enum):
    """What an error answer says happened to the call."""

    TOKEN_INVALID = auto()
    MISCONFIGURED = auto()
    REFUSED = auto()
    SUBSCRIBER_LOCKED = auto()
    IN_PROCESS = auto()
    RATE_LIMITED = auto()
    BUSY = auto()
    UNLISTED = auto()


_REFUSALS: Final[tuple[tuple[str, str, _Refusal], ...]] = (
    # errorCode, words its message must hold, meaning (daraja.md §1.3); codes that carry several messages need the words
    ("404.001.03", "", _Refusal.TOKEN_INVALID),
    ("400.003.01", "", _Refusal.TOKEN_INVALID),
    ("401.002.01", "", _Refusal.TOKEN_INVALID),
    ("401.003.01", "", _Refusal.MISCONFIGURED),
    ("404.001.01", "", _Refusal.MISCONFIGURED),
    ("404.002.01", "", _Refusal.MISCONFIGURED),
    ("404.003.01", "", _Refusal.MISCONFIGURED),
    ("404.001.04", "", _Refusal.MISCONFIGURED),
    ("405.001", "", _Refusal.MISCONFIGURED),
    ("400.002.02", "", _Refusal.REFUSED),
    ("400.002.05", "", _Refusal.REFUSED),
    ("500.001.1001", "merchant does not exist", _Refusal.REFUSED),
    ("500.001.1001", "wrong credentials", _Refusal.REFUSED),
    ("500.001.1001", "unable to lock subscriber", _Refusal.SUBSCRIBER_LOCKED),
    ("500.001.1001", "transaction is being processed", _Refusal.IN_PROCESS),
    ("500.003.02", "spike arrest", _Refusal.RATE_LIMITED),
    ("500.003.02", "system is busy", _Refusal.BUSY),
    ("500.003.03", "quota violation", _Refusal.BUSY),
)

_RETRY_MS: Final[Mapping[_Refusal, int]] = MappingProxyType(
    {
        _Refusal.TOKEN_INVALID: CREDENTIALS_RETRY_MS,
        _Refusal.MISCONFIGURED: CREDENTIALS_RETRY_MS,
        _Refusal.SUBSCRIBER_LOCKED: _ONE_MINUTE_MS,
        _Refusal.RATE_LIMITED: RATE_LIMIT_RETRY_MS,
        _Refusal.BUSY: _ONE_MINUTE_MS,
    }
)

_PUSH_OUTCOMES: Final[Mapping[_Refusal, PushOutcome]] = MappingProxyType(
    {
        _Refusal.TOKEN_INVALID: PushOutcome.NOT_SENT,
        _Refusal.MISCONFIGURED: PushOutcome.NOT_SENT,
        _Refusal.REFUSED: PushOutcome.FAILED,
        _Refusal.SUBSCRIBER_LOCKED: PushOutcome.NOT_SENT,
        _Refusal.RATE_LIMITED: PushOutcome.NOT_SENT,
        _Refusal.BUSY: PushOutcome.NOT_SENT,
    }
)
"""What is not in here is UNKNOWN, IN_PROCESS included: a prompt may be on the handset."""


@dataclass(frozen=True, slots=True)
class _Error:
    refusal: _Refusal
    code: str
    message: str


def callback_verdict(result_code: str) -> PaymentOutcome:
    """What a ResultCode says about the payer's money; the same table serves callback and query (daraja.md §2.3)."""
    if result_code == _PAID:
        return PaymentOutcome.PAID
    if result_code in _NOT_CHARGED:
        return PaymentOutcome.FAILED
    if result_code == _STILL_PROCESSING:
        return PaymentOutcome.PENDING
    return PaymentOutcome.UNKNOWN


def is_invalid_token(http_status: int, body: bytes) -> bool:
    """Whether the gateway turned the call away because of its bearer token, so that nothing behind it was reached."""
    payload = _payload(body)
    return payload is not None and _error(http_status, payload).refusal is _Refusal.TOKEN_INVALID


def push_verdict(http_status: int, body: bytes) -> PushAnswer:
    """What the answer to an STK push says about the prompt (daraja.md §1.3 to §1.5, §2.1). Never raises.

    An acceptance without a CheckoutRequestID is UNKNOWN: the prompt cannot be asked about, as if the answer were lost.
    """
    payload = _payload(body)
    if payload is None:
        return _push_without_json(http_status, body)
    if "ResponseCode" not in payload:
        error = _error(http_status, payload)
        return PushAnswer(
            outcome=_PUSH_OUTCOMES.get(error.refusal, PushOutcome.UNKNOWN),
            code=error.code,
            message=error.message,
            retry_after_ms=_RETRY_MS.get(error.refusal),
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
    payload = _payload(body)
    if payload is None:
        retry_after_ms = RATE_LIMIT_RETRY_MS if http_status == _TOO_MANY_REQUESTS else None
        return PaymentAnswer(
            outcome=PaymentOutcome.UNKNOWN,
            code="unreadable_answer",
            message=_unreadable_message(http_status, body),
            retry_after_ms=retry_after_ms,
        )
    if "ResultCode" not in payload:
        error = _error(http_status, payload)
        pending = error.refusal is _Refusal.IN_PROCESS
        return PaymentAnswer(
            outcome=PaymentOutcome.PENDING if pending else PaymentOutcome.UNKNOWN,
            code=error.code,
            message=error.message,
            retry_after_ms=_RETRY_MS.get(error.refusal),
        )
    message = shown_text(payload.get("ResultDesc"))
    if payload.get("CheckoutRequestID", checkout_request_id) != checkout_request_id:
        return PaymentAnswer(outcome=PaymentOutcome.UNKNOWN, code="other_checkout_request_id", message=message)
    code = code_text(payload["ResultCode"])
    answered = http_status == _OK and code_text(payload.get("ResponseCode")) == "0" and "errorCode" not in payload
    outcome = callback_verdict(code) if answered and code is not None else PaymentOutcome.UNKNOWN
    return PaymentAnswer(outcome=outcome, code=code, message=message)


def _payload(body: bytes) -> dict[str, object] | None:
    try:
        return read_object(body)
    except UnreadableJson:
        return None


def _push_without_json(http_status: int, body: bytes) -> PushAnswer:
    """An answer that is no JSON object: HTML of a firewall, nothing, garbage (daraja.md §1.4).

    Of these only HTTP 429 is listed as safe to send again (daraja.md §1.5): whoever limits a call does not pass it on.
    """
    limited = http_status == _TOO_MANY_REQUESTS
    return PushAnswer(
        outcome=PushOutcome.NOT_SENT if limited else PushOutcome.UNKNOWN,
        code="unreadable_answer",
        message=_unreadable_message(http_status, body),
        retry_after_ms=RATE_LIMIT_RETRY_MS if limited else None,
    )


def _unreadable_message(http_status: int, body: bytes) -> str:
    said = shown_text(body[:1_000].decode("utf-8", errors="replace"))
    return f"HTTP {http_status}: {said}" if said else f"HTTP {http_status} without a body"


def _error(http_status: int, payload: Mapping[str, object]) -> _Error:
    """Read Daraja's error envelope (daraja.md §1.3) or the gateway's fault envelope (§1.4)."""
    fault = payload.get("fault")
    if isinstance(fault, dict):
        return _fault(http_status, fault)
    code = code_text(payload.get("errorCode"))
    said = payload.get("errorMessage")
    message = shown_text(said)
    if http_status == _TOO_MANY_REQUESTS:
        return _Error(_Refusal.RATE_LIMITED, code or "429", message)
    if code is None:
        return _Error(_Refusal.UNLISTED, "unreadable_answer", message or f"HTTP {http_status} without an error code")
    refusal = _listed(http_status, code, said.casefold() if isinstance(said, str) else "")
    return _Error(refusal, CREDENTIALS_REFUSED if refusal is _Refusal.TOKEN_INVALID else code, message)


def _listed(http_status: int, code: str, said: str) -> _Refusal:
    # A code counts only under an HTTP status of its own class: "400.…" in a 200 or a 500 is nothing we know.
    if not code.startswith(str(http_status)[:1]):
        return _Refusal.UNLISTED
    return next(
        (refusal for listed, words, refusal in _REFUSALS if listed == code and words in said),
        _Refusal.UNLISTED,
    )


def _fault(http_status: int, fault: Mapping[str, object]) -> _Error:
    detail = fault.get("detail")
    code = code_text(detail.get("errorcode")) if isinstance(detail, dict) else None
    said = fault.get("faultstring")
    message = shown_text(said)
    if http_status == _TOO_MANY_REQUESTS or (code is not None and code.startswith("policies.ratelimit.")):
        return _Error(_Refusal.RATE_LIMITED, code or "429", message)
    if isinstance(said, str) and said.startswith("Unable to identify proxy for host"):
        return _Error(_Refusal.MISCONFIGURED, code or str(http_status), message)
    return _Error(_Refusal.UNLISTED, code or str(http_status), message)
