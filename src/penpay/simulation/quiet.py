"""Whether anything is left to do, read past the product: when somebody must act, by the databases alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from penpay.simulation.books import Books

_DUE: Final = """
    SELECT max(due_at, coalesce(lease_until, due_at)), 0 FROM deliveries WHERE NOT dead
    UNION ALL SELECT max(due_at, coalesce(lease_until, due_at)), 0 FROM mpesa_requests WHERE due_at IS NOT NULL
    UNION ALL SELECT max(due_at, coalesce(lease_until, due_at)), 1 FROM deriv_transfers WHERE due_at IS NOT NULL
    UNION ALL SELECT max(due_at, coalesce(lease_until, due_at)), 1 FROM deriv_withdrawals WHERE due_at IS NOT NULL
    UNION ALL SELECT max(due_at, coalesce(lease_until, due_at)), 0 FROM mpesa_disbursements WHERE due_at IS NOT NULL
    UNION ALL SELECT due_at, 0 FROM webhook_logs WHERE outcome = 'RECEIVED'
    UNION ALL SELECT recorded_at, 0 FROM command_batches WHERE pending_rows IS NOT NULL
    UNION ALL SELECT due_at, 0 FROM pos_sales WHERE due_at IS NOT NULL
    UNION ALL SELECT max(due_at, coalesce(lease_until, due_at)), 0 FROM till_pushes WHERE due_at IS NOT NULL
    UNION ALL SELECT max(due_at, coalesce(lease_until, due_at)), 0 FROM invoice_reminders WHERE due_at IS NOT NULL
"""
"""When each is due, and whether it takes a session with Deriv."""
_PROMPTED: Final = "SELECT due_at, 0 FROM stk_pushes WHERE state = 'PROMPTED'"
_LEASES: Final = """
    SELECT lease_until FROM deliveries WHERE lease_until IS NOT NULL
    UNION ALL SELECT lease_until FROM mpesa_requests WHERE lease_until IS NOT NULL
    UNION ALL SELECT lease_until FROM deriv_transfers WHERE lease_until IS NOT NULL
    UNION ALL SELECT lease_until FROM deriv_withdrawals WHERE lease_until IS NOT NULL
    UNION ALL SELECT lease_until FROM mpesa_disbursements WHERE lease_until IS NOT NULL
    UNION ALL SELECT lease_until FROM till_pushes WHERE lease_until IS NOT NULL
    UNION ALL SELECT lease_until FROM invoice_reminders WHERE lease_until IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Due:
    """Something that somebody must do."""

    at_us: int
    """Virtual microseconds; when."""
    takes_session: bool = False
    """Whether it goes over a session with Deriv, which does not live through a leap in time."""


def dues(books: Books, begins_at: datetime) -> list[Due]:
    """Everything that somebody must do, at whatever moment; empty when all is done."""
    found = (*books.ours(_DUE), *books.operators(_PROMPTED))
    return [Due((moment(at) - begins_at) // timedelta(microseconds=1), bool(session)) for at, session in found]


def leases_us(books: Books, begins_at: datetime) -> list[int]:
    """Virtual microseconds at which the leases end that are held on what calls out."""
    return [(moment(row[0]) - begins_at) // timedelta(microseconds=1) for row in books.ours(_LEASES)]


def moment(text: str) -> datetime:
    """A moment as the product's SQLite tables hold it."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
