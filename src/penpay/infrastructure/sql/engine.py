"""Opening a database, and turning what its drivers raise into what the application knows."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from asyncmy.errors import MySQLError
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from penpay.application.shared.unit_of_work import ConstraintViolated, Transient
from penpay.infrastructure.sql import embedded, mysql

BUSY_TIMEOUT_MS = 5_000
_LOG_TRIES = 100
_SQLITE_CACHE_KIB = 64 * 1024
_SQLITE_KEPT = 15
"""Connections to one file: opening one takes its settings, a thread and as long as some hundred questions."""
_SQLITE_WAL_PAGES = 32_000
"""128 MB of log between two checkpoints: some five batches of a thousand commands."""
_TRANSIENT_SQLSTATES = frozenset({"40001", "40P01", "55P03", "57014", "53300"})
"""Serialization failure, deadlock, lock not available, cancelled, too many clients."""
_SQLITE_PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL})
"""Locked by another; a disk without room, on which nothing was changed."""

_INTEGRITY_CLASS = "23"
_LOST = ("08", "57P")
"""Connection exceptions, and a server that is going down, has crashed or is coming up."""

DRIVER_ERRORS: Final = (
    DBAPIError,
    PoolExhausted,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    MySQLError,
    sqlite3.Error,
)
"""What a statement may raise: SQLAlchemy's errors, and the drivers' own where we speak to them directly (COPY)."""

_READING = "penpay_reading"
_LOOKING = "penpay_looking"

Connect = Callable[[str], Awaitable[Any]]
"""Opens one driver connection to the database of this name; given where a simulation supplies its own."""


def open_engine(url: str, *, pool_size: int = 5, connect: Connect | None = None) -> AsyncEngine:
    """An engine for `sqlite+aiosqlite:///…`, `postgresql+asyncpg://…` or `mysql+asyncmy://…` (MariaDB too).

    At READ COMMITTED, or SQLite's serial writes.

    SQLite takes its write lock at BEGIN (so readers in a unit of work see what they will overwrite), waits for others
    up to five seconds, and syncs every commit to disk.
    """
    parsed = make_url(url)
    options: dict[str, Any] = {"hide_parameters": True}  # an error's text must not quote rows
    if parsed.get_backend_name() == "sqlite":
        opened = connect or embedded.connect
        options["async_creator"] = lambda: opened(parsed.database or ":memory:")
        if parsed.database not in {None, "", ":memory:"}:  # one in memory is a single connection
            options |= {"pool_size": _SQLITE_KEPT, "max_overflow": 0}
        engine = create_async_engine(parsed, **options)
        _embed(engine)
        return engine
    if parsed.get_backend_name() == mysql.NAME:
        options["connect_args"] = {"charset": "utf8mb4", "init_command": mysql.SESSION}
        options["pool_recycle"] = mysql.RECYCLE_SECONDS
    return create_async_engine(parsed, pool_size=pool_size, max_overflow=0, isolation_level="READ COMMITTED", **options)


def reading(engine: AsyncEngine) -> AsyncEngine:
    """The same database for reading only: on SQLite its transactions do not take the write lock."""
    return engine.execution_options(**{_READING: True})


def looking(engine: AsyncEngine) -> AsyncEngine:
    """The same database for statements that read and stand alone: none is told of a transaction around each.

    Workers look more often than anything is done, and BEGIN and ROLLBACK would be two journeys more for every look.
    MariaDB and MySQL are told all the same: there, switching to AUTOCOMMIT and back is a journey each.
    """
    if engine.dialect.name == "postgresql":
        return reading(engine).execution_options(isolation_level="AUTOCOMMIT")
    return engine.execution_options(**{_READING: True, _LOOKING: True})


def _embed(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _: object) -> None:
        # Transactions are begun explicitly below, so the driver's own BEGIN is switched off.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "synchronous = FULL",
            "foreign_keys = ON",
            "recursive_triggers = ON",  # or INSERT OR REPLACE would delete past the triggers
            f"cache_size = -{_SQLITE_CACHE_KIB}",  # the 2 MB it takes by itself hold no batch of a thousand commands
            # A batch changes some thousand pages, many of them the index pages that the batch before changed:
            # checkpointed after each, every page is written twice for nothing.
            f"wal_autocheckpoint = {_SQLITE_WAL_PAGES}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        _keep_a_log(cursor)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        options = connection.get_execution_options()
        if not options.get(_LOOKING):
            connection.exec_driver_sql("BEGIN" if options.get(_READING) else "BEGIN IMMEDIATE")

    @event.listens_for(engine.sync_engine, "checkin")
    def end(connection: Any, _: object) -> None:
        # A COMMIT refused as busy leaves the transaction open, and SQLAlchemy takes it for ended all the same.
        if connection is not None and connection.driver_connection.in_transaction:
            connection.rollback()


def _keep_a_log(cursor: Any) -> None:
    """Have a database write ahead to a log: once for its lifetime, but whoever is first may meet another who is.

    The switch needs the whole file for itself, and SQLite does not wait for that: of two who open a new database
    together, one is refused at once. The beginning of a transaction is waited for.
    """
    for left in reversed(range(_LOG_TRIES)):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not left:
                raise
            cursor.execute("BEGIN EXCLUSIVE")
            cursor.execute("ROLLBACK")
        else:
            return


def translated(error: Exception) -> Exception:
    """What a driver's error means for a batch: try again, find the command at fault, or (itself) a bug."""
    raw = _raw(error)
    if isinstance(raw, MySQLError):
        return _mysql_meaning(error, raw)
    sqlstate = str(getattr(raw, "sqlstate", None) or "")
    if isinstance(error, PoolExhausted):
        return Transient("every connection is in use")
    if isinstance(error, IntegrityError) or isinstance(raw, sqlite3.IntegrityError) or sqlstate[:2] == _INTEGRITY_CLASS:
        return ConstraintViolated(_constraint(raw))
    passing = getattr(raw, "sqlite_errorcode", 0) & 0xFF in _SQLITE_PASSING
    if sqlstate in _TRANSIENT_SQLSTATES or passing or connection_lost(error):
        return Transient(type(raw).__name__)
    return error


def _mysql_meaning(error: Exception, raw: MySQLError) -> Exception:
    found = mysql.number(raw)
    if mysql.is_constraint(found):
        return ConstraintViolated(mysql.constraint(raw))
    if mysql.is_transient(found) or connection_lost(error):
        return Transient(f"{type(raw).__name__} {found}")
    return error


@asynccontextmanager
async def translating() -> AsyncIterator[None]:
    """Turn what drivers raise inside the block into what the application knows; see `translated`."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise translated(error) from error
    except OSError as error:
        raise Transient("the database cannot be reached") from error


def connection_lost(error: Exception) -> bool:
    """Whether the connection is gone, and with it the answer to what was sent last."""
    raw = _raw(error)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(raw, MySQLError):
        return mysql.is_lost(mysql.number(raw))
    if str(getattr(raw, "sqlstate", None) or "").startswith(_LOST):
        return True
    # asyncpg has no class of its own for the use of a connection that was lost a moment ago.
    return isinstance(raw, asyncpg.InterfaceError) and "closed" in str(raw)


def _raw(error: Exception) -> BaseException:
    """The driver's own error, which SQLAlchemy's adapter and then SQLAlchemy wrap."""
    if not isinstance(error, DBAPIError):
        return error
    adapted = error.orig or error
    if isinstance(adapted, MySQLError):
        return adapted  # asyncmy has no adapter between; its own cause may be that of the socket
    return adapted.__cause__ or adapted


def _constraint(raw: BaseException) -> str:
    """The constraint's name or column list; never the row, which may hold what must not reach a log."""
    name = getattr(raw, "constraint_name", None)
    if isinstance(name, str):
        return name
    text = str(raw)
    known = ("UNIQUE constraint", "CHECK constraint", "FOREIGN KEY", "NOT NULL")
    return text if text.startswith(known) else "constraint"
