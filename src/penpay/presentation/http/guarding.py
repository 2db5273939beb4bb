"""What every application of ours tells browsers, and what becomes of a client that hangs up."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TOLD: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class Guarded:
    """Tells browsers not to guess at, keep or frame what we answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_TOLD]
            await send(message)

        await self._app(scope, receive, with_headers)


async def hung_up(_: Request, __: Exception) -> Response:
    """The client left in the middle of its body: no fault of ours, and nobody reads the answer."""
    return Response(status_code=400)
