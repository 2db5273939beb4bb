"""Reading payments: what users, staff and the demo see of transactions. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from penpay.application.payments.rows import Review, ReviewReason
from penpay.application.payments.situation import Outflow, Situation
from penpay.domain.payments.transaction import Transaction
from penpay.domain.shared.ids import ReviewId, TransactionId, UserId


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened to a transaction, and the status it was in from then on, changed by it or not."""

    at: datetime
    event: str
    status: str


@dataclass(frozen=True, slots=True)
class TransactionPage:
    """Some transactions, newest first."""

    transactions: Sequence[Transaction]
    next: TransactionId | None
    """Where the following page begins (`before`); None on the last one."""


@dataclass(frozen=True, slots=True)
class StoryLine:
    """One thing in the story of a transaction."""

    at: datetime
    kind: str
    """event, evidence, journal, callback, message, review or audit."""
    text: str
    """For people; without a name, a phone number or a secret."""


@dataclass(frozen=True, slots=True)
class Story:
    """All that happened to a transaction, in order."""

    transaction: Transaction
    lines: Sequence[StoryLine]


class Stories(Protocol):
    """Questions about one transaction, for whoever must understand it at two in the morning."""

    async def story(self, transaction_id: TransactionId, of: UserId | None = None) -> Story | None:
        """Its story; None when there is none. For a user, of her own alone, and without what staff did."""
        ...


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """A review and where the money of its transaction stands; None for what belongs to no transaction."""

    review: Review
    situation: Situation | None
    payout: Outflow | None = None
    """That of the refund it is about; None where it is about none."""


class ReviewState(StrEnum):
    """How far a review has come."""

    OPEN = "open"
    """Not resolved, with a proposal or without."""
    PROPOSED = "proposed"
    """Waits for a second person."""
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """Some reviews: those that wait, the longest waiting first; resolved ones, the last resolved first."""

    cases: Sequence[ReviewCase]
    next: ReviewId | None
    """Where the following page begins (`after`); None on the last one."""


class ReviewBooks(Protocol):
    """Questions about reviews."""

    async def page(
        self, state: ReviewState, limit: int, *, reason: ReviewReason | None = None, after: ReviewId | None = None
    ) -> ReviewPage:
        """Up to `limit` reviews in a state, about one reason or all, following `after`, which is one of them."""
        ...

    async def open_reviews(self, limit: int) -> Sequence[ReviewCase]:
        """What waits for people, longest waiting first."""
        ...

    async def review(self, review_id: ReviewId) -> ReviewCase | None:
        """One review, open or resolved; None when there is none."""
        ...


class PaymentBooks(Protocol):
    """Questions about payments."""

    async def transaction(self, user_id: UserId, transaction_id: TransactionId) -> Transaction | None:
        """The user's transaction; None when there is none, or it is another user's."""
        ...

    async def transactions(self, user_id: UserId, limit: int, before: TransactionId | None) -> TransactionPage:
        """Up to `limit` of the user's transactions, older than `before`, which is one of them."""
        ...

    async def timeline(self, transaction_id: TransactionId) -> Sequence[TimelineEntry]:
        """What happened to a transaction, one entry for each of its versions, oldest first."""
        ...

    async def recent(self, limit: int) -> Sequence[Transaction]:
        """The newest transactions of all users, newest first."""
        ...

    async def reviews(self, limit: int) -> Sequence[Review]:
        """What waits for people, longest waiting first."""
        ...
