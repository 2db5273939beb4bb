"""The till: opening a sale, taking its money, and ending one that is not paid."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.collections.allocating import AllocatePayment
from penpay.application.collections.capture_rows import TillPushId
from penpay.application.collections.selling import CancelSale, OpenSale, TakeCash
from penpay.application.collections.till_asking import AskFromTill
from penpay.application.collections.till_pushing import PushFromTill
from penpay.application.identity.staff import actor
from penpay.domain.collections.errors import SaleNotFound
from penpay.domain.collections.point_of_sale import SaleStatus
from penpay.domain.shared.phone import PhoneNumber
from penpay.presentation.http.body import JsonRoute
from penpay.presentation.http.routes.collections_shapes import PaymentBody, PushBody, SaleBody, SalesBody
from penpay.presentation.http.routes.money_posts import (
    CREATED,
    REPEATABLE,
    After,
    BillBody,
    Body,
    Limit,
    act,
    chosen,
    listed,
    one,
    some_kes,
)
from penpay.presentation.http.routes.shapes import answers
from penpay.presentation.http.staff_auth import Cashier, Staff
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api/pos", route_class=JsonRoute, tags=["point of sale"])
_ACCEPTED: Final = 202
_MOST_MINUTES: Final = 7 * 24 * 60


class NewSaleBody(BillBody):
    """What is sold. Prices contain VAT unless it is said that they do not."""

    customer_id: str | None = None
    vat_included: bool = True
    expires_in_minutes: int = Field(30, ge=1, le=_MOST_MINUTES, description="How long it waits for its money.")


class CashBody(Body):
    """Cash that was taken; the change is given already."""

    amount_cents: int | None = Field(None, description="All that is to pay, unless given.")


class PickBody(Body):
    """A payment that has come in and waits in suspense."""

    mpesa_receipt_number: str = Field(json_schema_extra={"example": "QGK12XYZ9"})
    amount_cents: int | None = Field(None, description="All of it, unless given.")


class AskBody(Body):
    """Whose handset is to ask."""

    phone: str = Field(json_schema_extra={"example": "0712345678"})
    amount_cents: int | None = Field(None, description="Whole shillings; all that is to pay, unless given.")


@router.post("", status_code=CREATED, responses=answers(CREATED, SaleBody), openapi_extra=dict(REPEATABLE))
async def open_sale(request: Request, staff: Cashier, body: NewSaleBody) -> Response:
    """Something is sold and is to be paid now. Its `pos_id` is what an M-Pesa payer names as the account."""
    command = OpenSale(
        items=body.items(),
        customer_number=body.customer_id,
        vat_included=body.vat_included,
        waits_for=timedelta(minutes=body.expires_in_minutes),
        cashier=actor(staff.id),
        by=actor(staff.id),
    )
    return await act(
        request, staff, command, route="POST /api/pos", fields=body.model_dump(mode="json"), status=CREATED
    )


@router.get("", responses=answers(200, SalesBody))
async def sales(
    *,
    request: Request,
    staff: Staff,  # noqa: ARG001  (whoever is on the staff may look)
    pos_id: Annotated[str | None, Query(alias="posId", max_length=64)] = None,
    status: Annotated[str | None, Query(max_length=20, description="Such as `pending`, in any case.")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """One sale with its lines and tenders by its number, or a page of those with a status, or of all."""
    books = system_of(request).collections_books
    if pos_id is not None:
        return one(await books.sale(pos_id))
    wanted = None if status is None else chosen("status", status.upper(), SaleStatus).value
    return listed("sales", await books.sales(limit, status=wanted, after=after))


@router.post("/{pos_id}/cash", responses=answers(200, SaleBody), openapi_extra=dict(REPEATABLE))
async def take_cash(request: Request, staff: Cashier, pos_id: str, body: CashBody) -> Response:
    """Cash for the sale, or for a part of it."""
    who = actor(staff.id)
    command = TakeCash(pos_number=pos_id, amount=some_kes(body.amount_cents), cashier=who, by=who)
    fields = {"pos_id": pos_id, **body.model_dump(mode="json")}
    return await act(request, staff, command, route="POST /api/pos/{pos_id}/cash", fields=fields, status=200)


@router.post("/{pos_id}/payment", responses=answers(200, PaymentBody), openapi_extra=dict(REPEATABLE))
async def pick_payment(request: Request, staff: Cashier, pos_id: str, body: PickBody) -> Response:
    """Pay the sale by an M-Pesa payment that came in under no usable reference; found by its receipt."""
    if await system_of(request).collections_books.sale(pos_id) is None:
        raise SaleNotFound  # a cashier uses payments for sales alone, whatever else the number may name
    command = AllocatePayment(
        receipt=body.mpesa_receipt_number, reference=pos_id, amount=some_kes(body.amount_cents), by=actor(staff.id)
    )
    fields = {"pos_id": pos_id, **body.model_dump(mode="json")}
    return await act(request, staff, command, route="POST /api/pos/{pos_id}/payment", fields=fields, status=200)


@router.post(
    "/{pos_id}/push", status_code=_ACCEPTED, responses=answers(_ACCEPTED, PushBody), openapi_extra=dict(REPEATABLE)
)
async def push(request: Request, staff: Cashier, pos_id: str, body: AskBody) -> Response:
    """Have the customer's handset ask for her PIN. The sale is paid once M-Pesa has said so; watch it or ask."""
    command = AskFromTill(
        push=PushFromTill(
            push_id=TillPushId(system_of(request).ids.new()),
            pos_number=pos_id,
            phone=PhoneNumber.parse(body.phone),
            amount=some_kes(body.amount_cents),
            by=actor(staff.id),
        )
    )
    fields = {"pos_id": pos_id, **body.model_dump(mode="json")}
    return await act(request, staff, command, route="POST /api/pos/{pos_id}/push", fields=fields, status=_ACCEPTED)


@router.post("/{pos_id}/cancel", responses=answers(200, SaleBody), openapi_extra=dict(REPEATABLE))
async def cancel_sale(request: Request, staff: Cashier, pos_id: str) -> Response:
    """The sale does not happen; cash is to be handed back, M-Pesa money is credit or in suspense."""
    command = CancelSale(pos_number=pos_id, cashier=actor(staff.id), by=actor(staff.id))
    route, fields = "POST /api/pos/{pos_id}/cancel", {"pos_id": pos_id}
    return await act(request, staff, command, route=route, fields=fields, status=200)
