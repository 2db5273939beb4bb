"""A recurring invoice: what a customer is billed again and again, on which days of Nairobi, and how far that has come.

ACTIVE ─→ PAUSED ─→ ACTIVE; both ─→ ENDED, which is final. An ACTIVE one that was billed for the last time is ENDED.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.errors import RecurringOver
from penpay.domain.collections.invoice import InvoiceId
from penpay.domain.collections.line import Line, LineItem, priced
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.nairobi import day_bounds

RecurringId = NewType("RecurringId", UUID)

_MOST_BETWEEN: Final = 366
_MOST_TIMES: Final = 1_000
_LONGEST_TERM: Final = 366
_MONTHS: Final = 12


class Every(StrEnum):
    """What the days of a schedule are counted in."""

    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The days on which there is a bill. All are counted from the first, so that no short month moves later ones."""

    every: Every
    interval: int = 1
    """Every so many days, weeks or months."""
    starts_on: date
    """The first of them."""
    ends_on: date | None = None
    """No bill after this day."""
    times: int | None = None
    """How many bills at most."""

    def __post_init__(self) -> None:
        """Raises InvalidRequest."""
        if not 1 <= self.interval <= _MOST_BETWEEN:
            raise InvalidRequest(f"An interval is 1 to {_MOST_BETWEEN}.", fields=["interval"])
        if self.times is not None and not 1 <= self.times <= _MOST_TIMES:
            raise InvalidRequest(f"There are 1 to {_MOST_TIMES} bills.", fields=["times"])
        if self.ends_on is not None and self.ends_on < self.starts_on:
            raise InvalidRequest("The last day is not before the first.", fields=["ends_on"])

    def day(self, occurrence: int) -> date:
        """The day of a bill, the first being 0. Where a month has no such day, its last."""
        passed = occurrence * self.interval
        if self.every is Every.MONTH:
            months = self.starts_on.month - 1 + passed
            year, month = self.starts_on.year + months // _MONTHS, months % _MONTHS + 1
            return date(year, month, min(self.starts_on.day, monthrange(year, month)[1]))
        return self.starts_on + timedelta(days=passed if self.every is Every.DAY else 7 * passed)

    def has(self, occurrence: int) -> bool:
        """Whether there is such a bill."""
        if self.times is not None and occurrence >= self.times:
            return False
        return self.ends_on is None or self.day(occurrence) <= self.ends_on


class RecurringState(StrEnum):
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurringInvoice:
    """What is billed, to whom, when. `next` is the first bill that was neither issued nor left out."""

    id: RecurringId
    number: str
    customer_id: CustomerId
    items: tuple[LineItem, ...]
    vat_included: bool
    due_days: int
    """How many days after its own an invoice is due."""
    memo: str | None
    schedule: Schedule
    state: RecurringState = RecurringState.ACTIVE
    next: int = 0
    created_by: str
    created_at: datetime
    version: int = 1

    def __post_init__(self) -> None:
        """Raises InvalidRequest."""
        if not 0 <= self.due_days <= _LONGEST_TERM:
            raise InvalidRequest(f"An invoice is due within {_LONGEST_TERM} days.", fields=["due_days"])

    @property
    def due_at(self) -> datetime | None:
        """When the next bill is to be issued: as its day begins. None when there is none."""
        if self.state is not RecurringState.ACTIVE:
            return None
        return day_bounds(self.schedule.day(self.next))[0]

    def lines(self) -> tuple[Line, ...]:
        """What is billed each time. Raises InvalidLine and InvalidAmount."""
        return priced(self.items, vat_included=self.vat_included)

    def is_due(self, occurrence: int, at: datetime) -> bool:
        """Whether this bill is the next and its day has begun."""
        return self.due_at is not None and self.next == occurrence and self.due_at <= at

    def issued(self) -> RecurringInvoice:
        """The recurring invoice once its next bill is issued; ENDED after the last."""
        return self._from(self.next + 1)

    def paused(self) -> RecurringInvoice:
        """Raises RecurringOver unless it is ACTIVE."""
        self._require(RecurringState.ACTIVE)
        return replace(self, state=RecurringState.PAUSED, version=self.version + 1)

    def resumed(self, today: date) -> RecurringInvoice:
        """Go on with the first bill that is not before today; those of the pause are left out. Raises RecurringOver."""
        self._require(RecurringState.PAUSED)
        following = self.next
        while self.schedule.has(following) and self.schedule.day(following) < today:
            following += 1
        return self._from(following)

    def ended(self) -> RecurringInvoice:
        """No more bills. Raises RecurringOver on a repeat."""
        self._require(RecurringState.ACTIVE, RecurringState.PAUSED)
        return replace(self, state=RecurringState.ENDED, version=self.version + 1)

    def event(self, name: str) -> DomainEvent:
        """An event about it as it is now; its version is the sequence."""
        payload = {"recurring_id": self.number, "state": self.state.value, "issued": self.next}
        return DomainEvent(name, "RecurringInvoice", self.id, self.version, payload)

    def _from(self, following: int) -> RecurringInvoice:
        state = RecurringState.ACTIVE if self.schedule.has(following) else RecurringState.ENDED
        return replace(self, state=state, next=following, version=self.version + 1)

    def _require(self, *states: RecurringState) -> None:
        if self.state not in states:
            raise RecurringOver(recurring_id=self.number, state=self.state.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One bill of a recurring invoice that was issued."""

    recurring_id: RecurringId
    occurrence: int
    invoice_id: InvoiceId
