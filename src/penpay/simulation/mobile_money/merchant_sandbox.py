"""Another merchant's Daraja in one seed: an operator with a database of its own that dies, starts again and forgets."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
from starlette.types import ASGIApp

from penpay.bootstrap import Ports
from penpay.bootstrap.operator import OperatorProcess, kenyan_policy
from penpay.bootstrap.ports import Tasks
from penpay.config import Settings
from penpay.domain.shared.money import Currency, Money
from penpay.sandbox.daraja.sandbox import DarajaSandbox
from penpay.sandbox.daraja.switches import AfterTimeout, DarajaCredentials, DarajaSwitches
from penpay.sandbox.faults import (
    CallbackFirst,
    DarajaCall,
    Fault,
    FaultPlan,
    FaultRule,
    LateCallback,
    LostCallback,
    QueuedTooLong,
    RepeatedCallback,
    Spoilt,
    SpoiltReply,
)
from penpay.simulation.database import Connection
from penpay.simulation.loop import Process, SimLoop
from penpay.simulation.mobile_money.hazards import AT_THE_MERCHANT, NotesFrom, elsewhere
from penpay.simulation.mobile_money.installation import Unheard
from penpay.simulation.nemesis import Nemesis, Notes
from penpay.simulation.network import Host, Network
from penpay.simulation.ports import SimClock, SimRandom
from penpay.simulation.profile import Hazard, Profile
from penpay.simulation.provider_faults import noted
from penpay.simulation.template import PIN_LOG2_COST, SHORT_CODE
from penpay.simulation.watched import is_within_a_transaction

PORT: Final = 6702
HOME_PORT: Final = 7100
DATABASE: Final = "merchant.db"
OPENING_CENTS: Final = 20_000_00
LATEST_MS: Final = 120_000
"""How late a message can be."""
_FREE: Final = (DarajaCall.B2C, DarajaCall.STATUS, DarajaCall.BALANCE, DarajaCall.REVERSAL, DarajaCall.PULL)
_SWITCHES: Final = DarajaSwitches(
    sweep_every_ms=60_000, confirm_every_ms=2_000, external_validation=True, after_timeout=AfterTimeout.CARRIED_OUT
)


def settings_at(settings: Settings, folder: Path) -> Settings:
    """The same settings with this operator's own database."""
    return settings.model_copy(update={"operator_database_url": f"sqlite+aiosqlite:///{folder / DATABASE}"})


async def fund_merchant(settings: Settings, ports: Ports, folder: Path) -> None:
    """Make the database in this folder, from the one of the sandbox beside it: a merchant with money to pay out."""
    shutil.copyfile(folder / "operator.db", folder / DATABASE)
    process = OperatorProcess(settings_at(settings, folder), ports, policy=kenyan_policy(), pin_log2_cost=PIN_LOG2_COST)
    await process.start()
    await process.operator.issue_to_merchant(SHORT_CODE, Money(OPENING_CENTS, Currency.KES), "opening-merchant")
    await process.stop()


class MerchantSandbox:
    """One process of it at a time, at one address."""

    def __init__(
        self,
        *,
        loop: SimLoop,
        profile: Profile,
        notes: Notes,
        chance: Callable[[str], random.Random],
        settings: Settings,
    ) -> None:
        self._loop = loop
        self._profile = profile
        self._all_notes = notes
        self._notes = NotesFrom(notes, "merchant", AT_THE_MERCHANT)
        self._chance = chance
        self._settings = settings
        self._launched = 0
        self._is_over = False
        self.nemesis = Nemesis(
            loop=loop,
            chance=chance("nemesis"),
            profile=elsewhere(profile, AT_THE_MERCHANT),
            notes=self._notes,
            crash=self._crash,
            apart=chance,
        )
        self.network = Network(
            loop=loop,
            chance=chance("network"),
            nemesis=self.nemesis,
            notes=self._notes,
            tap=Unheard(),
            has_open_transaction=is_within_a_transaction,
        )
        self._host = self.network.hosts[("127.0.0.1", PORT)] = Host()
        self._plan: FaultPlan | None = None
        self.system: OperatorProcess
        self._process: Process

    def serve_merchant(self, app: ASGIApp) -> None:
        """Have the merchant's own addresses served."""
        self.network.hosts[("127.0.0.1", HOME_PORT)] = Host([(Process("shop", may_crash=False), app)])

    def client(self) -> httpx.AsyncClient:
        """What the merchant makes its requests with."""
        return self.network.client()

    def launch(self) -> None:
        """Start a process; whatever the one before it held in memory is gone."""
        self._launched += 1
        self._process = process = Process(f"daraja.{self._launched}")
        chance = self._chance(f"database/{process}")

        async def connect(path: str) -> Connection:
            return Connection(path, chance=chance, faults=self.nemesis, trace=self._notes.trace)

        ports = Ports(
            clock=SimClock(self._loop, self._chance(f"clock/{process}")),
            random=SimRandom(self._chance(f"ids/{process}")),
            http=self.network.client,
            deriv=Network.no_deriv,
            database=connect,
        )
        self._loop.start(process.context.run(self._serve, process, ports), process, f"start {process}")

    async def _serve(self, process: Process, ports: Ports) -> None:
        system = OperatorProcess(self._settings, ports, policy=kenyan_policy(), pin_log2_cost=PIN_LOG2_COST)
        settings = self._settings
        daraja = DarajaSandbox(
            operator=system.operator,
            books=system.c2b,
            callback_client=ports.http(),
            clock=ports.clock,
            random=ports.random,
            spawn=Tasks().spawn,
            credentials=DarajaCredentials(
                consumer_key=settings.mpesa_consumer_key.get_secret_value(),
                consumer_secret=settings.mpesa_consumer_secret.get_secret_value(),
                passkeys={},
            ),
            switches=_SWITCHES,
            aside=ports.aside,
        )
        await system.start()
        self.system, self._plan = system, daraja.faults
        if self.nemesis.is_active:
            self._break(daraja.faults)
        await daraja.start()
        self._host.servers.append((process, daraja.app))
        self._notes.trace(f"{process} serves")

    def _break(self, plan: FaultPlan) -> None:
        """Put the profile's faults of Daraja into force."""
        chance = self._chance(f"faults/{self._launched}")
        late = chance.choice((5_000, LATEST_MS))
        menu: dict[Hazard, list[Fault]] = {
            Hazard.MERCHANT_SPOILT: [
                SpoiltReply(call=call, reply=chance.choice((Spoilt.CUT, Spoilt.ERROR_500, Spoilt.HTML_503)), done=done)
                for call in (*_FREE, DarajaCall.C2B_SIMULATE)
                for done in (True, False)
            ],
            Hazard.MERCHANT_TOLD_LOST: [LostCallback()],
            Hazard.MERCHANT_TOLD_TWICE: [RepeatedCallback(times=chance.randint(2, 3))],
            Hazard.MERCHANT_TOLD_LATE: [LateCallback(milliseconds=late)],
            Hazard.MERCHANT_TOLD_FIRST: [CallbackFirst(at_most_ms=5_000)],
            Hazard.MERCHANT_QUEUED: [QueuedTooLong(milliseconds=chance.randint(0, 30_000))],
        }
        for hazard, faults in menu.items():
            for fault in faults:
                if permille := self._profile.permille(hazard):
                    plan.add(FaultRule(fault=fault, times=None, permille=permille))
        causes = [(fault, hazard) for hazard, faults in menu.items() for fault in faults]
        plan.take = noted(plan.take, causes, self._all_notes)  # type: ignore[method-assign]  # the same, and it is noted

    def _crash(self, process: Process) -> None:
        self._loop.crash(process)
        if not self._is_over:
            self._loop.start(self._restart(process), None, "restart")

    async def _restart(self, process: Process) -> None:
        await asyncio.sleep(self._chance(f"restart/{self._launched}").randint(50, 12_000) / 1_000)
        if process is self._process and not self._is_over:
            self.launch()

    async def whole(self) -> None:
        """Wait until it serves, and nothing is being served."""
        while not self._is_serving or self.network.in_flight:  # noqa: ASYNC110  (virtual time: looking costs nothing)
            await asyncio.sleep(1)

    @property
    def _is_serving(self) -> bool:
        return any(process is self._process and not process.is_dead for process, _ in self._host.servers)

    def heal(self) -> None:
        """Everything works again; what is on its way still comes."""
        self.nemesis.rest()
        if self._plan is not None:
            self._plan.clear()

    def end(self) -> None:
        """Nobody needs it any more; its books stay."""
        self._is_over = True
        self.nemesis.end()
        self._loop.crash(self._process)
