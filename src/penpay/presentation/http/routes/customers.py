"""Customers of the business: creating and finding them, and using their credit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.collections.crediting import ApplyCredit
from penpay.application.collections.customers import CreateCustomer
from penpay.application.identity.staff import actor
from penpay.application.identity.staff_access import StaffPerson
from penpay.domain.collections.customer import Contact
from penpay.domain.identity.staff import StaffRole
from penpay.domain.shared.email import Email
from penpay.domain.shared.phone import PhoneNumber
from penpay.presentation.http.body import JsonRoute
from penpay.presentation.http.routes.collections_shapes import AppliedCreditBody, CustomerBody, CustomersBody
from penpay.presentation.http.routes.money_posts import (
    CREATED,
    REPEATABLE,
    After,
    Body,
    Limit,
    act,
    listed,
    one,
    some_kes,
)
from penpay.presentation.http.routes.shapes import answers
from penpay.presentation.http.staff_auth import Accountant, Staff, requires
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api/customers", route_class=JsonRoute, tags=["customers"])


class NewCustomerBody(Body):
    """Somebody whom the business will bill."""

    customer_id: str | None = Field(None, description="Her number; the next of the series, unless given.")
    name: str = Field(json_schema_extra={"example": "Wanjiku Traders"})
    phone: str | None = None
    email: str | None = None
    auto_apply_credit: bool = Field(True, description="Whether her credit pays her next invoices by itself.")


class ApplyCreditBody(Body):
    """Which credit is used for what."""

    invoice_id: str | None = Field(None, description="One invoice of hers; the oldest first, unless given.")
    amount_cents: int | None = Field(None, description="All of her credit, unless given.")


@router.post("", status_code=CREATED, responses=answers(CREATED, CustomerBody), openapi_extra=dict(REPEATABLE))
async def create_customer(
    request: Request,
    staff: Annotated[StaffPerson, requires(StaffRole.CASHIER, StaffRole.ACCOUNTANT)],
    body: NewCustomerBody,
) -> Response:
    """Create a customer, who owes nothing."""
    command = CreateCustomer(
        contact=Contact(
            name=body.name,
            phone=None if body.phone is None else PhoneNumber.parse(body.phone),
            email=None if body.email is None else Email.parse(body.email),
        ),
        number=body.customer_id,
        auto_apply_credit=body.auto_apply_credit,
        by=actor(staff.id),
    )
    return await act(
        request, staff, command, route="POST /api/customers", fields=body.model_dump(mode="json"), status=CREATED
    )


@router.get("", responses=answers(200, CustomersBody))
async def customers(
    request: Request,
    staff: Staff,  # noqa: ARG001  (whoever is on the staff may look)
    customer_id: Annotated[str | None, Query(alias="customerId", max_length=64)] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """One customer by her number, or a page of all of them by number."""
    books = system_of(request).collections_books
    if customer_id is not None:
        return one(await books.customer(customer_id))
    return listed("customers", await books.customers(limit, after))


@router.post("/{customer_id}/apply-credit", responses=answers(200, AppliedCreditBody), openapi_extra=dict(REPEATABLE))
async def apply_credit(request: Request, staff: Accountant, customer_id: str, body: ApplyCreditBody) -> Response:
    """Use her credit for her open invoices."""
    command = ApplyCredit(
        customer_number=customer_id,
        invoice_number=body.invoice_id,
        amount=some_kes(body.amount_cents),
        by=actor(staff.id),
    )
    fields = {"customer_id": customer_id, **body.model_dump(mode="json")}
    route = "POST /api/customers/{customer_id}/apply-credit"
    return await act(request, staff, command, route=route, fields=fields, status=200)
