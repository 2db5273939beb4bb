"""Where Safaricom reports what became of an STK push."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penpay.presentation.http.remote import remote_address
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api/v1/callbacks", include_in_schema=False)

_ACCEPTED: Final = b'{"ResultCode":0,"ResultDesc":"Accepted"}'


@router.post("/stk/{token}")
async def stk_callback(request: Request, token: str) -> Response:
    """Answered once the message is durable, whatever it says; what it means is decided by our own question."""
    system = system_of(request)
    address = remote_address(
        request.client.host if request.client else None,
        request.headers.getlist("x-forwarded-for"),
        system.trusted_proxies,
    )
    await system.callback_verifier.receive(token=token, remote_address=address, body=await request.body())
    return Response(_ACCEPTED, media_type="application/json")
