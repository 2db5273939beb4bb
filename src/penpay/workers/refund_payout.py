"""The refund-payout worker: has every refund that two persons agreed to paid out by M-Pesa."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from penpay.application.payments.refund_payouts import PayRefund
from penpay.application.shared.executor import Executor

REFUND_PAYOUTS_WORKER: Final = "refund_payout"


class RefundPayoutWorker:
    """Records the intent of each payout once; the disbursement worker does the rest."""

    def __init__(self, *, executor: Executor) -> None:
        self._executor = executor

    async def handle(self, refund_id: UUID) -> None:
        """Intend the payout of one refund; one that has a payout, or has ended, stays as it is."""
        await self._executor.execute(PayRefund(refund_id=refund_id))
