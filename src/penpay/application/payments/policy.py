"""How long payments wait, ask and try: one place for every span of time and bound."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from penpay.domain.payments.limits import DepositLimits, WithdrawalLimits

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
PAID_WITHIN: Final = timedelta(hours=2)
"""A prompt lives for a minute and a half (daraja.md §2.3); by then its payment stands in M-Pesa's list, and whatever
our clock was wrong by is allowed for."""
PAYMENTS_LISTED_FOR: Final = timedelta(hours=47)
"""So far back we ask for M-Pesa's list of payments: an hour less than it keeps (daraja.md §5.9), for reading it."""
IDS_ANSWERED_FOR: Final = timedelta(days=7)
"""A push sent longer ago than this is not taken for the owner of an id that M-Pesa still tells about."""
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
VERIFICATION_CODE_KEPT: Final = timedelta(minutes=10)
"""How long a code that Deriv mailed is kept for its use."""
CODE_BACKOFF_SECONDS: Final = (2, 5, 15, 30, 60)
"""Before Deriv is asked again to mail a code."""
STATUS_BACKOFF_SECONDS: Final = (30, 60, 120, 300, 900, 3_600)
"""Between two questions about one payout; each answer comes by itself, in seconds or minutes (daraja.md §6.4)."""
DISBURSEMENT_UNRESOLVED_AFTER: Final = timedelta(hours=24)
"""A payout that M-Pesa could not tell about for so long is for people."""
DISBURSEMENT_REFUSED_AFTER: Final = timedelta(hours=24)
"""A payout that could not even be sent for so long is given up, and the money goes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutAccount:
    """Where customers are paid from."""

    short_code: str
    first_status_after: timedelta
    """How long the Result of a payout is waited for before M-Pesa is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentsPolicy:
    """What an installation decides."""

    limits: DepositLimits
    withdrawal_limits: WithdrawalLimits
    requote_within_bps: int
    """A withdrawal whose rate has expired is priced anew, if what it brings moves by no more than this."""
    payouts: PayoutAccount | None
    """None: nothing can be paid out, and what should be given back goes to people."""
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
