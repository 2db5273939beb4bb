"""One process's worth of the sandbox."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url
from starlette.types import ASGIApp, Receive, Scope, Send

from penpay.application.shared.ports import Clock, Random
from penpay.bootstrap.operator import OperatorProcess, kenyan_policy
from penpay.bootstrap.ports import Ports, Tasks
from penpay.config import SandboxSettings
from penpay.infrastructure.sql.engine import open_engine
from penpay.presentation.operator.app import create_operator_app
from penpay.presentation.operator.process import bind
from penpay.sandbox.controls import Controls
from penpay.sandbox.daraja.initiators import SecurityKey
from penpay.sandbox.daraja.sandbox import DarajaSandbox
from penpay.sandbox.daraja.switches import PUBLISHED_INITIATORS, DarajaCredentials, DarajaSwitches, Initiator
from penpay.sandbox.deriv.admin import create_app as create_deriv_admin
from penpay.sandbox.deriv.book import Book
from penpay.sandbox.deriv.faults import FaultPlan as DerivFaultPlan
from penpay.sandbox.deriv.limits import RateLimits
from penpay.sandbox.deriv.mail import Mailbox
from penpay.sandbox.deriv.server import DerivSimulator

_OPERATORS_OWN: Final = "/api/"
"""Where the operator's own interface is; every other path is Daraja's or the sandbox's."""
_DERIVS_OWN: Final = "/sandbox/deriv/"
"""Where the Deriv simulator's own routes are."""


class Sandbox:
    """One process's worth of the sandbox: the operator with Daraja, and the Deriv simulator, each on its own book."""

    def __init__(
        self,
        settings: SandboxSettings,
        ports: Ports,
        *,
        switches: DarajaSwitches,
        deriv_url: str,
        deriv_limits: RateLimits,
        short_codes: Sequence[str] = (),
        pin_log2_cost: int = 14,
        controls: Controls | None = None,
    ) -> None:
        """`short_codes`: further numbers that may push, with the same passkey; who opens them is the caller.

        `pin_log2_cost`: how dear it is to guess a PIN; a simulation, where nobody guesses, makes it cheap.

        `controls`: of M-Pesa's time and of all that is drawn; Deriv's time stays the ports'.
        """
        of: Callable[[str], Random] = (lambda _: ports.random) if controls is None else controls.chance.of
        self._short_codes = tuple(dict.fromkeys((settings.mpesa_short_code, settings.b2c_short_code)))
        self._tasks = Tasks()
        self.clock: Clock = ports.clock if controls is None else controls.clock
        self._process = OperatorProcess(
            settings,
            ports,
            policy=kenyan_policy(),
            pin_log2_cost=pin_log2_cost,
            clock=self.clock,
            codes=of("codes"),
        )
        self.engine = self._process.engine
        self.operator = self._process.operator
        self._deriv_engine = open_engine(deriv_url, connect=ports.database)
        self._callbacks = ports.http()
        self.daraja = DarajaSandbox(
            operator=self.operator,
            books=self._process.c2b,
            callback_client=self._callbacks,
            clock=self.clock,
            random=ports.random,
            spawn=self._tasks.spawn,
            credentials=DarajaCredentials(
                consumer_key=settings.mpesa_consumer_key.get_secret_value(),
                consumer_secret=settings.mpesa_consumer_secret.get_secret_value(),
                passkeys=dict.fromkeys(
                    (settings.mpesa_short_code, *short_codes), settings.mpesa_passkey.get_secret_value()
                ),
                initiators=_initiators(settings, self._short_codes),
            ),
            switches=switches,
            security_key=lambda: kept_key(settings.operator_database_url),
            controls=controls,
            aside=ports.aside,
        )
        self.deriv_book = Book(self._deriv_engine, clock=ports.clock)
        self.deriv_mailbox = Mailbox(self.deriv_book, random=of("deriv mail"))
        self.deriv_faults = DerivFaultPlan(of("deriv faults"))
        self.deriv = DerivSimulator(
            book=self.deriv_book,
            mailbox=self.deriv_mailbox,
            clock=ports.clock,
            random=of("deriv"),
            spawn=self._tasks.spawn,
            faults=self.deriv_faults,
            limits=deriv_limits,
        )

    def create_app(self) -> ASGIApp:
        """The HTTP application of both: the operator's own interface, Daraja, and the sandbox's routes."""
        return _beside(
            bind(create_operator_app(), self._process), self.daraja.app, create_deriv_admin(self.deriv_mailbox)
        )

    async def start(self) -> None:
        """Serve the operator's commands and its prompts; HTTP and WebSocket are served by the caller."""
        await self._process.start()
        await self.deriv_book.create()
        for short_code in self._short_codes:
            await self.operator.register_merchant(short_code, "PENPAY")
        await self.daraja.start()

    async def stop(self) -> None:
        """End every task and close what is open."""
        await self._tasks.stop()
        await self._callbacks.aclose()
        await self._process.stop()
        await self._deriv_engine.dispose()


def _initiators(settings: SandboxSettings, short_codes: Sequence[str]) -> tuple[Initiator, ...]:
    """The one that is set, of our own numbers; the published ones come after it, for it may have their name."""
    name, password = settings.mpesa_initiator_name, settings.mpesa_initiator_password
    if name is None or password is None:
        return PUBLISHED_INITIATORS
    ours = (Initiator(name, password.get_secret_value(), short_code) for short_code in short_codes)
    return (*ours, *PUBLISHED_INITIATORS)


def kept_certificate(database_url: str, now: datetime) -> Path:
    """The file of the certificate of `kept_key`, beside an embedded database, made anew."""
    file = Path(f"{make_url(database_url).database}.initiator.crt")
    file.write_bytes(kept_key(database_url).certificate(now))
    return file


def kept_key(database_url: str) -> SecurityKey:
    """The key in the file beside an embedded database; drawn, for its owner only, when it is first needed.

    Without such a database it is a new one in every process, and clients fetch its certificate again.
    """
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return SecurityKey.draw()
    file = Path(f"{url.database}.initiator.pem")
    if not file.exists():
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.unlink(missing_ok=True)
        with open(fresh, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as made:
            made.write(SecurityKey.draw().pem)
        with suppress(FileExistsError):
            os.link(fresh, file)  # whole or not at all, and the first one stays
        fresh.unlink()
    return SecurityKey.parse(file.read_bytes())


def _beside(operator: ASGIApp, daraja: ASGIApp, deriv: ASGIApp) -> ASGIApp:
    """All on one port, as the operator's customers and its merchants find them."""

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path.startswith(_OPERATORS_OWN):
            await operator(scope, receive, send)
        elif path.startswith(_DERIVS_OWN):
            await deriv(scope, receive, send)
        else:
            await daraja(scope, receive, send)

    return either
