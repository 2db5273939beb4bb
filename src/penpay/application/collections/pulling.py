"""Listing the payments M-Pesa knows of, so that none is missed: whose turn it is, and how far the list was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from penpay.application.shared.unit_of_work import Find, Footprint, Kind, Work
from penpay.domain.mpesa.gateway import PullWindow
from penpay.domain.shared.errors import LostLicence

KEPT: Final = timedelta(hours=48)
"""How far back M-Pesa lists payments (daraja.md §5.9)."""
OVERLAP: Final = timedelta(hours=2)
"""Read again, for payments that enter the list late."""
_TRY_AGAIN_AFTER: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptPull:
    """How far one number's list was read, and who reads it now. `version` counts its changes."""

    short_code: str
    pulled_until: datetime | None = None
    """Every payment before this moment that M-Pesa listed is in the books; None before the first reading."""
    due_at: datetime
    lease_until: datetime | None = None
    fence: int = 0
    code: str | None = None
    """Why the last reading failed; None after one that went through."""
    version: int = 1

    def is_due(self, at: datetime) -> bool:
        return self.due_at <= at and (self.lease_until is None or self.lease_until <= at)

    def window(self, at: datetime) -> PullWindow:
        """What is to be read now: from a little before where the last reading ended, as far back as M-Pesa lists."""
        earliest = at - KEPT
        since = earliest if self.pulled_until is None else max(earliest, self.pulled_until - OVERLAP)
        return PullWindow(since=since, until=at)


RECEIPT_PULLS: Final[Kind[str, ReceiptPull]] = Kind("receipt_pulls")


class PullBooks(Protocol):
    """Reading how far the list was read; nothing is locked."""

    async def is_due(self, short_code: str, at: datetime) -> bool:
        """Whether somebody should read the list now; also where nobody ever has."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimPull:
    """Take the licence to read a number's list."""

    short_code: str


class ClaimPullHandler:
    def __init__(self, lease: timedelta) -> None:
        self._lease = lease

    async def footprint(self, commands: Sequence[ClaimPull], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(RECEIPT_PULLS, *(command.short_code for command in commands))

    def handle(self, command: ClaimPull, work: Work) -> ReceiptPull:
        """The claimed pull. Raises LostLicence when it is not due, or somebody else holds it."""
        before = work.get(RECEIPT_PULLS, command.short_code)
        if before is not None and not before.is_due(work.now):
            raise LostLicence
        known = before or ReceiptPull(short_code=command.short_code, due_at=work.now, version=0)
        claimed = replace(known, fence=known.fence + 1, lease_until=work.now + self._lease, version=known.version + 1)
        work.put(RECEIPT_PULLS, claimed.short_code, claimed)
        work.audit("worker:receipt_pull", "pull.claimed", "receipt_pull", claimed.short_code)
        return claimed


@dataclass(frozen=True, slots=True, kw_only=True)
class EndPull:
    """A reading of the list has ended."""

    short_code: str
    fence: int
    until: datetime | None
    """The list is in the books up to here; None where it could not be read to its end."""
    code: str | None = None
    booked: int = 0
    unreadable: int = 0


class EndPullHandler:
    def __init__(self, every: timedelta) -> None:
        self._every = every

    async def footprint(self, commands: Sequence[EndPull], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(RECEIPT_PULLS, *(command.short_code for command in commands))

    def handle(self, command: EndPull, work: Work) -> None:
        """Say how far the list was read and when it is read next. Raises LostLicence under an older fence."""
        pull = work.get(RECEIPT_PULLS, command.short_code)
        if pull is None or pull.fence != command.fence:
            raise LostLicence
        wait = self._every if command.until is not None else min(self._every, _TRY_AGAIN_AFTER)
        ended = replace(
            pull,
            pulled_until=command.until or pull.pulled_until,
            due_at=work.now + wait,
            lease_until=None,
            code=command.code,
            version=pull.version + 1,
        )
        work.put(RECEIPT_PULLS, ended.short_code, ended)
        work.audit(
            "worker:receipt_pull",
            "pull.ended",
            "receipt_pull",
            ended.short_code,
            booked=command.booked,
            unreadable=command.unreadable,
            code=command.code,
        )
