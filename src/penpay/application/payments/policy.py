"""How long payments wait, ask and try: one place for every span of time and bound."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from penpay.domain.payments.limits import DepositLimits

QUERY_BACKOFF_SECONDS: Final = (5, 15, 30, 60, 120, 300, 900, 3_600)
"""Between two questions about one prompt; the last one repeats (daraja.md §6.4)."""
STATEMENT_BACKOFF_SECONDS: Final = (2, 5, 15, 60, 300)
"""Between two looks for one transfer in the statement (deriv.md §3)."""
UNREADABLE_BACKOFF_SECONDS: Final = (2, 5, 15, 30)
"""Before the statement is asked for again that could not be read."""
SEND_BACKOFF_SECONDS: Final = (1, 2, 5, 15, 30)
"""Before sending again what certainly never left."""
FAILURE_CONFIRMED_AFTER: Final = timedelta(minutes=2)
"""When M-Pesa is asked about a failure that only a callback told: after any prompt is over."""
PAYMENT_UNRESOLVED_AFTER: Final = timedelta(hours=48)
"""After this M-Pesa's own records are out of reach (daraja.md §5.9), and people take over."""
TRANSFER_UNRESOLVED_AFTER: Final = timedelta(minutes=10)
"""A transfer not in the statement by then is for people to decide (deriv.md §3)."""
TRANSFER_REFUSED_AFTER: Final = timedelta(hours=24)
"""A transfer that could not even be sent for this long is given up, and its money goes to review."""
STATEMENT_UNREADABLE_AFTER: Final = timedelta(hours=24)
"""A transfer that nobody could look for during this long is for people too; they are told that nobody has looked."""
TRIES_BEFORE_GIVING_UP: Final = 5
"""However long something has waited, as through a long standstill of ours: so often it is tried first."""
WEBHOOK_RETRY_AFTER: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentsPolicy:
    """What an installation decides."""

    limits: DepositLimits
    spread_bps: int
    rate_max_age: timedelta
    rate_locked_for: timedelta
    first_query_after: timedelta
    """How long a prompt is left alone before M-Pesa is asked about it."""
    forward_within: timedelta
    """Money confirmed later than this after the deposit was asked for is not forwarded without people."""
    lease: timedelta
    """How long a worker may take over one external call; longer than the slowest call can last."""


def backoff(schedule: tuple[int, ...], attempts: int, at_least_ms: int | None) -> timedelta:
    """The pause before the next try, given how many there were and what the other side asked for."""
    seconds = schedule[min(max(attempts - 1, 0), len(schedule) - 1)]
    return max(timedelta(seconds=seconds), timedelta(milliseconds=at_least_ms or 0))
