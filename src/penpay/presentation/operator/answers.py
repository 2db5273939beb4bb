"""Answers of the operator: the original interface's envelope for what was done, and its error object for refusals.

An error names fields and reasons, never the values that were sent, and never what went wrong inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from penpay.application.shared.unit_of_work import Transient
from penpay.domain.mobile_money.approval import ApprovalState
from penpay.domain.mobile_money.customer import EAST_AFRICA
from penpay.domain.shared.errors import DomainError, NotFound, Overloaded
from penpay.domain.shared.money import Money
from penpay.presentation.http.errors import (
    INTERNAL_ERROR,
    METHOD_NOT_ALLOWED,
    RETRY_AFTER_SECONDS,
    STATUS,
    invalid,
)
from penpay.presentation.http.guarding import hung_up

_BY_STATUS: Final[Mapping[int, str]] = MappingProxyType({401: "unauthorized", 403: "forbidden"})
_SERVER_ERROR: Final = 500
_JSON: Final = "application/json"


def done(message: str, data: Mapping[str, object] | Sequence[object] | None = None) -> Response:
    """What was done, and what came of it."""
    body: dict[str, object] = {"status": "success", "message": message}
    if data is not None:
        body["data"] = data
    return plain(body)


def plain(body: Mapping[str, object]) -> Response:
    """An answer without the envelope."""
    return Response(orjson.dumps(body), media_type=_JSON)


def done_or_asked(message: str, answer: Mapping[str, object], data: Mapping[str, object] | None = None) -> Response:
    """What was done; or, where a second person must agree first, that she has been asked and under which id."""
    return asked(answer) if is_pending(answer) else done(message, data)


def is_pending(answer: Mapping[str, object]) -> bool:
    """Whether nothing was done yet, because a second person must agree first."""
    return answer.get("approvalState") == ApprovalState.PENDING.value


def asked(answer: Mapping[str, object]) -> Response:
    """A second person has been asked, under the id in the answer."""
    return done("Approval has been requested.", answer)


def shillings(amount: Money) -> int:
    """Whole shillings, rounded down; the cents stand beside them."""
    return amount.cents // 100


def moment(at: datetime) -> str:
    """RFC 3339 in East Africa Time."""
    return at.astimezone(EAST_AFRICA).isoformat(timespec="milliseconds")


def refusal(_: Request, error: DomainError) -> Response:
    """The answer to a refused request, with the headers its status calls for."""
    headers = {}
    if STATUS[error.code] == 401:  # noqa: PLR2004  (the HTTP status)
        headers["WWW-Authenticate"] = "Bearer"
    if error.code == "request_too_large":
        headers["Connection"] = "close"  # what was not read of the body must not be taken for the next request
    if error.code in RETRY_AFTER_SECONDS:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS[error.code])
    return _error(STATUS[error.code], error.code, error.message, details=error.details, headers=headers)


def _error(
    status: int,
    code: str,
    message: str,
    *,
    details: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    told = "internal error" if status >= _SERVER_ERROR else _BY_STATUS.get(status, "could not process request")
    body = {**(details or {}), "error": told, "message": message, "status": status, "code": code}
    return Response(orjson.dumps(body), status_code=status, media_type=_JSON, headers=headers)


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, DomainError):
        raise error
    return refusal(request, error)


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return refusal(request, invalid(error.errors()))


async def _no_route(request: Request, error: Exception) -> Response:
    """What the router itself raises: there is no such path (404), or not with this method (405)."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 405:  # noqa: PLR2004  (the HTTP status)
        return _error(405, METHOD_NOT_ALLOWED, "This path does not take that method.", headers=error.headers)
    if error.status_code == 404:  # noqa: PLR2004  (the HTTP status)
        return refusal(request, NotFound())
    return await _failed(request, error)


async def _failed(_: Request, __: Exception) -> Response:
    """A fault of ours. The server logs it and ends the connection; the caller learns nothing of it."""
    return _error(500, INTERNAL_ERROR, "The request was not completed.", headers={"Connection": "close"})


async def _unavailable(request: Request, _: Exception) -> Response:
    """The database did not answer to a reading."""
    return refusal(request, Overloaded("The database is not available now; nothing was done."))


HANDLERS: Final[Mapping[int | type[Exception], Any]] = MappingProxyType(
    {
        DomainError: _refused,
        RequestValidationError: _invalid,
        Transient: _unavailable,
        HTTPException: _no_route,
        ClientDisconnect: hung_up,
        Exception: _failed,
    }
)
"""For `FastAPI(exception_handlers=…)`."""
