"""What payouts need of refunds: which are due, and letting each end as its payout did, in the same commit."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from penpay.application.collections.refunding import (
    RefundFailed,
    RefundPaid,
    RefundRefuted,
    RefundStep,
    RefundStepHandler,
)
from penpay.application.collections.rows import REFUNDS
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.allocation import RefundId
from penpay.domain.collections.refund import Refund, RefundState
from penpay.domain.shared.money import Money


class RefundOutcomes:
    """Refunds as their payouts see them."""

    def __init__(self) -> None:
        self._steps = RefundStepHandler()

    async def footprint(self, refunds: Collection[UUID], find: Find) -> Footprint:
        """Every row that any end of these refunds can touch."""
        ids = [RefundId(one) for one in refunds]
        either: list[RefundStep] = [RefundPaid(refund_id=one, receipt=None) for one in ids]
        either += [RefundFailed(refund_id=one, code="") for one in ids]
        either += [RefundRefuted(refund_id=one, code="") for one in ids]
        return postings.charges_footprint(await self._steps.footprint(either, find), ())

    def due(self, work: Work, refund_id: UUID) -> Refund | None:
        """The refund while it is approved and has not ended."""
        refund = work.get(REFUNDS, RefundId(refund_id))
        return refund if refund is not None and refund.state is RefundState.APPROVED else None

    def paid(self, work: Work, refund_id: UUID, receipt: str | None) -> None:
        """It is PAID; its money has left."""
        self._steps.handle(RefundPaid(refund_id=RefundId(refund_id), receipt=receipt), work)

    def failed(self, work: Work, refund_id: UUID, code: str) -> None:
        """It is FAILED; its money is in suspense, or the customer's credit, again."""
        self._steps.handle(RefundFailed(refund_id=RefundId(refund_id), code=code), work)

    def refuted(self, work: Work, refund_id: UUID, code: str) -> None:
        """It was PAID and is FAILED; its money is where it was before the refund. Raises RefundDecided unless PAID."""
        self._steps.handle(RefundRefuted(refund_id=RefundId(refund_id), code=code), work)

    def charged(self, work: Work, reference: str, amount: Money) -> None:
        """Book the charge under the payout's receipt, as an imported statement would: whichever comes first, once.

        Raises NotLocked the first time, for the receipt is known only when M-Pesa has told it.
        """
        if postings.charge_of(work, reference) is None:
            postings.charge_booked(work, receipt=reference, amount=amount, happened_at=work.now)
