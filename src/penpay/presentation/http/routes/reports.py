"""Reports for whoever keeps the books."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.wallet.balance_sheet import balance_sheet
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Currency
from penpay.domain.shared.nairobi import nairobi_day
from penpay.presentation.documents.balance_sheet import balance_sheet_csv
from penpay.presentation.http.routes import report_views as views
from penpay.presentation.http.routes.accepting import CSV, accepts_csv
from penpay.presentation.http.routes.days import day_query, optional_day
from penpay.presentation.http.routes.report_shapes import (
    AgingReportBody,
    BalanceReportBody,
    BalanceSheetReportBody,
    DailyReportBody,
    LedgerReportBody,
    ProfitAndLossReportBody,
    TrialBalanceReportBody,
    VerifyReportBody,
)
from penpay.presentation.http.routes.shapes import PROBLEMS
from penpay.presentation.http.staff_auth import Accountant
from penpay.presentation.http.system import HttpSystem, system_of

router = APIRouter(prefix="/api/reports", tags=["reports"])


class ReportType(StrEnum):
    """The reports there are."""

    LEDGER = "ledger"
    BALANCE = "balance"
    VERIFY = "verify"
    TRIAL_BALANCE = "trial-balance"
    AGING = "aging"
    DAILY = "daily"
    PNL = "pnl"
    BALANCE_SHEET = "balance-sheet"


_PAGE: Final = 100
_TAKES: Final[Mapping[ReportType, frozenset[str]]] = MappingProxyType(
    {
        ReportType.LEDGER: frozenset({"accountCode", "limit", "before"}),
        ReportType.BALANCE: frozenset({"accountCode"}),
        ReportType.VERIFY: frozenset(),
        ReportType.TRIAL_BALANCE: frozenset({"asOf"}),
        ReportType.AGING: frozenset({"limit", "after"}),
        ReportType.DAILY: frozenset({"from", "to"}),
        ReportType.PNL: frozenset({"from", "to"}),
        ReportType.BALANCE_SHEET: frozenset({"asOf", "from"}),
    }
)
"""What each takes beside its type."""
_SHAPES: Final[Any] = (
    LedgerReportBody
    | BalanceReportBody
    | VerifyReportBody
    | TrialBalanceReportBody
    | AgingReportBody
    | DailyReportBody
    | ProfitAndLossReportBody
    | BalanceSheetReportBody
)


@router.get("", responses={200: {"model": _SHAPES, "content": {CSV: {}}}, **PROBLEMS})
async def report(
    *,
    request: Request,
    staff: Accountant,  # noqa: ARG001  (its being there is what is asked for)
    type_: Annotated[ReportType, Query(alias="type")],
    account_code: Annotated[str | None, Query(alias="accountCode", max_length=80)] = None,
    limit: Annotated[int | None, Query(ge=1, le=1_000, description="100 where it is not given.")] = None,
    before: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
    after: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
    as_of: Annotated[str | None, day_query("asOf", "As this day left the books.")] = None,
    first: Annotated[str | None, day_query("from", "The first of the month of `to` if not given.")] = None,
    last: Annotated[str | None, day_query("to", "Counts too; today if not given.")] = None,
) -> Response:
    """One report: `ledger`, `balance`, `verify`, `trial-balance`, `balance-sheet`, `aging`, `daily` or `pnl`.

    A parameter that the report does not take is refused. The balance sheet also comes as `Accept: text/csv`.
    """
    strange = sorted(set(request.query_params) - _TAKES[type_] - {"type"})
    if strange:
        reason = f"is not a parameter of {type_.value}"
        raise InvalidRequest("The report does not take that.", fields=strange, reasons=dict.fromkeys(strange, reason))
    system = system_of(request)
    if type_ is ReportType.BALANCE_SHEET:
        accept = request.headers.get("accept", "")
        return await _balance_sheet(system, accept, optional_day("asOf", as_of), optional_day("from", first))
    view = await _view(
        system,
        type_,
        account_code=account_code,
        limit=limit or _PAGE,
        place=before or after,
        as_of=optional_day("asOf", as_of),
        first=optional_day("from", first),
        last=optional_day("to", last),
    )
    return Response(orjson.dumps(view), media_type="application/json")


async def _balance_sheet(system: HttpSystem, accept: str, as_of: date | None, first: date | None) -> Response:
    """As JSON, or for a spreadsheet."""
    sheet = await balance_sheet(system.reports.ledger, as_of or nairobi_day(system.clock.now()), first)
    if accepts_csv(accept):
        named = {"Content-Disposition": f'attachment; filename="balance-sheet-{sheet.as_of}.csv"'}
        return Response(balance_sheet_csv(sheet).encode(), media_type=CSV, headers=named)
    return Response(orjson.dumps(views.balance_sheet_view(sheet)), media_type="application/json")


async def _view(
    system: HttpSystem,
    type_: ReportType,
    *,
    account_code: str | None,
    limit: int,
    place: str | None,
    as_of: date | None,
    first: date | None,
    last: date | None,
) -> dict[str, object]:
    ledger, collections = system.reports.ledger, system.reports.collections
    if type_ is ReportType.LEDGER:
        view = views.ledger_view(await ledger.entries(account_code, limit, place))
    elif type_ is ReportType.BALANCE:
        view = views.balances_view(await ledger.balances(account_code))
    elif type_ is ReportType.VERIFY:
        view = views.verify_view(await collections.verify())
    elif type_ is ReportType.TRIAL_BALANCE:
        view = views.trial_balance_view(await ledger.trial_balance(as_of), as_of)
    elif type_ is ReportType.AGING:
        view = views.ageing_page_view(await collections.ageing(limit, place))
    else:
        until = last or nairobi_day(system.clock.now())
        since = first or until.replace(day=1)
        if type_ is ReportType.DAILY:
            view = views.daily_view(await collections.daily(since, until))
        else:
            view = views.profit_and_loss_view(await ledger.profit_and_loss(Currency.KES, since, until))
    return view
