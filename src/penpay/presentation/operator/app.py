"""The operator's HTTP application: its routes, built once; `process.bind` gives it a process to serve."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.routing import Route

from penpay.presentation.http.body import BodyLimit
from penpay.presentation.http.guarding import Guarded
from penpay.presentation.operator.answers import HANDLERS, refusal
from penpay.presentation.operator.routes import (
    account,
    administration,
    customers,
    health,
    merchants,
    people,
    requests,
    transactions,
    treasury,
)

_DESCRIPTION = """Wallets, agents' floats and merchants' takings of a mobile-money operator.

Bodies are forms or JSON. Amounts are whole shillings; in answers, names that end in `Cents` hold cents. Moments are
RFC 3339 in East Africa Time. An error has a `code` that never changes. A repeated request under the same
Idempotency-Key header gets the first answer again."""


def create_operator_app() -> FastAPI:
    """The application without a process."""
    app = FastAPI(
        title="PenPay mobile money",
        description=_DESCRIPTION,
        version="1",
        docs_url="/docs",
        redoc_url=None,
        exception_handlers=dict(HANDLERS),
        redirect_slashes=False,  # a redirect would name the host that the caller chose
    )
    for route in transactions.router.routes:
        if isinstance(route, Route):
            # What is asked for most, first and as plain routes: FastAPI's reading of parameters, of which these have
            # none, takes longer than they do. The same routes further down are for the documentation.
            app.router.add_route(
                route.path, route.endpoint, methods=sorted(route.methods or ()), include_in_schema=False
            )
    for module in (transactions, account, people, merchants, requests, administration, treasury, customers):
        app.include_router(module.router)
    app.include_router(health.router)
    app.add_middleware(BodyLimit, refuse=refusal)
    app.add_middleware(Guarded)
    return app
