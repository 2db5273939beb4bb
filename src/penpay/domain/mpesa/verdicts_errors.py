"""What Daraja's error answers say happened to a call: one table of its codes, with the words that tell them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from penpay.domain.mpesa.wire import UnreadableJson, code_text, read_object, shown_text

CREDENTIALS_REFUSED: Final = "daraja_credentials"
"""Our word for an app credential or bearer token that Daraja does not take; people must cure it."""
CREDENTIALS_RETRY_MS: Final = 60_000
RATE_LIMIT_RETRY_MS: Final = 12_000
"""Daraja's sandbox allows five STK queries a minute, one at a time (daraja.md §0.1 fact 6, §1.5)."""
TOO_MANY_REQUESTS: Final = 429
_ONE_MINUTE_MS: Final = 60_000


class Api(Enum):
    """Which of Daraja's families a call belongs to: some codes are listed for one of them only."""

    STK = auto()
    DISBURSEMENT = auto()
    """B2C, B2B, transaction status, account balance and reversal."""
    C2B = auto()
    PULL = auto()


class Refusal(Enum):
    """What an error answer says happened to the call."""

    TOKEN_INVALID = auto()
    MISCONFIGURED = auto()
    NOT_AUTHORISED = auto()
    REFUSED = auto()
    BAD_REQUEST = auto()
    """A 400 that names no field; listed for calls that move no money."""
    SUBSCRIBER_LOCKED = auto()
    IN_PROCESS = auto()
    DUPLICATE_ID = auto()
    ALREADY_REGISTERED = auto()
    RATE_LIMITED = auto()
    BUSY = auto()
    MAINTENANCE = auto()
    UNLISTED = auto()


_Row = tuple[str, str, Refusal]

_EVERYWHERE: Final[tuple[_Row, ...]] = (
    # errorCode, words its message must hold, meaning (daraja.md §1.3); codes that carry several messages need the words
    ("404.001.03", "", Refusal.TOKEN_INVALID),
    ("400.003.01", "", Refusal.TOKEN_INVALID),
    ("401.002.01", "", Refusal.TOKEN_INVALID),
    ("401.003.01", "", Refusal.MISCONFIGURED),
    ("404.001.01", "", Refusal.MISCONFIGURED),
    ("404.002.01", "", Refusal.MISCONFIGURED),
    ("404.003.01", "", Refusal.MISCONFIGURED),
    ("404.001.04", "", Refusal.MISCONFIGURED),
    ("405.001", "", Refusal.MISCONFIGURED),
    ("400.002.02", "", Refusal.REFUSED),
    ("400.002.05", "", Refusal.REFUSED),
    ("500.003.02", "spike arrest", Refusal.RATE_LIMITED),
    ("500.003.02", "system is busy", Refusal.BUSY),
    ("500.003.03", "quota violation", Refusal.BUSY),
)

_ONLY_IN: Final[Mapping[Api, tuple[_Row, ...]]] = MappingProxyType(
    {
        Api.STK: (
            ("500.001.1001", "merchant does not exist", Refusal.REFUSED),
            ("500.001.1001", "wrong credentials", Refusal.REFUSED),
            ("500.001.1001", "unable to lock subscriber", Refusal.SUBSCRIBER_LOCKED),
            ("500.001.1001", "transaction is being processed", Refusal.IN_PROCESS),
        ),
        Api.DISBURSEMENT: (
            ("403.002.1001", "not authorized", Refusal.NOT_AUTHORISED),
            ("500.002.1001", "duplicate originatorconversationid", Refusal.DUPLICATE_ID),
            ("500.002.1001", "under maintenance", Refusal.MAINTENANCE),
            ("400.003.02", "", Refusal.BAD_REQUEST),
        ),
        Api.C2B: (
            ("500.003.1001", "urls are already registered", Refusal.ALREADY_REGISTERED),
            ("400.003.02", "", Refusal.BAD_REQUEST),
        ),
        Api.PULL: (
            ("400.001", "", Refusal.MISCONFIGURED),
            ("401.001", "", Refusal.TOKEN_INVALID),
            ("500", "failed to retrieve transactions", Refusal.BUSY),
        ),
    }
)

RETRY_MS: Final[Mapping[Refusal, int]] = MappingProxyType(
    {
        Refusal.TOKEN_INVALID: CREDENTIALS_RETRY_MS,
        Refusal.MISCONFIGURED: CREDENTIALS_RETRY_MS,
        Refusal.NOT_AUTHORISED: CREDENTIALS_RETRY_MS,
        Refusal.SUBSCRIBER_LOCKED: _ONE_MINUTE_MS,
        Refusal.RATE_LIMITED: RATE_LIMIT_RETRY_MS,
        Refusal.BUSY: _ONE_MINUTE_MS,
        Refusal.MAINTENANCE: _ONE_MINUTE_MS,
    }
)
"""How long to wait at least before another try, where another try makes sense (daraja.md §1.5)."""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    refusal: Refusal
    code: str
    message: str
    """For people; see `wire.shown_text`."""


def is_invalid_token(http_status: int, body: bytes, api: Api = Api.STK) -> bool:
    """Whether the gateway turned the call away because of its bearer token, so that nothing behind it was reached."""
    payload = read_payload(body)
    return payload is not None and read_error(http_status, payload, api).refusal is Refusal.TOKEN_INVALID


def read_payload(body: bytes) -> dict[str, object] | None:
    """The answer's JSON object; None for HTML, SOAP, nothing at all, and whatever else is none (daraja.md §1.4)."""
    try:
        return read_object(body)
    except UnreadableJson:
        return None


def unreadable_message(http_status: int, body: bytes) -> str:
    """The status and the beginning of an answer that is no JSON object, for people."""
    said = shown_text(body[:1_000].decode("utf-8", errors="replace"))
    return f"HTTP {http_status}: {said}" if said else f"HTTP {http_status} without a body"


def read_error(http_status: int, payload: Mapping[str, object], api: Api) -> ErrorAnswer:
    """Read Daraja's error envelope (daraja.md §1.3) or the gateway's fault envelope (§1.4)."""
    fault = payload.get("fault")
    if isinstance(fault, dict):
        return _fault(http_status, fault)
    code = code_text(payload.get("errorCode"))
    said = payload.get("errorMessage")
    message = shown_text(said)
    if http_status == TOO_MANY_REQUESTS:
        return ErrorAnswer(Refusal.RATE_LIMITED, code or "429", message)
    if code is None:
        said_nothing = f"HTTP {http_status} without an error code"
        return ErrorAnswer(Refusal.UNLISTED, "unreadable_answer", message or said_nothing)
    refusal = _listed(http_status, code, said.casefold() if isinstance(said, str) else "", api)
    return ErrorAnswer(refusal, CREDENTIALS_REFUSED if refusal is Refusal.TOKEN_INVALID else code, message)


def _listed(http_status: int, code: str, said: str, api: Api) -> Refusal:
    # A code counts only under an HTTP status of its own class: "400.…" in a 200 or a 500 is nothing we know.
    if not code.startswith(str(http_status)[:1]):
        return Refusal.UNLISTED
    return next(
        (refusal for listed, words, refusal in (*_EVERYWHERE, *_ONLY_IN[api]) if listed == code and words in said),
        Refusal.UNLISTED,
    )


def _fault(http_status: int, fault: Mapping[str, object]) -> ErrorAnswer:
    detail = fault.get("detail")
    code = code_text(detail.get("errorcode")) if isinstance(detail, dict) else None
    said = fault.get("faultstring")
    message = shown_text(said)
    if http_status == TOO_MANY_REQUESTS or (code is not None and code.startswith("policies.ratelimit.")):
        return ErrorAnswer(Refusal.RATE_LIMITED, code or "429", message)
    if isinstance(said, str) and said.startswith("Unable to identify proxy for host"):
        return ErrorAnswer(Refusal.MISCONFIGURED, code or str(http_status), message)
    return ErrorAnswer(Refusal.UNLISTED, code or str(http_status), message)
