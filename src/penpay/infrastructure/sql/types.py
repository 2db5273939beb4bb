"""Column types that mean the same on every engine, and how their values travel in bulk statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as FastUUID  # noqa: N811  (both are named UUID)
from sqlalchemy import BigInteger, DateTime, Dialect, LargeBinary
from sqlalchemy import Uuid as NativeUuid
from sqlalchemy.dialects.mysql import BINARY, DATETIME
from sqlalchemy.types import TypeDecorator, TypeEngine

from penpay.infrastructure.sql import mysql

Row = tuple[Any, ...]
"""A row to be written, in the order of the table's columns."""

Cents = BigInteger
"""Money: integer cents."""

Word = mysql.ExactString
"""Text that is compared byte for byte, so that no two references fold into one."""

Document = mysql.ExactText
"""JSON as text: the caller renders and parses it, so that no float and no reordering slips in."""

Sealed = mysql.AnyBytes
"""What only the cipher reads."""


class Identifier(TypeDecorator[UUID]):
    """A UUID: native on PostgreSQL, its 16 bytes elsewhere.

    A command writes some twenty-five of them, counted with their indexes: as 36 characters each they would make the
    file a third larger. In the shells of the others they are `hex(id)`, and `x'…'` to look for one.
    """

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == mysql.NAME:
            return dialect.type_descriptor(BINARY(16))
        return dialect.type_descriptor(NativeUuid() if dialect.name == "postgresql" else LargeBinary())

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else value.bytes

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        found: UUID | None = value if value is None or dialect.name == "postgresql" else FastUUID(value)
        return found


class Moment(TypeDecorator[datetime]):
    """A moment in UTC with microseconds; aware in Python on every engine."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        # MySQL's own DATETIME rounds to seconds.
        return dialect.type_descriptor(DATETIME(fsp=6) if dialect.name == mysql.NAME else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name == "postgresql":
            return value
        return value.replace(tzinfo=UTC)


Convert = Callable[[Sequence[Any]], Sequence[Any]]
"""Turns the values of one column into what a driver takes."""


def bulk_converter(column_type: TypeEngine[Any], dialect: str) -> Convert | None:
    """What a column's values must go through for a driver-level statement; None if they may stay as they are."""
    if dialect == "postgresql":
        return None
    if isinstance(column_type, Identifier):
        return _identifiers
    if isinstance(column_type, Moment):
        return _moments
    return None


def array_type(column_type: TypeEngine[Any], dialect: Dialect) -> str:
    """The PostgreSQL array type that carries a column's values to `unnest`."""
    name = column_type.compile(dialect)
    return f"{'TEXT' if name.startswith('VARCHAR') else name}[]"


def _identifiers(values: Sequence[UUID | None]) -> list[bytes | None]:
    return [None if value is None else value.bytes for value in values]


def _moments(values: Sequence[datetime | None]) -> list[str | None]:
    # A batch has few distinct moments, so each is converted once.
    texts = {value: None if value is None else _text(value) for value in set(values)}
    return [texts[value] for value in values]


def _text(value: datetime) -> str:
    """The text SQLAlchemy's SQLite dialect stores for a moment."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def sql_literals(values: Sequence[Any]) -> list[str]:
    """Values as MySQL's SQL writes them under our `sql_mode` and character set.

    The driver escapes one value after the other; a batch writes some fifty thousand, of few types.
    """
    moments: dict[datetime, str] = {}
    return [_literal(value, moments) for value in values]


def _literal(value: Any, moments: dict[datetime, str]) -> str:
    if value is None:
        return "NULL"
    kind = type(value)
    if kind is str:
        return _quoted(value)
    if kind is int or kind is bool:
        return str(int(value))
    if kind is bytes:
        return f"x'{value.hex()}'"
    if isinstance(value, UUID):
        return f"x'{value.hex}'"
    if isinstance(value, datetime):
        known = moments.get(value)
        if known is None:
            known = moments[value] = f"'{_text(value)}'"
        return known
    raise TypeError(f"there is no literal for a {kind.__name__}")


def _quoted(text: str) -> str:
    if "\\" in text or "'" in text:
        text = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
