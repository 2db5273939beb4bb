"""Cashiers' shifts, and cash that comes and goes without a sale."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.collections.shifts import CloseShift, MoveCash, OpenShift
from penpay.application.identity.staff import actor
from penpay.domain.collections.shift import CashDirection, CashPurpose, ShiftState
from penpay.domain.identity.staff import StaffRole
from penpay.presentation.http.body import JsonRoute
from penpay.presentation.http.routes.money_posts import (
    CREATED,
    REPEATABLE,
    After,
    Body,
    Limit,
    act,
    chosen,
    day,
    kes,
    listed,
    one,
)
from penpay.presentation.http.routes.shapes import answers
from penpay.presentation.http.routes.shift_shapes import CashMovementBody, CashMovementsBody, ShiftBody, ShiftsBody
from penpay.presentation.http.staff_auth import Accountant, Cashier, Staff
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api", route_class=JsonRoute, tags=["shifts"])


class NewShiftBody(Body):
    """A cashier begins."""

    float_cents: int = Field(description="The cash that she counted in her drawer.", json_schema_extra={"minimum": 0})


class NewMovementBody(Body):
    """Cash comes or goes without a sale."""

    direction: str = Field(json_schema_extra={"enum": [one.value for one in CashDirection]})
    purpose: str = Field(json_schema_extra={"enum": [one.value for one in CashPurpose]})
    amount_cents: int
    reason: str = Field(json_schema_extra={"example": "Milk for the office"})

    def moved(
        self, shift_number: str | None, who: str, *, is_owner: bool = False, moved_on: date | None = None
    ) -> MoveCash:
        """The command. Raises InvalidRequest and InvalidAmount."""
        return MoveCash(
            shift_number=shift_number,
            direction=chosen("direction", self.direction, CashDirection),
            purpose=chosen("purpose", self.purpose, CashPurpose),
            amount=kes(self.amount_cents),
            reason=self.reason,
            moved_on=moved_on,
            by=who,
            is_owner=is_owner,
        )


class NewOfficeMovementBody(NewMovementBody):
    """Cash that was in no drawer came or went."""

    moved_on: str | None = Field(None, description="The day; today if not given.")


class CountBody(Body):
    """What is in the drawer at the end, the float too."""

    counted_cents: int = Field(json_schema_extra={"minimum": 0})


@router.post("/shifts", status_code=CREATED, responses=answers(CREATED, ShiftBody), openapi_extra=dict(REPEATABLE))
async def open_shift(request: Request, staff: Cashier, body: NewShiftBody) -> Response:
    """Begin a shift. From now on the cash that you take and hand back is in its drawer."""
    who = actor(staff.id)
    command = OpenShift(cashier=who, opening_float=kes(body.float_cents), by=who)
    fields = body.model_dump(mode="json")
    return await act(request, staff, command, route="POST /api/shifts", fields=fields, status=CREATED)


@router.get("/shifts", responses=answers(200, ShiftsBody))
async def shifts(
    *,
    request: Request,
    staff: Staff,  # noqa: ARG001  (whoever is on the staff may look)
    shift_id: Annotated[str | None, Query(alias="shiftId", max_length=64)] = None,
    state: Annotated[str | None, Query(max_length=20, description="`open` or `closed`.")] = None,
    cashier: Annotated[str | None, Query(max_length=64, description="As shifts name her.")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """The report of one shift with its movements, or a page of shifts."""
    books = system_of(request).reports.shifts
    if shift_id is not None:
        return one(await books.shift(shift_id))
    wanted = None if state is None else chosen("state", state.upper(), ShiftState)
    return listed("shifts", await books.shifts(limit, state=wanted, cashier=cashier, after=after))


@router.post(
    "/shifts/{shift_id}/cash-movements",
    status_code=CREATED,
    responses=answers(CREATED, CashMovementBody),
    openapi_extra=dict(REPEATABLE),
)
async def move_in_drawer(request: Request, staff: Cashier, shift_id: str, body: NewMovementBody) -> Response:
    """Put cash into the drawer of your shift or take it out; an owner may do so in anybody's."""
    command = body.moved(shift_id, actor(staff.id), is_owner=staff.role is StaffRole.OWNER)
    route, fields = "POST /api/shifts/{shift_id}/cash-movements", {"shift_id": shift_id, **body.model_dump(mode="json")}
    return await act(request, staff, command, route=route, fields=fields, status=CREATED)


@router.post("/shifts/{shift_id}/close", responses=answers(200, ShiftBody), openapi_extra=dict(REPEATABLE))
async def close_shift(request: Request, staff: Cashier, shift_id: str, body: CountBody) -> Response:
    """Say what you counted. The drawer is empty then: all that was in it is cash of the business."""
    command = CloseShift(
        shift_number=shift_id,
        counted=kes(body.counted_cents),
        by=actor(staff.id),
        is_owner=staff.role is StaffRole.OWNER,
    )
    route, fields = "POST /api/shifts/{shift_id}/close", {"shift_id": shift_id, **body.model_dump(mode="json")}
    return await act(request, staff, command, route=route, fields=fields, status=200)


@router.post(
    "/cash-movements",
    status_code=CREATED,
    responses=answers(CREATED, CashMovementBody),
    openapi_extra=dict(REPEATABLE),
)
async def move_cash(request: Request, staff: Accountant, body: NewOfficeMovementBody) -> Response:
    """Book cash that came or went and was in no drawer: banked, or put in by the owner."""
    command = body.moved(None, actor(staff.id), moved_on=day(body.moved_on, "moved_on"))
    fields = body.model_dump(mode="json")
    return await act(request, staff, command, route="POST /api/cash-movements", fields=fields, status=CREATED)


@router.get("/cash-movements", responses=answers(200, CashMovementsBody))
async def cash_movements(
    *,
    request: Request,
    staff: Accountant,  # noqa: ARG001  (its being there is what is asked for)
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Cash that came or went without a sale, in drawers and elsewhere, the newest first."""
    return listed("movements", await system_of(request).reports.shifts.cash_movements(limit, after))
