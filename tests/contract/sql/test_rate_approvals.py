"""Exchange rates approved at once, on each engine: each is compared with the one approved before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.payments.fx import ApproveRate, ApproveRateHandler, EnterRate, EnterRateHandler, parse_mid
from penpay.application.payments.rows import FxRate
from penpay.application.shared.executor import Executor, Lane
from penpay.domain.shared.money import Currency
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.fx import CurrentRateFinder, FxRateRepository, LastApprovedRateFinder
from penpay.infrastructure.sql.unit_of_work import Schema, SqlDatabase, SqlUnitOfWork
from penpay.infrastructure.system import SystemRandom, UuidV7
from tests.support.ports import HandClock

PAIR = (Currency.USD, Currency.KES)


class Held(SqlDatabase):
    """A database whose commits wait until the test lets them go."""

    def __init__(self, engine: AsyncEngine, schema: Schema) -> None:
        super().__init__(engine, schema)
        self.go = asyncio.Event()
        self.go.set()
        self.committing = asyncio.Event()

    def unit_of_work(self) -> SqlUnitOfWork:
        return _Held(self)


class _Held(SqlUnitOfWork):
    _database: Held

    async def commit(self) -> None:
        self._database.committing.set()
        await self._database.go.wait()
        await super().commit()


class Desk:
    """A process in which rates are entered and approved, with a clock that stands still."""

    def __init__(self, executor: Executor, database: Held, clock: HandClock) -> None:
        self.executor = executor
        self.database = database
        self.clock = clock

    async def enter(self, mid: str, *, quote: Currency = Currency.KES, base: Currency = Currency.USD) -> FxRate:
        command = EnterRate(
            base=base, quote=quote, mid_e8=parse_mid(mid), source="bank", entered_by="user_one", valid_from=None
        )
        entered: FxRate = await self.executor.execute(command)
        return entered

    def approve(self, *rates: FxRate) -> Sequence[asyncio.Future[Any]]:
        """Ask for all at once, so that they share a batch."""
        return [self.executor.enqueue(ApproveRate(rate_id=rate.id, approved_by="user_two")) for rate in rates]

    async def approved(self, *rates: FxRate) -> list[str]:
        """What becomes of each, asked for at once."""
        return await told(self.approve(*rates))

    async def one_by_one(self, *rates: FxRate) -> list[str]:
        """What becomes of each, asked for after the one before it was answered."""
        return [(await self.approved(rate))[0] for rate in rates]

    async def current(self) -> FxRate:
        async with self.database.engine.connect() as connection:
            return (await CurrentRateFinder(self.clock).find(connection, [PAIR]))[PAIR]


async def told(answers: Sequence[asyncio.Future[Any]]) -> list[str]:
    """Whether each was approved, or the kind of its refusal, in the order of the questions."""
    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    return ["approved" if isinstance(one, FxRate) else type(one).__name__ for one in outcomes]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Desk]:
    engine, clock = open_engine(url), HandClock()
    database = Held(
        engine, Schema(repositories=(FxRateRepository(),), finders=(LastApprovedRateFinder(),), appenders=())
    )
    random = SystemRandom()
    executor = Executor(
        database=database,
        clock=clock,
        ids=UuidV7(clock, random),
        random=random,
        handlers={
            EnterRate: (EnterRateHandler(), Lane.REQUEST),
            ApproveRate: (ApproveRateHandler(max_move_bps=300), Lane.REQUEST),
        },
        subscriptions={},
        on_events=lambda _: None,
    )
    serving = asyncio.create_task(executor.run())
    try:
        yield Desk(executor, database, clock)
    finally:
        serving.cancel()
        await asyncio.wait([serving])
        await engine.dispose()


@pytest.fixture
async def desk(url: str) -> AsyncIterator[Desk]:
    async with opened(url) as made:
        yield made


async def test_two_rates_of_one_batch_are_compared_with_each_other(desk: Desk) -> None:
    """Three per cent up and three per cent down at once would be a jump of six: the second is refused."""
    before, up, down = [await desk.enter(mid) for mid in ("100", "103", "97")]
    await desk.approved(before)

    assert ["approved", "RateNotApprovable"] == await desk.approved(up, down)
    assert up.id == (await desk.current()).id


async def test_the_first_two_rates_of_a_pair_are_compared_with_each_other(desk: Desk) -> None:
    """Where no rate was approved before, the first of a batch is what the second must be near to."""
    right, slipped = [await desk.enter(mid) for mid in ("129.5", "1295")]

    assert ["approved", "RateNotApprovable"] == await desk.approved(right, slipped)


async def test_small_steps_of_one_batch_add_up(desk: Desk) -> None:
    """What is near the rate approved a command before it is approved, also far from the one before the batch."""
    steps = [await desk.enter(mid) for mid in ("100", "103", "106", "109")]

    assert ["approved"] * 4 == await desk.approved(*steps)
    assert steps[-1].id == (await desk.current()).id


async def test_a_refused_rate_is_compared_with_nothing(desk: Desk) -> None:
    """What a batch refuses leaves no trace for the commands after it."""
    before, slipped, near = [await desk.enter(mid) for mid in ("100", "192", "101")]

    assert ["approved", "RateNotApprovable", "approved"] == await desk.approved(before, slipped, near)


async def test_two_pairs_have_nothing_to_do_with_each_other(desk: Desk) -> None:
    """Dollars in shillings and shillings in dollars are approved in one batch."""
    dollar, shilling = (
        await desk.enter("129.5"),
        await desk.enter("0.0077", base=Currency.KES, quote=Currency.USD),
    )

    assert ["approved", "approved"] == await desk.approved(dollar, shilling)


async def test_of_rates_approved_at_one_instant_the_later_one_counts(desk: Desk) -> None:
    """The clock stands still over four batches: each rate is compared with the one approved just before it.

    | approved | mid   | from the one before |
    | 1st      | 100   |                     |
    | 2nd      | 103   | +3.0 %              |
    | 3rd      | 100.5 | −2.4 %              |
    | refused  | 104.5 | +4.0 %              |
    | 4th      | 97.6  | −2.9 %              |
    """
    # 103 is entered last, so that neither the order of ids nor that of entry is the order of approval
    rates = {mid: await desk.enter(mid) for mid in ("100", "97.6", "100.5", "104.5", "103")}

    outcomes = await desk.one_by_one(*(rates[mid] for mid in ("100", "103", "100.5", "104.5", "97.6")))

    assert ["approved", "approved", "approved", "RateNotApprovable", "approved"] == outcomes
    assert rates["97.6"].id == (await desk.current()).id


@pytest.mark.parametrize("before", ["100", None], ids=["after another rate", "as the first rates"])
async def test_two_processes_approve_one_after_the_other(url: str, before: str | None) -> None:
    """While one process is committing 103 another is asked for 97: it waits, compares with 103, and refuses."""
    async with opened(url) as one, opened(url) as other:
        if before is not None:
            await one.approved(await one.enter(before))
        up, down = [await one.enter(mid) for mid in ("103", "97")]
        one.database.go.clear()
        one.database.committing.clear()

        first = one.approve(up)
        await one.database.committing.wait()
        second = other.approve(down)
        await asyncio.wait(second, timeout=0.3)
        one.database.go.set()

        assert ["approved"] == await told(first)
        assert ["RateNotApprovable"] == await told(second)
        assert up.id == (await other.current()).id


async def test_many_processes_approve_one_after_the_other(url: str) -> None:
    """Of six rates far from each other, approved by two processes at once, one is approved."""
    async with opened(url) as one, opened(url) as other:
        rates = [await one.enter(str(100 + 10 * number)) for number in range(6)]

        answers = [*one.approve(*rates[::2]), *other.approve(*rates[1::2])]

        assert ["RateNotApprovable"] * 5 + ["approved"] == sorted(await told(answers))
