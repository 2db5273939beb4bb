"""Who is on the staff, as an owner decides it: adding, listing, another role or password, and no more access.

Only those at the terminal make the first owner. Passwords come in a body and go nowhere else, so these calls take no
Idempotency-Key: it would keep a digest of the request. Told twice, each changes nothing the second time or says why.
"""

from __future__ import annotations

from uuid import UUID

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.payments.views import moment
from penpay.domain.identity.staff import Staff, StaffRole
from penpay.domain.shared.email import Email
from penpay.domain.shared.ids import StaffId
from penpay.presentation.http.body import JsonRoute
from penpay.presentation.http.routes.money_posts import CREATED, Body
from penpay.presentation.http.routes.shapes import answers
from penpay.presentation.http.staff_auth import Owner
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api/staff", route_class=JsonRoute, tags=["staff"])


class NewStaffBody(Body):
    """Somebody new, with the password she is told."""

    email: str = Field(max_length=254, json_schema_extra={"example": "cashier@example.com"})
    role: StaffRole = Field(strict=False)
    password: str = Field(max_length=1024, repr=False, description="12 to 128 characters.")


class RoleBody(Body):
    """What somebody is there for from now on."""

    role: StaffRole = Field(strict=False)


class PasswordBody(Body):
    """What somebody is let in with from now on."""

    password: str = Field(max_length=1024, repr=False, description="12 to 128 characters.")


class PersonBody(BaseModel):
    """Somebody on the staff."""

    id: str
    email: str
    role: StaffRole
    created_at: str
    disabled_at: str | None = Field(description="Since when she is let in no more.")


class PeopleBody(BaseModel):
    """The whole staff, oldest first, the disabled too."""

    staff: list[PersonBody]


@router.get("", responses=answers(200, PeopleBody))
async def everybody(request: Request, owner: Owner) -> Response:  # noqa: ARG001  (an owner may look)
    """Who is on the staff, the disabled too."""
    people = await system_of(request).staff_access.books.everybody()
    return _json({"staff": [_view(person) for person in people]}, 200)


@router.post("", status_code=CREATED, responses=answers(CREATED, PersonBody))
async def add(request: Request, owner: Owner, body: NewStaffBody) -> Response:
    """Put somebody on the staff. An address that somebody has already, disabled or not, is refused."""
    access = system_of(request).staff_access
    return _json(_view(await access.create(Email.parse(body.email), body.role, body.password, by=owner.id)), CREATED)


@router.post("/{staff_id}/role", responses=answers(200, PersonBody))
async def give_role(request: Request, owner: Owner, staff_id: UUID, body: RoleBody) -> Response:
    """Give somebody another role; her sessions end. The last owner keeps hers."""
    access = system_of(request).staff_access
    return _json(_view(await access.change(StaffId(staff_id), by=owner.id, role=body.role)), 200)


@router.post("/{staff_id}/password", responses=answers(200, PersonBody))
async def give_password(request: Request, owner: Owner, staff_id: UUID, body: PasswordBody) -> Response:
    """Give somebody another password; her sessions end, one's own too."""
    access = system_of(request).staff_access
    return _json(_view(await access.change(StaffId(staff_id), by=owner.id, password=body.password)), 200)


@router.post("/{staff_id}/disable", responses=answers(200, PersonBody))
async def disable(request: Request, owner: Owner, staff_id: UUID) -> Response:
    """Let somebody in no more; her sessions end. The last owner stays."""
    access = system_of(request).staff_access
    return _json(_view(await access.change(StaffId(staff_id), by=owner.id, disabled=True)), 200)


@router.post("/{staff_id}/enable", responses=answers(200, PersonBody))
async def enable(request: Request, owner: Owner, staff_id: UUID) -> Response:
    """Let somebody in again, with the password and the role she had; sessions of before stay ended."""
    access = system_of(request).staff_access
    return _json(_view(await access.change(StaffId(staff_id), by=owner.id, disabled=False)), 200)


def _view(person: Staff) -> dict[str, object]:
    return {
        "id": str(person.id),
        "email": person.email.address,
        "role": person.role.value,
        "created_at": moment(person.created_at),
        "disabled_at": moment(person.disabled_at),
    }


def _json(view: dict[str, object], status: int) -> Response:
    return Response(orjson.dumps(view), status_code=status, media_type="application/json")
