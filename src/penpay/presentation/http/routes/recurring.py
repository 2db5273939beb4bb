"""Recurring invoices: making, finding, pausing, resuming and ending them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.collections.recurring import ChangeRecurring, CreateRecurring, RecurringStep
from penpay.application.identity.staff import actor
from penpay.application.identity.staff_access import StaffPerson
from penpay.domain.collections.recurring import Every, RecurringState, Schedule
from penpay.domain.shared.errors import InvalidRequest
from penpay.presentation.http.body import JsonRoute
from penpay.presentation.http.routes.collections_shapes import BilledLineBody, PageBody
from penpay.presentation.http.routes.money_posts import (
    CREATED,
    REPEATABLE,
    After,
    BillBody,
    Limit,
    act,
    chosen,
    day,
    listed,
)
from penpay.presentation.http.routes.shapes import answers
from penpay.presentation.http.staff_auth import Accountant, Staff
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api/recurring-invoices", route_class=JsonRoute, tags=["recurring invoices"])


class NewRecurringBody(BillBody):
    """What a customer is billed again and again."""

    customer_id: str = Field(json_schema_extra={"example": "CUST-001"})
    vat_included: bool = False
    due_days: int = Field(0, description="How many days after its own each invoice is due.")
    memo: str | None = None
    every: Every = Field(strict=False)
    interval: int = Field(1, description="Every so many days, weeks or months.")
    starts_on: str = Field(description="The day of the first in Nairobi; in a month without it, the last day.")
    ends_on: str | None = Field(None, description="None after this day.")
    times: int | None = Field(None, description="How many at most.")


class RecurringBody(BaseModel):
    """What a customer is billed again and again, and how far that has come."""

    recurring_id: str
    customer_id: str
    state: RecurringState
    total_cents: int
    lines: list[BilledLineBody]
    memo: str | None
    due_days: int
    every: Every
    interval: int
    starts_on: str
    ends_on: str | None
    times: int | None
    next_on: str | None = Field(description="The day of the next bill, where there is to be one.")
    created_by: str
    created_at: str


class RecurringListBody(PageBody):
    recurring_invoices: list[RecurringBody]


@router.post("", status_code=CREATED, responses=answers(CREATED, RecurringBody), openapi_extra=dict(REPEATABLE))
async def create(request: Request, staff: Accountant, body: NewRecurringBody) -> Response:
    """Have a customer billed on the days of a schedule. The first bill is issued as its day begins."""
    starts_on = day(body.starts_on, "starts_on")
    if starts_on is None:
        raise InvalidRequest("starts_on is required.", fields=["starts_on"])
    command = CreateRecurring(
        customer_number=body.customer_id,
        items=body.items(),
        schedule=Schedule(
            every=body.every,
            interval=body.interval,
            starts_on=starts_on,
            ends_on=day(body.ends_on, "ends_on"),
            times=body.times,
        ),
        vat_included=body.vat_included,
        due_days=body.due_days,
        memo=body.memo,
        by=actor(staff.id),
    )
    fields = body.model_dump(mode="json")
    return await act(request, staff, command, route="POST /api/recurring-invoices", fields=fields, status=CREATED)


@router.get("", responses=answers(200, RecurringListBody))
async def recurring(
    *,
    request: Request,
    staff: Staff,  # noqa: ARG001  (whoever is on the staff may look)
    customer_id: Annotated[str | None, Query(alias="customerId", max_length=64)] = None,
    state: Annotated[str | None, Query(max_length=20, description="Such as `active`, in any case.")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """A page of recurring invoices, the newest first: all, a customer's, or those in a state."""
    wanted = None if state is None else chosen("state", state.upper(), RecurringState)
    books = system_of(request).recurring_books
    page = await books.recurring(limit, customer_number=customer_id, state=wanted, after=after)
    return listed("recurring_invoices", page)


@router.post("/{recurring_id}/pause", responses=answers(200, RecurringBody), openapi_extra=dict(REPEATABLE))
async def pause(request: Request, staff: Accountant, recurring_id: str) -> Response:
    """No bills until somebody resumes it."""
    return await _changed(request, staff, recurring_id, RecurringStep.PAUSE)


@router.post("/{recurring_id}/resume", responses=answers(200, RecurringBody), openapi_extra=dict(REPEATABLE))
async def resume(request: Request, staff: Accountant, recurring_id: str) -> Response:
    """Go on with the first bill that is not before today; those of the pause are left out."""
    return await _changed(request, staff, recurring_id, RecurringStep.RESUME)


@router.post("/{recurring_id}/end", responses=answers(200, RecurringBody), openapi_extra=dict(REPEATABLE))
async def end(request: Request, staff: Accountant, recurring_id: str) -> Response:
    """No more bills, for good; those that were issued stay."""
    return await _changed(request, staff, recurring_id, RecurringStep.END)


async def _changed(request: Request, staff: StaffPerson, recurring_id: str, step: RecurringStep) -> Response:
    command = ChangeRecurring(number=recurring_id, step=step, by=actor(staff.id))
    route = "POST /api/recurring-invoices/{recurring_id}/" + step.value.lower()
    return await act(request, staff, command, route=route, fields={"recurring_id": recurring_id}, status=200)
