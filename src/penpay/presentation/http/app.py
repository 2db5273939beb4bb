"""The HTTP application: its routes, built once, and the System bound to them."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from penpay.presentation.http.body import BodyLimit
from penpay.presentation.http.errors import HANDLERS
from penpay.presentation.http.guarding import Guarded, hung_up
from penpay.presentation.http.routes import (
    callbacks,
    customers,
    deposits,
    events,
    health,
    invoices,
    outflows,
    payments,
    period_locks,
    pos,
    recurring,
    reminders,
    reports,
    reviews,
    shifts,
    staff,
    staff_people,
    statements,
    transactions,
    wallet,
    withdrawals,
)
from penpay.presentation.http.routes.c2b import C2bMessages
from penpay.presentation.http.system import SCOPE_KEY, HttpSystem

_DESCRIPTION = """Money between M-Pesa and Deriv, on one immutable double-entry ledger.

Amounts are whole numbers of cents. Moments are RFC 3339 in UTC. A refusal is a problem document (RFC 9457) whose
`code` never changes; a repeated request under the same idempotency key gets the first answer again, byte for byte."""


def create_app() -> FastAPI:
    """The application without a System; `bind` gives it one."""
    app = FastAPI(
        title="PenPay",
        description=_DESCRIPTION,
        version="1",
        docs_url="/docs",
        redoc_url=None,
        exception_handlers={**HANDLERS, ClientDisconnect: hung_up},
        redirect_slashes=False,  # a redirect would name the host that the caller chose
    )
    penpay, people = (deposits, withdrawals, transactions, wallet), (staff, staff_people, reviews)
    bills = (statements, customers, invoices, recurring, payments, outflows, reminders)
    till, books = (pos, shifts), (period_locks, reports, events)
    for module in (*penpay, *people, *bills, *till, *books, callbacks, health):
        app.include_router(module.router)
    app.add_middleware(BodyLimit)
    app.add_middleware(Guarded)
    app.add_middleware(C2bMessages)
    return app


def bind(app: ASGIApp, system: HttpSystem) -> ASGIApp:
    """The application serving one System; several may share the same routes."""

    async def bound(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, SCOPE_KEY: system}, receive, send)

    return bound
