"""Column types that mean the same on every engine, and how their values travel in bulk statements."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CHAR, BigInteger, DateTime, Dialect, String, Text
from sqlalchemy import Uuid as NativeUuid
from sqlalchemy.types import TypeDecorator, TypeEngine

Cents = BigInteger
"""Money: integer cents."""

Word = String
"""Text that is compared byte for byte, so that no two references fold into one."""

Document = Text
"""JSON as text: the caller renders and parses it, so that no float and no reordering slips in."""


class Identifier(TypeDecorator[UUID]):
    """A UUID: native on PostgreSQL, 36 readable characters elsewhere."""

    impl = CHAR(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(NativeUuid() if dialect.name == "postgresql" else CHAR(36))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        return value if value is None or dialect.name == "postgresql" else UUID(value)


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


def bulk_converter(column_type: TypeEngine[Any], dialect: str) -> Callable[[Any], Any] | None:
    """What a non-null value of this column must become for a driver-level statement; None if it may stay as it is."""
    if dialect == "postgresql":
        return None
    if isinstance(column_type, Identifier):
        return str
    if isinstance(column_type, Moment):
        return _text
    return None


def array_type(column_type: TypeEngine[Any], dialect: Dialect) -> str:
    """The PostgreSQL array type that carries a column's values to `unnest`."""
    name = column_type.compile(dialect)
    return f"{'TEXT' if name.startswith('VARCHAR') else name}[]"


def _text(value: datetime) -> str:
    """The text SQLAlchemy's SQLite dialect stores for a moment."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
