"""One seed's world: processes of the real program, the sandbox, the network between them, people, and the nemesis."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI

from penpay.bootstrap import Ports, Sandbox, System, build
from penpay.config import Settings
from penpay.domain.shared.phone import PhoneNumber
from penpay.presentation.http.app import bind
from penpay.sandbox.daraja.switches import DarajaSwitches, PendingStyle
from penpay.sandbox.deriv.limits import RateLimits
from penpay.sandbox.faults import FaultRule, StuckPending
from penpay.sandbox.phone import Prompt
from penpay.simulation.books import Books
from penpay.simulation.database import Connection, Faults
from penpay.simulation.life import Beside, Life
from penpay.simulation.loop import Process, SimLoop
from penpay.simulation.nemesis import Nemesis
from penpay.simulation.network import Host, Network
from penpay.simulation.oracle import Heard, Oracle
from penpay.simulation.people import API, Person, Users
from penpay.simulation.ports import SimClock, SimRandom
from penpay.simulation.profile import Hazard, Profile
from penpay.simulation.provider_faults import break_daraja, break_deriv
from penpay.simulation.quiet import Due, dues, leases_us
from penpay.simulation.script import Script
from penpay.simulation.template import API_PORT, DARAJA_PORT, PIN_LOG2_COST, Template, simulated_settings
from penpay.simulation.watched import LATENESS_MS, WatchedClock, WatchedConnection, Wrongness, is_within_a_transaction

_LIMITS: Final = RateLimits(
    general_per_minute=10_000, general_per_hour=100_000, outcome_per_minute=10_000, outcome_per_hour=100_000
)
_ACT_SECONDS: Final = 1_800
"""How long people get for what they want before everything is repaired."""
SETTLE_HOURS: Final = 80
"""Everything must be decided, or with people, so long after the last fault."""
_SECOND_US: Final = 1_000_000
_SEEN_SECONDS: Final = 90
"""So much at either end of a long outage is lived through; the time between is passed over."""
_EARLY_US: Final = 30 * _SECOND_US
"""So long before something that takes a session a leap over idle time ends: those that it broke are back by then."""
_LATE_US: Final = _SECOND_US
"""So long after anything else a leap ends, and every timer that is over rings: nobody looks around in vain before."""
_WORTH_US: Final = 10 * _SECOND_US
"""Less than this is lived through."""
_SWEEP_US: Final = 900 * _SECOND_US
"""Long enough for what is only looked for now and then, such as credits that a stream has missed."""
_SWEEP_SECONDS: Final = 90
"""How long such a look may take."""


class Unsettled(Exception):
    """The faults have ended, and something is still not decided."""


class World:
    """Everything in one seed. `live` runs it to its end; then the invariants are checked on what is left."""

    def __init__(
        self,
        *,
        loop: SimLoop,
        seed: int,
        profile: Profile,
        template: Template,
        folder: Path,
        app: FastAPI,
        planned: Collection[int] = (),
        script: Script | None = None,
        keep_trace: bool = False,
    ) -> None:
        self.loop = loop
        self.seed = seed
        self.profile = profile
        self.script = script
        # Where there is a script, the profile says what may happen, and nothing of it is drawn.
        drawn = profile if script is None else replace(profile, hazards={})
        self.template = template
        self.settings: Settings = simulated_settings(folder)
        self.folder = folder
        self.books = Books(folder)
        self._app = app
        self.beside: list[Beside] = []
        self.counter: list[PhoneNumber] = []  # handsets at a business's counter
        self._incarnations: Counter[int] = Counter()
        self._lives: dict[int, Life] = {}
        self.wrongness = Wrongness()
        self.healed_us = 0
        """When everything was repaired."""
        self._hash = hashlib.sha256()
        self.lines: list[str] | None = [] if keep_trace else None
        self.reached: Counter[str] = Counter()
        self.oracle = Oracle(lambda: loop.now_us, loop.begins_at)
        self.nemesis = Nemesis(
            loop=loop,
            chance=self.chance("nemesis"),
            profile=drawn,
            notes=self,
            crash=self._crash,
            apart=self.chance,
            planned=planned,
        )
        self.network = Network(
            loop=loop,
            chance=self.chance("network"),
            nemesis=self.nemesis,
            notes=self,
            tap=self.oracle,
            has_open_transaction=is_within_a_transaction,
        )
        self._sandbox_process = Process("sandbox", may_crash=False)
        self.sandbox: Sandbox
        self.users: Users
        self._restarts: set[asyncio.Task[Any]] = set()
        self._expected_us: list[int] = []
        """When callbacks are to come that were held back."""
        self.is_agent_empty = False
        self._stands_still = False

    # -- notes

    def trace(self, line: str) -> None:
        """Write down what happened, with its moment; the hash of all lines is the run's signature."""
        text = f"{self.loop.now_us / _SECOND_US:14.6f} {line}"
        self._hash.update(text.encode())
        if self.lines is not None:
            self.lines.append(text)

    def reach(self, place: str) -> None:
        self.reached[place] += 1

    @property
    def trace_hash(self) -> str:
        return self._hash.hexdigest()

    def chance(self, purpose: str) -> random.Random:
        return random.Random(f"{self.seed}/{purpose}")  # noqa: S311  (repeatable on purpose)

    # -- processes

    def _ports(self, process: Process, clock: SimClock, faults: Faults | None) -> Ports:
        chance = self.chance(f"database/{process}")

        async def connect(path: str) -> Connection:
            return WatchedConnection(path, chance=chance, faults=faults, trace=self.trace)

        return Ports(
            clock=clock,
            random=SimRandom(self.chance(f"ids/{process}")),
            http=self.network.client,
            deriv=self.network.deriv,
            database=connect,
        )

    def launch(self, slot: int) -> None:
        """Start a process of the program on the shared database."""
        self._incarnations[slot] += 1
        process = Process(f"penpay-{slot}.{self._incarnations[slot]}")
        chance = self.chance(f"clock/{process}")
        clock = WatchedClock(self.loop, chance, lateness_ms=LATENESS_MS, wrongness=self.wrongness)
        clock.skew = self.nemesis.skew()
        system = process.context.run(build, self.settings, self._ports(process, clock, self.nemesis))
        life = Life(slot, process, clock, system, self.loop.now_us)
        self._lives[slot] = life
        self.loop.start(self._serve(life), process, f"start {process}")

    async def _serve(self, life: Life) -> None:
        try:
            await life.system.start()
        except Exception as fault:  # noqa: BLE001  (a process that cannot start ends, and its supervisor starts another)
            self.trace(f"{life.process} cannot start: {type(fault).__name__}")
            self.reach("a process cannot start")
            self._crash(life.process)
            return
        self.network.hosts[("127.0.0.1", API_PORT)].servers.append((life.process, bind(self._app, life.system)))
        life.is_serving = True
        self.trace(f"{life.process} serves")

    def _crash(self, process: Process) -> None:
        """Kill it without a last word, and start another in its place before long."""
        self.loop.crash(process)
        life = next((life for life in self._lives.values() if life.process is process), None)
        if life is not None and not self._stands_still:
            self._restarts.add(self.loop.start(self._restart(life.slot), None, "restart"))

    async def _restart(self, slot: int) -> None:
        await asyncio.sleep(self.chance(f"restart/{slot}/{self._incarnations[slot]}").randint(50, 12_000) / 1_000)
        if not self._stands_still and self._lives[slot].process.is_dead:  # the end of an outage may have been quicker
            self.launch(slot)

    async def stand_still(self, seconds: int) -> None:
        """Our machine is off for so long; what others do meanwhile finds nobody here."""
        self.trace(f"our machine is off for {seconds} s")
        self._stands_still = True
        for life in self._lives.values():
            self.loop.crash(life.process)
        await asyncio.sleep(_SEEN_SECONDS)
        self.loop.skip((seconds - 2 * _SEEN_SECONDS) * _SECOND_US)
        await asyncio.sleep(_SEEN_SECONDS)
        self._start_again()

    def _start_again(self) -> None:
        if self._stands_still:
            self._stands_still = False
            for slot in self._lives:
                self.launch(slot)

    def _expect(self, milliseconds: int) -> None:
        """Something is on its way that the databases do not tell of."""
        self._expected_us.append(self.loop.now_us + milliseconds * 1_000)

    def _dues(self) -> list[Due]:
        """All that somebody must do, and all that is to arrive."""
        self._expected_us = [at_us for at_us in self._expected_us if at_us >= self.loop.now_us]
        return [*dues(self.books, self.loop.begins_at), *map(Due, self._expected_us)]

    def serving(self) -> list[tuple[Process, System]]:
        alive = self.alive()
        return [(life.process, life.system) for life in self._lives.values() if life.process in alive]

    def at(self, process: Process, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return self.loop.start(work, process, "visit")

    def at_sandbox(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return self.at(self._sandbox_process, work)

    def alive(self) -> list[Process]:
        return [
            life.process
            for life in self._lives.values()
            if life.is_serving and not life.process.is_dead and not life.process.is_paused
        ]

    # -- the run

    async def live(self, begin: Callable[[World], list[asyncio.Task[None]]]) -> None:
        """Let everything happen, then repair everything, then wait until nothing is left to do. Raises Unsettled.

        `begin` starts all that goes on beside what users do.
        """
        await self._open()
        world = begin(self)
        acts = [self.loop.start(self.users.live(person), None, "user") for person in self.people]
        acts += [act for one in self.beside for act in one.begin()]
        await asyncio.wait(acts, timeout=_ACT_SECONDS)
        for act in acts:
            act.cancel()
        await asyncio.sleep(self.nemesis.endures_seconds())
        self.heal()
        for task in world:
            task.cancel()
        for one in self.beside:
            await one.finish()
        await self.settle()
        self.loop.skip(_SWEEP_US)
        await asyncio.sleep(_SWEEP_SECONDS)
        await self.settle()
        for act in acts:
            if act.done() and not act.cancelled():
                act.result()
        self.nemesis.end()

    @property
    def people(self) -> list[Person]:
        return list(self.template.people[: self.profile.users])

    async def _open(self) -> None:
        self.network.hosts[("127.0.0.1", API_PORT)] = Host()
        clock = SimClock(self.loop, self.chance("clock/sandbox"))
        ports = self._ports(self._sandbox_process, clock, None)
        self.sandbox = self._sandbox_process.context.run(self._make_sandbox, ports)
        await self.loop.start(self.sandbox.start(), self._sandbox_process, "sandbox")
        self.network.hosts[("127.0.0.1", DARAJA_PORT)] = Host([(self._sandbox_process, self.sandbox.daraja.app)])
        self.network.deriv_process = self._sandbox_process
        self.network.deriv_connect = lambda: self.sandbox.deriv.connect_in_memory("1089")
        daraja, deriv = self.sandbox.daraja.faults, self.sandbox.deriv_faults
        if self.script is None:
            break_daraja(daraja, self.profile, self.chance("daraja faults"), self, comes_late=self._expect)
            chance = self.chance("deriv faults")
            break_deriv(deriv, self.profile, chance, self, is_agent_empty=lambda: self.is_agent_empty)
        else:
            self.script.lay_down(daraja, deriv)
        self.users = Users(
            client=self.network.client(),
            chance=self.chance("users"),
            profile=self.profile,
            nemesis=self.nemesis,
            notes=self,
            oracle=self.oracle,
            limits_cents=(self.settings.deposit_min_usd_cents, self.settings.deposit_max_usd_cents),
            is_reopened=self.books.is_reopened,
            script=self.script,
        )
        for slot in range(self.profile.processes):
            self.launch(slot)

    def _make_sandbox(self, ports: Ports) -> Sandbox:
        return Sandbox(
            self.settings,
            ports,
            switches=DarajaSwitches(
                pending_style=PendingStyle.ERROR_500 if self.profile.old_pending_style else PendingStyle.CODE_4999,
                new_token_revokes_old=self.profile.strict_tokens,
                limit_queries=self.profile.limited_queries,
                sweep_every_ms=8_000,
                confirm_every_ms=4_000,
                external_validation=True,
                push_confirmation=False,
            ),
            deriv_url=self.settings.deriv_sandbox_database_url,
            deriv_limits=_LIMITS,
            pin_log2_cost=PIN_LOG2_COST,
        )

    def prompts(self) -> list[tuple[Prompt, str]]:
        """What handsets show now, and whose they are."""
        numbers = [*(PhoneNumber.parse(person.msisdn) for person in self.people), *self.counter]
        phones = [self.sandbox.daraja.phone(number) for number in numbers]
        return [(phone.prompt, phone.number.msisdn) for phone in phones if phone.prompt is not None]

    def heal(self) -> None:
        """Everything works again: nobody forges, nothing is lost, clocks are right, all processes run."""
        self.nemesis.rest()
        for one in self.beside:
            one.heal()
        self.trace("everything is repaired")
        self.healed_us = self.loop.now_us
        if self.script is None:
            self.sandbox.daraja.faults.clear()
            self.sandbox.deriv_faults.clear()
        if self.profile.level(Hazard.PENDING_FOR_EVER):
            self.sandbox.daraja.faults.add(FaultRule(fault=StuckPending(), times=None, permille=600))
        self.network.hosts[("127.0.0.1", DARAJA_PORT)].is_down = False
        self.network.deriv_up()
        self.network.is_statement_unreadable = self.is_agent_empty = False
        self._start_again()
        for life in self._lives.values():
            life.clock.skew *= 0
            if life.process.is_paused:
                self.loop.resume(life.process)

    async def settle(self) -> None:
        """Wait until nothing is left to do, passing over idle time. Raises Unsettled."""
        until_us = self.loop.now_us + SETTLE_HOURS * 3_600 * _SECOND_US
        quiet = 0
        while quiet < 3:  # noqa: PLR2004  (looks in a row)
            if self.loop.now_us > until_us:
                raise Unsettled(f"I7: not decided {SETTLE_HOURS} h after the last fault")
            await asyncio.sleep(2)
            if self.network.in_flight or any(life.system.executor.queued for life in self._lives.values()):
                quiet = 0
                continue
            left = self._dues()
            quiet = quiet + 1 if not left and len(self.alive()) == self.profile.processes else 0
            until = (one.at_us - _EARLY_US if one.takes_session else one.at_us + _LATE_US for one in left)
            leap_us = min(until, default=self.loop.now_us) - self.loop.now_us
            if leap_us > _WORTH_US and not self._is_anybody_at_it():
                self.loop.skip(leap_us)

    def _is_anybody_at_it(self) -> bool:
        """Whether a handset shows a prompt, or a living process holds a lease: time must not leap over what they do."""
        if self.prompts():
            return True
        lease_us = self.settings.lease_seconds * _SECOND_US
        oldest_us = min(life.started_us for life in self._lives.values())
        return any(
            oldest_us <= end_us - lease_us <= self.loop.now_us for end_us in leases_us(self.books, self.loop.begins_at)
        )

    async def deliver_again(self, heard: Sequence[Heard]) -> None:
        """Deliver these callbacks once more, and let all that follows from it happen."""
        client = self.network.client()
        for one in heard:
            await client.post(f"{API}{one.path}", content=one.body, headers={"Content-Type": "application/json"})
        await self.settle()

    @property
    def final_states(self) -> list[str]:
        """How each transaction ended, with the reasons of its reviews."""
        return [" ".join([payment.status, *sorted(payment.reasons)]) for payment in self.books.payments()]

    @property
    def lives(self) -> list[Life]:
        """The processes that run now."""
        return list(self._lives.values())
