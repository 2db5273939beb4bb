"""Registering and logging in."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.mobile_money.registration import Person
from penpay.application.mobile_money.rows import UserType
from penpay.domain.mobile_money.administrator import Administrator, AdministratorRole, Right
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import LoginLocked, NotFound, Unauthorized, WrongCredentials
from penpay.domain.shared.phone import PhoneNumber
from penpay.presentation.operator import tokens
from penpay.presentation.operator.answers import done, plain
from penpay.presentation.operator.callers import administrator, may_found
from penpay.presentation.operator.fields import Fields, body_of
from penpay.presentation.operator.process import operator_of, process_of

router = APIRouter(prefix="/api", tags=["people"])
NAME_LETTERS: Final = 60
_NOT_LOGGED_IN: Final = (
    "The e-mail address or the password is wrong, or too many wrong passwords have locked the login for a while."
)


@router.post("/login/{user_type}")
async def log_in(request: Request, user_type: str) -> Response:
    """A token for six hours. Unknown addresses, wrong passwords and locked logins are told alike.

    Only an address that is known can be locked, so saying that it is would say that it is known.
    """
    kind = _user_type(user_type)
    fields = await body_of(request)
    email, password = Email.parse(fields.text("email")), fields.secret("password")
    try:
        found = await operator_of(request).log_in(kind, email, password)
    except (WrongCredentials, LoginLocked):
        raise WrongCredentials(_NOT_LOGGED_IN) from None
    process = process_of(request)
    token = process.access_tokens.issue(found, process.clock.now())
    return plain({"userId": str(found.id), "userType": tokens.type_name(found), "token": token})


@router.post("/user/{user_type}")
async def register(request: Request, user_type: str) -> Response:
    """Open an account. Administrators are made by administrators, but for the first one."""
    kind = _user_type(user_type)
    fields = await body_of(request)
    if kind is UserType.ADMINISTRATOR:
        administrator_made = await register_administrator(request, fields)
        return _created(administrator_made.id, kind)
    customer = await operator_of(request).register(kind, await _person(request, fields))
    return _created(customer.id, kind)


async def register_administrator(request: Request, fields: Fields) -> Administrator:
    """Without a token only the first one. Raises Unauthorized, Forbidden, CustomerExists."""
    role = fields.optional_choice("role", AdministratorRole) or AdministratorRole.CUSTOMER_CARE
    by = None
    if "authorization" in request.headers:
        by = (await administrator(request, Right.ADMINISTRATORS)).id
    elif not may_found(request):
        raise Unauthorized
    return await operator_of(request).register_administrator(await _person(request, fields), role, by)


async def _person(request: Request, fields: Fields) -> Person:
    phone = fields.optional_text("phoneNumber")
    return await operator_of(request).person(
        name=full_name(fields),
        email=Email.parse(fields.text("email")),
        phone=None if phone is None else PhoneNumber.parse(phone),
        password=fields.secret("password"),
    )


def full_name(fields: Fields) -> str:
    """First and last name, as messages show them."""
    return f"{fields.text('firstName', NAME_LETTERS)} {fields.text('lastName', NAME_LETTERS)}"


def _created(id_: object, kind: UserType) -> Response:
    return done("user created", {"userID": str(id_), "userType": kind.value.lower()})


def _user_type(text: str) -> UserType:
    """A user type as it stands in a path: in lower case."""
    for kind in UserType:
        if text == kind.value.lower():
            return kind
    raise NotFound("There is no such type of user.")
