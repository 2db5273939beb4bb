"""Which answers to B2C, B2B, status, balance, reversal, C2B and pull calls mean accepted, refused, later or unknown.

Only listed codes mean that nothing was done (daraja.md §1.3); whatever is not listed here is UNKNOWN.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from penpay.domain.mpesa.gateway import CallAnswer, CallOutcome, PullAnswer
from penpay.domain.mpesa.pulled import read_pulled
from penpay.domain.mpesa.verdicts_errors import (
    RATE_LIMIT_RETRY_MS,
    RETRY_MS,
    TOO_MANY_REQUESTS,
    Api,
    ErrorAnswer,
    Refusal,
    read_error,
    read_payload,
    unreadable_message,
)
from penpay.domain.mpesa.wire import code_text, opaque_id, shown_text

PAGE_ROWS: Final = 100
"""A page of the pull API has at most this many rows (daraja.md §5.9)."""
_OK: Final = 200
_ACCEPTED_CODES: Final = frozenset({"0", "00000000"})
_PULL_DONE: Final = "1000"
_PULL_NOTHING_NEW: Final = "1001"
"""Registered before, in answer to a registration; no payments, in answer to a query."""

_MONEY: Final[Mapping[Refusal, CallOutcome]] = MappingProxyType(
    {
        Refusal.TOKEN_INVALID: CallOutcome.MISCONFIGURED,
        Refusal.MISCONFIGURED: CallOutcome.MISCONFIGURED,
        Refusal.NOT_AUTHORISED: CallOutcome.MISCONFIGURED,
        Refusal.REFUSED: CallOutcome.FAILED,
        Refusal.DUPLICATE_ID: CallOutcome.ACCEPTED,
        Refusal.RATE_LIMITED: CallOutcome.RETRY_LATER,
        Refusal.BUSY: CallOutcome.RETRY_LATER,
    }
)
"""Maintenance is not in here: §1.5 does not list it as safe to send again, so a payment may have been taken."""

_QUESTION: Final[Mapping[Refusal, CallOutcome]] = MappingProxyType(
    {
        **{refusal: outcome for refusal, outcome in _MONEY.items() if refusal is not Refusal.DUPLICATE_ID},
        Refusal.BAD_REQUEST: CallOutcome.FAILED,
        Refusal.MAINTENANCE: CallOutcome.RETRY_LATER,
        Refusal.ALREADY_REGISTERED: CallOutcome.FAILED,
    }
)

_TOLD_BEFORE: Final = frozenset({Refusal.DUPLICATE_ID, Refusal.ALREADY_REGISTERED})


def payment_verdict(http_status: int, body: bytes, *, sent_id: str | None) -> CallAnswer:
    """What the answer to a B2C, B2B or reversal call says about this sending of it (daraja.md §4, §5). Never raises.

    `sent_id` is our OriginatorConversationID, None where the call has none. An answer that names another one is
    UNKNOWN. "Duplicate OriginatorConversationID." is ACCEPTED with `existed`: received before, outcome pending (§4.3).
    """
    answer = _verdict(http_status, body, Api.DISBURSEMENT, _MONEY if sent_id is not None else _WITHOUT_ID)
    named = answer.originator_conversation_id
    if sent_id is not None and named not in {None, sent_id}:
        return CallAnswer(outcome=CallOutcome.UNKNOWN, code="other_conversation_id", message=answer.message)
    return answer


_WITHOUT_ID: Final[Mapping[Refusal, CallOutcome]] = MappingProxyType(
    {refusal: outcome for refusal, outcome in _MONEY.items() if refusal is not Refusal.DUPLICATE_ID}
)
"""Where we sent no id, nothing can be a repeat of ours."""


def question_verdict(http_status: int, body: bytes) -> CallAnswer:
    """What the answer to a status or balance query says (daraja.md §5.1, §5.2). Never raises."""
    return _verdict(http_status, body, Api.DISBURSEMENT, _QUESTION)


def c2b_verdict(http_status: int, body: bytes) -> CallAnswer:
    """What the answer to a registration of URLs, or to a simulated payment, says (daraja.md §3.1, §3.2). Never raises.

    "already registered" comes as an error or, historically, as an acceptance; both times the old URLs stay.
    """
    answer = _verdict(http_status, body, Api.C2B, _QUESTION)
    if answer.outcome is CallOutcome.ACCEPTED and "already registered" in answer.message.casefold():
        return CallAnswer(outcome=CallOutcome.FAILED, existed=True, code=answer.code, message=answer.message)
    return answer


def pull_registration_verdict(http_status: int, body: bytes) -> CallAnswer:
    """What the answer to a registration for pulling says (daraja.md §5.9). Never raises."""
    payload = read_payload(body)
    if payload is None:
        return _without_json(http_status, body)
    status = payload.get("ResponseStatus", payload.get("Response Status"))
    code = code_text(status)
    if http_status == _OK and code in {_PULL_DONE, _PULL_NOTHING_NEW} and "errorCode" not in payload:
        return CallAnswer(
            outcome=CallOutcome.ACCEPTED,
            existed=code == _PULL_NOTHING_NEW,
            code=code,
            message=shown_text(payload.get("ResponseDescription")),
        )
    return _refused(read_error(http_status, payload, Api.PULL), _QUESTION)


def pull_verdict(http_status: int, body: bytes, *, offset: int) -> PullAnswer:
    """The page of payments in an answer to a pull query (daraja.md §5.9). Never raises, and drops no row unseen."""
    payload = read_payload(body)
    if payload is None:
        return without_page(_without_json(http_status, body))
    code = code_text(payload.get("ResponseCode"))
    message = shown_text(payload.get("ResponseMessage"))
    if http_status != _OK or code not in {_PULL_DONE, _PULL_NOTHING_NEW} or "errorCode" in payload:
        if code is not None and "errorCode" not in payload and "fault" not in payload:
            return PullAnswer(outcome=CallOutcome.UNKNOWN, code=code, message=message)
        return without_page(_refused(read_error(http_status, payload, Api.PULL), _QUESTION))
    rows = _rows(payload.get("Response"))
    if rows is None or (code == _PULL_DONE and "Response" not in payload):
        return PullAnswer(outcome=CallOutcome.UNKNOWN, code="unreadable_answer", message=message)
    read = [(row, read_pulled(row)) for row in rows]
    return PullAnswer(
        outcome=CallOutcome.ACCEPTED,
        transactions=tuple(found for _, found in read if found is not None),
        unreadable=tuple(json.dumps(row, default=str) for row, found in read if found is None),
        next_offset=offset + len(rows) if len(rows) >= PAGE_ROWS else None,
        code=code,
        message=message,
    )


def _rows(response: object) -> list[object] | None:
    """The rows of a list that is nested once more than it need be, `[[…]]`, or not; None if it is no list."""
    if response is None:
        return []
    if not isinstance(response, list):
        return None
    return [row for part in response for row in (part if isinstance(part, list) else [part])]


def without_page(answer: CallAnswer) -> PullAnswer:
    """The same ending, for a call that should have brought a page of payments."""
    return PullAnswer(
        outcome=answer.outcome, code=answer.code, message=answer.message, retry_after_ms=answer.retry_after_ms
    )


def _verdict(http_status: int, body: bytes, api: Api, table: Mapping[Refusal, CallOutcome]) -> CallAnswer:
    payload = read_payload(body)
    if payload is None:
        return _without_json(http_status, body)
    accepted = _is_accepted(http_status, payload, api)
    if not accepted and "ResponseCode" not in payload:
        return _refused(read_error(http_status, payload, api), table)
    return CallAnswer(
        outcome=CallOutcome.ACCEPTED if accepted else CallOutcome.UNKNOWN,
        # Both spellings are Daraja's (daraja.md §3.1).
        originator_conversation_id=opaque_id(payload.get("OriginatorConversationID"))
        or opaque_id(payload.get("OriginatorCoversationID")),
        conversation_id=opaque_id(payload.get("ConversationID")),
        code=code_text(payload.get("ResponseCode")),
        message=shown_text(payload.get("ResponseDescription")),
    )


def _is_accepted(http_status: int, payload: Mapping[str, object], api: Api) -> bool:
    if http_status != _OK or "errorCode" in payload or "fault" in payload:
        return False
    if "ResponseCode" in payload:
        code = code_text(payload["ResponseCode"])
        return code == "0" or (api is Api.C2B and code in _ACCEPTED_CODES)
    said = payload.get("ResponseDescription")
    # A registration is sometimes accepted without a code (daraja.md §3.1).
    return api is Api.C2B and isinstance(said, str) and said.strip().casefold() == "success"


def _refused(error: ErrorAnswer, table: Mapping[Refusal, CallOutcome]) -> CallAnswer:
    outcome = table.get(error.refusal, CallOutcome.UNKNOWN)
    waits = outcome in {CallOutcome.RETRY_LATER, CallOutcome.MISCONFIGURED}
    return CallAnswer(
        outcome=outcome,
        existed=error.refusal in _TOLD_BEFORE and outcome is not CallOutcome.UNKNOWN,
        code=error.code,
        message=error.message,
        retry_after_ms=RETRY_MS[error.refusal] if waits else None,
    )


def _without_json(http_status: int, body: bytes) -> CallAnswer:
    """An answer that is no JSON object: HTML of a firewall, SOAP, nothing (daraja.md §1.4).

    Of these only HTTP 429 is listed as safe to send again (daraja.md §1.5): whoever limits a call does not pass it on.
    """
    limited = http_status == TOO_MANY_REQUESTS
    return CallAnswer(
        outcome=CallOutcome.RETRY_LATER if limited else CallOutcome.UNKNOWN,
        code="unreadable_answer",
        message=unreadable_message(http_status, body),
        retry_after_ms=RATE_LIMIT_RETRY_MS if limited else None,
    )
