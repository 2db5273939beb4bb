"""Look-ups that are put together once and asked again and again.

SQLAlchemy takes longer to put a SELECT together, to find it among those it has compiled and to wrap its rows than
PostgreSQL and its driver take to answer it. So a look-up is one statement however many keys there are, compiled once,
and where a transaction has begun on PostgreSQL it goes to the driver as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import asyncpg
import orjson
from sqlalchemy import ARRAY, ColumnElement, Select, any_, bindparam, func, select, tuple_
from sqlalchemy.dialects.postgresql.asyncpg import dialect as postgresql_dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.infrastructure.sql import mysql
from penpay.infrastructure.sql.types import Identifier

_KEYS: Final = "keys"
_POSTGRESQL: Final = "postgresql"


class _Named(asyncpg.Record):  # type: ignore[misc]  # it ships no types
    """A row whose columns have names, as SQLAlchemy's rows have."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class _Compiled:
    """A statement as PostgreSQL's driver takes it."""

    def __init__(self, statement: Select[Any]) -> None:
        compiled = statement.compile(dialect=postgresql_dialect())  # type: ignore[no-untyped-call]  # nor does it
        self._text = str(compiled)
        self._fixed: Mapping[str, Any] = compiled.params
        self._names = tuple(compiled.positiontup or ())

    async def rows(self, driver: Any, values: Mapping[str, Any]) -> Sequence[Any]:
        given = {**self._fixed, **values}
        found: Sequence[Any] = await driver.fetch(
            self._text, *[given[name] for name in self._names], record_class=_Named
        )
        return found


class Question:
    """One SELECT with named values, for connections on which statements stand alone; see `engine.looking`."""

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement

    async def rows(self, connection: AsyncConnection, **values: Any) -> Sequence[Any]:
        """All rows, whose columns have their names as attributes."""
        if connection.dialect.name == _POSTGRESQL:
            return await self._compiled.rows(driver_of(connection), values)
        return await _rows(connection, self.statement, values)

    @cached_property
    def _compiled(self) -> _Compiled:
        return _Compiled(self.statement)


class Lookup:
    """The rows of one SELECT under some keys: values of one column, or pairs of two."""

    def __init__(self, statement: Select[Any], *columns: ColumnElement[Any], locked: bool = False) -> None:
        """`locked`: against every other writer, where the engine locks rows; see `unit_of_work.for_update`."""
        self._statement = statement
        self._columns = columns
        self._locked = locked

    async def rows(self, connection: AsyncConnection, keys: Collection[Any]) -> Sequence[Any]:
        """All rows under these keys, whose columns have their names as attributes; none for no keys."""
        if not keys:
            return ()
        if connection.dialect.name == _POSTGRESQL:
            values = self._halves(keys)
            driver = driver_of(connection)
            # SQLAlchemy begins the transaction with the first statement that it is given itself.
            if driver.is_in_transaction():
                return await self._compiled.rows(driver, values)
            return await _rows(connection, self._on_postgresql, values)
        if connection.dialect.name == mysql.NAME:
            # It reads, and locks, in the order of the column's index.
            ordered = keys if self._are_listed else sorted(keys)
            return await _rows(connection, self._on_mysql, {_KEYS: list(ordered)})
        given = list(keys) if self._are_listed else orjson.dumps(list(keys)).decode()
        return await _rows(connection, self._on_sqlite, {_KEYS: given})

    def _halves(self, keys: Collection[Any]) -> Mapping[str, Any]:
        if len(self._columns) == 1:
            return {_KEYS: list(keys)}
        return {f"{_KEYS}_{place}": list(half) for place, half in enumerate(zip(*keys, strict=True))}

    @property
    def _are_listed(self) -> bool:
        """Whether SQLite takes the keys one by one; text goes as one value, without a limit on their number."""
        return len(self._columns) > 1 or isinstance(self._columns[0].type, Identifier)

    @cached_property
    def _on_postgresql(self) -> Select[Any]:
        if len(self._columns) == 1:
            (column,) = self._columns
            wanted = column == any_(bindparam(_KEYS, type_=ARRAY(column.type)))
        else:
            halves = (
                func.unnest(bindparam(f"{_KEYS}_{place}", type_=ARRAY(column.type)))
                for place, column in enumerate(self._columns)
            )
            wanted = tuple_(*self._columns).in_(select(*halves))
        found = self._statement.where(wanted)
        return found.with_for_update() if self._locked else found

    @cached_property
    def _compiled(self) -> _Compiled:
        return _Compiled(self._on_postgresql)

    @cached_property
    def _on_mysql(self) -> Select[Any]:
        found = self._statement.where(self._one_by_one)
        return found.with_for_update() if self._locked else found

    @cached_property
    def _on_sqlite(self) -> Select[Any]:
        if self._are_listed:
            return self._statement.where(self._one_by_one)
        values = func.json_each(bindparam(_KEYS)).table_valued("value")
        return self._statement.where(self._columns[0].in_(select(values.c.value)))

    @property
    def _one_by_one(self) -> ColumnElement[bool]:
        listed = self._columns[0] if len(self._columns) == 1 else tuple_(*self._columns)
        return listed.in_(bindparam(_KEYS, expanding=True))


async def _rows(connection: AsyncConnection, statement: Select[Any], values: Mapping[str, Any]) -> Sequence[Any]:
    found: Sequence[Any] = (await connection.execute(statement, values)).all()
    return found


def driver_of(connection: AsyncConnection) -> Any:
    """The driver's own connection below SQLAlchemy's."""
    opened = connection.sync_connection
    if opened is None:
        raise AssertionError("nobody has opened this connection")
    return opened.connection.driver_connection
