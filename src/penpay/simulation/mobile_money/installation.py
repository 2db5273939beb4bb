"""The operator's installation in one seed: its processes on one database, what breaks them, and its address."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from starlette.types import ASGIApp

from penpay.bootstrap import Ports
from penpay.bootstrap.operator import OperatorProcess, kenyan_policy
from penpay.config import Settings
from penpay.domain.mobile_money.policy import OperatorPolicy
from penpay.domain.shared.money import Currency, Money
from penpay.presentation.operator.process import bind
from penpay.simulation.database import CommitFate, Connection, StatementFate
from penpay.simulation.loop import Process, SimLoop
from penpay.simulation.mobile_money.hazards import AT_THE_OPERATOR, NotesFrom
from penpay.simulation.nemesis import Nemesis, Notes
from penpay.simulation.network import Delivered, Host, Network
from penpay.simulation.ports import SimClock, SimRandom
from penpay.simulation.profile import Profile
from penpay.simulation.watched import is_within_a_transaction

PORT: Final = 6701
URL: Final = f"http://127.0.0.1:{PORT}"
DATABASE: Final = "mobile_money.db"
APPROVAL_ABOVE_CENTS: Final = 20_000_00
_PIN_LOG2_COST: Final = 2
"""Real PINs cost tens of milliseconds each; nobody steals a simulated one."""
_HELD: Final = ("trust:bank", "trust:unevidenced")
_OWN: Final[Mapping[str, int]] = {
    "equity:owner:KES": 1,
    "revenue:mobile_money_fees": 1,
    "expense:agent_commission": -1,
    "operator:bank": -1,
}
"""The operator's own funds: accounts and their signs."""
_OWED: Final = ("subscriber:", "agent:", "merchant:", "commission:", "excise:payable", "suspense:KES")


def policy() -> OperatorPolicy:
    """Kenya's rules, and a second administrator above an amount."""
    return replace(kenyan_policy(), approval_above=Money(APPROVAL_ABOVE_CENTS, Currency.KES))


def settings_at(settings: Settings, folder: Path) -> Settings:
    """The same settings with the installation's own database."""
    return settings.model_copy(update={"operator_database_url": f"sqlite+aiosqlite:///{folder / DATABASE}"})


def uncovered(balances: Iterable[tuple[str, int]]) -> list[str]:
    """O1: what is wrong with the trust account, given every account and its cents."""
    held = owed = own = commission = 0
    broken = []
    for code, cents in balances:
        held += cents if code in _HELD else 0
        owed += cents if code.startswith(_OWED) else 0
        own += cents * _OWN.get(code, 0)
        commission += cents if code.startswith("commission:") else 0
        if cents < 0 and code.startswith(_OWED + _HELD):
            broken.append(f"O1: {code.partition(':')[0]} holds {cents}")
    if held != owed + own:
        broken.append(f"O1: the trust account holds {held}, and {owed + own} is owed")
    if own + commission < 0:
        broken.append(f"O1: what is owed to others is not covered by {-own - commission}")
    return broken


class Unheard:
    """Nobody listens on the way: clients tell what they were answered."""

    def request(self, request: Delivered) -> None:
        """Nothing is kept of it."""

    def answered(self, sender: Process | None, request: Delivered, status: int) -> None:
        """Nothing is kept of it."""


class _Looking:
    """The nemesis of a database, and somebody who looks into its books after each commit."""

    def __init__(self, nemesis: Nemesis, look: Callable[[], None]) -> None:
        self._nemesis = nemesis
        self._look = look

    async def before_commit(self, label: str) -> CommitFate:
        return await self._nemesis.before_commit(label)

    async def after_commit(self, label: str) -> None:
        self._look()
        await self._nemesis.after_commit(label)

    def before_statement(self, *, in_writing: bool, changes: bool) -> StatementFate:
        return self._nemesis.before_statement(in_writing=in_writing, changes=changes)


class Installation:
    """Some processes of the operator on one database, at one address."""

    def __init__(
        self,
        *,
        loop: SimLoop,
        profile: Profile,
        notes: Notes,
        chance: Callable[[str], random.Random],
        settings: Settings,
        app: ASGIApp,
        look: Callable[[], None],
        skew: timedelta = timedelta(0),
    ) -> None:
        """`profile`: as the operator's nemesis sees it. `look` is called after each commit that wrote something.

        `skew`: how far its clocks are ahead of the true time.
        """
        self._loop = loop
        self._notes = NotesFrom(notes, "operator", AT_THE_OPERATOR)
        self._chance = chance
        self._settings = settings
        self._app = app
        self._skew = skew
        self._lives: dict[int, tuple[Process, SimClock, OperatorProcess]] = {}
        self._launched = 0
        self._restarts: list[asyncio.Task[Any]] = []
        self.nemesis = Nemesis(
            loop=loop,
            chance=chance("nemesis"),
            profile=profile,
            notes=self._notes,
            crash=self._crash,
            apart=chance,
        )
        self._faults = _Looking(self.nemesis, look)
        self.network = Network(
            loop=loop,
            chance=chance("network"),
            nemesis=self.nemesis,
            notes=self._notes,
            tap=Unheard(),
            has_open_transaction=is_within_a_transaction,
        )
        self._host = self.network.hosts[("127.0.0.1", PORT)] = Host()

    def client(self) -> httpx.AsyncClient:
        """What a customer makes her requests with."""
        return self.network.client()

    @property
    def systems(self) -> list[OperatorProcess]:
        """The processes that run now."""
        return [system for _, _, system in self._lives.values()]

    @property
    def is_whole(self) -> bool:
        """Whether all processes serve, and nothing is being served."""
        lives = {process for process, _, _ in self._lives.values()}
        return lives <= set(self._serving()) and not self.network.in_flight

    def _serving(self) -> list[Process]:
        return [process for process, _ in self._host.servers if not (process.is_dead or process.is_paused)]

    async def whole(self) -> None:
        """Wait until it is."""
        while not self.is_whole:  # noqa: ASYNC110  (virtual time: looking costs nothing)
            await asyncio.sleep(1)

    def launch(self, slot: int) -> None:
        """Start a process in this place."""
        self._launched += 1
        process = Process(f"operator-{slot}.{self._launched}")
        clock = SimClock(self._loop, self._chance(f"clock/{process}"))
        clock.skew = self._skew
        chance = self._chance(f"database/{process}")

        async def connect(path: str) -> Connection:
            return Connection(path, chance=chance, faults=self._faults, trace=self._notes.trace)

        ports = Ports(
            clock=clock,
            random=SimRandom(self._chance(f"ids/{process}")),
            http=Network.idle_client,
            deriv=Network.no_deriv,
            database=connect,
        )
        system = process.context.run(self._make, ports)
        self._lives[slot] = (process, clock, system)
        self._loop.start(self._serve(process, system), process, f"start {process}")

    def _make(self, ports: Ports) -> OperatorProcess:
        return OperatorProcess(self._settings, ports, policy=policy(), pin_log2_cost=_PIN_LOG2_COST)

    async def _serve(self, process: Process, system: OperatorProcess) -> None:
        try:
            await system.start()
        except Exception as fault:  # noqa: BLE001  (a process that cannot start ends, and its supervisor starts another)
            self._notes.trace(f"{process} cannot start: {type(fault).__name__}")
            self._notes.reach("cannot start")
            self._crash(process)
            return
        self._host.servers.append((process, bind(self._app, system)))
        self._notes.trace(f"{process} serves")

    def _crash(self, process: Process) -> None:
        self._loop.crash(process)
        slot = next((slot for slot, life in self._lives.items() if life[0] is process), None)
        if slot is not None:
            self._restarts.append(self._loop.start(self._restart(slot), None, "restart"))

    async def _restart(self, slot: int) -> None:
        await asyncio.sleep(self._chance(f"restart/{self._launched}").randint(50, 12_000) / 1_000)
        if self._lives[slot][0].is_dead:
            self.launch(slot)

    def troubles(self) -> list[asyncio.Task[None]]:
        """Start what goes wrong in the background, until the nemesis rests."""
        work = (self.nemesis.pause_processes(self._serving), self.nemesis.fill_disk())
        return [self._loop.start(one, None, "operator's trouble") for one in work]

    def heal(self) -> None:
        """Everything works again."""
        self.nemesis.rest()
        for process, _, _ in self._lives.values():
            if process.is_paused:
                self._loop.resume(process)
