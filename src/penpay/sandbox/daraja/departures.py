"""When an answer has left: what a callback waits for that must not overtake it."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

_KEY = "penpay.departure"


class Departures:
    """Gives each request an event that is set when its answer has left, or never will."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = asyncio.Event()
        scope[_KEY] = left
        try:
            await self._app(scope, receive, send)
        finally:
            left.set()


def departure(request: Request) -> asyncio.Event:
    """The event of this request."""
    left: asyncio.Event = request.scope[_KEY]
    return left
