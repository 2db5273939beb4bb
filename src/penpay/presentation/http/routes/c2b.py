"""Where Safaricom asks about payments before they happen (validation) and tells of them after (confirmation).

Served ahead of the framework's routing, whose reading of parameters and layers take longer than what is done here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from penpay.application.collections.doors import Message, Verdict
from penpay.domain.shared.errors import CallbackRefused, DomainError
from penpay.presentation.http.body import BodyLimit
from penpay.presentation.http.errors import refusal
from penpay.presentation.http.guarding import Guarded
from penpay.presentation.http.remote import arrived_by_tls, remote_address
from penpay.presentation.http.system import system_of

_PATHS: Final = re.compile(
    r"/api/webhooks/(?:mpesa(?P<bare_validation>/validation)?|c2b/(?P<token>[^/]+)/(?P<message>confirmation|validation))"
)
_JSON: Final = (b"content-type", b"application/json")
_CONFIRMED: Final = b'{"ResultCode":0,"ResultDesc":"Success"}'
_VERDICTS: Final[Mapping[Verdict, bytes]] = {
    verdict: orjson.dumps(
        {"ResultCode": verdict.value, "ResultDesc": "Accepted" if verdict is Verdict.ACCEPTED else "Rejected"}
    )
    for verdict in Verdict
}


class C2bMessages:
    """Takes what is posted to these paths; every other request goes on to the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._taken = Guarded(BodyLimit(_take))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_ours = scope["type"] == "http" and scope["method"] == "POST" and _PATHS.fullmatch(scope["path"])
        await (self._taken if is_ours else self._app)(scope, receive, send)


async def _take(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    try:
        answer = await _answer(request)
    except DomainError as refused:
        await refusal(request, refused)(scope, receive, send)
    except ClientDisconnect:
        return
    else:
        headers = (_JSON, (b"content-length", b"%d" % len(answer)))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


async def _answer(request: Request) -> bytes:
    """A confirmation is answered once it is durable, whatever it says: the money has moved.

    A validation is answered in time whether the payment may happen; nothing is posted.
    """
    path = _PATHS.fullmatch(request.scope["path"])
    if path is None:
        raise CallbackRefused
    message = await _message(request, path["token"])
    door = system_of(request).c2b_door
    if path["bare_validation"] or path["message"] == "validation":
        return _VERDICTS[await door.validate(message)]
    await door.confirm(message)
    return _CONFIRMED


async def _message(request: Request, token: str | None) -> Message:
    """The message as it arrived. Raises CallbackRefused for one that came in the clear where that is not allowed."""
    system = system_of(request)
    peer = request.client.host if request.client else None
    if system.tls_required and not arrived_by_tls(request.scope, peer, system.trusted_proxies):
        raise CallbackRefused
    forwarded = request.headers.getlist("x-forwarded-for")
    return Message(
        token=token,
        remote_address=remote_address(peer, forwarded, system.trusted_proxies),
        body=await request.body(),
    )
