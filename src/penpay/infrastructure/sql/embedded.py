"""Connections to an embedded SQLite file that change threads only where waiting is worth it.

A journey to a driver's thread and back costs more than most statements do, and aiosqlite makes four for each. Here
what is short is done where it is asked for: a transaction's begin, a look-up, some rows written by their keys. What
may hold up everybody else is done in the connection's own thread: waiting for a lock, a COMMIT that syncs to disk,
statements of many rows, and every other statement. A question that turns out to be long is put again, in the thread.

SQLAlchemy's dialect for aiosqlite speaks to them, so they have the methods of aiosqlite that it calls.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from enum import Enum
from typing import Any, Final, Self

_SHORT_NS: Final = 2_000_000
_FOR_EVER_NS: Final = 1 << 62
_STEPS: Final = 2_000
"""Of SQLite's machine between two looks at the clock: some fifty microseconds."""
_FEW_ROWS: Final = 64
_GIVEN_UP: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT})
"""Another has the lock, or a question takes long: neither has changed anything."""
_PATIENCE: Final = "PRAGMA busy_timeout = "
_GONE: Final = "no active connection"
"""What SQLAlchemy's dialect takes for a connection that is gone."""


class Pace(Enum):
    """How long something may take."""

    SHORT = "short"
    """It takes no time: done here."""
    ASKED = "asked"
    """A question, which may take long and can be put again: tried here."""
    LONG = "long"
    """It may hold up everybody else: done in the thread."""


def pace_of(statement: str) -> Pace:
    """How long one statement may take."""
    text = statement.lstrip()
    if text.startswith("SELECT"):
        return Pace.ASKED
    one_row = text.startswith("INSERT INTO") and ") VALUES (" in text and "SELECT" not in text
    return Pace.SHORT if one_row or text.startswith("BEGIN") else Pace.LONG


class Cursor:
    """One statement and its rows."""

    def __init__(self, connection: Connection, raw: sqlite3.Cursor) -> None:
        self._connection = connection
        self._raw = raw
        self._statement = ""
        self._parameters: Sequence[Any] = ()
        self._pace = Pace.SHORT

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

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Self:
        if statement.startswith(_PATIENCE):
            self._connection.busy_timeout = statement
        self._statement, self._parameters = statement, parameters
        self._pace = await self._connection.run(self._again, pace_of(statement))
        return self

    async def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> Self:
        given = list(rows)
        pace = Pace.SHORT if len(given) <= _FEW_ROWS else Pace.LONG
        self._pace = await self._connection.run(lambda: self._raw.executemany(statement, given), pace)
        return self

    async def fetchall(self) -> list[Any]:
        rows: list[Any] = []
        first = True

        def fetch() -> None:
            nonlocal rows, first
            if not first and self._pace is Pace.ASKED:
                self._again()  # from the beginning: what was read until then went with the first try
            first = False
            rows = self._raw.fetchall()

        await self._connection.run(fetch, self._pace)
        return rows

    async def fetchmany(self, size: int) -> list[Any]:
        """What is read by and by, as of one moment."""
        rows: list[Any] = []
        await self._connection.run(lambda: rows.extend(self._raw.fetchmany(size)), Pace.LONG)
        return rows

    async def fetchone(self) -> Any:
        found = await self.fetchmany(1)
        return found[0] if found else None

    async def close(self) -> None:
        await self._connection.run(self._raw.close, Pace.SHORT)

    def _again(self) -> None:
        self._raw.execute(self._statement, self._parameters)


class Connection:
    """One connection with a thread of its own. What is done in the thread is done in turn, also after a caller left."""

    def __init__(self, path: str) -> None:
        """Raises sqlite3.OperationalError for a file that cannot be opened."""
        self.busy_timeout = f"{_PATIENCE}0"
        """The statement that says how long the thread waits for a lock: the last that was executed."""
        self._conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._last: Future[None] | None = None
        self._patient = True
        self._until_ns = _FOR_EVER_NS
        self._spent_ns = 0
        self._gone = False

    # -- what SQLAlchemy's aiosqlite adapter touches

    @property
    def _connection(self) -> sqlite3.Connection | None:
        return None if self._gone else self._conn

    @property
    def _tx(self) -> Connection:
        return self

    def put_nowait(self, job: tuple[asyncio.Future[Any], Callable[[], Any]]) -> None:
        """Run what aiosqlite would run in its thread: a setting, which takes no time."""
        future, function = job
        future.set_result(function())

    @property
    def isolation_level(self) -> str | None:
        return self._conn.isolation_level

    @isolation_level.setter
    def isolation_level(self, level: str | None) -> None:
        # Transactions are begun by statements alone; see `engine`.
        del level

    @property
    def in_transaction(self) -> bool:
        return not self._gone and self._conn.in_transaction

    async def create_function(self, *arguments: Any, **options: Any) -> None:
        self._conn.create_function(*arguments, **options)

    def cursor(self) -> Cursor:
        return Cursor(self, self._conn.cursor())

    async def commit(self) -> None:
        if self.in_transaction:
            await self.run(self._conn.commit, Pace.LONG)

    async def rollback(self) -> None:
        if self.in_transaction:
            await self.run(self._conn.rollback, Pace.SHORT)

    async def close(self) -> None:
        """Close it; a repeat does nothing."""
        if not self._gone:
            try:
                await self.run(self._conn.close, Pace.LONG)
            finally:
                self.stop()

    def stop(self) -> None:
        """Close it when what is under way in the thread is over; a repeat does nothing."""
        if not self._gone:
            self._gone = True
            self._thread.submit(self._conn.close)
            self._thread.shutdown(wait=False)

    # -- where things are done

    async def run(self, do: Callable[[], object], pace: Pace) -> Pace:
        """Do it here or in the thread; returns LONG if it was done there."""
        if self._gone:
            raise sqlite3.OperationalError(_GONE)
        if pace is not Pace.LONG and (self._last is None or self._last.done()):
            began_ns = self._hurry(pace)
            try:
                do()
            except sqlite3.OperationalError as error:
                # Without a code it is not SQLite's but its module's, as of text that is none.
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _GIVEN_UP:
                    raise
            else:
                await self._let_others(time.monotonic_ns() - began_ns)
                return pace
        self._last = self._thread.submit(self._patiently, do)
        # Whoever is cancelled leaves it under way: what is asked of this connection next is done after it.
        await asyncio.shield(asyncio.wrap_future(self._last))
        return Pace.LONG

    async def _let_others(self, spent_ns: int) -> None:
        """Many short things one after another are a long one."""
        self._spent_ns += spent_ns
        if self._spent_ns > _SHORT_NS:
            self._spent_ns = 0
            await asyncio.sleep(0)

    def _hurry(self, pace: Pace) -> int:
        """Wait for no lock from now on, and interrupt a question that takes long; returns the moment."""
        now_ns = time.monotonic_ns()
        # Only questions: what changes rows is undone by an interruption, with all that its transaction did.
        self._until_ns = now_ns + _SHORT_NS if pace is Pace.ASKED else _FOR_EVER_NS
        if self._patient:
            self._patient = False
            self._conn.execute(f"{_PATIENCE}0")
            self._conn.set_progress_handler(self._is_over, _STEPS)
        return now_ns

    def _patiently(self, do: Callable[[], object]) -> None:
        if not self._patient:
            self._patient = True
            self._conn.set_progress_handler(None, 0)
            self._conn.execute(self.busy_timeout)
        do()

    def _is_over(self) -> bool:
        return time.monotonic_ns() > self._until_ns


async def connect(path: str) -> Connection:
    """A connection to the database in this file, or a new one in memory for `:memory:`."""
    return Connection(path)
