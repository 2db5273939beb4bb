"""What there is to be reached at the simulated operator."""

from __future__ import annotations

from typing import Final

from penpay.simulation.database import CommitFate
from penpay.simulation.mobile_money.wishes import What

_REFUSALS: Final = (
    *("insufficient_funds", "wrong_pin", "pin_locked", "wrong_code", "idempotency_conflict", "own_approval"),
    *("approval_decided", "nothing_to_reverse", "bank_deposit_exists", "invalid_amount"),
)
_CLIENTS: Final = (
    *("hears nothing", "is told overloaded", "is told in_progress", "is told commit_unresolved"),
    *("repeats what was answered", "pays all there is", "pays more than there is", "has a new PIN"),
)


def universe() -> list[str]:
    """What ought to be reached sooner or later: wishes, refusals, clients' states, fates of commits."""
    asked = {What.FLOAT, What.CONSENT, What.PURCHASE}
    return [
        *(f"{what} done" for what in What if what not in {What.CONSENT, What.PURCHASE}),
        *(f"{what} asked" for what in What if what in asked),
        *(f"refused {code}" for code in _REFUSALS),
        *(f"client {state}" for state in _CLIENTS),
        *(f"commit is {fate}" for fate in CommitFate if fate not in {CommitFate.COMMITTED, CommitFate.FULL}),
        "cannot start",
    ]
