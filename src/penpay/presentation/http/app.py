"""The HTTP application: its routes, built once, and the System bound to them."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penpay.presentation.http.body import BodyLimit
from penpay.presentation.http.errors import HANDLERS
from penpay.presentation.http.routes import callbacks, deposits, health, transactions, wallet
from penpay.presentation.http.system import SCOPE_KEY, HttpSystem

_DESCRIPTION = """Money between M-Pesa and Deriv, on one immutable double-entry ledger.

Amounts are whole numbers of cents. Moments are RFC 3339 in UTC. A refusal is a problem document (RFC 9457) whose
`code` never changes; a repeated request under the same idempotency key gets the first answer again, byte for byte."""


class _Guarded:
    """Tells browsers not to guess at, keep or frame what we answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "DENY"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, with_headers)


async def _hung_up(_: Request, __: Exception) -> Response:
    """The client left in the middle of its body: no fault of ours, and nobody reads the answer."""
    return Response(status_code=400)


def create_app() -> FastAPI:
    """The application without a System; `bind` gives it one."""
    app = FastAPI(
        title="PenPay",
        description=_DESCRIPTION,
        version="1",
        docs_url="/docs",
        redoc_url=None,
        exception_handlers={**HANDLERS, ClientDisconnect: _hung_up},
        redirect_slashes=False,  # a redirect would name the host that the caller chose
    )
    for module in (deposits, transactions, wallet, callbacks, health):
        app.include_router(module.router)
    app.add_middleware(BodyLimit)
    app.add_middleware(_Guarded)
    return app


def bind(app: ASGIApp, system: HttpSystem) -> ASGIApp:
    """The application serving one System; several may share the same routes."""

    async def bound(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, SCOPE_KEY: system}, receive, send)

    return bound
