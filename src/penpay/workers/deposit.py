"""The deposit worker: answers the events of deposits, and drives their STK pushes."""

from __future__ import annotations

from typing import Final, Protocol

from penpay.application.payments.callbacks import STK_PURPOSE
from penpay.application.payments.collecting import ClaimMpesaRequest, RecordPaymentAnswer, RecordPushAnswer
from penpay.application.payments.deposit import DEPOSIT_WORKER, DepositOrchestrator, FundDeposit
from penpay.application.payments.reviewing import GiveUpDelivery
from penpay.application.shared.executor import ClaimedDelivery, Executor
from penpay.application.shared.outbox import MAX_ATTEMPTS, ClaimDelivery, DueDelivery, PutBackDelivery
from penpay.application.shared.unit_of_work import Delivery
from penpay.domain.mpesa.gateway import MpesaGateway, PaymentAnswer, PaymentOutcome, StkPush
from penpay.domain.payments.evidence import EvidenceState, MpesaRequest
from penpay.domain.shared.errors import LostLicence
from penpay.domain.shared.ids import MpesaRequestId, TransactionId
from penpay.workers.runtime import Wakeups

MPESA_REQUESTS_WORKER: Final = "mpesa_request"
DERIV_TRANSFERS_WORKER: Final = "deriv_transfer"


class PathTokens(Protocol):
    """Signed path segments."""

    def sign(self, purpose: str, subject: MpesaRequestId) -> str: ...


class DepositWorker:
    """Consumes what deposits announce: each event becomes the saga's next command, exactly once."""

    def __init__(self, *, executor: Executor, wakeups: Wakeups) -> None:
        self._executor = executor
        self._wakeups = wakeups
        self._orchestrator = DepositOrchestrator()

    async def handle(self, due: DueDelivery) -> None:
        """Claim the delivery, then run the command that settles it; put it back when that fails."""
        stored = due.stored
        claimed: Delivery = await self._executor.execute(ClaimDelivery(consumer=DEPOSIT_WORKER, event_id=stored.id))
        licence = ClaimedDelivery(DEPOSIT_WORKER, stored.id, claimed.fence)
        try:
            command = self._orchestrator.next_command(stored)
            await self._executor.execute(command, delivery=licence)
        except LostLicence:
            return
        except Exception as fault:
            await self._put_back(claimed, TransactionId(stored.event.aggregate_id), fault)
            raise
        self._wakeups.wake(DERIV_TRANSFERS_WORKER if isinstance(command, FundDeposit) else MPESA_REQUESTS_WORKER)

    async def _put_back(self, claimed: Delivery, transaction_id: TransactionId, fault: Exception) -> None:
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
                transaction_id=transaction_id,
                reason=type(fault).__name__,
            )
        )


class MpesaRequestDriver:
    """Sends the pushes that are due and asks about those whose outcome is not known."""

    def __init__(self, *, executor: Executor, mpesa: MpesaGateway, tokens: PathTokens) -> None:
        self._executor = executor
        self._mpesa = mpesa
        self._tokens = tokens

    async def handle(self, request_id: MpesaRequestId) -> None:
        """Take the licence, make the one call it is for, and record the answer."""
        claimed: MpesaRequest | None = await self._executor.execute(ClaimMpesaRequest(request_id=request_id))
        if claimed is None:
            return
        if claimed.state is EvidenceState.SENDING:
            await self._push(claimed)
        else:
            await self._ask(claimed)

    async def _push(self, request: MpesaRequest) -> None:
        push = StkPush(
            callback_token=self._tokens.sign(STK_PURPOSE, request.id),
            account_reference=request.account_reference,
            phone=request.phone,
            amount=request.amount,
            description="Deriv deposit",
        )
        answer = await self._mpesa.stk_push(push)
        record = RecordPushAnswer(request_id=request.id, fence=request.fence, answer=answer)
        while not await self._executor.execute(record):
            pass

    async def _ask(self, request: MpesaRequest) -> None:
        answer = await self._asked(request)
        await self._executor.execute(RecordPaymentAnswer(request_id=request.id, fence=request.fence, answer=answer))

    async def _asked(self, request: MpesaRequest) -> PaymentAnswer:
        if request.checkout_request_id is None:
            return PaymentAnswer(outcome=PaymentOutcome.UNKNOWN, code="no_checkout_request_id")
        return await self._mpesa.stk_query(request.checkout_request_id)
