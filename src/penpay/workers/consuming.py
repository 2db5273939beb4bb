"""Consuming events: each becomes the saga's next command, exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from penpay.application.payments.reviewing import GiveUpDelivery
from penpay.application.shared.executor import ClaimedDelivery, Executor
from penpay.application.shared.outbox import MAX_ATTEMPTS, ClaimDelivery, DueDelivery, PutBackDelivery
from penpay.application.shared.unit_of_work import Delivery, StoredEvent
from penpay.domain.shared.errors import LostLicence
from penpay.domain.shared.ids import TransactionId


class Orchestrator(Protocol):
    """A process manager."""

    def next_command(self, stored: StoredEvent) -> Any:
        """The command that answers an event."""
        ...


class SagaWorker:
    """One consumer of the events of transactions."""

    def __init__(
        self, *, consumer: str, executor: Executor, orchestrator: Orchestrator, wake: Callable[[Any], None]
    ) -> None:
        """`wake` is called with each command that was done, to wake whoever drives what it has decided on."""
        self._consumer = consumer
        self._executor = executor
        self._orchestrator = orchestrator
        self._wake = wake

    async def handle(self, due: DueDelivery) -> None:
        """Run the command that settles the delivery; claim it and put it back when that fails.

        Nothing is called outside, so no claim comes before: of two who try at once, one commit finds the other's.
        Raises LostLicence.
        """
        licence = ClaimedDelivery(self._consumer, due.stored.id, due.fence)
        try:
            command = self._orchestrator.next_command(due.stored)
            await self._executor.execute(command, delivery=licence)
        except LostLicence:
            raise
        except Exception as fault:
            await self._put_back(due.stored, fault)
            raise
        self._wake(command)

    async def _put_back(self, stored: StoredEvent, fault: Exception) -> None:
        claimed: Delivery = await self._executor.execute(ClaimDelivery(consumer=self._consumer, event_id=stored.id))
        if claimed.attempts < MAX_ATTEMPTS:
            await self._executor.execute(
                PutBackDelivery(consumer=claimed.consumer, event_id=claimed.event_id, fence=claimed.fence)
            )
            return
        await self._executor.execute(
            GiveUpDelivery(
                consumer=claimed.consumer,
                event_id=claimed.event_id,
                fence=claimed.fence,
                transaction_id=TransactionId(stored.event.aggregate_id),
                reason=type(fault).__name__,
            )
        )
