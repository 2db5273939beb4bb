"""What the routes need of the System they serve, and how they find it."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Protocol, cast

from starlette.requests import Request

from penpay.application.payments.queries import PaymentBooks
from penpay.application.shared.executor import Executor
from penpay.application.wallet.queries import LedgerBooks
from penpay.domain.shared.ids import UserId

SCOPE_KEY: Final = "penpay.system"


class CallbackReceiver(Protocol):
    """Takes Safaricom's messages as they come; `application.payments.callbacks.MpesaCallbackVerifier`."""

    async def receive(self, *, token: str, remote_address: str, body: bytes) -> None:
        """Returns once the message is durable; raises CallbackRefused once its refusal is."""
        ...


class HttpSystem(Protocol):
    """One process's worth of program, as far as HTTP is concerned."""

    @property
    def executor(self) -> Executor: ...

    @property
    def payment_books(self) -> PaymentBooks: ...

    @property
    def ledger_books(self) -> LedgerBooks: ...

    @property
    def callback_verifier(self) -> CallbackReceiver: ...

    @property
    def idempotency_secret(self) -> bytes:
        """What idempotency keys and field values are digested with."""
        ...

    @property
    def trusted_proxies(self) -> Collection[IPv4Network | IPv6Network]:
        """Whose X-Forwarded-For is believed."""
        ...

    async def authenticate(self, api_key: str) -> UserId:
        """The user this key belongs to; raises Unauthorized."""
        ...

    async def schema_is_current(self) -> bool:
        """Whether the database's schema is the one this code was written for; raises when it does not answer."""
        ...


def system_of(request: Request) -> HttpSystem:
    """The System this request has reached."""
    return cast("HttpSystem", request.scope[SCOPE_KEY])
