"""The notification worker: delivers the messages that wait, each under a lease and its own id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from penpay.application.payments.notifying import ClaimNotification, DueNotification, RecordDelivery
from penpay.application.shared.carrying import Carrier
from penpay.application.shared.executor import Executor
from penpay.domain.shared.delivery import Channel

NOTIFICATIONS_WORKER: Final = "notification"


class NotificationWorker:
    """Drives a message from the licence to the record."""

    def __init__(self, *, executor: Executor, carriers: Mapping[Channel, Carrier]) -> None:
        self._executor = executor
        self._carriers = carriers

    async def handle(self, due: DueNotification) -> None:
        """Take the licence, hand the message over, and record what became of it."""
        claimed, message = await self._executor.execute(ClaimNotification(key=due.key, user_id=due.user_id))
        if message is None:
            return
        answer = await self._carriers[due.key.channel].carry(message)
        await self._executor.execute(RecordDelivery(key=due.key, fence=claimed.fence, answer=answer))
