"""Reminders: whether customers are reminded, who is not to be, and what was sent about an invoice."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.collections.reminding import DecideReminders, SetReminded, policy_view, reminder_view
from penpay.application.identity.staff import actor
from penpay.domain.collections.reminder import DEFAULT_LEVELS
from penpay.domain.shared.delivery import Channel, NotificationState
from penpay.presentation.http.body import JsonRoute
from penpay.presentation.http.routes.money_posts import REPEATABLE, Body, act, chosen, one
from penpay.presentation.http.routes.shapes import answers
from penpay.presentation.http.staff_auth import Accountant, Owner, Staff
from penpay.presentation.http.system import system_of


class _Wish(StrEnum):
    STOP = "stop"
    ALLOW = "allow"


router = APIRouter(prefix="/api", route_class=JsonRoute, tags=["reminders"])


class PolicyBody(BaseModel):
    """What the business has decided."""

    is_on: bool
    levels: list[int] = Field(description="Days after the due day; below zero before it.")
    changed_by: str | None
    changed_at: str | None


class DecisionBody(Body):
    """Whether customers are reminded, and when."""

    is_on: bool
    levels: list[int] = Field(list(DEFAULT_LEVELS), description="Days after the due day, rising; below zero before it.")


class RemindedBody(BaseModel):
    """Whether a customer may be reminded."""

    customer_id: str
    is_reminded: bool


class ReminderBody(BaseModel):
    """A message about an invoice."""

    level_days: int
    channel: Channel
    text: str
    state: NotificationState
    code: str | None
    created_at: str
    sent_at: str | None


class RemindersBody(BaseModel):
    reminders: list[ReminderBody]


@router.get("/reminders/policy", responses=answers(200, PolicyBody))
async def policy(request: Request, staff: Staff) -> Response:  # noqa: ARG001  (whoever is on the staff may look)
    """What the business has decided; off with the usual levels while it has decided nothing."""
    found = await system_of(request).reminder_books.policy()
    if found is None:
        return one({"is_on": False, "levels": list(DEFAULT_LEVELS), "changed_by": None, "changed_at": None})
    return one(policy_view(found))


@router.post("/reminders/policy", responses=answers(200, PolicyBody), openapi_extra=dict(REPEATABLE))
async def decide(request: Request, staff: Owner, body: DecisionBody) -> Response:
    """Turn reminders on or off, and say on which days. Levels that came before they were turned on are passed over."""
    command = DecideReminders(is_on=body.is_on, levels=tuple(body.levels), by=actor(staff.id))
    fields = body.model_dump(mode="json")
    return await act(request, staff, command, route="POST /api/reminders/policy", fields=fields, status=200)


@router.get("/reminders", responses=answers(200, RemindersBody))
async def reminders(
    request: Request,
    staff: Staff,  # noqa: ARG001  (as above)
    invoice_id: Annotated[str, Query(alias="invoiceId", max_length=64)],
) -> Response:
    """All reminders of one invoice, oldest first."""
    found = await system_of(request).reminder_books.of_invoice(invoice_id)
    content = orjson.dumps({"reminders": [reminder_view(reminder) for reminder in found]})
    return Response(content, media_type="application/json")


@router.post(
    "/customers/{customer_id}/reminders/{wish}", responses=answers(200, RemindedBody), openapi_extra=dict(REPEATABLE)
)
async def set_reminded(request: Request, staff: Accountant, customer_id: str, wish: str) -> Response:
    """`stop`: this customer is not reminded any more; `allow`: she is again."""
    is_reminded = chosen("wish", wish, _Wish) is _Wish.ALLOW
    command = SetReminded(customer_number=customer_id, is_reminded=is_reminded, by=actor(staff.id))
    fields = {"customer_id": customer_id, "wish": wish}
    route = "POST /api/customers/{customer_id}/reminders/{wish}"
    return await act(request, staff, command, route=route, fields=fields, status=200)
