"""One sandbox operator with its Daraja, put together from its ports."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from fastapi import FastAPI

from penpay.application.mobile_money.c2b import C2bBooks
from penpay.application.mobile_money.operator import Operator
from penpay.application.shared.ports import Aside, Clock, Random
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.controls import Controls
from penpay.sandbox.daraja import adjusting, admin, c2b, initiator_calls, pull, qr
from penpay.sandbox.daraja.app import DarajaApi, QueryLimit, create_app
from penpay.sandbox.daraja.callbacks import CallbackSender
from penpay.sandbox.daraja.initiated import InitiatedDesk
from penpay.sandbox.daraja.initiators import Initiators, SecurityKey
from penpay.sandbox.daraja.notifications import C2bDesk
from penpay.sandbox.daraja.stk import Spawn, StkDesk
from penpay.sandbox.daraja.switches import DarajaCredentials, DarajaSwitches, SwitchBoard
from penpay.sandbox.daraja.tokens import TokenDesk
from penpay.sandbox.faults import FaultPlan
from penpay.sandbox.phone import SimulatedPhone


class DarajaSandbox:
    """Serve `app` on any ASGI server after `start`; the operator and the HTTP client belong to the caller."""

    def __init__(
        self,
        *,
        operator: Operator,
        books: C2bBooks,
        callback_client: httpx.AsyncClient,
        clock: Clock,
        random: Random,
        spawn: Spawn,
        credentials: DarajaCredentials,
        switches: DarajaSwitches,
        security_key: Callable[[], SecurityKey] | None = None,
        controls: Controls | None = None,
        aside: Aside,
    ) -> None:
        """`security_key`: gives the key that opens initiators' credentials, when it is first needed.

        `controls`: of `clock`, which is theirs then, and of all that is drawn, which `random` is not asked for then;
        None for a sandbox whose time and chance nobody can set.
        """
        of: Callable[[str], Random] = (lambda _: random) if controls is None else controls.chance.of
        self.operator = operator
        self.faults = FaultPlan(of("faults"))
        self._spawn = spawn
        self.switches = board = SwitchBoard(switches)
        callbacks = CallbackSender(
            client=callback_client, faults=self.faults, switches=board, clock=clock, random=of("callbacks")
        )
        self._desk = StkDesk(
            operator=operator,
            callbacks=callbacks,
            faults=self.faults,
            switches=board,
            clock=clock,
            random=of("pushes"),
            spawn=spawn,
        )
        self._initiated = InitiatedDesk(
            operator=operator,
            initiators=Initiators(credentials=credentials, switches=board, key=security_key, aside=aside),
            callbacks=callbacks,
            faults=self.faults,
            switches=board,
            clock=clock,
            random=of("requests"),
            spawn=spawn,
        )
        self._c2b = C2bDesk(
            operator=operator, books=books, callbacks=callbacks, switches=board, clock=clock, spawn=spawn
        )
        api = DarajaApi(
            operator=operator,
            desk=self._desk,
            initiated=self._initiated,
            c2b=self._c2b,
            tokens=TokenDesk(credentials=credentials, switches=board, clock=clock, random=of("tokens")),
            faults=self.faults,
            switches=board,
            credentials=credentials,
            query_limit=QueryLimit(clock),
            clock=clock,
            random=of("answers"),
            controls=controls,
        )
        self.app: FastAPI = create_app(
            api, c2b.router, pull.router, qr.router, initiator_calls.router, admin.router, adjusting.router
        )

    async def start(self) -> None:
        """Take up what was open when the sandbox stopped, and start ending what nobody answers."""
        await self._desk.resume()
        await self._initiated.resume()
        await self._c2b.resume()
        self._spawn(self._desk.run())

    def phone(self, number: PhoneNumber) -> SimulatedPhone:
        """The handset of this number."""
        return self._desk.phone(number)
