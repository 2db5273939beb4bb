"""Paying out a refund of Collections: the intent, once for each refund; from then on the payout drives itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from penpay.application.payments.disbursing import ACTOR, new_payout
from penpay.application.payments.payout_subjects import RefundBooks
from penpay.application.payments.policy import PaymentsPolicy
from penpay.application.payments.rows import MPESA_DISBURSEMENTS, OPEN_PAYOUTS
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.domain.payments.evidence import MpesaDisbursement, Purpose
from penpay.domain.shared.ids import TransactionId


@dataclass(frozen=True, slots=True, kw_only=True)
class PayRefund:
    """Two persons have agreed to a refund: have M-Pesa pay it out."""

    refund_id: UUID


class PayRefundHandler:
    def __init__(self, policy: PaymentsPolicy, refunds: RefundBooks) -> None:
        self._policy = policy
        self._refunds = refunds

    async def footprint(self, commands: Sequence[PayRefund], find: Find) -> Footprint:
        refunds = {command.refund_id for command in commands}
        await find(OPEN_PAYOUTS, refunds)
        return await self._refunds.footprint(refunds, find)

    def handle(self, command: PayRefund, work: Work) -> MpesaDisbursement | None:
        """Record the intent; None where it has been, or nothing is owed any more.

        Its money is held since the approval, so nothing is posted. Where two processes come to it at once, the unique
        `open_outflow_of` lets one in. Raises WithdrawalsUnavailable without a payout account.
        """
        due = self._refunds.due(work, command.refund_id)
        if due is None or work.found(OPEN_PAYOUTS, command.refund_id) is not None:
            return None
        # To evidence, what it is for is an id; only transactions are looked up by theirs.
        subject = TransactionId(command.refund_id)
        payout = new_payout(
            work, Purpose.COLLECTIONS_REFUND, subject, amount=due.amount, phone=due.phone, policy=self._policy
        )
        work.add(MPESA_DISBURSEMENTS, payout.id, payout)
        work.audit(ACTOR, "mpesa_disbursement.intended", "mpesa_disbursement", payout.id, purpose=payout.purpose.value)
        return payout
