"""Whether this process of the operator can do its work."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penpay.presentation.http.routes.health import examine
from penpay.presentation.operator.process import process_of

router = APIRouter(tags=["health"])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def health(request: Request) -> Response:
    """200 when the database answers with the schema this code was written for, and commits; 503 otherwise."""
    return await examine(process_of(request))
