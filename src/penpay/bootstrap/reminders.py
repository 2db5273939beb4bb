"""Reminders' part of a System: their rows, their commands and who delivers them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.collections.reminding import (
    ClaimReminder,
    ClaimReminderHandler,
    DecideReminders,
    DecideRemindersHandler,
    RecordReminder,
    RecordReminderHandler,
    RemindOf,
    RemindOfHandler,
    SetReminded,
    SetRemindedHandler,
)
from penpay.application.shared.carrying import Carrier
from penpay.application.shared.executor import Executor, Handler, Lane
from penpay.application.shared.ports import Clock
from penpay.bootstrap.workers import MakeWorker
from penpay.config import Settings
from penpay.domain.shared.delivery import Channel
from penpay.infrastructure.sql.collections_people import CustomerRepository
from penpay.infrastructure.sql.due import Queue
from penpay.infrastructure.sql.reminders import (
    OptOutRepository,
    RemindedContacts,
    ReminderPolicyRepository,
    ReminderRepository,
    SqlReminders,
)
from penpay.workers.reminding import REMINDERS_WORKER, REMINDING_WORKER, ReminderWorker, RemindingWorker
from penpay.workers.runtime import Worker

_MINUTE_MS: Final = 60_000


class Reminders:
    """What one System reminds customers with."""

    def __init__(
        self,
        settings: Settings,
        engine: AsyncEngine,
        clock: Clock,
        carriers: Mapping[Channel, Carrier],
        people: CustomerRepository,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._carriers = carriers
        self.books = SqlReminders(engine)
        self.repositories = (ReminderPolicyRepository(), OptOutRepository(), ReminderRepository())
        self.finders = (RemindedContacts(people),)

    def handlers(self) -> dict[type, tuple[Handler[Any, Any], Lane]]:
        """Which handler runs which command, in which lane."""
        settings, first, new = self._settings, Lane.RESOLUTION, Lane.REQUEST
        reminding = RemindOfHandler(
            self._carriers, business=settings.business_name, short_code=settings.mpesa_short_code
        )
        return {
            DecideReminders: (DecideRemindersHandler(), new),
            SetReminded: (SetRemindedHandler(), new),
            RemindOf: (reminding, first),
            ClaimReminder: (ClaimReminderHandler(timedelta(seconds=settings.lease_seconds)), first),
            RecordReminder: (RecordReminderHandler(), first),
        }

    def workers(self, worker: MakeWorker, executor: Executor) -> Sequence[Worker[Any]]:
        """Who writes reminders, and who delivers them; nobody delivers where no channel is carried."""
        writing = RemindingWorker(executor=executor, books=self.books, clock=self._clock)
        found: list[Worker[Any]] = [
            worker(REMINDING_WORKER, writing.look, lambda one: one.invoice_id, writing.handle, _MINUTE_MS)
        ]
        if self._carriers:
            delivering = ReminderWorker(executor=executor, carriers=self._carriers)
            found.append(
                worker(
                    REMINDERS_WORKER,
                    lambda limit: self.books.due(self._clock.now(), limit, self._carriers),
                    lambda one: one.key,
                    delivering.handle,
                    Queue.REMINDERS,
                )
            )
        return found
