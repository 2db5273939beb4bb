"""The callback worker: applies stored callbacks that could not be applied when they came."""

from __future__ import annotations

from penpay.application.payments.callbacks import STK_SOURCE, ApplyWebhook, PostponeWebhook, read
from penpay.application.payments.due import DueWebhook
from penpay.application.payments.results import ApplyResult, read_message
from penpay.application.shared.executor import Executor
from penpay.domain.shared.ids import MpesaRequestId


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
        if due.source == STK_SOURCE:
            command: ApplyWebhook | ApplyResult = ApplyWebhook(
                webhook_id=due.webhook_id, request_id=MpesaRequestId(due.subject_id), callback=read(due.body)
            )
        else:
            message = read_message(due.source, due.body)
            command = ApplyResult(
                webhook_id=due.webhook_id, source=due.source, subject_id=due.subject_id, message=message
            )
        await self._executor.execute(command)
