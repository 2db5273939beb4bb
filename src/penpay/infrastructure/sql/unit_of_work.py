"""One batch, one SQL transaction: rows are read and locked first, written once at the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast
from uuid import UUID

import orjson
from sqlalchemy import ARRAY, ColumnElement, Dialect, Select, Table, any_, func, insert, literal, select, tuple_
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.shared.unit_of_work import (
    AUDIT,
    EVENTS,
    Appended,
    CommitUnknown,
    ConstraintViolated,
    Footprint,
    Index,
    Kind,
    StoredEvent,
    Transient,
    Work,
)
from penpay.domain.shared.ids import BatchId
from penpay.infrastructure.sql import mysql
from penpay.infrastructure.sql.bulk import BulkWriter
from penpay.infrastructure.sql.engine import DRIVER_ERRORS, connection_lost, translated
from penpay.infrastructure.sql.tables import audit_logs, command_batches, domain_events
from penpay.infrastructure.sql.types import Row

K = TypeVar("K")
V = TypeVar("V")
V_contra = TypeVar("V_contra", contravariant=True)


class Repository(Protocol[K, V]):
    """How one kind of row is read, locked and written."""

    kind: Kind[Any, Any]
    table: Table
    key: tuple[str, ...]
    """The table's key columns, as `identity` gives them."""
    mutable: tuple[str, ...]
    """The columns that may change after the row was added; none for rows that are only added or removed."""

    async def lock(self, connection: AsyncConnection, keys: Collection[K]) -> Mapping[K, V | None]:
        """The rows with these keys, locked against every other writer; None for a key without a row."""
        ...

    def row(self, value: V) -> Row:
        """The value as a tuple in the order of the table's columns."""
        ...

    def identity(self, value: V) -> Row:
        """The value's key columns."""
        ...


class Finder(Protocol):
    """One set-based look-up, unlocked unless its index says so."""

    index: Index[Any, Any]

    async def find(self, connection: AsyncConnection, keys: Collection[Any]) -> Mapping[Any, Any]: ...


class Appender(Protocol[V_contra]):
    """How one append-only kind of record is written."""

    kind: Appended[Any]
    table: Table

    def row(self, record: V_contra) -> Row: ...


class Schema:
    """Every repository of a database, in the order in which rows are locked and written."""

    def __init__(
        self,
        *,
        repositories: Sequence[Repository[Any, Any]],
        finders: Sequence[Finder],
        appenders: Sequence[Appender[Any]],
    ) -> None:
        self.repositories = tuple(repositories)
        self.finders = {finder.index: finder for finder in finders}
        self.appenders = tuple(appenders)


class SqlDatabase:
    """A database with a schema; hands out units of work."""

    def __init__(self, engine: AsyncEngine, schema: Schema) -> None:
        self.engine = engine
        self.schema = schema
        dialect = engine.dialect
        self.writers = {
            repository.table.name: BulkWriter(repository.table, dialect, key=repository.key, mutable=repository.mutable)
            for repository in schema.repositories
        }
        for table in (*(appender.table for appender in schema.appenders), domain_events, audit_logs):
            self.writers[table.name] = BulkWriter(table, dialect, key=[c.name for c in table.primary_key])

    def unit_of_work(self) -> SqlUnitOfWork:
        return SqlUnitOfWork(self)

    async def abandon(self, batch_id: BatchId, at: datetime) -> bool:
        """Rule a batch out by taking its id; see `application.shared.unit_of_work.Database`."""
        row = {"batch_id": batch_id, "state": "ABANDONED", "recorded_at": at}
        try:
            async with self.engine.begin() as connection:
                await connection.execute(insert(command_batches), row)
        except DRIVER_ERRORS as error:
            if isinstance(translated(error), ConstraintViolated):
                return await self._was_abandoned(batch_id)
            raise Transient("the database does not say what became of the batch") from error
        except OSError as error:
            raise Transient("the database cannot be reached") from error
        return True

    async def _was_abandoned(self, batch_id: BatchId) -> bool:
        """Whether the row that is in the way is our own: the answer to an earlier try may have been lost as well."""
        state = select(command_batches.c.state).where(command_batches.c.batch_id == batch_id)
        try:
            async with self.engine.connect() as connection:
                found: str = (await connection.execute(state)).scalar_one()
        except (*DRIVER_ERRORS, OSError) as error:
            raise Transient("the database does not say what became of the batch") from error
        return found == "ABANDONED"


class SqlUnitOfWork:
    """The SQL side of `application.shared.unit_of_work.UnitOfWork`."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database
        self._connection: AsyncConnection

    async def __aenter__(self) -> Self:
        try:
            self._connection = await self._database.engine.connect()
            try:
                await self._connection.begin()
            except BaseException:
                await self._connection.close()  # nobody else will: the block is never entered
                raise
        except DRIVER_ERRORS as error:
            raise translated(error) from error
        except OSError as error:
            raise Transient("the database cannot be reached") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._connection.close()
        except (DBAPIError, OSError):
            await self._connection.invalidate()
        if isinstance(error, DRIVER_ERRORS):
            raise translated(error) from error
        if isinstance(error, OSError):
            raise Transient("the database cannot be reached") from error

    async def find(self, index: Index[K, V], keys: Collection[K]) -> Mapping[K, V]:
        """What is found under each key; keys with nothing are left out."""
        if not keys:
            return {}
        return await self._database.schema.finders[index].find(self._connection, keys)

    async def lock(self, work: Work, footprint: Footprint) -> None:
        """Read and lock every row of the footprint, kind by kind in schema order."""
        for repository in self._database.schema.repositories:
            keys = footprint.rows.get(repository.kind)
            if keys:
                work.loaded(repository.kind, await repository.lock(self._connection, keys))

    async def flush(self, work: Work) -> None:
        """Write the batch's row, then what was added and appended, then what changed or went."""
        connection, writers = self._connection, self._database.writers
        waiting = len(work.appended(EVENTS)) + len(work.appended(AUDIT))
        batch = {"batch_id": work.batch_id, "state": "COMMITTED", "recorded_at": work.now, "pending_rows": waiting}
        await connection.execute(insert(command_batches), batch)
        removed: list[tuple[BulkWriter, list[Row]]] = []
        events = [_event_row(stored, work.batch_id) for stored in work.appended(EVENTS)]
        await writers[domain_events.name].insert(connection, events)
        for repository in self._database.schema.repositories:
            changes = work.changes(repository.kind)
            if not changes:
                continue
            writer, row = writers[repository.table.name], repository.row
            await writer.insert(connection, [row(c.after) for c in changes if c.before is None])
            kept = [c for c in changes if c.before is not None and c.after is not None]
            versions = [getattr(c.before, "version", 0) for c in kept]
            await writer.update(connection, [row(c.after) for c in kept], versions)
            removed.append((writer, [repository.identity(c.before) for c in changes if c.after is None]))
        for appender in self._database.schema.appenders:
            records = work.appended(appender.kind)
            await writers[appender.table.name].insert(connection, [appender.row(record) for record in records])
        for writer, keys in removed:
            await writer.delete(connection, keys)
        audit = _audit_rows(work)
        await writers[audit_logs.name].insert(connection, audit)

    async def commit(self) -> None:
        """Commit; raises CommitUnknown when the connection was lost before the answer, Transient when it is refused."""
        try:
            await self._connection.commit()
        except DBAPIError as error:
            meaning = translated(error)
            if connection_lost(error) or not isinstance(meaning, Transient | ConstraintViolated):
                raise CommitUnknown from error
            raise meaning from error
        except OSError as error:
            raise CommitUnknown from error


async def fetch(connection: AsyncConnection, statement: Select[Any]) -> Sequence[Any]:
    """All rows of a statement."""
    rows: Sequence[Any] = (await connection.execute(statement)).all()
    return rows


def for_update(statement: Select[Any], dialect: Dialect) -> Select[Any]:
    """Lock the rows where the engine locks rows; SQLite's BEGIN IMMEDIATE has locked the database already."""
    return statement if dialect.name == "sqlite" else statement.with_for_update()


def among(column: ColumnElement[Any], keys: Collection[str], dialect: Dialect) -> ColumnElement[bool]:
    """Whether a text column holds one of the keys, which travel as one bound value.

    So there is one statement to compile and prepare however many keys there are, and no limit on their number. MySQL
    takes them in the statement's text: it then reads, and locks, in the order of the column's index.
    """
    if dialect.name == mysql.NAME:
        return column.in_(sorted(keys))
    if dialect.name == "postgresql":
        return column == any_(literal(list(keys), ARRAY(column.type)))
    values = func.json_each(orjson.dumps(list(keys)).decode()).table_valued("value")
    return column.in_(select(values.c.value))


def among_ids(column: ColumnElement[Any], keys: Collection[UUID], dialect: Dialect) -> ColumnElement[bool]:
    """Whether a column of identifiers holds one of the keys; on PostgreSQL they travel as one bound value, as above.

    Otherwise every number of keys is a statement of its own there, compiled by us and prepared by the server.
    """
    if dialect.name == "postgresql":
        return column == any_(literal(list(keys), ARRAY(column.type)))
    return column.in_(keys)


def among_pairs(
    columns: tuple[ColumnElement[Any], ColumnElement[Any]], keys: Collection[tuple[Any, Any]], dialect: Dialect
) -> ColumnElement[bool]:
    """Whether two columns hold one of the pairs; on PostgreSQL they travel as two bound values, as above."""
    if dialect.name != "postgresql":
        return tuple_(*columns).in_(list(keys))
    halves = zip(*keys, strict=True)
    unnested = (func.unnest(literal(list(half), ARRAY(c.type))) for c, half in zip(columns, halves, strict=True))
    return tuple_(*columns).in_(select(*unnested))


def document(value: Mapping[str, Any]) -> str:
    """JSON text with sorted keys, the form that is hashed and stored."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def parsed(text: str) -> dict[str, Any]:
    """The object that `document` rendered."""
    return cast("dict[str, Any]", json.loads(text, parse_float=_refuse_float))


def _refuse_float(text: str) -> Any:
    raise ValueError(f"a stored document holds the fraction {text}")


def _event_row(stored: StoredEvent, batch_id: BatchId) -> Row:
    event = stored.event
    return (
        stored.id,
        event.name,
        event.schema_version,
        event.aggregate_type,
        event.aggregate_id,
        event.sequence,
        document(event.payload),
        stored.recorded_at,
        batch_id,
    )


def _audit_rows(work: Work) -> list[Row]:
    """The audit rows, each closed by the hash of what stands in it."""
    batch_id, now = work.batch_id, work.now
    batch, at = str(batch_id), now.isoformat()
    rows = []
    for ordinal, (actor, action, subject_type, subject_id, facts) in enumerate(work.appended(AUDIT)):
        what = (actor, action, subject_type, subject_id, document(facts))
        rows.append((batch_id, ordinal, now, *what, audit_row_hash(batch, ordinal, at, what)))
    return rows


def audit_row_hash(batch: str, ordinal: int, at: str, what: tuple[str, str, str, str, str]) -> str:
    """The SHA-256 of an audit row, in hex: what the audit chain seals. Changing it breaks every chain there is."""
    return hashlib.sha256(orjson.dumps((batch, ordinal, at, *what))).hexdigest()
