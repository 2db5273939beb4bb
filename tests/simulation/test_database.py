"""SQLite in the simulation: what a crash leaves, how a lock is waited for, and what can become of a commit."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from penpay.simulation.database import CommitFate, Connection, StatementFate, busy, full
from penpay.simulation.loop import Process, SimLoop

PAYMENT = "INSERT INTO payments VALUES (?)"


class Fated:
    """Decides on commits as a test wants it."""

    def __init__(
        self, fate: CommitFate = CommitFate.COMMITTED, dies: str = "", *, suffers: StatementFate = StatementFate.DONE
    ) -> None:
        """`dies`: whether the process dies "before" or "after" the commit."""
        self.fate = fate
        self.dies = dies
        self.suffers = suffers
        self.labels: list[str] = []
        self.process: Process
        self.loop: SimLoop

    async def before_commit(self, label: str) -> CommitFate:
        self.labels.append(label)
        await self._die("before")
        return self.fate

    async def after_commit(self, label: str) -> None:
        assert label == self.labels[-1]
        await self._die("after")

    def before_statement(self, *, in_writing: bool, changes: bool) -> StatementFate:
        strikes = changes if self.suffers is StatementFate.FULL else in_writing
        return self.suffers if strikes else StatementFate.DONE

    async def _die(self, when: str) -> None:
        if self.dies == when:
            self.loop.crash(self.process)
            await self.loop.create_future()


class Stage:
    """A database with one empty table, and a loop on which processes use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.loop = SimLoop(random.Random(1))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE payments (cents INTEGER)")

    def connect(self, faults: Fated | None = None) -> Connection:
        return Connection(str(self.path), chance=random.Random(1), faults=faults or Fated(), trace=lambda _: None)

    def rows(self) -> int:
        """How many payments anybody else sees."""
        with closing(sqlite3.connect(self.path)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM payments").fetchone()
        return int(count)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path / "penpay.db")
    yield stage
    stage.loop.close()


async def pay(connection: Connection) -> None:
    """Begin to write one payment."""
    cursor = connection.cursor()
    await cursor.execute("BEGIN IMMEDIATE")
    await cursor.execute(PAYMENT, (100,))


def test_a_crash_rolls_back(stage: Stage) -> None:
    """What a dead process had not committed is gone, and its lock with it."""
    process = Process("one")

    async def work() -> None:
        await pay(stage.connect())
        await stage.loop.create_future()

    async def world() -> int:
        stage.loop.start(work(), process)
        await asyncio.sleep(1)
        stage.loop.crash(process)
        began_us = stage.loop.now_us
        other = stage.connect()
        await pay(other)
        await other.commit()
        return stage.loop.now_us - began_us

    took_us = stage.loop.run_until_complete(world())

    assert 1 == stage.rows()
    assert took_us < 100_000


@pytest.mark.parametrize(("when", "kept"), [("before", 0), ("after", 1)])
def test_a_process_may_die_on_either_side_of_a_commit(stage: Stage, when: str, kept: int) -> None:
    """Before it nothing is kept, after it everything, and in neither case does the process hear of it."""
    process, faults, heard = Process("one"), Fated(dies=when), list[str]()
    faults.process, faults.loop = process, stage.loop

    async def work() -> None:
        connection = stage.connect(faults)
        await pay(connection)
        await connection.commit()
        heard.append("committed")

    async def world() -> None:
        stage.loop.start(work(), process)
        await asyncio.sleep(1)

    stage.loop.run_until_complete(world())

    assert (kept, []) == (stage.rows(), heard)


def test_a_lock_is_waited_for_in_virtual_time(stage: Stage) -> None:
    """The second writer begins as soon as the first has ended, and sees what it wrote."""

    async def hold(seconds: int) -> None:
        connection = stage.connect()
        await pay(connection)
        await asyncio.sleep(seconds)
        await connection.commit()

    async def world() -> int:
        first = asyncio.ensure_future(hold(2))
        await asyncio.sleep(1)
        second = stage.connect()
        await pay(second)
        assert 1 == stage.rows()
        await second.commit()
        await first
        return stage.loop.now_us // 1_000

    assert stage.loop.run_until_complete(world()) in range(2_000, 2_200)
    assert 2 == stage.rows()


def test_a_lock_is_not_waited_for_for_ever(stage: Stage) -> None:
    """After five seconds the second writer is refused, as by the product's own timeout."""

    async def world() -> int:
        await pay(stage.connect())
        began_us = stage.loop.now_us
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            await pay(stage.connect())
        return (stage.loop.now_us - began_us) // 1_000

    assert stage.loop.run_until_complete(world()) in range(5_000, 5_200)


def test_a_statement_may_be_refused_as_busy(stage: Stage) -> None:
    """The refusal is the one SQLite gives, by word and by code."""

    async def world() -> None:
        with pytest.raises(sqlite3.OperationalError) as refusal:
            await pay(stage.connect(Fated(suffers=StatementFate.BUSY)))
        assert (str(busy()), sqlite3.SQLITE_BUSY) == (str(refusal.value), refusal.value.sqlite_errorcode)

    stage.loop.run_until_complete(world())
    assert 0 == stage.rows()


def test_a_full_disk_refuses_changes_alone(stage: Stage) -> None:
    """The refusal is the one SQLite gives, by word and by code; one may begin, look, and give up."""

    async def world() -> None:
        connection = stage.connect(Fated(suffers=StatementFate.FULL))
        with pytest.raises(sqlite3.OperationalError) as refusal:
            await pay(connection)
        assert (str(full()), sqlite3.SQLITE_FULL) == (str(refusal.value), refusal.value.sqlite_errorcode)
        await connection.rollback()

    stage.loop.run_until_complete(world())
    assert 0 == stage.rows()


def test_what_was_begun_on_a_connection_that_breaks_is_gone(stage: Stage) -> None:
    """The server undoes it at once, so that nobody waits for its lock; the connection is of no more use."""

    async def world() -> None:
        faults = Fated()
        connection = stage.connect(faults)
        await pay(connection)
        faults.suffers = StatementFate.LOST
        with pytest.raises(sqlite3.OperationalError, match="no active connection"):
            await connection.cursor().execute(PAYMENT, (100,))
        with pytest.raises(sqlite3.OperationalError, match="no active connection"):
            await connection.commit()
        other = stage.connect()
        await pay(other)
        await other.commit()

    stage.loop.run_until_complete(world())
    assert 1 == stage.rows()


GONE = "no active connection"
LOCKED = "database is locked"


@pytest.mark.parametrize(
    # What the committer is told, what others see then, and what they see ten seconds later.
    ("fate", "told", "at_once", "later"),
    [
        (CommitFate.COMMITTED, "", 1, 1),
        (CommitFate.BUSY, LOCKED, 0, 0),
        (CommitFate.ANSWER_LOST, GONE, 1, 1),
        (CommitFate.NEVER_ARRIVED, GONE, 0, 0),
        (CommitFate.LATE, GONE, 0, 1),
        (CommitFate.LATE_NEVER, GONE, 0, 0),
    ],
)
def test_a_commit_meets_its_fate(stage: Stage, fate: CommitFate, told: str, at_once: int, later: int) -> None:
    """The answer says less than what was done: a lost one may stand for any of four ends."""

    async def world() -> tuple[str, int, int]:
        connection = stage.connect(Fated(fate))
        await pay(connection)
        said = ""
        try:
            await connection.commit()
        except sqlite3.OperationalError as error:
            said = str(error)
        seen = stage.rows()
        await asyncio.sleep(10)
        return said, seen, stage.rows()

    assert (told, at_once, later) == stage.loop.run_until_complete(world())


def test_a_refused_commit_can_be_tried_again(stage: Stage) -> None:
    """A commit refused as busy leaves its transaction open, as SQLite does."""
    faults = Fated(CommitFate.BUSY)

    async def world() -> None:
        connection = stage.connect(faults)
        await pay(connection)
        with pytest.raises(sqlite3.OperationalError, match=LOCKED):
            await connection.commit()
        faults.fate = CommitFate.COMMITTED
        await connection.commit()

    stage.loop.run_until_complete(world())
    assert 1 == stage.rows()


@pytest.mark.parametrize("fate", [CommitFate.LATE, CommitFate.LATE_NEVER])
def test_a_late_commit_keeps_its_lock_until_it_is_decided(stage: Stage, fate: CommitFate) -> None:
    """The next writer waits for the transaction that lost its connection, so it never sees half an answer."""

    async def world() -> None:
        connection = stage.connect(Fated(fate))
        await pay(connection)
        with pytest.raises(sqlite3.OperationalError, match=GONE):
            await connection.commit()
        with pytest.raises(sqlite3.OperationalError, match=LOCKED), closing(sqlite3.connect(stage.path, 0)) as other:
            other.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(10)
        with closing(sqlite3.connect(stage.path, 0)) as other:
            other.execute("BEGIN IMMEDIATE")

    stage.loop.run_until_complete(world())


def test_a_commit_is_named_after_what_it_writes(stage: Stage) -> None:
    """A crash point has a name that says which commit it is at."""
    faults = Fated()

    async def world() -> None:
        connection = stage.connect(faults)
        await pay(connection)
        await connection.commit()

    stage.loop.run_until_complete(world())
    assert ["payments"] == faults.labels
