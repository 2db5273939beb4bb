"""Where Safaricom asks about payments before they happen (validation) and tells of them after (confirmation).

Plain routes: FastAPI's reading of parameters takes longer than most of what they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penpay.application.collections.doors import Message, Verdict
from penpay.domain.shared.errors import CallbackRefused
from penpay.presentation.http.remote import arrived_by_tls, remote_address
from penpay.presentation.http.system import system_of

_CONFIRMED: Final = b'{"ResultCode":0,"ResultDesc":"Success"}'
_VERDICTS: Final[Mapping[Verdict, bytes]] = {
    verdict: orjson.dumps(
        {"ResultCode": verdict.value, "ResultDesc": "Accepted" if verdict is Verdict.ACCEPTED else "Rejected"}
    )
    for verdict in Verdict
}


async def confirm(request: Request) -> Response:
    """Answered once the message is durable, whatever it says: the money has moved."""
    await system_of(request).c2b_door.confirm(await _message(request))
    return Response(_CONFIRMED, media_type="application/json")


async def validate(request: Request) -> Response:
    """Answered in time whether the payment may happen; nothing is posted."""
    verdict = await system_of(request).c2b_door.validate(await _message(request))
    return Response(_VERDICTS[verdict], media_type="application/json")


async def _message(request: Request) -> Message:
    """The message as it arrived. Raises CallbackRefused for one that came in the clear where that is not allowed."""
    system = system_of(request)
    peer = request.client.host if request.client else None
    if system.tls_required and not arrived_by_tls(request.scope, peer, system.trusted_proxies):
        raise CallbackRefused
    forwarded = request.headers.getlist("x-forwarded-for")
    return Message(
        token=request.path_params.get("token"),
        remote_address=remote_address(peer, forwarded, system.trusted_proxies),
        body=await request.body(),
    )


ROUTES: Final = (
    Route("/api/webhooks/c2b/{token}/confirmation", confirm, methods=["POST"]),
    Route("/api/webhooks/c2b/{token}/validation", validate, methods=["POST"]),
    Route("/api/webhooks/mpesa", confirm, methods=["POST"]),
    Route("/api/webhooks/mpesa/validation", validate, methods=["POST"]),
)
