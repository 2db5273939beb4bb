"""COMMIT without an answer: found out what became of it before anybody is answered, and done exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.shared.unit_of_work import CommitUnknown, Transient
from penpay.domain.shared.errors import Overdrawn, Overloaded
from penpay.domain.shared.ids import BatchId
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.unit_of_work import Schema, SqlDatabase, SqlUnitOfWork
from tests.contract.sql.commands import Move, MoveUnprepared, RefuseLate, wallet
from tests.contract.sql.wire import Break, wired
from tests.contract.sql.world import World, opened

A, B, C = wallet(1), wallet(2), wallet(3)
Commit = Callable[[], Awaitable[None]]
Fault = Callable[[Commit], Awaitable[None]]


async def committed_and_silent(commit: Commit) -> None:
    """The database does it; nobody hears."""
    await commit()
    raise CommitUnknown


async def silent(commit: Commit) -> None:
    """The database never hears of it."""
    raise CommitUnknown


async def unheard(commit: Commit) -> None:
    """For the question what became of a batch: it is ruled out, and nobody hears that it is."""
    await commit()
    raise Transient


async def busy(commit: Commit) -> None:
    """The database cannot now."""
    raise Transient


class FaultyDatabase(SqlDatabase):
    """A real database whose next commits meet these faults, in order."""

    def __init__(self, engine: AsyncEngine, schema: Schema, *, faults: list[Fault]) -> None:
        super().__init__(engine, schema)
        self.faults = faults

    def unit_of_work(self) -> SqlUnitOfWork:
        return FaultyUnitOfWork(self)

    async def abandon(self, batch_id: BatchId, at: datetime) -> bool:
        ruled_out = super().abandon
        if self.faults and self.faults[0] is unheard:
            await self.faults.pop(0)(lambda: _done(ruled_out(batch_id, at)))
        return await ruled_out(batch_id, at)


async def _done(asked: Awaitable[bool]) -> None:
    await asked


class FaultyUnitOfWork(SqlUnitOfWork):
    """Its commit is the border at which the answer gets lost."""

    def __init__(self, database: FaultyDatabase) -> None:
        super().__init__(database)
        self._faults = database.faults

    async def commit(self) -> None:
        if self._faults:
            await self._faults.pop(0)(super().commit)
        else:
            await super().commit()


@asynccontextmanager
async def funded(url: str) -> AsyncIterator[tuple[World, list[Fault]]]:
    """A world with money in it, and the list of faults to come."""
    faults: list[Fault] = []
    async with opened(url, database=partial(FaultyDatabase, faults=faults)) as world:
        await world.fund(A, cents=1_000)
        yield world, faults


async def batches(world: World) -> dict[str, int]:
    """How many batches are on record as committed and as ruled out."""
    rows = await world.rows("SELECT state, count(*) FROM command_batches GROUP BY state")
    return {row[0]: row[1] for row in rows}


async def test_it_had_committed(url: str) -> None:
    """The answers are those that were computed; nothing runs again."""
    async with funded(url) as (world, faults):
        faults.append(committed_and_silent)
        results = await world.moved(A, B, 50)

        assert list(range(999, 949, -1)) == [result["left"] for result in results]
        assert (50, {"COMMITTED": 2}) == (await world.balance(B), await batches(world))
        assert (1, 0) == (world.executor.counters.unknown_commits, world.executor.counters.abandoned)
        await world.books_agree()


async def test_it_had_not_committed(url: str) -> None:
    """The batch is ruled out under its id and runs again, once."""
    async with funded(url) as (world, faults):
        faults.append(silent)
        results = await world.moved(A, B, 50)

        assert list(range(999, 949, -1)) == [result["left"] for result in results]
        assert (50, {"COMMITTED": 2, "ABANDONED": 1}) == (await world.balance(B), await batches(world))
        assert (1, 1) == (world.executor.counters.unknown_commits, world.executor.counters.abandoned)
        await world.books_agree()


async def test_ruling_it_out_is_answered_by_silence_too(url: str) -> None:
    """The batch is ruled out, that answer is lost as well, and asking again finds our own row: it runs again."""
    async with funded(url) as (world, faults):
        faults += [silent, unheard]
        results = await world.moved(A, B, 50)

        assert list(range(999, 949, -1)) == [result["left"] for result in results]
        assert (50, {"COMMITTED": 2, "ABANDONED": 1}) == (await world.balance(B), await batches(world))
        assert (1, 1) == (world.executor.counters.unknown_commits, world.executor.counters.abandoned)
        await world.books_agree()


async def test_silence_after_silence(url: str) -> None:
    """Not committed, busy, not committed, then committed and unheard: still done once."""
    async with funded(url) as (world, faults):
        faults += [silent, busy, silent, committed_and_silent]
        results = await world.moved(A, B, 3)

        assert [999, 998, 997] == [result["left"] for result in results]
        assert (3, {"COMMITTED": 2, "ABANDONED": 2}) == (await world.balance(B), await batches(world))
        assert [] == faults
        await world.books_agree()


@pytest.mark.parametrize("fault", [silent, busy], ids=["silent", "busy"])
async def test_a_database_that_never_commits_is_given_up(url: str, fault: Fault) -> None:
    """After five attempts the callers are told that nothing was done, and nothing was; the next batch is served."""
    async with funded(url) as (world, faults):
        faults.extend([fault] * 5)
        results = await world.moved(A, B, 3)

        assert [Overloaded] * 3 == [type(result) for result in results]
        assert 0 == await world.balance(B)
        assert {"reference": "later", "left": 999} == await world.execute(Move(A, B, 1, "later"))


async def test_refusals_and_deferred_commands_survive_a_lost_answer(url: str) -> None:
    """Every command of the batch comes to what it would have come to."""
    for fault in (committed_and_silent, silent):
        async with funded(url) as (world, faults):
            name = fault.__name__
            before = await world.balance(B)
            faults.append(fault)
            done, late, deferred = await world.together(
                [
                    Move(A, B, 1, f"done {name}"),
                    RefuseLate(Move(A, B, 1, f"late {name}")),
                    MoveUnprepared(Move(A, B, 1, f"deferred {name}")),
                ]
            )

            assert (f"done {name}", f"deferred {name}") == (done["reference"], deferred["reference"])
            assert isinstance(late, Overdrawn)
            assert 2 == await world.balance(B) - before
            await world.books_agree()


async def end_other_connection(connection: AsyncConnection) -> None:
    """End the one connection that stands in a transaction, as an administrator does."""
    if connection.dialect.name == "mysql":
        open_ones = await connection.scalars(
            text(
                "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx JOIN information_schema.processlist"
                " ON id = trx_mysql_thread_id WHERE db = DATABASE() AND id <> CONNECTION_ID()"
            )
        )
        await connection.execute(text(f"KILL {open_ones.one()}"))
        return
    ended = await connection.scalars(
        text(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND state = 'idle in transaction'"
        )
    )
    assert [True] == list(ended)


async def test_a_backend_that_is_killed_before_commit(server_url: str) -> None:
    """The server ends the connection under us: whatever it says, the batch is done once."""
    administrator = open_engine(server_url)

    async def killed(commit: Commit) -> None:
        async with administrator.connect() as connection:
            await end_other_connection(connection)
        await commit()

    async with funded(server_url) as (world, faults):
        faults += [killed, killed]
        results = await world.moved(A, B, 20)

        assert list(range(999, 979, -1)) == [result["left"] for result in results]
        assert 20 == await world.balance(B)
        assert [] == faults
        await world.books_agree()
    await administrator.dispose()


@pytest.mark.parametrize("plan", Break)
async def test_a_wire_that_is_cut_at_commit(server_url: str, plan: Break) -> None:
    """The COMMIT, its answer, or its order in time is lost on a real connection: the batch is done once.

    Late is the worst: the old transaction is still open when we ask, so the question has to wait for it.
    """
    async with wired(server_url) as (wire, near_end), opened(near_end) as world:
        await world.fund(A, cents=1_000)
        wire.next_commit = plan
        results = await world.moved(A, B, 20)

        assert list(range(999, 979, -1)) == [result["left"] for result in results]
        assert (20, 1) == (await world.balance(B), wire.broken)
        ruled_out = {"ABANDONED": 1} if plan is Break.QUESTION_LOST else {}
        assert {"COMMITTED": 2, **ruled_out} == await batches(world)
        assert 1 == world.executor.counters.unknown_commits
        await world.books_agree()


async def test_nobody_is_answered_while_the_database_is_silent(url: str) -> None:
    """As long as the fate of the batch cannot be asked for, its callers wait."""
    async with funded(url) as (world, faults):
        asked = asyncio.Event()

        async def away(commit: Commit) -> None:
            await commit()
            # The database does not take questions either: its own table is gone for a while.
            await world.change("ALTER TABLE command_batches RENAME TO elsewhere")
            asked.set()
            raise CommitUnknown

        faults.append(away)
        waiting = world.executor.enqueue(Move(A, B, 1, "m"))
        await asked.wait()
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await world.change("ALTER TABLE elsewhere RENAME TO command_batches")

        assert {"reference": "m", "left": 999} == await waiting
        assert 1 == await world.balance(B)
