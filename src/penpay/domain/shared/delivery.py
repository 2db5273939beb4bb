"""A message on its way to somebody, and what became of it: the same for whatever it tells of.

WAITING ─(lease)─▶ sent ─▶ SENT | WAITING, later | GIVEN_UP
KEPT: nobody delivers on this channel; the message can be read here
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from penpay.domain.shared.errors import LostLicence


class Channel(StrEnum):
    SMS = "SMS"
    MAIL = "MAIL"


class NotificationState(StrEnum):
    WAITING = "WAITING"
    """To be delivered, now or again later."""
    SENT = "SENT"
    """Whoever carries it has taken it."""
    KEPT = "KEPT"
    """Not delivered, since nobody delivers on this channel."""
    GIVEN_UP = "GIVEN_UP"
    """It could not be delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How far one message has come. Only who holds the newest licence may say what became of it."""

    state: NotificationState
    due_at: datetime | None
    lease_until: datetime | None = None
    fence: int = 0
    attempts: int = 0
    code: str | None = None
    """The last thing learned: the carrier's code, or our word."""
    provider_id: str | None = None
    """The carrier's own id of it."""
    created_at: datetime
    sent_at: datetime | None = None
    version: int = 1

    def claimed(self, at: datetime, lease: timedelta) -> Self:
        """Taken by one worker until the lease ends. Raises LostLicence when it is not due, or somebody else has it."""
        due = self.due_at is not None and self.due_at <= at and (self.lease_until is None or self.lease_until <= at)
        if self.state is not NotificationState.WAITING or not due:
            raise LostLicence
        return replace(
            self,
            fence=self.fence + 1,
            attempts=self.attempts + 1,
            lease_until=at + lease,
            version=self.version + 1,
        )

    def check_fence(self, fence: int) -> None:
        """Raises LostLicence when another claim has come after the one with this fence."""
        if fence != self.fence or self.state is not NotificationState.WAITING:
            raise LostLicence

    def sent(self, at: datetime, provider_id: str | None, code: str) -> Self:
        """Taken by whoever carries it."""
        return self._ended(NotificationState.SENT, code, provider_id=provider_id, sent_at=at)

    def given_up(self, code: str) -> Self:
        """It cannot be delivered, or was tried long enough."""
        return self._ended(NotificationState.GIVEN_UP, code, provider_id=None, sent_at=None)

    def later(self, due_at: datetime, code: str) -> Self:
        """It is tried again, under the same id."""
        return replace(self, due_at=due_at, lease_until=None, code=code, version=self.version + 1)

    def _ended(self, state: NotificationState, code: str, *, provider_id: str | None, sent_at: datetime | None) -> Self:
        return replace(
            self,
            state=state,
            due_at=None,
            lease_until=None,
            code=code,
            provider_id=provider_id,
            sent_at=sent_at,
            version=self.version + 1,
        )
