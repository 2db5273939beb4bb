"""Invoices: issuing, finding, voiding and crediting them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.collections.invoicing import CreateInvoice, IssueCreditNote, VoidInvoice
from penpay.application.collections.queries import InvoiceFilter
from penpay.application.identity.staff import actor
from penpay.presentation.http.body import JsonRoute
from penpay.presentation.http.routes.collections_shapes import CreditNoteBody, InvoiceBody, InvoicesBody
from penpay.presentation.http.routes.money_posts import (
    CREATED,
    REPEATABLE,
    After,
    BillBody,
    Body,
    Limit,
    act,
    chosen,
    day,
    listed,
    one,
    some_kes,
)
from penpay.presentation.http.routes.shapes import answers
from penpay.presentation.http.staff_auth import Accountant, Staff
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api/invoices", route_class=JsonRoute, tags=["invoices"])


class NewInvoiceBody(BillBody):
    """What a customer is billed."""

    customer_id: str = Field(json_schema_extra={"example": "CUST-001"})
    invoice_id: str | None = Field(None, description="Its number; the next of the day, unless given.")
    vat_included: bool = Field(False, description="Whether the prices contain VAT, or it comes on top.")
    due_on: str | None = Field(None, description="The day in Nairobi by which it is to be paid; today, unless given.")
    issued_on: str | None = Field(None, description="The day that it bears, no day to come; today, unless given.")
    memo: str | None = None


class NewCreditNoteBody(Body):
    """What is taken off an invoice, and why."""

    amount_cents: int | None = Field(None, description="With VAT; all that is left of it, unless given.")
    reason: str


@router.post("", status_code=CREATED, responses=answers(CREATED, InvoiceBody), openapi_extra=dict(REPEATABLE))
async def create_invoice(request: Request, staff: Accountant, body: NewInvoiceBody) -> Response:
    """Bill a customer; her credit pays it at once where she lets it."""
    command = CreateInvoice(
        customer_number=body.customer_id,
        items=body.items(),
        vat_included=body.vat_included,
        due_on=day(body.due_on, "due_on"),
        issued_on=day(body.issued_on, "issued_on"),
        number=body.invoice_id,
        memo=body.memo,
        by=actor(staff.id),
    )
    return await act(
        request, staff, command, route="POST /api/invoices", fields=body.model_dump(mode="json"), status=CREATED
    )


@router.get("", responses=answers(200, InvoicesBody))
async def invoices(
    *,
    request: Request,
    staff: Staff,  # noqa: ARG001  (whoever is on the staff may look)
    customer_id: Annotated[str | None, Query(alias="customerId", max_length=64)] = None,
    invoice_id: Annotated[str | None, Query(alias="invoiceId", max_length=64)] = None,
    status: Annotated[
        str, Query(max_length=20, description="all, outstanding (something is owed), overdue, paid or void.")
    ] = InvoiceFilter.ALL.value,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """One invoice with its lines by its number, or a page of those of a customer, with a status, or of all."""
    system = system_of(request)
    books, now = system.collections_books, system.clock.now()
    if invoice_id is not None:
        return one(await books.invoice(invoice_id, now=now))
    which = chosen("status", status.lower(), InvoiceFilter)
    return listed("invoices", await books.invoices(which, limit, now=now, customer_number=customer_id, after=after))


@router.post("/{invoice_id}/void", responses=answers(200, InvoiceBody), openapi_extra=dict(REPEATABLE))
async def void_invoice(request: Request, staff: Accountant, invoice_id: str) -> Response:
    """Undo an invoice that should not have been; what had paid it is the customer's credit."""
    command = VoidInvoice(invoice_number=invoice_id, by=actor(staff.id))
    route, fields = "POST /api/invoices/{invoice_id}/void", {"invoice_id": invoice_id}
    return await act(request, staff, command, route=route, fields=fields, status=200)


@router.post(
    "/{invoice_id}/credit-notes",
    status_code=CREATED,
    responses=answers(CREATED, CreditNoteBody),
    openapi_extra=dict(REPEATABLE),
)
async def issue_credit_note(request: Request, staff: Accountant, invoice_id: str, body: NewCreditNoteBody) -> Response:
    """Take something off an invoice; what was paid above the rest is the customer's credit."""
    command = IssueCreditNote(
        invoice_number=invoice_id, amount=some_kes(body.amount_cents), reason=body.reason, by=actor(staff.id)
    )
    fields = {"invoice_id": invoice_id, **body.model_dump(mode="json")}
    route = "POST /api/invoices/{invoice_id}/credit-notes"
    return await act(request, staff, command, route=route, fields=fields, status=CREATED)
