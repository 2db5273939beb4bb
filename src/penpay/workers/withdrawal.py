"""The withdrawal workers: one follows what withdrawals announce, the other makes the calls to Deriv they need."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import datetime, timedelta
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
_AT_ONCE: Final = 500
"""Credits that are booked together."""
_REMEMBERED: Final = 10_000
"""Credits known to be booked, so that looks that overlap do not ask of them again."""


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
    """Has codes mailed, makes the withdrawals that are due, and looks for the credits of those made.

    Looks that meet share one reading of the statement.
    """

    def __init__(self, *, executor: Executor, deriv: DerivWithdrawalGateway) -> None:
        self._executor = executor
        self._deriv = deriv
        self._waiting: list[tuple[datetime, asyncio.Future[bool]]] = []
        self._looking = asyncio.Lock()
        self._booked: OrderedDict[str, None] = OrderedDict()

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
        read = await self._read_since((withdrawal.sent_at or withdrawal.created_at) - _LOOK_BACK)
        await self._executor.execute(RecordCreditSearch(withdrawal_id=withdrawal.id, fence=withdrawal.fence, read=read))

    async def _read_since(self, since: datetime) -> bool:
        """Whether the statement could be read; all that it shows since then is booked."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((since, answer))
        async with self._looking:
            if not answer.done():
                await self._read_together()
        return await answer

    async def _read_together(self) -> None:
        """One reading for all who wait."""
        together, self._waiting = self._waiting, []
        try:
            read = await self._book_since(min(since for since, _ in together))
        except BaseException:
            self._waiting += together  # each of the others tries for itself
            raise
        for _, answer in together:
            if not answer.done():
                answer.set_result(read)

    async def _book_since(self, since: datetime) -> bool:
        try:
            found = await self._deriv.credits_since(since)
        except StatementUnavailable:
            return False
        new = [credit for credit in found if credit.provider_id not in self._booked]
        for first in range(0, len(new), _AT_ONCE):
            some = new[first : first + _AT_ONCE]
            await asyncio.gather(*(self._executor.execute(BookIncomingCredit(credit=credit)) for credit in some))
            self._booked.update((credit.provider_id, None) for credit in some)
        while len(self._booked) > _REMEMBERED:
            self._booked.popitem(last=False)
        return True
