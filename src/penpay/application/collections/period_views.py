"""What locks of the books look like from outside; days in Nairobi, moments in UTC."""

from __future__ import annotations

from penpay.application.collections.views import View, moment
from penpay.domain.collections.period import PeriodLock


def lock_view(lock: PeriodLock) -> View:
    """A wish to lock the books, and what became of it; `through` is None for one to unlock them all."""
    return {
        "lock_id": str(lock.id),
        "through": None if lock.through is None else lock.through.isoformat(),
        "reason": lock.reason,
        "state": lock.state.value,
        "proposed_by": lock.proposed_by,
        "proposed_at": moment(lock.proposed_at),
        "decided_by": lock.decided_by,
        "decided_at": moment(lock.decided_at),
    }
