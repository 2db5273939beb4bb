"""Running one seed: a world of its own, sealed off, lived to its end, then held against the invariants."""

from __future__ import annotations

import gc
import logging
import random
import shutil
import sqlite3
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from penpay.bootstrap import Ports, Sandbox, System
from penpay.config import Settings
from penpay.presentation.http.app import create_app
from penpay.presentation.operator.app import create_operator_app
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.deriv.limits import RateLimits
from penpay.simulation import coverage
from penpay.simulation.collections.business import Business
from penpay.simulation.collections.checks import check_business
from penpay.simulation.database import Connection
from penpay.simulation.endings import Ending, endings
from penpay.simulation.escapes import sealed
from penpay.simulation.excused import ErrorLog
from penpay.simulation.invariants import check
from penpay.simulation.loop import START, Escape, SimLoop, Stuck
from penpay.simulation.mobile_money.checks import check_country
from penpay.simulation.mobile_money.country import Country
from penpay.simulation.mobile_money.market import Market, check_market
from penpay.simulation.mobile_money.members import Members
from penpay.simulation.mobile_money.merchant_sandbox import DATABASE as MERCHANTS_DATABASE
from penpay.simulation.mobile_money.merchant_sandbox import fund_merchant
from penpay.simulation.mobile_money.opening import copy_database, make_members
from penpay.simulation.network import Network
from penpay.simulation.people import Person
from penpay.simulation.ports import SimClock, SimRandom
from penpay.simulation.profile import Hazard, Profile, beginning_of, profile_of
from penpay.simulation.reused import Reused
from penpay.simulation.script import Script
from penpay.simulation.surroundings import begin
from penpay.simulation.template import (
    PAYOUTS,
    PIN_LOG2_COST,
    SEEDED_BEFORE,
    Template,
    list_payments,
    opening_of,
    seed_sandbox,
    seed_system,
    simulated_settings,
)
from penpay.simulation.withdrawals import opening as payouts
from penpay.simulation.withdrawals.checks import check_withdrawals
from penpay.simulation.withdrawals.desk import Withdrawals
from penpay.simulation.world import Unsettled, World

_PROGRAM: Final = logging.getLogger("penpay")
_TIDIED_EVERY: Final = 20
"""How many worlds, of some megabytes each, may lie about before they are cleared away together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one seed came to. Plain values, so that it can travel between processes."""

    seed: int
    profile: Profile
    broken: tuple[str, ...]
    """The invariants that do not hold, the first one first; empty for a clean seed."""
    trace_hash: str = ""
    lines: tuple[str, ...] = ()
    """The trace, where it was asked for."""
    reached: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    virtual_ms: int = 0
    points: tuple[str, ...] = ()
    """The crash points passed, in order."""
    states: tuple[str, ...] = ()
    """How each transaction ended."""
    endings: tuple[Ending, ...] = ()
    """The same with its evidence and its time."""
    planned: tuple[int, ...] = ()
    """The crash points that were to be struck, by number."""
    script: Script | None = None


class Simulator:
    """Runs seeds one after another in one interpreter; the routes and the seeded databases are made once."""

    def __init__(self, folder: Path) -> None:
        """`folder` is for databases and is best kept in memory; it is emptied again by `close`."""
        self._folder = folder
        self._app: FastAPI = create_app()
        self._operator_app: FastAPI = create_operator_app()
        self._reused = Reused()
        with self._reused.within():
            self._template, self._members = _make_template(folder / "template", self._operator_app)
        self._runs = 0

    def run(
        self,
        seed: int,
        *,
        profile: Profile | None = None,
        planned: Collection[int] = (),
        script: Script | None = None,
        keep_trace: bool = False,
    ) -> Outcome:
        """Live one seed: with the profile it draws, or with this one; crashing at these points beside what it draws.

        With a script, what goes wrong is what the script lays down; its profile only owns up to it.
        """
        profile = profile or profile_of(seed)
        folder = self._folder / f"seed-{seed}"
        begins_at = START if script is not None else beginning_of(seed)
        max_age = timedelta(hours=simulated_settings(folder).fx_max_age_hours)
        self._template.copy_to(folder, opening_of(seed, profile, begins_at, max_age))
        if profile.level(Hazard.MOBILE_MONEY):
            copy_database(self._template.folder, folder)
        if profile.level(Hazard.MERCHANT):
            shutil.copyfile(self._template.folder / MERCHANTS_DATABASE, folder / MERCHANTS_DATABASE)
        if profile.level(Hazard.WITHDRAWALS):
            payouts.copy_key(self._template.folder, folder)
        try:
            self._runs += 1
            tidies = self._runs % _TIDIED_EVERY == 0
            with _undisturbed(tidies=tidies), self._reused.within(), _errors() as log:
                return self._live(
                    seed, profile, folder, planned, log, begins_at=begins_at, script=script, keep_trace=keep_trace
                )
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _live(
        self,
        seed: int,
        profile: Profile,
        folder: Path,
        planned: Collection[int],
        log: ErrorLog,
        *,
        begins_at: datetime,
        script: Script | None,
        keep_trace: bool,
    ) -> Outcome:
        loop = SimLoop(random.Random(f"{seed}/schedule"), begins_at=begins_at)  # noqa: S311  (repeatable on purpose)
        broken: list[str] = []
        with sealed(loop, random.Random(f"{seed}/libraries")):  # noqa: S311  (as above)
            world = World(
                loop=loop,
                seed=seed,
                profile=profile,
                template=self._template,
                folder=folder,
                app=self._app,
                planned=planned,
                script=script,
                keep_trace=keep_trace,
            )
            country, market = self._country(world), self._market(world)
            business, withdrawals = _business(world), _withdrawals(world)
            try:
                loop.run_until_complete(world.live(begin))
                if country is not None:
                    broken.extend(loop.run_until_complete(check_country(country, world.books)))
                if business is not None:
                    broken.extend(loop.run_until_complete(check_business(business, world.books)))
                if market is not None:
                    broken.extend(check_market(market, world.books))
                if withdrawals is not None:
                    broken.extend(loop.run_until_complete(check_withdrawals(withdrawals, world.books)))
                broken.extend(loop.run_until_complete(check(world, log.records)))
            except Unsettled as unsettled:
                broken.extend([str(unsettled), *map(str, log.records)])
            except Stuck as stuck:
                broken.extend([f"I7: {stuck}", *map(str, log.records)])
            except Escape as escape:
                broken.append(f"escape: {escape}")
            except Exception as fault:
                logging.getLogger(__name__).exception("the world ended")
                broken.append(f"I15: {type(fault).__name__}: {fault}")
            signature = world.trace_hash
            outcome = Outcome(
                seed=seed,
                profile=profile,
                broken=tuple(broken),
                trace_hash=signature,
                lines=tuple(world.lines or ()),
                reached=world.reached + coverage.seen(world.books),
                steps=loop.steps,
                virtual_ms=loop.now_us // 1_000,
                points=tuple(world.nemesis.points),
                states=tuple(world.final_states),
                endings=endings(world.books, loop.begins_at),
                planned=tuple(planned),
                script=script,
            )
            world.books.close()
            loop.close()
        return outcome

    def _country(self, world: World) -> Country | None:
        """Where mobile money is used, if it is in this seed."""
        if not world.profile.level(Hazard.MOBILE_MONEY):
            return None
        country = Country(world, self._members, self._operator_app)
        world.beside.append(country)
        return country

    @staticmethod
    def _market(world: World) -> Market | None:
        """Where another merchant uses Daraja, if there is one in this seed."""
        if not world.profile.level(Hazard.MERCHANT):
            return None
        market = Market(world)
        world.beside.append(market)
        return market

    def close(self) -> None:
        """Remove what was made."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _business(world: World) -> Business | None:
    """The business that Collections is used in, if there is one in this seed."""
    if not world.profile.level(Hazard.COLLECTIONS):
        return None
    business = Business(world)
    world.beside.append(business)
    return business


def _withdrawals(world: World) -> Withdrawals | None:
    """Who withdraws, if anybody does in this seed."""
    if not world.profile.level(Hazard.WITHDRAWALS):
        return None
    withdrawals = Withdrawals(world)
    world.beside.append(withdrawals)
    return withdrawals


@contextmanager
def _undisturbed(*, tidies: bool = False) -> Iterator[None]:
    """No collection in the middle of a run, where it could run what a crash has cut off; afterwards, if `tidies`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # What is there already is left alone by the collections in closing, which then take half as long.
        gc.freeze()
        gc.disable()
        try:
            yield
        finally:
            gc.unfreeze()
            gc.enable()
            if tidies:
                gc.collect()


@contextmanager
def _errors() -> Iterator[ErrorLog]:
    """Collects the program's error messages, and keeps them and all others off the terminal."""
    log = ErrorLog()
    kept, propagated = _PROGRAM.handlers[:], _PROGRAM.propagate
    _PROGRAM.handlers[:] = [log]
    _PROGRAM.propagate = False
    try:
        yield log
    finally:
        _PROGRAM.handlers[:] = kept
        _PROGRAM.propagate = propagated


def _make_template(folder: Path, operator_app: FastAPI) -> tuple[Template, Members]:
    """Migrate and seed the databases, under virtual time like everything else."""
    folder.mkdir(parents=True, exist_ok=True)
    loop = SimLoop(random.Random("template"))  # noqa: S311  (repeatable on purpose)
    settings = simulated_settings(folder)
    with _undisturbed(), _errors(), sealed(loop, random.Random("template")):  # noqa: S311  (as above)
        people = loop.run_until_complete(_seeded(loop, settings))
        members = loop.run_until_complete(make_members(loop, settings, folder, operator_app))
        loop.run_until_complete(_listed(loop, settings))
        loop.close()
    template = Template(folder, people)
    coverage.watch(folder / "penpay.db")
    template.seal()
    with _undisturbed(), _errors():
        _make_merchant(folder, settings)
        _make_payouts(folder, people)
    return template, members


def _make_merchant(folder: Path, settings: Settings) -> None:
    loop = SimLoop(random.Random("template/merchant"))  # noqa: S311  (repeatable on purpose)
    with sealed(loop, random.Random("template/merchant")):  # noqa: S311  (as above)
        loop.run_until_complete(fund_merchant(settings, _seeding_ports(loop, "merchant"), folder))
        loop.close()
    with closing(sqlite3.connect(folder / MERCHANTS_DATABASE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _make_payouts(folder: Path, people: Sequence[Person]) -> None:
    settings = payouts.settings_of(simulated_settings(folder / PAYOUTS), folder / PAYOUTS)
    payouts.prepare(folder, settings.operator_database_url, START)
    loop = SimLoop(random.Random("template/payouts"))  # noqa: S311  (repeatable on purpose)
    with sealed(loop, random.Random("template/payouts")):  # noqa: S311  (as above)
        loop.run_until_complete(_funded(loop, settings, people))
        loop.close()
    payouts.seal(folder)


async def _funded(loop: SimLoop, settings: Settings, people: Sequence[Person]) -> None:
    ports = _seeding_ports(loop, "payouts")
    sandbox = _seeding_sandbox(settings, ports)
    await sandbox.start()
    system = System(settings, ports)
    await system.start_executor()
    await payouts.fund_everybody(sandbox, system, people, ports)
    await system.stop()
    await sandbox.stop()


def _seeding_ports(loop: SimLoop, purpose: str) -> Ports:
    chance = random.Random(f"template/{purpose}")  # noqa: S311  (repeatable on purpose)

    async def connect(path: str) -> Connection:
        return Connection(path, chance=chance, faults=None, trace=lambda _: None)

    clock = SimClock(loop, chance)
    clock.skew = -SEEDED_BEFORE
    return Ports(
        clock=clock,
        random=SimRandom(chance),
        http=Network.idle_client,
        deriv=Network.no_deriv,
        database=connect,
    )


def _seeding_sandbox(settings: Settings, ports: Ports) -> Sandbox:
    return Sandbox(
        settings,
        ports,
        switches=DarajaSwitches(),
        deriv_url=settings.deriv_sandbox_database_url,
        deriv_limits=RateLimits(),
        pin_log2_cost=PIN_LOG2_COST,
    )


async def _listed(loop: SimLoop, settings: Settings) -> None:
    """Comes after the rest and with chance of its own, so that it moves nothing else that is drawn."""
    ports = _seeding_ports(loop, "list")
    sandbox = _seeding_sandbox(settings, ports)
    await sandbox.start()
    await list_payments(sandbox, ports.clock.now())
    await sandbox.stop()


async def _seeded(loop: SimLoop, settings: Settings) -> tuple[Person, ...]:
    ports = _seeding_ports(loop, "chance")
    sandbox = _seeding_sandbox(settings, ports)
    await sandbox.start()
    await seed_sandbox(sandbox, settings)
    await sandbox.stop()
    system = System(settings, ports)
    await system.start_executor()
    people = await seed_system(system, ports)
    await system.stop()
    return people
