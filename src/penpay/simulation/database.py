"""SQLite behind the product's own adapters, without a thread: every statement a step, every commit two crash points.

The driver connection here speaks to `sqlite3` in the same thread and pretends to be aiosqlite, whose dialect the
product uses. Waiting for a lock happens in virtual time. A connection belongs to a process: when that dies, what was
not committed is gone, as after a power cut.
"""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, Self

from penpay.simulation.loop import current_process

_WAIT_MS_AT_MOST: Final = 5_000
"""As long as the product's own `busy_timeout`."""
_BUSY: Final = "database is locked"
_ACTION: Final = 4
"""Where an audit row says what was done."""
_WRITES: Final = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM) "?(?P<table>\w+)')
_FULL: Final = "database or disk is full"
_GONE: Final = "no active connection"
"""What aiosqlite says of a connection that is gone; the product treats the commit's answer as lost then."""


class CommitFate(StrEnum):
    """What becomes of one commit."""

    COMMITTED = "committed"
    BUSY = "busy"
    """Refused: somebody else was writing."""
    ANSWER_LOST = "answer_lost"
    """It is done, and the connection breaks before the answer."""
    NEVER_ARRIVED = "never_arrived"
    """The connection breaks before it is done."""
    LATE = "late"
    """The connection breaks; the transaction stays open for a while and is then done."""
    LATE_NEVER = "late_never"
    """The same, and is then undone."""
    FULL = "full"
    """Refused and undone: there is no room on the disk."""


class StatementFate(StrEnum):
    """What becomes of one statement."""

    DONE = "done"
    BUSY = "busy"
    """Refused: somebody else is writing."""
    FULL = "full"
    """Refused: there is no room on the disk."""
    LOST = "lost"
    """The connection breaks, and what was not committed on it is gone."""


class Faults(Protocol):
    """What the nemesis decides about a database."""

    async def before_commit(self, label: str) -> CommitFate:
        """Called before each commit that wrote something; may never return."""
        ...

    async def after_commit(self, label: str) -> None:
        """Called when it is done and not answered yet; may never return."""
        ...

    def before_statement(self, *, in_writing: bool, changes: bool) -> StatementFate:
        """Called before each statement: whether it belongs to a transaction that writes, and itself changes rows."""
        ...


def busy() -> sqlite3.OperationalError:
    """SQLite's refusal while somebody else writes."""
    error = sqlite3.OperationalError(_BUSY)
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


def full() -> sqlite3.OperationalError:
    """SQLite's refusal when there is no room."""
    error = sqlite3.OperationalError(_FULL)
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


@dataclass(slots=True)
class Cursor:
    """What SQLAlchemy's adapter wants of a cursor."""

    _connection: Connection
    _raw: sqlite3.Cursor

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Any:
        return self._raw.description

    @property
    def rowcount(self) -> int:
        return self._raw.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._raw.lastrowid

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Cursor:
        self._connection.note(statement, [parameters])
        await self._connection.run(statement, lambda: self._raw.execute(statement, parameters))
        return self

    async def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> Cursor:
        self._connection.note(statement, rows)
        await self._connection.run(statement, lambda: self._raw.executemany(statement, rows))
        return self

    async def fetchall(self) -> list[Any]:
        return self._raw.fetchall()

    async def fetchmany(self, size: int) -> list[Any]:
        """What is read by and by, as of one moment."""
        return self._raw.fetchmany(size)

    async def fetchone(self) -> Any:
        return self._raw.fetchone()

    async def close(self) -> None:
        self._raw.close()


class Connection:
    """One driver connection of one process."""

    def __init__(
        self, path: str, *, chance: random.Random, faults: Faults | None, trace: Callable[[str], None]
    ) -> None:
        self._conn = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        self._chance = chance
        self._faults = faults
        self._trace = trace
        self._gone = False
        self._writer: asyncio.Task[Any] | None = None
        self._labels: list[str] = []
        self._tables: list[str] = []
        owner = current_process()
        if owner is not None:
            owner.on_crash.append(self.cut)

    # -- what SQLAlchemy's aiosqlite adapter touches

    @property
    def _connection(self) -> sqlite3.Connection | None:
        return None if self._gone else self._conn

    @property
    def _tx(self) -> Connection:
        return self

    def put_nowait(self, job: tuple[asyncio.Future[Any], Callable[[], Any]]) -> None:
        """Run at once what aiosqlite would run in its thread."""
        future, function = job
        future.set_result(function())

    @property
    def isolation_level(self) -> str | None:
        return self._conn.isolation_level

    @property
    def in_transaction(self) -> bool:
        return not self._gone and self._conn.in_transaction

    async def create_function(self, *arguments: Any, **options: Any) -> None:
        self._conn.create_function(*arguments, **options)

    def cursor(self) -> Cursor:
        return Cursor(self, self._conn.cursor())

    async def commit(self) -> None:
        """Commit, unless the nemesis wants otherwise."""
        self._require()
        if not self._conn.in_transaction:
            return
        if self._faults is None or self._writer is None:
            await self._pause()
            self._finish(self._conn.commit)
            return
        label = "+".join(dict.fromkeys(self._labels or self._tables))
        fate = await self._faults.before_commit(label)
        await self._pause()
        if fate is CommitFate.BUSY:
            raise busy()
        if fate is CommitFate.FULL:
            self._finish(self._conn.rollback)
            raise full()
        if fate in {CommitFate.COMMITTED, CommitFate.ANSWER_LOST}:
            self._finish(self._conn.commit)
            self._trace(f"commit {label}")
            await self._faults.after_commit(label)
            if fate is CommitFate.COMMITTED:
                return
        self._trace(f"commit {fate} {label}")
        if fate is CommitFate.NEVER_ARRIVED:
            self._finish(self._conn.rollback)
        elif fate in {CommitFate.LATE, CommitFate.LATE_NEVER}:
            self._linger(fate is CommitFate.LATE)
        self._gone = True
        raise sqlite3.OperationalError(_GONE)

    async def rollback(self) -> None:
        self._require()
        if self._writer is not None:
            await self._pause()
        self._finish(self._conn.rollback)

    async def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Close it; a repeat does nothing."""
        self.cut()

    async def run(self, statement: str, execute: Callable[[], Any]) -> None:
        """One statement, after the others that could run now; waits for the write lock in virtual time."""
        if statement.startswith("PRAGMA"):
            if "busy_timeout" not in statement and "synchronous" not in statement:
                execute()
            return
        begins = statement.startswith("BEGIN IMMEDIATE")
        if statement != "BEGIN":  # a reader sees and holds nothing before its first question
            await self._pause()
        self._require()
        if self._faults is not None:
            in_writing = begins or self._writer is not None
            changes = in_writing and _WRITES.match(statement) is not None
            self._suffer(self._faults.before_statement(in_writing=in_writing, changes=changes))
        waited_ms = 0
        while True:
            try:
                execute()
            except sqlite3.OperationalError as error:
                if str(error) != _BUSY or waited_ms >= _WAIT_MS_AT_MOST or not begins:
                    raise
                pause_ms = 1 + self._chance.randrange(50)
                waited_ms += pause_ms
                await asyncio.sleep(pause_ms / 1_000)
                self._require()
            else:
                break
        if begins:
            self._writer = asyncio.current_task()
            self._labels.clear()
            self._tables.clear()

    def _suffer(self, fate: StatementFate) -> None:
        if fate is StatementFate.BUSY:
            raise busy()
        if fate is StatementFate.FULL:
            raise full()
        if fate is StatementFate.LOST:
            self._trace("the connection to the database breaks")
            self._finish(self._conn.rollback)
            self._gone = True
            raise sqlite3.OperationalError(_GONE)

    def note(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Name the transaction after what it writes into the audit log, or else after the tables it changes."""
        written = _WRITES.match(statement)
        if written is None:
            return
        table = written["table"]
        self._tables.append(table)
        if table == "audit_logs":
            self._labels.extend(str(row[_ACTION]) for row in rows)

    # -- the rest

    @property
    def writer(self) -> asyncio.Task[Any] | None:
        """The task whose transaction is open here."""
        return self._writer

    def cut(self) -> None:
        """The power goes: what is not committed is gone. A transaction left lingering is the server's by now."""
        if self._gone:
            return
        self._gone = True
        self._finish(self._conn.rollback)
        self._conn.close()

    def _linger(self, commits: bool) -> None:  # noqa: FBT001  (a private switch)
        """Leave the transaction open on the server for a while."""
        conn = self._conn

        def end() -> None:
            if commits:
                conn.commit()
            else:
                conn.rollback()
            conn.close()

        delay_ms = 1 + self._chance.randrange(8_000)
        asyncio.get_running_loop().call_later(delay_ms / 1_000, end, context=Context())

    def _finish(self, end: Callable[[], None]) -> None:
        end()
        self._writer = None

    def _require(self) -> None:
        if self._gone:
            raise sqlite3.OperationalError(_GONE)

    async def _pause(self) -> None:
        """Let others run: mostly at once, sometimes a little later."""
        draw = self._chance.randrange(8)
        await asyncio.sleep(0 if draw else self._chance.randrange(1, 5) / 1_000)
