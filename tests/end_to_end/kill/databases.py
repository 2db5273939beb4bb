"""Looking into a running program's database from outside, and holding a commit of it open for as long as it takes.

A hold is a trigger of the test's own: when the program writes a certain row, the database itself does not come back
from the statement. What was committed before stays visible, the next step cannot be committed, and so the program can
be killed in exactly that state, in the middle of a transaction, without a line of it knowing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from tests.servers.mysql import MysqlServer
from tests.servers.postgresql import PostgresqlServer

_HOLD = "test_hold"


@dataclass(frozen=True, slots=True)
class Hold:
    """The write that must not be finished: an INSERT or UPDATE that gives `column` this value, or that ends it."""

    verb: str
    table: str
    column: str
    value: str
    leaving: bool = False
    """Whether it is an UPDATE to any other value that is held."""

    @property
    def condition(self) -> str:
        """The trigger's condition."""
        if self.leaving:
            return f"OLD.{self.column} = '{self.value}' AND NEW.{self.column} <> '{self.value}'"
        return f"NEW.{self.column} = '{self.value}'"


def event(name: str) -> Hold:
    """The commit that would record this event."""
    return Hold("INSERT", "domain_events", "name", name)


def audited(action: str) -> Hold:
    """The commit that would put this action on the audit trail."""
    return Hold("INSERT", "audit_logs", "action", action)


class Database(Protocol):
    """One of our databases, seen from outside."""

    url: str

    def query(self, statement: str) -> Sequence[tuple[str, ...]]:
        """The committed rows of a SELECT, every value as text and NULL as empty text."""
        ...

    def literal(self, identifier: str) -> str:
        """An id as it is written in a statement."""
        ...

    def hold(self, hold: Hold) -> None:
        """From now on this write does not come back."""
        ...

    def release(self) -> None:
        """No write is held any more; the program that was held must be dead."""
        ...


class SqliteDatabase:
    """An SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.url = f"sqlite+aiosqlite:///{path}"

    def query(self, statement: str) -> Sequence[tuple[str, ...]]:
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=5)) as connection:
            return [_text(row) for row in connection.execute(statement).fetchall()]

    def literal(self, identifier: str) -> str:
        return f"x'{UUID(identifier).hex}'"

    def hold(self, hold: Hold) -> None:
        # SQLite cannot sleep, but it can count further than any test waits.
        self._execute(
            f"CREATE TRIGGER {_HOLD} BEFORE {hold.verb} ON {hold.table} WHEN {hold.condition} "
            "BEGIN SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
            "LIMIT 100000000000) SELECT i FROM n); END"
        )

    def release(self) -> None:
        self._execute(f"DROP TRIGGER IF EXISTS {_HOLD}")

    def _execute(self, statement: str) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=10)) as connection:
            connection.execute(statement)


class PostgresqlDatabase:
    """A database of a PostgreSQL server."""

    def __init__(self, server: PostgresqlServer, name: str) -> None:
        self._server = server
        self._name = name
        self.url = server.url(name)

    def query(self, statement: str) -> Sequence[tuple[str, ...]]:
        found = self._server.execute(statement, self._name)
        return [tuple(line.split("|")) for line in found.splitlines()]

    def literal(self, identifier: str) -> str:
        return f"'{identifier}'"

    def hold(self, hold: Hold) -> None:
        self._server.execute(
            f"CREATE FUNCTION {_HOLD}() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$; "
            f"CREATE TRIGGER {_HOLD} BEFORE {hold.verb} ON {hold.table} FOR EACH ROW "
            f"WHEN ({hold.condition}) EXECUTE FUNCTION {_HOLD}()",
            self._name,
        )

    def release(self) -> None:
        # The server does not notice that its client is dead before it next speaks to it.
        self._server.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'PgSleep'; "
            f"DROP FUNCTION IF EXISTS {_HOLD}() CASCADE",
            self._name,
        )


class MysqlDatabase:
    """A database of a MySQL or MariaDB server."""

    def __init__(self, server: MysqlServer, name: str) -> None:
        self._server = server
        self._name = name
        self.url = server.url(name)

    def query(self, statement: str) -> Sequence[tuple[str, ...]]:
        return self._server.execute(statement, self._name)

    def literal(self, identifier: str) -> str:
        return f"x'{UUID(identifier).hex}'"

    def hold(self, hold: Hold) -> None:
        self._server.execute(
            f"CREATE TRIGGER {_HOLD} BEFORE {hold.verb} ON {hold.table} FOR EACH ROW "
            f"SET @held = IF({hold.condition}, SLEEP(600), 0)",
            self._name,
        )

    def release(self) -> None:
        # The server does not notice that its client is dead before it next speaks to it; a killed SLEEP ends at once.
        held = "SELECT id FROM information_schema.processlist WHERE db = '{}' AND state = 'User sleep'"
        for (connection,) in self._server.execute(held.format(self._name)):
            self._server.execute(f"KILL {connection}")
        self._server.execute(f"SET lock_wait_timeout = 20; DROP TRIGGER IF EXISTS {_HOLD}", self._name)


def _text(row: Sequence[object]) -> tuple[str, ...]:
    """A row of SQLite's, where the bytes that are asked for are ids."""
    return tuple(
        str(UUID(bytes=value)) if isinstance(value, bytes) else "" if value is None else str(value) for value in row
    )
