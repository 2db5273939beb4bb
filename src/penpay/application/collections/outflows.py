"""Money that left the PayBill: each row of a statement that tells of some is accounted for once.

What the books know already, by its receipt, changes nothing. A reversal undoes the payment that it names. Everything
else is booked, and what nobody can explain waits in 1260 until somebody does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from penpay.application.collections.reversing import ReversedBy, ReversePayment, ReversePaymentHandler
from penpay.application.collections.rows import KNOWN_PAYMENTS, OUR_OUTFLOWS, OUTFLOWS, PAYMENTS, REVERSED_UNDER
from penpay.application.collections.settling import OUTFLOW_ACCOUNTS, settle
from penpay.application.collections.views import outflow_view
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.errors import OutflowNotFound
from penpay.domain.collections.outflow import BY_PEOPLE, Outflow, OutflowId, OutflowReason, OutflowUse
from penpay.domain.collections.payment import Payment, PaymentStatus, check_receipt
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Money

LONGEST_TOLD: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOutflow:
    """A row of M-Pesa's own records tells that money has left our account."""

    receipt: str
    amount: Money
    """KES, above zero."""
    at: datetime | None
    """None where that is not told."""
    is_reversal: bool = False
    """Whether a payment was taken back."""
    to_bank: bool = False
    """Whether it went to the bank account of the business."""
    linked_receipt: str | None = None
    """Of a reversal: the payment, where it is named."""
    told: str = ""
    """What the record says of it; cut off after 200 characters."""
    by: str

    def __post_init__(self) -> None:
        """Raises InvalidReceipt and InvalidAmount."""
        check_receipt(self.receipt)
        self.amount.require_positive()


@dataclass(frozen=True, slots=True)
class OutflowBooked:
    """What became of it."""

    use: OutflowUse
    is_new: bool
    """Whether the books have changed by it; False for what they knew."""


_Known = tuple[OutflowUse, OutflowReason | None]


class BookOutflowHandler:
    def __init__(self) -> None:
        self._reversing = ReversePaymentHandler()

    async def footprint(self, commands: Sequence[BookOutflow], find: Find) -> Footprint:
        receipts = {command.receipt for command in commands}
        await find(OUR_OUTFLOWS, receipts)
        undone = [_reversal(command) for command in commands if command.is_reversal and command.linked_receipt]
        await find(REVERSED_UNDER, {command.receipt for command in undone})
        footprint = await self._reversing.footprint(undone, find)
        return postings.outflows_footprint(footprint).add(OUTFLOWS, *receipts)

    def handle(self, command: BookOutflow, work: Work) -> OutflowBooked:
        """Account for it once; told again it changes nothing, unless the books have come to know it meanwhile.

        Raises OutflowDiffers when it is known with another amount.
        """
        booked = work.get(OUTFLOWS, command.receipt)
        at = work.now if command.at is None else min(command.at, work.now)
        if booked is not None:
            booked.same(command.amount)
            after = booked if command.at is None else booked.told_at(at)
            if after is not booked:
                work.put(OUTFLOWS, after.receipt, after)
            if booked.is_settled:
                return OutflowBooked(booked.use, is_new=False)
        undone = _named(command, work)
        use, reason = self._taken_back(command, work, undone) if command.is_reversal else self._sent(command, work)
        if use in OUTFLOW_ACCOUNTS:
            if booked is not None:
                return OutflowBooked(booked.use, is_new=False)
            self._book(command, work, use, reason, at)
            return OutflowBooked(use, is_new=True)
        if undone is not None and undone.status is not PaymentStatus.REVERSED:
            self._reversing.handle(replace(_reversal(command), at=at), work)
            return OutflowBooked(use, is_new=True)
        settle(work, command.receipt, command.amount, use, linked_receipt=command.linked_receipt, at=at, by=command.by)
        return OutflowBooked(use, is_new=booked is not None)

    @staticmethod
    def _sent(command: BookOutflow, work: Work) -> _Known:
        ours = work.found(OUR_OUTFLOWS, command.receipt)
        if ours is not None and ours.amount == command.amount:
            return ours.use, None
        if command.to_bank:
            return OutflowUse.BANK, None
        return OutflowUse.UNEXPLAINED, OutflowReason.UNKNOWN_RECEIPT

    @staticmethod
    def _taken_back(command: BookOutflow, work: Work, undone: Payment | None) -> _Known:
        if undone is None:
            return OutflowUse.UNEXPLAINED, OutflowReason.REVERSAL_OF_UNKNOWN
        if undone.amount != command.amount:
            return OutflowUse.UNEXPLAINED, OutflowReason.REVERSAL_OF_PART
        if work.found(REVERSED_UNDER, command.linked_receipt or "") not in {None, command.receipt}:
            return OutflowUse.UNEXPLAINED, OutflowReason.REVERSED_TWICE
        return OutflowUse.REVERSAL, None

    @staticmethod
    def _book(command: BookOutflow, work: Work, use: OutflowUse, reason: OutflowReason | None, at: datetime) -> None:
        outflow = Outflow(
            id=OutflowId(work.ids.new()),
            receipt=command.receipt,
            amount=command.amount,
            at=at,
            use=use,
            reason=reason,
            linked_receipt=command.linked_receipt,
            told=command.told[:LONGEST_TOLD],
            recorded_by=command.by,
            recorded_at=work.now,
        )
        work.put(OUTFLOWS, outflow.receipt, outflow)
        to = OUTFLOW_ACCOUNTS[use]
        postings.outflow_booked(work, receipt=outflow.receipt, amount=outflow.amount, to=to, happened_at=at)
        work.record(outflow.event("OutflowBooked", reason=None if reason is None else reason.value))
        cents = outflow.amount.cents
        work.audit(command.by, "outflow.booked", "outflow", outflow.id, amount_cents=cents, use=use.value)


def _reversal(command: BookOutflow) -> ReversePayment:
    return ReversePayment(
        receipt=command.linked_receipt or "",
        reversed_by=ReversedBy.SAFARICOM,
        reversal_receipt=command.receipt,
        by=command.by,
    )


def _named(command: BookOutflow, work: Work) -> Payment | None:
    """The payment that was taken back, as it is now."""
    known = work.found(KNOWN_PAYMENTS, command.linked_receipt or "") if command.is_reversal else None
    return None if known is None else work.get(PAYMENTS, known.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOutflow:
    """Somebody says what money that left was for."""

    receipt: str
    use: OutflowUse
    by: str

    def __post_init__(self) -> None:
        """Raises InvalidRequest for what people cannot say."""
        if self.use not in BY_PEOPLE:
            known = ", ".join(sorted(use.value for use in BY_PEOPLE))
            raise InvalidRequest(f"An outflow can be explained as one of {known}.", fields=["use"])


class ExplainOutflowHandler:
    async def footprint(self, commands: Sequence[ExplainOutflow], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = postings.outflows_footprint(Footprint())
        return footprint.add(OUTFLOWS, *(command.receipt for command in commands))

    def handle(self, command: ExplainOutflow, work: Work) -> Answer:
        """Move it to the account of what it was; the same again changes nothing. The answer is `outflow_view`.

        Raises OutflowNotFound, and OutflowSettled for a refund, a payout or a reversal.
        """
        outflow = work.get(OUTFLOWS, command.receipt)
        if outflow is None:
            raise OutflowNotFound(mpesa_receipt_number=command.receipt)
        if outflow.use is command.use:
            return outflow_view(outflow)
        after = outflow.explained(command.use, command.by, work.now)
        work.put(OUTFLOWS, after.receipt, after)
        postings.outflow_explained(
            work,
            reference=f"{after.receipt}:{after.version}",
            amount=after.amount,
            from_=OUTFLOW_ACCOUNTS[outflow.use],
            to=OUTFLOW_ACCOUNTS[after.use],
        )
        work.record(after.event("OutflowExplained", was=outflow.use.value))
        work.audit(command.by, "outflow.explained", "outflow", after.id, use=after.use.value, was=outflow.use.value)
        return outflow_view(after)
