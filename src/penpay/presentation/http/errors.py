"""Problem details (RFC 9457): the one table of HTTP statuses, and how every failure is put into words.

A problem names fields and reasons, never the values that were sent, and never what went wrong inside.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.shared.unit_of_work import Transient
from penpay.domain.shared.errors import DomainError, InvalidRequest, NotFound, Overloaded

STATUS: Final[Mapping[str, int]] = MappingProxyType(
    {
        # What was sent cannot be read, or not here.
        "invalid_request": 400,
        "request_too_large": 413,
        "unsupported_media_type": 415,
        # It can be read, and says something that can never be done.
        "invalid_amount": 422,
        "amount_out_of_range": 422,
        "unknown_currency": 422,
        "currency_mismatch": 422,
        "invalid_phone_number": 422,
        "invalid_email": 422,
        "invalid_deriv_login_id": 422,
        "invalid_idempotency_key": 422,
        "invalid_verification_code": 422,
        "invalid_pin": 422,
        "invalid_password": 422,
        "weak_password": 422,
        "invalid_short_code": 422,
        "statement_too_long": 422,
        "below_minimum": 422,
        "bill_reference_required": 422,
        "bill_reference_refused": 422,
        "same_account": 422,
        "unbalanced_journal": 422,
        "invalid_number": 422,
        "invalid_line": 422,
        "invalid_receipt": 422,
        "unknown_reference": 422,
        "credit_note_too_large": 422,
        "tender_too_large": 422,
        # Who asks.
        "unauthorized": 401,
        "wrong_credentials": 401,
        "pin_required": 401,
        "wrong_pin": 401,
        "wrong_code": 401,
        "login_locked": 403,
        "pin_locked": 403,
        "forbidden": 403,
        "customer_not_active": 403,
        "no_wallet": 403,
        "not_an_agent": 403,
        "not_a_super_agent": 403,
        "super_agent_not_allowed": 403,
        "deposit_not_allowed": 403,
        "operation_not_offered": 403,
        "own_approval": 403,
        "cross_site": 403,
        "own_proposal": 403,
        "not_your_shift": 403,
        "deriv_account_not_yours": 403,
        # What is not there.
        "not_found": 404,
        "account_not_found": 404,
        "journal_not_found": 404,
        "customer_not_found": 404,
        "transaction_not_found": 404,
        "charge_not_found": 404,
        "approval_not_found": 404,
        "staff_not_found": 404,
        "merchant_not_found": 404,
        "push_not_found": 404,
        "callback_refused": 404,
        "invoice_not_found": 404,
        "payment_not_found": 404,
        "allocation_not_found": 404,
        "sale_not_found": 404,
        "shift_not_found": 404,
        "lock_not_found": 404,
        "refund_not_found": 404,
        # What stands against it as things are now.
        "limit_exceeded": 409,
        "idempotency_conflict": 409,
        "in_progress": 409,
        "overdrawn": 409,
        "duplicate_journal": 409,
        "rate_not_approvable": 409,
        "illegal_move": 409,
        "deriv_token_missing": 409,
        "decision_not_possible": 409,
        "lost_licence": 409,
        "subscriber_busy": 409,
        "customer_exists": 409,
        "short_code_taken": 409,
        "insufficient_funds": 409,
        "illegal_status": 409,
        "balance_left": 409,
        "nothing_to_reverse": 409,
        "approval_decided": 409,
        "tariff_exists": 409,
        "bank_deposit_exists": 409,
        "sweep_too_large": 409,
        "commission_not_covered": 409,
        "user_exists": 409,
        "staff_exists": 409,
        "last_owner": 409,
        "deriv_account_taken": 409,
        "checkout_id_taken": 409,
        "push_ended": 409,
        "conversation_id_taken": 409,
        "request_ended": 409,
        "request_not_found": 404,
        "urls_registered": 409,
        "push_pending": 409,
        "credit_too_small": 409,
        "invoice_exists": 409,
        "recurring_not_found": 404,
        "recurring_over": 409,
        "outflow_differs": 409,
        "outflow_not_found": 404,
        "outflow_settled": 409,
        "invoice_void": 409,
        "invoice_paid": 409,
        "payment_reversed": 409,
        "payment_unverified": 409,
        "suspense_too_small": 409,
        "allocation_over": 409,
        "receipt_taken": 409,
        "sale_not_pending": 409,
        "period_locked": 409,
        "lock_decided": 409,
        "shift_open": 409,
        "shift_not_open": 409,
        "cash_too_small": 409,
        "refund_decided": 409,
        "charge_differs": 409,
        # Ours to put right; the same request may be sent again.
        "fx_unavailable": 503,
        "withdrawals_unavailable": 503,
        "overloaded": 503,
        "commit_unresolved": 503,
    }
)
"""The HTTP status of every refusal; a test holds it against the error catalogue."""

RETRY_AFTER_SECONDS: Final[Mapping[str, int]] = MappingProxyType(
    {"overloaded": 1, "commit_unresolved": 1, "in_progress": 1, "fx_unavailable": 60}
)

MEDIA_TYPE: Final = "application/problem+json"
METHOD_NOT_ALLOWED: Final = "method_not_allowed"
INTERNAL_ERROR: Final = "internal_error"

_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "missing": "is required",
        "extra_forbidden": "is not a field of this request",
        "int_type": "must be an integer",
        "int_parsing": "must be an integer",
        "greater_than_equal": "is too small",
        "less_than_equal": "is too large",
        "string_type": "must be text",
        "string_too_long": "is too long",
        "uuid_parsing": "must be a UUID",
        "model_attributes_type": "must be a JSON object",
    }
)
"""Our words for what Pydantic found; its own messages may quote what was sent."""
_NAME_LETTERS: Final = 64
_SECRET_BELOW: Final = ("/api/v1/callbacks/", "/api/webhooks/c2b/")
"""What follows in such a path is a secret, and problems end up in other people's logs."""


Refuse = Callable[[Request, DomainError], Response]
"""Puts a refusal into the words of one interface."""


def problem(
    request: Request,
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    details: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem response; `details` become members of their own and cannot replace the standard ones."""
    path = request.url.path
    body = {
        **(details or {}),
        "type": f"urn:penpay:error:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": next((shown for shown in _SECRET_BELOW if path.startswith(shown)), path),
        "code": code,
    }
    return Response(json.dumps(body), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def refusal(request: Request, error: DomainError) -> Response:
    """The problem response of a refusal, with the headers its status calls for."""
    headers = {}
    if error.code == "unauthorized":
        headers["WWW-Authenticate"] = "Bearer"
    if error.code == "request_too_large":
        headers["Connection"] = "close"  # what was not read of the body must not be taken for the next request
    if error.code in RETRY_AFTER_SECONDS:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS[error.code])
    return problem(
        request,
        status=STATUS[error.code],
        code=error.code,
        title=error.title,
        detail=error.message,
        details=error.details,
        headers=headers,
    )


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, DomainError):
        raise error
    return refusal(request, error)


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return refusal(request, invalid(error.errors()))


def invalid(errors: Sequence[Any]) -> InvalidRequest:
    """What Pydantic found, as a refusal that names each offending field and why, and no value."""
    reasons: dict[str, str] = {}
    for error in errors:
        where = [str(part) for part in error["loc"][1:]] or [str(error["loc"][0])]
        name = ".".join(where)[:_NAME_LETTERS]
        reasons.setdefault(name, _REASONS.get(error["type"], "is not valid"))
    detail = "; ".join(f"{name} {reason}" for name, reason in reasons.items())
    return InvalidRequest(f"{detail}.", fields=sorted(reasons), reasons=reasons)


async def _no_route(request: Request, error: Exception) -> Response:
    """What the router itself raises: there is no such path (404), or not with this method (405)."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 405:  # noqa: PLR2004  (the HTTP status)
        return problem(
            request,
            status=405,
            code=METHOD_NOT_ALLOWED,
            title="This path does not take that method.",
            detail=f"{request.method} is not possible here.",
            headers=error.headers,
        )
    if error.status_code == 404:  # noqa: PLR2004  (the HTTP status)
        return refusal(request, NotFound())
    return await _failed(request, error)


async def _failed(request: Request, _: Exception) -> Response:
    """A fault of ours. The server logs it and ends the connection; the caller learns nothing of it."""
    return problem(
        request,
        status=500,
        code=INTERNAL_ERROR,
        title="Something failed on our side.",
        detail="The request was not completed. It may be sent again with the same idempotency key.",
        headers={"Connection": "close"},
    )


async def _unavailable(request: Request, _: Exception) -> Response:
    """The database did not answer to a reading."""
    return refusal(request, Overloaded("The database is not available now; nothing was done."))


HANDLERS: Final[Mapping[int | type[Exception], Any]] = MappingProxyType(
    {
        DomainError: _refused,
        RequestValidationError: _invalid,
        Transient: _unavailable,
        HTTPException: _no_route,
        Exception: _failed,
    }
)
"""For `FastAPI(exception_handlers=…)`."""
