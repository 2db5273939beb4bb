"""Money that left the PayBill account: what is known of it, and saying what it was."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.collections.outflows import ExplainOutflow
from penpay.application.identity.staff import actor
from penpay.domain.collections.outflow import OutflowReason, OutflowUse
from penpay.presentation.http.body import JsonRoute
from penpay.presentation.http.routes.collections_shapes import PageBody
from penpay.presentation.http.routes.money_posts import REPEATABLE, Body, Limit, act, chosen, listed
from penpay.presentation.http.routes.shapes import answers
from penpay.presentation.http.staff_auth import Accountant, Staff
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api/outflows", route_class=JsonRoute, tags=["outflows"])


class OutflowBody(BaseModel):
    """Money that left."""

    mpesa_receipt_number: str
    amount_cents: int
    use: OutflowUse = Field(description="What it left for; `UNEXPLAINED` waits for people.")
    reason: OutflowReason | None = Field(description="Why people must decide.")
    linked_receipt: str | None = Field(description="Of a reversal: the payment that was taken back.")
    told: str = Field(description="What M-Pesa's statement says of it.")
    left_at: str
    recorded_by: str
    explained_by: str | None
    explained_at: str | None


class OutflowsBody(PageBody):
    outflows: list[OutflowBody]


class ExplanationBody(Body):
    """What it was."""

    use: OutflowUse = Field(strict=False, description="BANK, CHARGE, EXPENSE or OWNER.")


@router.get("", responses=answers(200, OutflowsBody))
async def outflows(
    *,
    request: Request,
    staff: Staff,  # noqa: ARG001  (whoever is on the staff may look)
    use: Annotated[str | None, Query(max_length=20, description="Such as `unexplained`, in any case.")] = None,
    limit: Limit = 50,
    after: Annotated[str | None, Query(max_length=20, description="`next` of the page before.")] = None,
) -> Response:
    """A page of what left, the newest first: all, or what left for one thing."""
    wanted = None if use is None else chosen("use", use.upper(), OutflowUse)
    return listed("outflows", await system_of(request).outflow_books.outflows(limit, use=wanted, after=after))


@router.post("/{receipt}/explain", responses=answers(200, OutflowBody), openapi_extra=dict(REPEATABLE))
async def explain(request: Request, staff: Accountant, receipt: str, body: ExplanationBody) -> Response:
    """Say what money that left was for; said otherwise later, it moves there. The same again changes nothing."""
    command = ExplainOutflow(receipt=receipt, use=body.use, by=actor(staff.id))
    fields = {"receipt": receipt, **body.model_dump(mode="json")}
    return await act(request, staff, command, route="POST /api/outflows/{receipt}/explain", fields=fields, status=200)
