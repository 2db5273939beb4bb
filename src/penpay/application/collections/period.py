"""Locking the books through a day, and what people may not do then.

What M-Pesa tells and what time brings is never refused: it is recorded on the day on which it is told, and every
balance of a day goes by that. So figures of a locked day do not change, unless that day is today.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from penpay.application.collections.period_views import lock_view
from penpay.application.shared.executor import Handler
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Kind, Work
from penpay.domain.collections.errors import LockNotFound
from penpay.domain.collections.period import BooksLock, LockState, PeriodLock, PeriodLockId, check_lock
from penpay.domain.shared.nairobi import nairobi_day

BOOKS: Final = "collections"
BOOKS_LOCK: Final[Kind[str, BooksLock]] = Kind("books_lock")
"""The one lock in force, under `BOOKS`."""
PERIOD_LOCKS: Final[Kind[PeriodLockId, PeriodLock]] = Kind("period_locks")


def lock_footprint(footprint: Footprint) -> Footprint:
    """What asking whether a day is open reads. It is locked, so that nobody closes the day meanwhile."""
    return footprint.add(BOOKS_LOCK, BOOKS)


def require_open(work: Work, day: date) -> None:
    """Raises PeriodLocked where people book nothing on this day any more."""
    lock = work.get(BOOKS_LOCK, BOOKS)
    if lock is not None:
        lock.require_open(day)


class InOpenPeriod:
    """A handler of what people do, which is refused while today is locked. Everything it posts is of today."""

    def __init__(self, handler: Handler[Any, Any]) -> None:
        self._handler = handler

    async def footprint(self, commands: Sequence[Any], find: Find) -> Footprint:
        return lock_footprint(await self._handler.footprint(commands, find))

    def handle(self, command: Any, work: Work) -> Any:
        """Raises PeriodLocked, and what the handler raises."""
        require_open(work, nairobi_day(work.now))
        return self._handler.handle(command, work)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeLock:
    """Lock the books through a day that has come; None: unlock them all."""

    through: date | None
    reason: str
    by: str


class ProposeLockHandler:
    async def footprint(self, commands: Sequence[ProposeLock], find: Find) -> Footprint:  # noqa: ARG002  (nothing is locked)
        return Footprint()

    def handle(self, command: ProposeLock, work: Work) -> Answer:
        """Keep it for a second person; nothing is locked yet. The answer is `lock_view`. Raises InvalidRequest."""
        check_lock(command.through, command.reason, nairobi_day(work.now))
        lock = PeriodLock(
            id=PeriodLockId(work.ids.new()),
            through=command.through,
            reason=command.reason,
            state=LockState.PROPOSED,
            proposed_by=command.by,
            proposed_at=work.now,
        )
        work.add(PERIOD_LOCKS, lock.id, lock)
        work.record(lock.event("LockProposed"))
        _audit(work, lock, "period_lock.proposed", command.by)
        return lock_view(lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideLock:
    """A second person's word, or the first one's taking it back."""

    lock_id: PeriodLockId
    approve: bool
    by: str


class DecideLockHandler:
    async def footprint(self, commands: Sequence[DecideLock], find: Find) -> Footprint:  # noqa: ARG002  (it names its rows)
        return lock_footprint(Footprint()).add(PERIOD_LOCKS, *(command.lock_id for command in commands))

    def handle(self, command: DecideLock, work: Work) -> Answer:
        """Decide; an approval is in force at once. The answer is `lock_view`.

        Raises LockNotFound, LockDecided and OwnApproval.
        """
        lock = work.get(PERIOD_LOCKS, command.lock_id)
        if lock is None:
            raise LockNotFound
        after = lock.decided(command.by, work.now, approve=command.approve)
        work.put(PERIOD_LOCKS, after.id, after)
        if command.approve:
            standing = work.get(BOOKS_LOCK, BOOKS) or BooksLock()
            work.put(BOOKS_LOCK, BOOKS, standing.moved(after.through))
        work.record(after.event("LockApproved" if command.approve else "LockRejected"))
        _audit(work, after, f"period_lock.{after.state.value.lower()}", command.by)
        return lock_view(after)


def _audit(work: Work, lock: PeriodLock, action: str, by: str) -> None:
    through = None if lock.through is None else lock.through.isoformat()
    work.audit(by, action, "period_lock", lock.id, through=through)
