"""Locking the books through a day, by two people."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.collections.period import DecideLock, ProposeLock
from penpay.application.identity.staff import actor
from penpay.application.identity.staff_access import StaffPerson
from penpay.domain.collections.period import LockState, PeriodLockId
from penpay.presentation.http.body import JsonRoute
from penpay.presentation.http.routes.money_posts import CREATED, REPEATABLE, Body, Limit, act, chosen, day
from penpay.presentation.http.routes.period_shapes import PeriodLockBody, PeriodLocksBody
from penpay.presentation.http.routes.shapes import answers
from penpay.presentation.http.staff_auth import Accountant, Owner, Staff
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api/period-locks", route_class=JsonRoute, tags=["period locks"])


class NewLockBody(Body):
    """Through which day the books are to be locked."""

    through: str | None = Field(
        description="A day that has come; null unlocks everything.", json_schema_extra={"example": "2026-01-31"}
    )
    reason: str = Field(json_schema_extra={"example": "VAT of January is filed"})


@router.get("", responses=answers(200, PeriodLocksBody))
async def period_locks(
    request: Request,
    staff: Staff,  # noqa: ARG001  (whoever is on the staff may look)
    state: Annotated[str | None, Query(max_length=20, description="Such as `proposed`, in any case.")] = None,
    limit: Limit = 50,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """What is locked now, and a page of who wished to lock what, the newest first."""
    books = system_of(request).reports.periods
    wanted = None if state is None else chosen("state", state.upper(), LockState)
    through, page = await books.locked_through(), await books.locks(limit, state=wanted, after=after)
    view = {"locked_through": through and through.isoformat(), "locks": page.items, "next": page.next}
    return Response(orjson.dumps(view), media_type="application/json")


@router.post("", status_code=CREATED, responses=answers(CREATED, PeriodLockBody), openapi_extra=dict(REPEATABLE))
async def propose_lock(request: Request, staff: Accountant, body: NewLockBody) -> Response:
    """Ask that people book nothing any more on a day or before it; it holds once somebody else has approved it."""
    command = ProposeLock(through=day(body.through, "through"), reason=body.reason, by=actor(staff.id))
    fields = body.model_dump(mode="json")
    return await act(request, staff, command, route="POST /api/period-locks", fields=fields, status=CREATED)


@router.post("/{lock_id}/approve", responses=answers(200, PeriodLockBody), openapi_extra=dict(REPEATABLE))
async def approve_lock(request: Request, staff: Owner, lock_id: UUID) -> Response:
    """Lock the books, or unlock them, from now on. Whoever asked for it cannot."""
    return await _decided(request, staff, lock_id, approve=True)


@router.post("/{lock_id}/reject", responses=answers(200, PeriodLockBody), openapi_extra=dict(REPEATABLE))
async def reject_lock(request: Request, staff: Accountant, lock_id: UUID) -> Response:
    """Everything stays as it is. Whoever asked for it may take that back so."""
    return await _decided(request, staff, lock_id, approve=False)


async def _decided(request: Request, staff: StaffPerson, lock_id: UUID, *, approve: bool) -> Response:
    command = DecideLock(lock_id=PeriodLockId(lock_id), approve=approve, by=actor(staff.id))
    route = "POST /api/period-locks/{lock_id}/" + ("approve" if approve else "reject")
    return await act(request, staff, command, route=route, fields={"lock_id": str(lock_id)}, status=200)
