"""Whether anything is left to do, read past the product: the next moment somebody must act, by the databases alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from penpay.simulation.ports import START

_DUE: Final = (
    ("penpay.db", "SELECT max(due_at, coalesce(lease_until, due_at)) FROM deliveries WHERE NOT dead"),
    ("penpay.db", "SELECT max(due_at, coalesce(lease_until, due_at)) FROM mpesa_requests WHERE due_at IS NOT NULL"),
    ("penpay.db", "SELECT max(due_at, coalesce(lease_until, due_at)) FROM deriv_transfers WHERE due_at IS NOT NULL"),
    ("penpay.db", "SELECT due_at FROM webhook_logs WHERE outcome = 'RECEIVED'"),
    ("operator.db", "SELECT due_at FROM stk_pushes WHERE state = 'PROMPTED'"),
)


def next_due_us(folder: Path) -> int | None:
    """Virtual microseconds of the earliest moment at which somebody must act; None when all is done."""
    found: list[str] = []
    for name in ("penpay.db", "operator.db"):
        with closing(sqlite3.connect(folder / name)) as connection:
            for database, query in _DUE:
                if database == name:
                    found.extend(row[0] for row in connection.execute(query))
    if not found:
        return None
    return (moment(min(found)) - START) // timedelta(microseconds=1)


def moment(text: str) -> datetime:
    """A moment as the product's SQLite tables hold it."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
