"""Whether anything is left to do, read past the product: the next moment somebody must act, by the databases alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from penpay.simulation.books import Books

_DUE: Final = """
    SELECT max(due_at, coalesce(lease_until, due_at)) FROM deliveries WHERE NOT dead
    UNION ALL SELECT max(due_at, coalesce(lease_until, due_at)) FROM mpesa_requests WHERE due_at IS NOT NULL
    UNION ALL SELECT max(due_at, coalesce(lease_until, due_at)) FROM deriv_transfers WHERE due_at IS NOT NULL
    UNION ALL SELECT max(due_at, coalesce(lease_until, due_at)) FROM deriv_withdrawals WHERE due_at IS NOT NULL
    UNION ALL SELECT max(due_at, coalesce(lease_until, due_at)) FROM mpesa_disbursements WHERE due_at IS NOT NULL
    UNION ALL SELECT due_at FROM webhook_logs WHERE outcome = 'RECEIVED'
    UNION ALL SELECT recorded_at FROM command_batches WHERE pending_rows IS NOT NULL
    UNION ALL SELECT due_at FROM pos_sales WHERE due_at IS NOT NULL
    UNION ALL SELECT max(due_at, coalesce(lease_until, due_at)) FROM till_pushes WHERE due_at IS NOT NULL
"""
_PROMPTED: Final = "SELECT due_at FROM stk_pushes WHERE state = 'PROMPTED'"
_LEASES: Final = """
    SELECT lease_until FROM deliveries WHERE lease_until IS NOT NULL
    UNION ALL SELECT lease_until FROM mpesa_requests WHERE lease_until IS NOT NULL
    UNION ALL SELECT lease_until FROM deriv_transfers WHERE lease_until IS NOT NULL
    UNION ALL SELECT lease_until FROM deriv_withdrawals WHERE lease_until IS NOT NULL
    UNION ALL SELECT lease_until FROM mpesa_disbursements WHERE lease_until IS NOT NULL
"""


def next_due_us(books: Books, begins_at: datetime) -> int | None:
    """Virtual microseconds of the earliest moment at which somebody must act; None when all is done."""
    found = [row[0] for row in (*books.ours(_DUE), *books.operators(_PROMPTED))]
    if not found:
        return None
    return (moment(min(found)) - begins_at) // timedelta(microseconds=1)


def leases_us(books: Books, begins_at: datetime) -> list[int]:
    """Virtual microseconds at which the leases end that are held on what calls out."""
    return [(moment(row[0]) - begins_at) // timedelta(microseconds=1) for row in books.ours(_LEASES)]


def moment(text: str) -> datetime:
    """A moment as the product's SQLite tables hold it."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
