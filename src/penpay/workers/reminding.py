"""The workers of reminders: one writes those that have come due, the other delivers them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from penpay.application.collections.reminding import (
    ClaimReminder,
    DueReminder,
    RecordReminder,
    ReminderBooks,
    RemindOf,
)
from penpay.application.shared.carrying import Carrier
from penpay.application.shared.executor import Executor
from penpay.application.shared.ports import Clock
from penpay.domain.shared.delivery import Channel
from penpay.domain.shared.nairobi import nairobi_day

REMINDING_WORKER: Final = "reminding"
REMINDERS_WORKER: Final = "reminder"


class RemindingWorker:
    """Has a reminder written for each invoice and level, once."""

    def __init__(self, *, executor: Executor, books: ReminderBooks, clock: Clock) -> None:
        self._executor = executor
        self._books = books
        self._clock = clock

    async def look(self, limit: int) -> Sequence[RemindOf]:
        """Invoices that have come to a level today."""
        return await self._books.to_write(nairobi_day(self._clock.now()), limit)

    async def handle(self, found: RemindOf) -> None:
        """Write the messages of one."""
        await self._executor.execute(found)


class ReminderWorker:
    """Drives a reminder from the licence to the record."""

    def __init__(self, *, executor: Executor, carriers: Mapping[Channel, Carrier]) -> None:
        self._executor = executor
        self._carriers = carriers

    async def handle(self, due: DueReminder) -> None:
        """Take the licence, hand the message over, and record what became of it."""
        claimed, message = await self._executor.execute(ClaimReminder(key=due.key, customer_id=due.customer_id))
        if message is None:
            return
        answer = await self._carriers[due.key.channel].carry(message)
        await self._executor.execute(RecordReminder(key=due.key, fence=claimed.fence, answer=answer))
