"""The withdrawal workers: one follows what withdrawals announce, the other makes the calls to Deriv they need."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from penpay.application.payments.crediting import BookIncomingCredit
from penpay.application.payments.giving_back import ReturnWithdrawal
from penpay.application.payments.withdrawal import WITHDRAWAL_WORKER, PayOutWithdrawal, WithdrawalOrchestrator
from penpay.application.payments.withdrawing import (
    ClaimDerivWithdrawal,
    RecordCodeAnswer,
    RecordCreditSearch,
    RecordWithdrawalAnswer,
    WithdrawalTask,
)
from penpay.application.shared.executor import Executor
from penpay.domain.deriv.gateway import StatementUnavailable
from penpay.domain.deriv.withdrawals import CodeRequest, DerivWithdrawalGateway, WithdrawalFromClient
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.shared.ids import DerivWithdrawalId
from penpay.workers.consuming import SagaWorker
from penpay.workers.deposit import DERIV_TRANSFERS_WORKER
from penpay.workers.mpesa_disbursement import MPESA_DISBURSEMENTS_WORKER
from penpay.workers.runtime import Wakeups

DERIV_WITHDRAWALS_WORKER: Final = "deriv_withdrawal"
_LOOK_BACK: Final = timedelta(minutes=2)
"""Further back than our clock and Deriv's can differ."""


class WithdrawalWorker(SagaWorker):
    """Consumes what withdrawals announce."""

    def __init__(self, *, executor: Executor, wakeups: Wakeups) -> None:
        def wake(_: PayOutWithdrawal | ReturnWithdrawal) -> None:
            for name in (MPESA_DISBURSEMENTS_WORKER, DERIV_TRANSFERS_WORKER):  # a payout may turn out a return
                wakeups.wake(name)

        super().__init__(
            consumer=WITHDRAWAL_WORKER, executor=executor, orchestrator=WithdrawalOrchestrator(), wake=wake
        )


class DerivWithdrawalDriver:
    """Has codes mailed, makes the withdrawals that are due, and looks for the credits of those made."""

    def __init__(self, *, executor: Executor, deriv: DerivWithdrawalGateway) -> None:
        self._executor = executor
        self._deriv = deriv

    async def handle(self, withdrawal_id: DerivWithdrawalId) -> None:
        """Take the licence, make the one call it is for, and record what it told."""
        task: WithdrawalTask | None = await self._executor.execute(ClaimDerivWithdrawal(withdrawal_id=withdrawal_id))
        if task is None:
            return
        if task.withdrawal.state is EvidenceState.INTENDED:
            await self._ask_for_code(task)
        elif task.withdrawal.state is EvidenceState.SENDING:
            await self._withdraw(task)
        else:
            await self._look(task)

    async def _ask_for_code(self, task: WithdrawalTask) -> None:
        withdrawal = task.withdrawal
        answer = await self._deriv.ask_for_code(
            CodeRequest(
                reference=withdrawal.reference,
                login_id=withdrawal.deriv_login_id,
                token=task.token or "",
                amount=withdrawal.amount,
            )
        )
        await self._executor.execute(
            RecordCodeAnswer(withdrawal_id=withdrawal.id, fence=withdrawal.fence, answer=answer)
        )

    async def _withdraw(self, task: WithdrawalTask) -> None:
        withdrawal = task.withdrawal
        answer = await self._deriv.withdraw_from_client(
            WithdrawalFromClient(
                reference=withdrawal.reference,
                login_id=withdrawal.deriv_login_id,
                token=task.token or "",
                verification_code=task.verification_code or "",
                amount=withdrawal.amount,
            )
        )
        await self._executor.execute(
            RecordWithdrawalAnswer(withdrawal_id=withdrawal.id, fence=withdrawal.fence, answer=answer)
        )

    async def _look(self, task: WithdrawalTask) -> None:
        withdrawal = task.withdrawal
        since = (withdrawal.sent_at or withdrawal.created_at) - _LOOK_BACK
        try:
            found = await self._deriv.credits_since(since)
        except StatementUnavailable:
            read = False
        else:
            read = True
            for credit in found:
                await self._executor.execute(BookIncomingCredit(credit=credit))
        await self._executor.execute(RecordCreditSearch(withdrawal_id=withdrawal.id, fence=withdrawal.fence, read=read))
