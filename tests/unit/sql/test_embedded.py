"""Connections to SQLite: what is done at once, what in the thread, and that neither shows."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql.embedded import Connection, Pace, connect, pace_of
from penpay.infrastructure.sql.engine import open_engine, reading

LONG = "SELECT sum(a.n * b.n) FROM numbers a, numbers b"
"""Some million steps: tens of milliseconds at least."""


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    """To a file with two thousand numbers."""
    made = await connect(str(tmp_path / "numbers.db"))
    await do(made, "CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
    await do(made, "BEGIN")
    await made.cursor().executemany("INSERT INTO numbers (n) VALUES (?)", [(n,) for n in range(2_000)])
    await made.commit()
    yield made
    await made.close()


async def do(connection: Connection, statement: str) -> list[tuple[int, ...]]:
    cursor = await connection.cursor().execute(statement)
    found: list[tuple[int, ...]] = await cursor.fetchall()
    await cursor.close()
    return found


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    made = open_engine(f"sqlite+aiosqlite:///{tmp_path / 'engine.db'}")
    async with made.begin() as begun:
        await begun.execute(text("CREATE TABLE numbers (n INTEGER PRIMARY KEY)"))
    yield made
    await made.dispose()


@pytest.mark.parametrize(
    ("statement", "pace"),
    [
        ("BEGIN IMMEDIATE", Pace.SHORT),
        ("INSERT INTO numbers (n) VALUES (?)", Pace.SHORT),
        ("SELECT n FROM numbers", Pace.ASKED),
        ("INSERT INTO numbers (n) SELECT n + 1 FROM numbers", Pace.LONG),
        ("UPDATE numbers SET n = 1", Pace.LONG),
        ("DELETE FROM numbers", Pace.LONG),
        ("WITH one AS (SELECT 1) DELETE FROM numbers", Pace.LONG),
        ("PRAGMA journal_mode = WAL", Pace.LONG),
        ("CREATE INDEX by_n ON numbers (n)", Pace.LONG),
    ],
)
def test_only_what_is_surely_short_is_done_at_once(statement: str, pace: Pace) -> None:
    """A question may turn out long; whatever changes many rows goes to the thread."""
    assert pace is pace_of(statement)


async def test_a_long_question_does_not_hold_up_the_others(connection: Connection) -> None:
    """It is given up after a few milliseconds and asked again in the thread, with the same answer."""
    longest = 0.0

    async def others() -> None:
        nonlocal longest
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - began)

    watching = asyncio.create_task(others())
    began = time.perf_counter()
    found = await do(connection, LONG)
    lasted = time.perf_counter() - began
    watching.cancel()

    assert [(1_999 * 1_000 * 1_999 * 1_000,)] == found
    assert longest < lasted / 2


async def test_a_question_with_many_rows_is_answered_whole(connection: Connection) -> None:
    """Rows read before it proved long are neither lost nor told twice."""
    found = await do(connection, "SELECT a.n FROM numbers a, (SELECT n FROM numbers LIMIT 200) b")

    assert 400_000 == len(found)
    assert sum(range(2_000)) * 200 == sum(n for (n,) in found)


async def test_a_long_question_in_a_transaction_undoes_nothing_of_it(connection: Connection) -> None:
    """What was written before it is committed with what comes after."""
    await do(connection, "BEGIN IMMEDIATE")
    await do(connection, "INSERT INTO numbers (n) VALUES (5000)")
    await do(connection, LONG)
    await do(connection, "INSERT INTO numbers (n) VALUES (5001)")
    await connection.commit()

    assert [(5_000,), (5_001,)] == await do(connection, "SELECT n FROM numbers WHERE n >= 5000")


async def test_whoever_must_wait_for_a_lock_holds_up_nobody(engine: AsyncEngine) -> None:
    """The one who has it goes on in the same thread, and then the other."""
    order = []

    async def write(n: int) -> None:
        async with engine.begin() as begun:
            await begun.execute(text("INSERT INTO numbers (n) VALUES (:n)"), {"n": n})
            await asyncio.sleep(0.05)
            order.append(n)

    await asyncio.gather(*(write(n) for n in range(4)))

    assert sorted(order) == list(range(4))
    async with reading(engine).connect() as asking:
        assert 4 == (await asking.execute(text("SELECT count(*) FROM numbers"))).scalar_one()


async def test_what_is_cancelled_in_the_thread_is_over_before_the_next_begins(connection: Connection) -> None:
    """The connection can be used again, in turn."""
    asked = asyncio.create_task(
        do(
            connection,
            f"INSERT INTO numbers (n) SELECT 10000 + s FROM ({LONG.replace('sum(a.n * b.n)', 'count(*) s')})",
        )
    )
    await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked

    assert [(4_010_000,)] == await do(connection, "SELECT max(n) FROM numbers")


async def test_a_closed_connection_says_that_it_is_gone(connection: Connection) -> None:
    """In the words by which it is replaced by another."""
    cursor = connection.cursor()
    await connection.close()
    await connection.close()

    with pytest.raises(sqlite3.OperationalError, match="no active connection"):
        await cursor.execute("SELECT 1")
