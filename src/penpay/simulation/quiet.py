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
    ("penpay.db", "SELECT recorded_at FROM command_batches WHERE pending_rows IS NOT NULL"),
    ("operator.db", "SELECT due_at FROM stk_pushes WHERE state = 'PROMPTED'"),
)
_LEASES: Final = (
    "SELECT lease_until FROM deliveries WHERE lease_until IS NOT NULL",
    "SELECT lease_until FROM mpesa_requests WHERE lease_until IS NOT NULL",
    "SELECT lease_until FROM deriv_transfers WHERE lease_until IS NOT NULL",
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


def leases_us(folder: Path) -> list[int]:
    """Virtual microseconds at which the leases end that are held on what calls out."""
    with closing(sqlite3.connect(folder / "penpay.db")) as connection:
        held = [row[0] for query in _LEASES for row in connection.execute(query)]
    return [(moment(text) - START) // timedelta(microseconds=1) for text in held]


def moment(text: str) -> datetime:
    """A moment as the product's SQLite tables hold it."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
