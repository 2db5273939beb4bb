"""Reading everything as of one moment, and stored values as they are, before anything is made of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Column, ColumnElement, Dialect, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import NULLTYPE


class Unreadable(Exception):
    """A stored value is none that this program writes into its column; the message names the column."""


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection that sees the database as of its first statement; SQLite's transactions do so by themselves."""
    async with engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            await connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def raw(column: Column[Any]) -> ColumnElement[Any]:
    """The column as the driver gives it, without our types in between."""
    return type_coerce(column, NULLTYPE).label(column.name)


def exact(column: Column[Any], stored: Any, dialect: Dialect) -> Any:
    """What our type makes of a value read by `raw`. Raises Unreadable unless it would be written exactly so again.

    A value that reads the same and is not the same, such as a moment with fewer digits, is a change too.
    """
    here = column.type.dialect_impl(dialect)
    read, write = here.result_processor(dialect, None), here.bind_processor(dialect)
    try:
        value = stored if read is None else read(stored)
        written = value if write is None else write(value)
    except (TypeError, ValueError, AttributeError, ArithmeticError):
        raise Unreadable(column.name) from None
    of_its_type = write is not None or isinstance(stored, column.type.python_type)
    if not of_its_type or written != stored:
        raise Unreadable(column.name)
    return value
