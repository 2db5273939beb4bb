"""Who on the staff asks: a session cookie for browsers, the same token as a bearer credential for scripts.

A route takes `staff: Staff` for anybody on the staff, or `staff: Annotated[StaffPerson, requires(StaffRole.…)]`. What
changes anything and comes from another site's page is refused before it is known who asks; the cookie is
SameSite=Strict besides.
"""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from penpay.application.identity.staff_access import StaffPerson
from penpay.domain.identity.errors import CrossSite
from penpay.domain.identity.staff import StaffRole
from penpay.domain.shared.errors import Forbidden, Unauthorized
from penpay.presentation.http.system import system_of

_BEARER: Final = HTTPBearer(
    auto_error=False, scheme_name="StaffSession", description="A session of the staff; browsers send it as a cookie."
)
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def cookie_name(*, secure: bool) -> str:
    """What the session's cookie is called. The prefix has browsers refuse one that another host, or http, has set."""
    return "__Host-penpay_staff" if secure else "penpay_staff"


def require_same_site(request: Request) -> None:
    """Raises CrossSite for what a browser says comes from a page that is not ours; other programs say nothing.

    Sec-Fetch-Site goes before Origin: behind a proxy we may not know under which name we are reached.
    """
    if request.method in _READING:
        return
    fetched_from = request.headers.get("sec-fetch-site")
    if fetched_from is not None:
        if fetched_from != "same-origin":
            raise CrossSite
        return
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
        raise CrossSite


async def on_the_staff(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> StaffPerson:
    """Who asks. Raises CrossSite and Unauthorized."""
    require_same_site(request)
    system = system_of(request)
    if credentials is not None:
        token = credentials.credentials
    else:
        token = request.cookies.get(cookie_name(secure=system.secure_cookies), "")
    if not token:
        raise Unauthorized
    return await system.staff_access.recognise(token)


async def still_on_the_staff(request: Request) -> StaffPerson:
    """Who asks, looked at again in the middle of a long answer. Raises Unauthorized."""
    return await on_the_staff(request, await _BEARER(request))


Staff = Annotated[StaffPerson, Depends(on_the_staff)]
"""A route argument: somebody on the staff, whatever her role."""


def requires(*roles: StaffRole) -> Any:
    """A route's dependency: somebody with one of these roles, or an owner, who may do whatever others may.

    It raises Forbidden for everybody else on the staff.
    """
    allowed = frozenset({*roles, StaffRole.OWNER})

    async def with_a_role(staff: Staff) -> StaffPerson:
        if staff.role not in allowed:
            raise Forbidden(f"That is for: {', '.join(sorted(allowed))}.")
        return staff

    return Depends(with_a_role)


Cashier = Annotated[StaffPerson, requires(StaffRole.CASHIER)]
"""A route argument: somebody who sells."""
Accountant = Annotated[StaffPerson, requires(StaffRole.ACCOUNTANT)]
"""A route argument: somebody who keeps the books."""
Owner = Annotated[StaffPerson, requires(StaffRole.OWNER)]
"""A route argument: somebody who approves and decides."""
