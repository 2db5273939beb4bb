"""How the transactions of one world have ended, as plain values that can travel between processes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from penpay.simulation.books import Books, Payment
from penpay.simulation.quiet import moment

_EVENTS: Final = """SELECT payload ->> 'status' status, recorded_at FROM domain_events
    WHERE aggregate_id = ? ORDER BY sequence"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one transaction ended."""

    status: str
    failure_code: str | None
    reasons: tuple[str, ...]
    """Why people must look at it, in alphabetical order."""
    requests: tuple[str, ...]
    """The states of what brought its money in: M-Pesa requests, or the call that debits Deriv."""
    transfers: tuple[str, ...]
    """The states of what took it out: payouts by M-Pesa, and Deriv transfers."""
    settled_ms: int
    """When its status changed for the last time, in virtual milliseconds since the world began."""


def endings(books: Books, begins_at: datetime) -> tuple[Ending, ...]:
    """Every transaction in the books of a world that began then, by id."""
    return tuple(
        Ending(
            status=payment.status,
            failure_code=payment.transaction["failure_code"],
            reasons=tuple(sorted(payment.reasons)),
            requests=tuple(row["state"] for row in (*payment.requests, *payment.debits)),
            transfers=tuple(row["state"] for row in (*payment.payouts, *payment.transfers)),
            settled_ms=(settled_at(books, payment) - begins_at) // timedelta(milliseconds=1),
        )
        for payment in books.payments()
    )


def settled_at(books: Books, payment: Payment) -> datetime:
    """The moment of the first event of the last status; what comes after it changes nothing for the user."""
    events = books.ours(_EVENTS, payment.transaction["id"])
    *_, last = (list(same) for _, same in groupby(events, key=lambda event: event["status"]))
    return moment(last[0]["recorded_at"])
