"""Column types that mean the same on every engine, and how their values travel in bulk statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as FastUUID  # noqa: N811  (both are named UUID)
from sqlalchemy import BigInteger, DateTime, Dialect, LargeBinary, String, Text
from sqlalchemy import Uuid as NativeUuid
from sqlalchemy.types import TypeDecorator, TypeEngine

Cents = BigInteger
"""Money: integer cents."""

Word = String
"""Text that is compared byte for byte, so that no two references fold into one."""

Document = Text
"""JSON as text: the caller renders and parses it, so that no float and no reordering slips in."""


class Identifier(TypeDecorator[UUID]):
    """A UUID: native on PostgreSQL, its 16 bytes on SQLite.

    A command writes some twenty-five of them, counted with their indexes: as 36 characters each they would make the
    file a third larger. In the `sqlite3` shell they are `hex(id)`, and `x'…'` to look for one.
    """

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
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
