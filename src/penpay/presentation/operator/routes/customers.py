"""Customers and administrators, as administrators look after them."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.mobile_money.care import ChangeAdministrator, ChangeStatus, EditCustomer, RemoveCustomer
from penpay.domain.mobile_money.administrator import Administrator, AdministratorId, AdministratorRole, Right
from penpay.domain.mobile_money.customer import Customer, CustomerId, CustomerStatus, CustomerType
from penpay.domain.mobile_money.errors import CustomerNotFound
from penpay.domain.mobile_money.policy import KycTier
from penpay.domain.shared.email import Email
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.presentation.operator.answers import done, done_or_asked, moment, shillings
from penpay.presentation.operator.callers import administrator
from penpay.presentation.operator.fields import body_of, identifier, query_of
from penpay.presentation.operator.process import operator_of
from penpay.presentation.operator.routes.people import full_name, register_administrator
from penpay.presentation.operator.tokens import type_name

router = APIRouter(prefix="/api/admin", tags=["customers"])
_PAGE: Final = 50


@router.get("/customers")
async def customers(request: Request) -> Response:
    """Customers, oldest first: `after` is the `next` of the page before."""
    await administrator(request, Right.VIEW_CUSTOMERS)
    fields = query_of(request, "type", "limit", "after")
    limit, after = fields.limit(_PAGE), fields.optional_id("after")
    found = await operator_of(request).books.customers(
        fields.optional_choice("type", CustomerType), limit, None if after is None else CustomerId(after)
    )
    page = {
        "customers": [_view(one, held) for one, held in found],
        "next": str(found[-1][0].id) if len(found) == limit else None,
    }
    return done("Customers retrieved", page)


@router.get("/customers/{user_id}")
async def view(request: Request, user_id: str) -> Response:
    """One customer."""
    await administrator(request, Right.VIEW_CUSTOMERS)
    found = await _customer(request, user_id)
    return done("Customer retrieved", _view(found, await operator_of(request).books.balance(found)))


@router.patch("/customers/{user_id}")
async def edit(request: Request, user_id: str) -> Response:
    """Other contacts, tier or name, of which first and last are given together; or a PIN's lock taken off."""
    asker = await administrator(request, Right.EDIT_CUSTOMERS)
    fields = (await body_of(request)).only("firstName", "lastName", "email", "phoneNumber", "tier", "unlockPin")
    known = await _customer(request, user_id)
    email, phone = fields.optional_text("email"), fields.optional_text("phoneNumber")
    command = EditCustomer(
        customer_id=known.id,
        by=asker.id,
        name=full_name(fields) if {"firstName", "lastName"} & fields.values.keys() else None,
        email=None if email is None else Email.parse(email),
        phone=None if phone is None else PhoneNumber.parse(phone),
        tier=fields.optional_choice("tier", KycTier),
        unlock_pin=fields.optional_flag("unlockPin") or False,
        known=known,
    )
    operator = operator_of(request)
    after: Customer = await operator.do(command)
    return done("Customer updated", _view(after, await operator.books.balance(after)))


@router.put("/customers/{user_id}/status")
async def change_status(request: Request, user_id: str) -> Response:
    """Suspend, freeze, wake, re-activate or close a customer."""
    asker = await administrator(request, Right.EDIT_CUSTOMERS)
    fields = (await body_of(request)).only("status", "reason")
    command = ChangeStatus(
        customer_id=_id(user_id),
        status=fields.choice("status", CustomerStatus),
        reason=fields.text("reason"),
        by=asker.id,
    )
    answer = await operator_of(request).do(command)
    return done_or_asked("Customer status updated", answer, answer)


@router.delete("/customers/{user_id}")
async def remove(request: Request, user_id: str) -> Response:
    """Delete a customer without history, close one who has any; `outcome` says which."""
    asker = await administrator(request, Right.EDIT_CUSTOMERS)
    known = await _customer(request, user_id)
    answer = await operator_of(request).do(RemoveCustomer(known=known, by=asker.id))
    return done(f"Customer {answer['outcome']}", answer)


@router.get("/administrators", tags=["administrators"])
async def administrators(request: Request) -> Response:
    """Every administrator, oldest first."""
    await administrator(request, Right.ADMINISTRATORS)
    found = await operator_of(request).books.administrators()
    return done("Administrators retrieved", [_administrator_view(one) for one in found])


@router.post("/administrators", tags=["administrators"])
async def add_administrator(request: Request) -> Response:
    """One more administrator; nobody gives a right that she does not have."""
    await administrator(request, Right.ADMINISTRATORS)
    fields = (await body_of(request)).only("firstName", "lastName", "email", "phoneNumber", "password", "role")
    return done("Administrator created", _administrator_view(await register_administrator(request, fields)))


@router.patch("/administrators/{user_id}", tags=["administrators"])
async def change_administrator(request: Request, user_id: str) -> Response:
    """Another role, or no access any more."""
    asker = await administrator(request, Right.ADMINISTRATORS)
    fields = (await body_of(request)).only("role", "active")
    command = ChangeAdministrator(
        administrator_id=AdministratorId(_id(user_id)),
        role=fields.optional_choice("role", AdministratorRole),
        is_active=fields.optional_flag("active"),
        by=asker.id,
    )
    return done("Administrator updated", await operator_of(request).do(command))


async def _customer(request: Request, user_id: str) -> Customer:
    found = await operator_of(request).books.customer(_id(user_id))
    if found is None:
        raise CustomerNotFound
    return found


def _id(user_id: str) -> CustomerId:
    found = identifier(user_id)
    if found is None:
        raise CustomerNotFound
    return CustomerId(found)


def _view(customer: Customer, held: Money) -> dict[str, object]:
    return {
        "userID": str(customer.id),
        "userType": type_name(customer),
        "name": customer.name,
        "email": None if customer.email is None else customer.email.address,
        "phoneNumber": None if customer.phone is None else customer.phone.e164,
        "tier": customer.tier.value,
        "status": customer.status.value,
        "statusReason": customer.status_reason,
        "pinLocked": customer.pin_locked,
        "createdAt": moment(customer.created_at),
        "balance": shillings(held),
        "balanceCents": held.cents,
    }


def _administrator_view(one: Administrator) -> dict[str, object]:
    return {
        "userID": str(one.id),
        "name": one.name,
        "email": one.email.address,
        "phoneNumber": None if one.phone is None else one.phone.e164,
        "role": one.role.value,
        "isActive": one.is_active,
        "createdAt": moment(one.created_at),
    }
