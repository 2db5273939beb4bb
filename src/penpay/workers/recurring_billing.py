"""The recurring-billing worker: issues the bills of recurring invoices whose day has begun."""

from __future__ import annotations

from typing import Final

from penpay.application.collections.recurring import DueRecurring, IssueRecurring
from penpay.application.shared.executor import Executor

RECURRING_BILLING_WORKER: Final = "recurring_billing"


class RecurringBillingWorker:
    """Issues each bill once; after downtime all that were missed, one after another."""

    def __init__(self, *, executor: Executor) -> None:
        self._executor = executor

    async def handle(self, due: DueRecurring) -> None:
        """Issue it, and those after it whose day has begun too."""
        following: int | None = due.occurrence
        while following is not None:
            issued: int | None = await self._executor.execute(IssueRecurring(number=due.number, occurrence=following))
            following = issued
