"""Outflows that the books know by another name: a refund, a payout, or a payment that was taken back.

Whoever books such money says so here, in the same commit, under the receipt of the payout or of the reversal: then a
statement that tells of it later changes nothing, and what a statement has told of it before is undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from penpay.application.collections.rows import OUTFLOWS
from penpay.application.shared.unit_of_work import Work
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.outflow import Outflow, OutflowId, OutflowUse
from penpay.domain.shared.money import Money

OUTFLOW_ACCOUNTS: Final[Mapping[OutflowUse, str]] = MappingProxyType(
    {
        OutflowUse.UNEXPLAINED: postings.OUTFLOWS,
        OutflowUse.BANK: postings.BANK,
        OutflowUse.CHARGE: postings.CHARGES,
        OutflowUse.EXPENSE: postings.OTHER_EXPENSES,
        OutflowUse.OWNER: postings.DRAWINGS,
    }
)
"""Where money stands that left for it; what is not here is booked by another name."""


def settle(
    work: Work,
    receipt: str,
    amount: Money,
    use: OutflowUse,
    *,
    at: datetime,
    by: str,
    linked_receipt: str | None = None,
) -> None:
    """Keep that this receipt is a refund, a payout or a reversal, and undo what was booked for it before.

    The footprint names the receipt and `postings.outflows_footprint`. Raises OutflowDiffers when it was booked with
    another amount, and OutflowSettled when it is known as something else.
    """
    booked = work.get(OUTFLOWS, receipt)
    if booked is None:
        outflow = Outflow(
            id=OutflowId(work.ids.new()),
            receipt=receipt,
            amount=amount,
            at=at,
            use=use,
            linked_receipt=linked_receipt,
            recorded_by=by,
            recorded_at=work.now,
        )
        work.put(OUTFLOWS, receipt, outflow)
        return
    after = booked.same(amount).settled(use, linked_receipt)
    work.put(OUTFLOWS, receipt, after)
    postings.outflow_settled(work, receipt=receipt, amount=amount, from_=OUTFLOW_ACCOUNTS[booked.use])
    work.record(after.event("OutflowSettled", was=booked.use.value))
    work.audit(by, "outflow.settled", "outflow", after.id, use=use.value, was=booked.use.value)


def give_back(work: Work, receipt: str, *, by: str) -> None:
    """Keep that the refund taken for this receipt was not paid under it.

    What no statement has told is forgotten: M-Pesa may never have used the receipt, and if it has, a statement tells
    what for. What one has told did leave, and waits in 1260 until somebody explains it. The footprint is that of
    `settle`.
    """
    booked = work.get(OUTFLOWS, receipt)
    if booked is None or booked.use is not OutflowUse.REFUND:
        return
    if booked.version == 1:
        work.put(OUTFLOWS, receipt, None)
    else:
        after = booked.reopened()
        work.put(OUTFLOWS, receipt, after)
        reference = f"{receipt}:{after.version}"
        postings.outflow_explained(
            work, reference=reference, amount=after.amount, from_=postings.MPESA_CASH, to=postings.OUTFLOWS
        )
        work.record(after.event("OutflowReopened"))
    work.audit(by, "outflow.given_back", "outflow", booked.id, receipt=receipt)
