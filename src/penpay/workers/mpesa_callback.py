"""The callback worker: applies stored callbacks that could not be applied when they came."""

from __future__ import annotations

from penpay.application.payments.callbacks import ApplyWebhook, PostponeWebhook, read
from penpay.application.payments.due import DueWebhook
from penpay.application.shared.executor import Executor


class Unopenable(Exception):
    """A stored callback cannot be opened: it was sealed with a key that this process does not have."""


class MpesaCallbackWorker:
    """Applies what is due; applying twice changes nothing, so it needs no licence."""

    def __init__(self, *, executor: Executor) -> None:
        self._executor = executor

    async def handle(self, due: DueWebhook) -> None:
        """Apply it; one that still cannot be applied is put off, and the fault is raised."""
        try:
            await self._apply(due)
        except Exception:
            await self._executor.execute(PostponeWebhook(webhook_id=due.webhook_id))
            raise

    async def _apply(self, due: DueWebhook) -> None:
        if due.body is None:
            raise Unopenable(f"stored callback {due.webhook_id}")
        await self._executor.execute(
            ApplyWebhook(webhook_id=due.webhook_id, request_id=due.request_id, callback=read(due.body))
        )
