"""Reading one's own balances, now or as of a moment."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Currency
from penpay.domain.wallet.account import wallet_code
from penpay.presentation.http.auth import Caller
from penpay.presentation.http.routes.shapes import BalancesBody, answers
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api/v1", tags=["wallet"])

_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)


@router.get("/balances", responses=answers(200, BalancesBody))
async def balances(
    request: Request,
    caller: Caller,
    as_of: Annotated[
        str | None,
        Query(
            description="RFC 3339; counts all that was recorded until then.", json_schema_extra={"format": "date-time"}
        ),
    ] = None,
) -> Response:
    """What the user's wallets hold, one a currency; a wallet that was never used holds nothing."""
    at = None if as_of is None else _moment(as_of)
    held = {found.code: found.balance.cents for found in await system_of(request).ledger_books.balances(caller, at)}
    view = {
        "balances": [
            {"currency": currency.value, "balance_cents": held.get(wallet_code(caller, currency), 0)}
            for currency in Currency
        ]
    }
    return Response(orjson.dumps(view), media_type="application/json")


def _moment(text: str) -> datetime:
    try:
        if _RFC3339.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # the 30th of February; a moment before the year 1 in UTC
        pass
    reason = "must be a moment such as 2026-01-31T09:30:00Z, with + written as %2B"
    raise InvalidRequest(f"as_of {reason}.", fields=["as_of"], reasons={"as_of": reason})
