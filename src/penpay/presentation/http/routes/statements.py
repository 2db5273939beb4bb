"""What a customer owes, and how it came to that: as JSON, for a spreadsheet, and to be sent to her."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.collections.statements import MOST_LINES, MOST_LINES_PRINTED, Statement, whole
from penpay.domain.shared.nairobi import nairobi_day
from penpay.presentation.documents.statement_pdf import statement_pdf
from penpay.presentation.documents.statements import statement_csv
from penpay.presentation.http.routes.accepting import CSV, PDF, accepted
from penpay.presentation.http.routes.days import day_query, optional_day
from penpay.presentation.http.routes.report_shapes import CustomerBalanceBody, StatementBody
from penpay.presentation.http.routes.report_views import customer_balance_view, statement_view
from penpay.presentation.http.routes.shapes import PROBLEMS, answers
from penpay.presentation.http.staff_auth import Accountant, Staff
from penpay.presentation.http.system import HttpSystem, system_of

router = APIRouter(prefix="/api/customers", tags=["statements"])

_USUAL_DAYS: Final = timedelta(days=89)
"""Before the last day, where no first one is given."""
_PAGE: Final = 200
_DOWNLOADS: Final[Mapping[int | str, dict[str, Any]]] = MappingProxyType(
    {200: {"model": StatementBody, "content": {CSV: {}, PDF: {}}}, **PROBLEMS}
)

First = Annotated[str | None, day_query("from", "Ninety days up to `to` if not given.")]
Last = Annotated[str | None, day_query("to", "Counts too; today if not given.")]


class _Form(StrEnum):
    JSON = "json"
    CSV = "csv"
    PDF = "pdf"


@router.get("/{customer_id:path}/balance", responses=answers(200, CustomerBalanceBody))
async def balance(
    request: Request,
    customer_id: str,
    staff: Staff,  # noqa: ARG001  (its being there is what is asked for)
) -> Response:
    """What a customer owes on open invoices, what is held for her, and the difference."""
    found = await system_of(request).reports.statements.balance(customer_id)
    return Response(orjson.dumps(customer_balance_view(found)), media_type="application/json")


@router.get("/{customer_id:path}/statement", responses=dict(_DOWNLOADS))
async def statement(
    *,
    request: Request,
    customer_id: str,
    staff: Accountant,  # noqa: ARG001  (as above)
    first: First = None,
    last: Last = None,
    limit: Annotated[int, Query(ge=1, le=1_000, description="Of JSON alone; a document is whole.")] = _PAGE,
    after: Annotated[str | None, Query(max_length=64, description="Likewise; `next` of the page before.")] = None,
) -> Response:
    """Opening balance, what moved it, closing balance and ageing; with `Accept: text/csv` or `application/pdf` as such.

    The days are in Nairobi and both count.
    """
    asked = _Asked(system_of(request), customer_id, first, last)
    form = _accepted(request.headers.get("accept", ""))
    if form is not _Form.JSON:
        return await asked.document(form)
    return Response(orjson.dumps(statement_view(await asked.page(limit, after))), media_type="application/json")


@router.get("/{customer_id:path}/statement.csv", responses={200: {"content": {CSV: {}}}, **PROBLEMS})
async def statement_as_csv(
    request: Request,
    customer_id: str,
    staff: Accountant,  # noqa: ARG001  (as above)
    first: First = None,
    last: Last = None,
) -> Response:
    """The same for a spreadsheet, in shillings with two places."""
    return await _Asked(system_of(request), customer_id, first, last).document(_Form.CSV)


@router.get("/{customer_id:path}/statement.pdf", responses={200: {"content": {PDF: {}}}, **PROBLEMS})
async def statement_as_pdf(
    request: Request,
    customer_id: str,
    staff: Accountant,  # noqa: ARG001  (as above)
    first: First = None,
    last: Last = None,
) -> Response:
    """The same on A4."""
    return await _Asked(system_of(request), customer_id, first, last).document(_Form.PDF)


class _Asked:
    """Whose statement, and of which days; raises InvalidRequest for what is no day."""

    def __init__(self, system: HttpSystem, customer_id: str, first: str | None, last: str | None) -> None:
        self._system = system
        self._customer_id = customer_id
        self._last: date = optional_day("to", last) or nairobi_day(system.clock.now())
        self._first: date = optional_day("from", first) or self._last - _USUAL_DAYS

    async def page(self, limit: int, after: str | None) -> Statement:
        statements = self._system.reports.statements
        return await statements.statement(self._customer_id, self._first, self._last, limit=limit, after=after)

    async def document(self, form: _Form) -> Response:
        """The whole statement as a file to keep. Raises StatementTooLong."""
        if form is _Form.CSV:
            made, media = statement_csv(whole(await self.page(MOST_LINES, None))).encode(), CSV
        else:
            found = whole(await self.page(MOST_LINES_PRINTED, None))
            made, media = await statement_pdf(found, self._system.reports.business_name, self._give_way), PDF
        name = f"statement-{self._customer_id.replace('/', '-')}-{self._first}-{self._last}.{form.value}"
        return Response(made, media_type=media, headers={"Content-Disposition": f'attachment; filename="{name}"'})

    async def _give_way(self) -> None:
        await self._system.clock.sleep(0)


def _accepted(accept: str) -> _Form:
    """The first form that a caller names; JSON for one who names none of them."""
    media = accepted(accept, frozenset({CSV, PDF}))
    return _Form.JSON if media is None else _Form.CSV if media == CSV else _Form.PDF
