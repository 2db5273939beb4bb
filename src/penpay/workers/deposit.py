"""The deposit worker: answers the events of deposits, and drives their STK pushes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, Protocol

from penpay.application.payments.callbacks import STK_PURPOSE
from penpay.application.payments.collecting import ClaimMpesaRequest, RecordPaymentAnswer, RecordPushAnswer
from penpay.application.payments.deposit import DEPOSIT_WORKER, DepositOrchestrator, FundDeposit, InitiateDeposit
from penpay.application.payments.giving_back import RefundDeposit
from penpay.application.payments.proving import told_of_reference
from penpay.application.shared.executor import Executor
from penpay.application.shared.ports import Clock
from penpay.domain.mpesa.gateway import MpesaGateway, MpesaReceipts, PaymentAnswer, PaymentOutcome, StkPush
from penpay.domain.payments.evidence import EvidenceState, MpesaRequest
from penpay.domain.shared.ids import MpesaRequestId
from penpay.workers.consuming import SagaWorker
from penpay.workers.mpesa_disbursement import MPESA_DISBURSEMENTS_WORKER
from penpay.workers.runtime import Wakeups

MPESA_REQUESTS_WORKER: Final = "mpesa_request"
DERIV_TRANSFERS_WORKER: Final = "deriv_transfer"
_DRIVERS: Final[Mapping[type, str]] = MappingProxyType(
    {
        InitiateDeposit: MPESA_REQUESTS_WORKER,
        FundDeposit: DERIV_TRANSFERS_WORKER,
        RefundDeposit: MPESA_DISBURSEMENTS_WORKER,
    }
)
"""Who drives what a command has decided on."""


class PathTokens(Protocol):
    """Signed path segments."""

    def sign(self, purpose: str, subject: MpesaRequestId) -> str: ...


class DepositWorker(SagaWorker):
    """Consumes what deposits announce."""

    def __init__(self, *, executor: Executor, wakeups: Wakeups) -> None:
        def wake(command: InitiateDeposit | FundDeposit | RefundDeposit) -> None:
            wakeups.wake(_DRIVERS[type(command)])

        super().__init__(consumer=DEPOSIT_WORKER, executor=executor, orchestrator=DepositOrchestrator(), wake=wake)


class MpesaRequestDriver:
    """Sends the pushes that are due and asks about those whose outcome is not known."""

    def __init__(
        self,
        *,
        executor: Executor,
        mpesa: MpesaGateway,
        tokens: PathTokens,
        clock: Clock,
        receipts: MpesaReceipts | None = None,
    ) -> None:
        """`receipts` lists payments by our own reference, where a push's id is in doubt; without it people decide."""
        self._executor = executor
        self._mpesa = mpesa
        self._tokens = tokens
        self._clock = clock
        self._receipts = receipts

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
        record = RecordPaymentAnswer(
            request_id=request.id,
            fence=request.fence,
            answer=await self._asked(request),
            heard_id=None if request.is_identified else request.checkout_request_id,
        )
        if await self._executor.execute(record):
            return
        answer = await told_of_reference(self._receipts, request, record.answer, self._clock.now())
        await self._executor.execute(replace(record, answer=answer, heard_id=None))

    async def _asked(self, request: MpesaRequest) -> PaymentAnswer:
        if request.checkout_request_id is None:
            return PaymentAnswer(outcome=PaymentOutcome.UNKNOWN, code="no_checkout_request_id")
        return await self._mpesa.stk_query(request.checkout_request_id)
