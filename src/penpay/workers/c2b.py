"""The confirmation worker: books stored C2B confirmations that could not be booked when they came."""

from __future__ import annotations

from penpay.application.collections.capturing import (
    Applied,
    ApplyConfirmation,
    PostponeConfirmation,
    read,
    receipt_told,
)
from penpay.application.collections.doors import AttachDeposit
from penpay.application.collections.working import DueMessage
from penpay.application.shared.executor import Executor
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.domain.collections.payment import PaymentSource
from penpay.workers.mpesa_callback import Unopenable

CONFIRMATIONS_WORKER = "c2b"


class ConfirmationWorker:
    """Books what is due; booking twice changes nothing, so it needs no licence."""

    def __init__(self, *, executor: Executor, attach: AttachDeposit, short_code: str) -> None:
        self._executor = executor
        self._attach = attach
        self._short_code = short_code

    async def handle(self, due: DueMessage) -> None:
        """Book it; one that still cannot be booked is put off, and the fault is raised."""
        try:
            outcome = await self._apply(due)
        except Exception:
            await self._executor.execute(PostponeConfirmation(webhook_id=due.webhook_id))
            raise
        if outcome is WebhookOutcome.RECEIVED:  # it waits for the answer to a question of ours
            await self._executor.execute(PostponeConfirmation(webhook_id=due.webhook_id))

    async def _apply(self, due: DueMessage) -> WebhookOutcome:
        if due.body is None:
            raise Unopenable(f"stored confirmation {due.webhook_id}")
        paid = read(due.body)
        told = (
            None if paid is None else receipt_told(paid, PaymentSource.C2B, due.webhook_id, short_code=self._short_code)
        )
        applied: Applied = await self._executor.execute(ApplyConfirmation(webhook_id=due.webhook_id, told=told))
        if applied.deposit is not None and paid is not None:
            return await self._attach(due.webhook_id, applied.deposit, paid)
        return applied.outcome
