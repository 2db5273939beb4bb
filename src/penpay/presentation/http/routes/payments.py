"""Payments that came in: finding them, using those in suspense, taking back and giving back."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.collections.allocating import AllocatePayment, Reallocate, Unallocate
from penpay.application.collections.refunding import DecideRefund, ProposeRefund
from penpay.application.collections.reversing import ReversedBy, ReversePayment
from penpay.application.identity.staff import actor
from penpay.application.identity.staff_access import StaffPerson
from penpay.domain.collections.allocation import AllocationId, RefundId
from penpay.domain.collections.payment import PaymentStatus
from penpay.domain.collections.refund import RefundState
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.phone import PhoneNumber
from penpay.presentation.http.body import JsonRoute
from penpay.presentation.http.routes.collections_shapes import (
    PaymentBody,
    PaymentsBody,
    RefundBody,
    RefundsBody,
    UnallocatedBody,
)
from penpay.presentation.http.routes.money_posts import (
    CREATED,
    REPEATABLE,
    Body,
    Limit,
    act,
    chosen,
    kes,
    listed,
    one,
    some_kes,
)
from penpay.presentation.http.routes.shapes import answers
from penpay.presentation.http.staff_auth import Accountant, Owner, Staff
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api", route_class=JsonRoute, tags=["payments"])


class AllocateBody(Body):
    """What money in suspense is for."""

    reference: str = Field(max_length=64, description="The number of an invoice, a customer or a sale.")
    amount_cents: int | None = Field(None, description="All that is in suspense, unless given.")


class UnallocateBody(Body):
    """Where the money goes that is taken back from its use."""

    to_suspense: bool = Field(False, description="Whether it waits in suspense; it is the customer's credit otherwise.")


class MoveBody(Body):
    """What the money is for instead."""

    reference: str = Field(max_length=64)


class ReverseBody(Body):
    """M-Pesa has taken the whole payment back."""

    reversed_by: ReversedBy = Field(strict=False)
    reversal_receipt: str | None = Field(None, max_length=20)


class NewRefundBody(Body):
    """Money that is to go back: out of a payment's suspense or out of a customer's credit."""

    mpesa_receipt_number: str | None = None
    customer_id: str | None = None
    amount_cents: int
    phone: str = Field(description="Who is paid.")
    reason: str


@router.get("/payments", responses=answers(200, PaymentsBody))
async def payments(
    *,
    request: Request,
    staff: Staff,  # noqa: ARG001  (whoever is on the staff may look)
    status: Annotated[
        str | None, Query(max_length=24, description="A status; `suspense` is the queue of what waits for people.")
    ] = None,
    customer_id: Annotated[str | None, Query(alias="customerId", max_length=64)] = None,
    limit: Limit = 50,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """A page of payments, the newest first; of those in suspense the longest waiting, each with suggestions."""
    books = system_of(request).collections_books
    wanted = None if status is None else chosen("status", status.upper(), PaymentStatus)
    last = None if after is None else str(after)
    if wanted is PaymentStatus.SUSPENSE:
        return listed("payments", await books.suspense(limit, customer_number=customer_id, after=last))
    page = await books.payments(limit, customer_number=customer_id, status=wanted and wanted.value, after=last)
    return listed("payments", page)


@router.get("/payments/{receipt}", responses=answers(200, PaymentBody))
async def payment(request: Request, staff: Staff, receipt: str) -> Response:  # noqa: ARG001  (as above)
    """One payment, with what it was used for."""
    return one(await system_of(request).collections_books.payment(receipt))


@router.post("/payments/{receipt}/allocate", responses=answers(200, PaymentBody), openapi_extra=dict(REPEATABLE))
async def allocate(request: Request, staff: Accountant, receipt: str, body: AllocateBody) -> Response:
    """Use money in suspense for an invoice, a customer or a sale."""
    command = AllocatePayment(
        receipt=receipt, reference=body.reference, amount=some_kes(body.amount_cents), by=actor(staff.id)
    )
    fields = {"receipt": receipt, **body.model_dump(mode="json")}
    return await act(request, staff, command, route="POST /api/payments/{receipt}/allocate", fields=fields, status=200)


@router.post("/payments/{receipt}/reverse", responses=answers(200, PaymentBody), openapi_extra=dict(REPEATABLE))
async def reverse(request: Request, staff: Owner, receipt: str, body: ReverseBody) -> Response:
    """M-Pesa has taken a payment back: everything it was used for is undone. Told again, it changes nothing."""
    command = ReversePayment(
        receipt=receipt, reversed_by=body.reversed_by, reversal_receipt=body.reversal_receipt, by=actor(staff.id)
    )
    fields = {"receipt": receipt, **body.model_dump(mode="json")}
    return await act(request, staff, command, route="POST /api/payments/{receipt}/reverse", fields=fields, status=200)


@router.post(
    "/allocations/{allocation_id}/reverse", responses=answers(200, UnallocatedBody), openapi_extra=dict(REPEATABLE)
)
async def unallocate(request: Request, staff: Accountant, allocation_id: UUID, body: UnallocateBody) -> Response:
    """Take back what a payment, or credit, was used for."""
    command = Unallocate(allocation_id=AllocationId(allocation_id), to_suspense=body.to_suspense, by=actor(staff.id))
    fields = {"allocation_id": str(allocation_id), **body.model_dump(mode="json")}
    route = "POST /api/allocations/{allocation_id}/reverse"
    return await act(request, staff, command, route=route, fields=fields, status=200)


@router.post("/allocations/{allocation_id}/move", responses=answers(200, PaymentBody), openapi_extra=dict(REPEATABLE))
async def move(request: Request, staff: Accountant, allocation_id: UUID, body: MoveBody) -> Response:
    """What a payment was used for was wrong: use it for something else."""
    command = Reallocate(allocation_id=AllocationId(allocation_id), reference=body.reference, by=actor(staff.id))
    fields = {"allocation_id": str(allocation_id), **body.model_dump(mode="json")}
    route = "POST /api/allocations/{allocation_id}/move"
    return await act(request, staff, command, route=route, fields=fields, status=200)


# -- refunds


@router.post("/refunds", status_code=CREATED, responses=answers(CREATED, RefundBody), openapi_extra=dict(REPEATABLE))
async def propose_refund(request: Request, staff: Accountant, body: NewRefundBody) -> Response:
    """Ask for money to go back; nothing moves until somebody else has approved it."""
    if (body.mpesa_receipt_number is None) is (body.customer_id is None):
        fields = ["customer_id", "mpesa_receipt_number"]
        raise InvalidRequest("Either mpesa_receipt_number or customer_id is required.", fields=fields)
    command = ProposeRefund(
        receipt=body.mpesa_receipt_number,
        customer_number=body.customer_id,
        amount=kes(body.amount_cents),
        phone=PhoneNumber.parse(body.phone),
        reason=body.reason,
        by=actor(staff.id),
    )
    return await act(
        request, staff, command, route="POST /api/refunds", fields=body.model_dump(mode="json"), status=CREATED
    )


@router.get("/refunds", responses=answers(200, RefundsBody))
async def refunds(
    request: Request,
    staff: Staff,  # noqa: ARG001  (as above)
    state: Annotated[str | None, Query(max_length=20, description="Such as `proposed`, in any case.")] = None,
    limit: Limit = 50,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """A page of refunds, the newest first: all, or those in a state."""
    wanted = None if state is None else chosen("state", state.upper(), RefundState)
    books = system_of(request).collections_books
    return listed("refunds", await books.refunds(limit, state=wanted, after=None if after is None else str(after)))


@router.post("/refunds/{refund_id}/approve", responses=answers(200, RefundBody), openapi_extra=dict(REPEATABLE))
async def approve_refund(request: Request, staff: Owner, refund_id: UUID) -> Response:
    """Let the money go. Whoever asked for it cannot."""
    return await _decided(request, staff, refund_id, approve=True)


@router.post("/refunds/{refund_id}/reject", responses=answers(200, RefundBody), openapi_extra=dict(REPEATABLE))
async def reject_refund(request: Request, staff: Accountant, refund_id: UUID) -> Response:
    """The money stays. Whoever asked for it may take that back so."""
    return await _decided(request, staff, refund_id, approve=False)


async def _decided(request: Request, staff: StaffPerson, refund_id: UUID, *, approve: bool) -> Response:
    command = DecideRefund(refund_id=RefundId(refund_id), approve=approve, by=actor(staff.id))
    route = "POST /api/refunds/{refund_id}/" + ("approve" if approve else "reject")
    return await act(request, staff, command, route=route, fields={"refund_id": str(refund_id)}, status=200)
