"""The till worker: sends the pushes that are due, and asks about those whose outcome is not known."""

from __future__ import annotations

from typing import Final, Protocol
from uuid import UUID

from penpay.application.collections.capture_rows import TillPushId
from penpay.application.collections.capturing import PostponeConfirmation
from penpay.application.collections.till_door import read_callback
from penpay.application.collections.till_pushing import (
    TILL_PURPOSE,
    ApplyTillCallback,
    ClaimTillPush,
    RecordTillPaymentAnswer,
    RecordTillPushAnswer,
)
from penpay.application.collections.working import DueMessage
from penpay.application.shared.executor import Executor
from penpay.domain.mpesa.gateway import MpesaGateway, PaymentAnswer, PaymentOutcome, StkPush
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.payments.till_push import TillPush
from penpay.workers.mpesa_callback import Unopenable

TILL_WORKER: Final = "till_push"
TILL_CALLBACKS_WORKER: Final = "till_callback"


class PathTokens(Protocol):
    """Signed path segments."""

    def sign(self, purpose: str, subject: UUID) -> str: ...


class TillPushDriver:
    """Takes the licence, makes the one call it is for, and records the answer."""

    def __init__(self, *, executor: Executor, mpesa: MpesaGateway, tokens: PathTokens) -> None:
        self._executor = executor
        self._mpesa = mpesa
        self._tokens = tokens

    async def handle(self, push_id: TillPushId) -> None:
        """One step of one push. Raises LostLicence."""
        claimed: TillPush | None = await self._executor.execute(ClaimTillPush(push_id=push_id))
        if claimed is None:
            return
        if claimed.state is not EvidenceState.SENDING:
            answer = await self._asked(claimed)
            await self._executor.execute(RecordTillPaymentAnswer(push=claimed, answer=answer))
            return
        sent = await self._mpesa.stk_push(
            StkPush(
                callback_token=self._tokens.sign(TILL_PURPOSE, claimed.id),
                account_reference=claimed.account_reference,
                phone=claimed.phone,
                amount=claimed.amount,
                description="Purchase",
            )
        )
        record = RecordTillPushAnswer(push_id=push_id, fence=claimed.fence, answer=sent)
        while not await self._executor.execute(record):
            pass

    async def _asked(self, push: TillPush) -> PaymentAnswer:
        if push.checkout_request_id is None:
            return PaymentAnswer(outcome=PaymentOutcome.UNKNOWN, code="no_checkout_request_id")
        return await self._mpesa.stk_query(push.checkout_request_id)


class TillCallbackWorker:
    """Applies stored callbacks that could not be applied when they came; twice changes nothing."""

    def __init__(self, *, executor: Executor) -> None:
        self._executor = executor

    async def handle(self, due: DueMessage) -> None:
        """Apply it; one that still cannot be applied is put off, and the fault is raised."""
        try:
            await self._apply(due)
        except Exception:
            await self._executor.execute(PostponeConfirmation(webhook_id=due.webhook_id))
            raise

    async def _apply(self, due: DueMessage) -> None:
        if due.body is None or due.subject_id is None:
            raise Unopenable(f"stored callback {due.webhook_id}")
        push_id = TillPushId(due.subject_id)
        callback = read_callback(due.body)
        await self._executor.execute(ApplyTillCallback(webhook_id=due.webhook_id, push_id=push_id, callback=callback))
