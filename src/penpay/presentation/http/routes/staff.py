"""Logging in and out of the back office."""

from __future__ import annotations

from datetime import timedelta

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.identity.staff_access import StaffPerson
from penpay.application.payments.views import moment
from penpay.domain.identity.staff import SESSION_LIFETIME, StaffRole
from penpay.domain.shared.email import Email
from penpay.presentation.http.body import JsonRoute
from penpay.presentation.http.remote import remote_address
from penpay.presentation.http.routes.shapes import PROBLEMS, answers
from penpay.presentation.http.staff_auth import Staff, cookie_name, require_same_site
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api/staff", route_class=JsonRoute, tags=["staff"])


class LoginBody(BaseModel):
    """Who wants to come in."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    email: str = Field(max_length=254, json_schema_extra={"example": "owner@example.com"})
    password: str = Field(max_length=1024, repr=False)


class StaffBody(BaseModel):
    """Somebody on the staff."""

    id: str
    email: str
    role: StaffRole
    expires_at: str = Field(description="Until when the session lasts.")


@router.post("/login", responses=answers(200, StaffBody))
async def log_in(request: Request, body: LoginBody) -> Response:
    """A session for twelve hours, in a cookie that no script can read, and who you are.

    Unknown addresses and wrong passwords are told alike; after five for one address, or thirty from one source, within
    a quarter of an hour nothing is compared for as long.
    """
    require_same_site(request)
    system = system_of(request)
    source = remote_address(
        request.client.host if request.client else None,
        request.headers.getlist("x-forwarded-for"),
        system.trusted_proxies,
    )
    token, person = await system.staff_access.log_in(Email.parse(body.email), body.password, source)
    response = _told(person)
    secure = system.secure_cookies
    response.set_cookie(
        cookie_name(secure=secure),
        token,
        max_age=SESSION_LIFETIME // timedelta(seconds=1),
        httponly=True,
        samesite="strict",
        secure=secure,
        path="/",
    )
    return response


@router.post("/logout", status_code=204, response_class=Response, responses=dict(PROBLEMS))
async def log_out(request: Request, staff: Staff) -> Response:
    """The session is over, in this browser and wherever else its token is."""
    system = system_of(request)
    await system.staff_access.log_out(staff)
    response = Response(status_code=204)
    secure = system.secure_cookies
    response.delete_cookie(cookie_name(secure=secure), path="/", httponly=True, samesite="strict", secure=secure)
    return response


@router.get("/me", responses=answers(200, StaffBody))
async def me(staff: Staff) -> Response:
    """Who you are."""
    return _told(staff)


def _told(person: StaffPerson) -> Response:
    view = {
        "id": str(person.id),
        "email": person.email.address,
        "role": person.role.value,
        "expires_at": moment(person.expires_at),
    }
    return Response(orjson.dumps(view), media_type="application/json")
