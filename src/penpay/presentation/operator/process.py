"""What the operator's routes need of the process they serve, and how they find it."""

from __future__ import annotations

from typing import Final, Protocol, cast

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from penpay.application.mobile_money.operator import Operator
from penpay.application.shared.ports import Clock
from penpay.presentation.http.routes.health import Examined
from penpay.presentation.operator.tokens import AccessTokens

SCOPE_KEY: Final = "penpay.operator"


class HttpOperator(Examined, Protocol):
    """One process's worth of the operator, as far as HTTP is concerned."""

    @property
    def operator(self) -> Operator: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def idempotency_secret(self) -> bytes:
        """What idempotency keys and field values are digested with."""
        ...

    @property
    def access_tokens(self) -> AccessTokens:
        """What its users prove with who they are."""
        ...

    @property
    def bootstrap_secret(self) -> str | None:
        """Whoever knows it may register the first administrator from anywhere; None: only this machine may."""
        ...


def bind(app: ASGIApp, process: HttpOperator) -> ASGIApp:
    """The application serving one process; several may share the same routes."""

    async def bound(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, SCOPE_KEY: process}, receive, send)

    return bound


def process_of(request: Request) -> HttpOperator:
    """The process this request has reached."""
    return cast("HttpOperator", request.scope[SCOPE_KEY])


def operator_of(request: Request) -> Operator:
    """The operator this request has reached."""
    return process_of(request).operator
