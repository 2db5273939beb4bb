"""Who asks: a bearer credential on every request that is not a provider's."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from penpay.domain.shared.errors import Unauthorized
from penpay.domain.shared.ids import UserId
from penpay.presentation.http.system import system_of

_BEARER: Final = HTTPBearer(auto_error=False, scheme_name="ApiKey", description="An API key of one user.")


async def authenticated(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> UserId:
    """The user whose credential the request carries. Raises Unauthorized."""
    if credentials is None or not credentials.credentials:
        raise Unauthorized
    return await system_of(request).authenticate(credentials.credentials)


Caller = Annotated[UserId, Depends(authenticated)]
"""A route argument: the authenticated user."""
