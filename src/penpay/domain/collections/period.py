"""Locking the books through a day: one person proposes it, another approves it, and then people book nothing there.

PROPOSED ─→ APPROVED | REJECTED. The one approved last is in force; one for an earlier day, or none, unlocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from penpay.domain.collections.errors import LockDecided, OwnApproval, PeriodLocked
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.events import DomainEvent, Fact

PeriodLockId = NewType("PeriodLockId", UUID)
LONGEST_REASON = 200
_EARLIEST_YEAR = 2000


class LockState(StrEnum):
    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksLock:
    """What is in force: the last day, in Nairobi, on which people book nothing any more; None while all is open."""

    through: date | None = None
    version: int = 1

    def require_open(self, day: date) -> None:
        """Raises PeriodLocked for something dated on that day or before it."""
        if self.through is not None and day <= self.through:
            raise PeriodLocked(locked_through=self.through.isoformat(), day=day.isoformat())

    def moved(self, through: date | None) -> BooksLock:
        """The lock after another day was approved."""
        return replace(self, through=through, version=self.version + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodLock:
    """A wish to lock the books through a day, or with None to unlock them all, and who said what about it."""

    id: PeriodLockId
    through: date | None
    reason: str
    state: LockState
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    version: int = 1

    def decided(self, by: str, at: datetime, *, approve: bool) -> PeriodLock:
        """It after a second person's word. Raises LockDecided, and OwnApproval for an approval by the first.

        Whoever proposed it may take it back, which is a rejection.
        """
        if self.state is not LockState.PROPOSED:
            raise LockDecided(state=self.state.value)
        if approve and by == self.proposed_by:
            raise OwnApproval
        state = LockState.APPROVED if approve else LockState.REJECTED
        return replace(self, state=state, decided_by=by, decided_at=at, version=self.version + 1)

    def event(self, name: str) -> DomainEvent:
        """An event about it as it is now; its version is the sequence."""
        through = None if self.through is None else self.through.isoformat()
        payload: dict[str, Fact] = {"lock_id": str(self.id), "state": self.state.value, "through": through}
        return DomainEvent(name, "PeriodLock", self.id, self.version, payload)


def check_lock(through: date | None, reason: str, today: date) -> None:
    """Raises InvalidRequest for a day to come, and for a reason that says nothing."""
    if through is not None and through > today:
        raise InvalidRequest("A day to come cannot be locked.", fields=["through"])
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise InvalidRequest(f"A reason has 1 to {LONGEST_REASON} characters.", fields=["reason"])


def check_dated(day: date, today: date, field: str) -> None:
    """Raises InvalidRequest for a day to come, and for one of another millennium, which is a slip of the pen."""
    if day > today or day.year < _EARLIEST_YEAR:
        raise InvalidRequest("The day has not come yet, or is too long ago.", fields=[field])
