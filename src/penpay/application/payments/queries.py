"""Reading payments: what users, staff and the demo see of transactions. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from penpay.application.payments.rows import Review
from penpay.domain.payments.transaction import Transaction
from penpay.domain.shared.ids import TransactionId, UserId


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
