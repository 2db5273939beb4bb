"""Writing many rows of one table in one statement, in the form each engine does fastest.

PostgreSQL takes new rows by binary COPY and changed ones as arrays through `unnest`; SQLite takes a prepared statement
that its driver repeats in C; MariaDB takes rows in binary, see `bulk_mariadb`, and MySQL in the text of a statement,
see `bulk_mysql`. Rows are tuples in the order of the table's columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.infrastructure.sql import mysql
from penpay.infrastructure.sql.bulk_mariadb import MariadbStatements
from penpay.infrastructure.sql.bulk_mysql import MysqlStatements
from penpay.infrastructure.sql.lookups import driver_of
from penpay.infrastructure.sql.types import Convert, Row, array_type, bulk_converter


class RowsMissing(Exception):
    """An update did not find every row in the version it was read in: locking has failed, nothing may commit."""


@dataclass(frozen=True, slots=True)
class _Column:
    position: int
    name: str
    convert: Convert | None
    array: str


def _takes_binary(connection: AsyncConnection) -> bool:
    return bool(getattr(connection.dialect, "is_mariadb", False))


class BulkWriter:
    """Bulk statements of one table on one engine.

    `key` columns name a row, `mutable` ones may change after it was added, and a `version` column is asserted.
    """

    def __init__(self, table: Table, dialect: Dialect, *, key: Sequence[str], mutable: Sequence[str] = ()) -> None:
        self._table = table.name
        self._postgresql = dialect.name == "postgresql"
        self._names = [column.name for column in table.columns]
        self._mysql: MysqlStatements | None = None
        if dialect.name == mysql.NAME:
            # The key columns in the table's order, in which `delete` is given them.
            keys = [name for name in self._names if name in key]
            self._mysql = MysqlStatements(self._table, self._names, key=keys, values=mutable)
            self._mariadb = MariadbStatements(table, key=keys, values=mutable)
        columns = [
            _Column(
                position,
                column.name,
                bulk_converter(column.type, dialect.name),
                array_type(column.type, dialect) if self._postgresql else "",
            )
            for position, column in enumerate(table.columns)
        ]
        self._columns = columns
        self._key = [column for column in columns if column.name in key]
        self._values = [column for column in columns if column.name in mutable]
        self._versioned = "version" in mutable
        marks = ", ".join("?" for _ in columns)
        # By name: a table that a migration has widened has its columns in another order.
        names = ", ".join(f'"{name}"' for name in self._names)
        self._insert = f'INSERT INTO "{self._table}" ({names}) VALUES ({marks})'  # noqa: S608  (own names)
        self._update = self._update_statement() if mutable else ""
        self._delete = self._delete_statement()

    async def insert(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """Insert all rows or fail; nothing is replaced or skipped. The transaction must have begun."""
        if not rows:
            return
        if self._mysql is not None:
            if _takes_binary(connection):
                await self._mariadb.insert(connection, rows)
            else:
                await self._run_texts(connection, self._mysql.inserts(rows))
        elif self._postgresql:
            await driver_of(connection).copy_records_to_table(self._table, records=rows, columns=self._names)
        else:
            await self._run(connection, self._insert, self._by_column(self._columns, list(zip(*rows, strict=True))))

    async def update(self, connection: AsyncConnection, rows: Sequence[Row], versions: Sequence[int]) -> None:
        """Set the mutable columns of the rows with these keys; raises RowsMissing unless each was found.

        `versions` holds the version each row was read in; it must still be in it.
        """
        if not rows:
            return
        if self._mysql is not None:
            asserted = versions if self._versioned else None
            if _takes_binary(connection):
                found = await self._mariadb.update(connection, rows, asserted)
            else:
                found = await self._run_texts(connection, self._mysql.updates(rows, asserted))
        else:
            found = await self._run(connection, self._update, self._changes(rows, versions))
        if found != len(rows):
            raise RowsMissing(f"{self._table}: {found} of {len(rows)} rows were as they had been read")

    async def delete(self, connection: AsyncConnection, keys: Sequence[Row]) -> None:
        """Delete the rows with these keys, given in the order of the key columns."""
        if not keys:
            return
        if self._mysql is not None:
            if _takes_binary(connection):
                await self._mariadb.delete(connection, keys)
            else:
                await self._run_texts(connection, self._mysql.deletes(keys))
        else:
            await self._run(connection, self._delete, self._by_column(self._key, list(zip(*keys, strict=True))))

    def _changes(self, rows: Sequence[Row], versions: Sequence[int]) -> list[Sequence[Any]]:
        by_position = list(zip(*rows, strict=True))
        wanted = (*self._values, *self._key)
        columns = self._by_column(wanted, [by_position[column.position] for column in wanted])
        if self._versioned:
            columns.append(versions)
        return columns

    @staticmethod
    async def _run_texts(connection: AsyncConnection, statements: Iterable[str]) -> int:
        # Past SQLAlchemy, which quotes the statement in its errors, and here the rows stand in it.
        driver: Any = (await connection.get_raw_connection()).driver_connection
        found = 0
        async with driver.cursor() as cursor:
            for statement in statements:
                found += await cursor.execute(statement)
        return found

    async def _run(self, connection: AsyncConnection, statement: str, columns: Sequence[Sequence[Any]]) -> int:
        if self._postgresql:
            status: str = await driver_of(connection).execute(statement, *columns)
            return int(status.rpartition(" ")[2])
        result = await connection.exec_driver_sql(statement, list(zip(*columns, strict=True)))
        return result.rowcount

    @staticmethod
    def _by_column(columns: Sequence[_Column], values: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        return [
            given if column.convert is None else column.convert(given)
            for column, given in zip(columns, values, strict=True)
        ]

    def _update_statement(self) -> str:
        if self._postgresql:
            columns = [*self._values, *self._key]
            if self._versioned:
                columns.append(_Column(-1, "read_version", None, "BIGINT[]"))
            sets = ", ".join(f'"{c.name}" = v."{c.name}"' for c in self._values)
            match = " AND ".join(f't."{c.name}" = v."{c.name}"' for c in self._key)
            match += ' AND t."version" = v."read_version"' if self._versioned else ""
            names = ", ".join(f'"{c.name}"' for c in columns)
            source = f"{self._unnest(columns)} AS v({names})"
            return f'UPDATE "{self._table}" AS t SET {sets} FROM {source} WHERE {match}'  # noqa: S608  (own names)
        sets = ", ".join(f'"{c.name}" = ?' for c in self._values)
        match = " AND ".join(f'"{c.name}" = ?' for c in self._key)
        match += ' AND "version" = ?' if self._versioned else ""
        return f'UPDATE "{self._table}" SET {sets} WHERE {match}'  # noqa: S608  (own names)

    def _delete_statement(self) -> str:
        if self._postgresql:
            match = " AND ".join(f't."{c.name}" = v."{c.name}"' for c in self._key)
            names = ", ".join(f'"{c.name}"' for c in self._key)
            source = f"{self._unnest(self._key)} AS v({names})"
            return f'DELETE FROM "{self._table}" AS t USING {source} WHERE {match}'  # noqa: S608  (own names)
        match = " AND ".join(f'"{c.name}" = ?' for c in self._key)
        return f'DELETE FROM "{self._table}" WHERE {match}'  # noqa: S608  (own names)

    @staticmethod
    def _unnest(columns: Sequence[_Column]) -> str:
        return f"unnest({', '.join(f'${i}::{c.array}' for i, c in enumerate(columns, 1))})"
