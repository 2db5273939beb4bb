"""Where Safaricom reports what became of pushes and payouts, and answers our questions about them."""

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
    verifier = system_of(request).callback_verifier
    await verifier.receive(token=token, remote_address=_source(request), body=await request.body())
    return Response(_ACCEPTED, media_type="application/json")


@router.post("/results/{token}")
async def result(request: Request, token: str) -> Response:
    """The Result of a payout or of a question; answered as above."""
    verifier = system_of(request).result_verifier
    body = await request.body()
    await verifier.receive_result(token=token, remote_address=_source(request), body=body, timed_out=False)
    return Response(_ACCEPTED, media_type="application/json")


@router.post("/timeouts/{token}")
async def timed_out(request: Request, token: str) -> Response:
    """A payout or a question waited too long in a queue, which says nothing of its outcome; answered as above."""
    verifier = system_of(request).result_verifier
    body = await request.body()
    await verifier.receive_result(token=token, remote_address=_source(request), body=body, timed_out=True)
    return Response(_ACCEPTED, media_type="application/json")


def _source(request: Request) -> str:
    return remote_address(
        request.client.host if request.client else None,
        request.headers.getlist("x-forwarded-for"),
        system_of(request).trusted_proxies,
    )
