"""Refunds: proposed by one person, approved by another, paid out by whoever disburses, and closed by the outcome.

From approval on the money stands ready in 2400. `RefundPaid` and `RefundFailed` are what M-Pesa says in the end; see
`refund_outcomes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penpay.application.collections.naming import customer_ids, named_customer
from penpay.application.collections.receiving import known_payment, payment_of, store_payment
from penpay.application.collections.rows import (
    ALLOCATIONS,
    CUSTOMERS,
    HELD_BY_PAYMENT,
    HELD_BY_REFUND,
    HELD_UNVERIFIED,
    KNOWN_PAYMENTS,
    KNOWN_REFUNDS,
    OUTFLOWS,
    PAYMENTS,
    REFERENTS,
    REFUNDS,
)
from penpay.application.collections.settling import give_back, settle
from penpay.application.collections.taking_back import reverse_row
from penpay.application.collections.using import customer_of
from penpay.application.collections.views import refund_view
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Stale, Work
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.allocation import Allocation, AllocationId, RefundId, Target
from penpay.domain.collections.customer import Customer
from penpay.domain.collections.errors import CreditTooSmall, PaymentUnverified, RefundNotFound, SuspenseTooSmall
from penpay.domain.collections.outflow import OutflowUse
from penpay.domain.collections.payment import Payment, PaymentStatus, Verification
from penpay.domain.collections.reference import SuspenseReason, fold
from penpay.domain.collections.refund import Refund, RefundState
from penpay.domain.shared.errors import InvalidAmount, InvalidRequest
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber

_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeRefund:
    """Give money back to somebody: out of a payment's suspense or out of a customer's credit, one of the two."""

    receipt: str | None = None
    """Of the payment, or the text of its id while it has none."""
    customer_number: str | None = None
    amount: Money
    """Whole shillings: M-Pesa pays out no cents."""
    phone: PhoneNumber
    reason: str
    by: str

    def __post_init__(self) -> None:
        """Raises InvalidRequest and InvalidAmount."""
        if (self.receipt is None) == (self.customer_number is None):
            raise InvalidRequest("A refund comes out of one payment or out of one customer's credit.")
        if not self.reason.strip() or len(self.reason) > _LONGEST_REASON:
            raise InvalidRequest(f"A reason has 1 to {_LONGEST_REASON} characters.", fields=["reason"])
        if not self.amount.require_positive().is_whole():
            raise InvalidAmount("M-Pesa pays out whole shillings only.")


class ProposeRefundHandler:
    async def footprint(self, commands: Sequence[ProposeRefund], find: Find) -> Footprint:
        known = await find(KNOWN_PAYMENTS, {command.receipt for command in commands if command.receipt})
        numbers = {fold(command.customer_number) for command in commands if command.customer_number}
        found = await find(REFERENTS, numbers)
        footprint = Footprint().add(PAYMENTS, *(payment.key for payment in known.values()))
        return footprint.add(CUSTOMERS, *customer_ids(found))

    def handle(self, command: ProposeRefund, work: Work) -> Answer:
        """Keep it for a second person; nothing moves. The answer is `refund_view`.

        Raises PaymentNotFound, CustomerNotFound, PaymentReversed, SuspenseTooSmall and CreditTooSmall.
        """
        payment = customer = None
        if command.receipt is not None:
            known = work.found(KNOWN_PAYMENTS, command.receipt)
            payment = payment_of(work, None if known is None else known.key)
            payment.require_kept()
            if command.amount > payment.suspense:
                raise SuspenseTooSmall(mpesa_receipt_number=payment.receipt, suspense_cents=payment.suspense.cents)
        else:
            customer = customer_of(work, named_customer(work, command.customer_number or ""))
            if command.amount > customer.credit:
                raise CreditTooSmall(customer_id=customer.number, credit_cents=customer.credit.cents)
        refund = Refund(
            id=RefundId(work.ids.new()),
            payment_id=payment.id if payment else None,
            customer_id=customer.id if customer else None,
            amount=command.amount,
            state=RefundState.PROPOSED,
            reason=command.reason,
            phone=command.phone,
            proposed_by=command.by,
            proposed_at=work.now,
        )
        work.add(REFUNDS, refund.id, refund)
        work.record(refund.event("RefundProposed"))
        work.audit(command.by, "refund.proposed", "refund", refund.id, amount_cents=refund.amount.cents)
        return refund_view(refund, payment.receipt if payment else None, customer.number if customer else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideRefund:
    """A second person's word, or the first one's taking it back."""

    refund_id: RefundId
    approve: bool
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundPaid:
    """M-Pesa has paid a refund out."""

    refund_id: RefundId
    receipt: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundFailed:
    """M-Pesa has said that nothing was paid out; anything but its definite word is no failure."""

    refund_id: RefundId
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRefuted:
    """Two persons have seen that a refund booked as paid out was not."""

    refund_id: RefundId
    code: str


RefundStep = DecideRefund | RefundPaid | RefundFailed | RefundRefuted


class RefundStepHandler:
    """What happens to a refund that was proposed."""

    async def footprint(self, commands: Sequence[RefundStep], find: Find) -> Footprint:
        footprint = postings.outflows_footprint(postings.books_footprint(Footprint()))
        paid = [command for command in commands if isinstance(command, RefundPaid)]
        footprint.add(OUTFLOWS, *(command.receipt for command in paid if command.receipt))
        ids = {command.refund_id for command in commands}
        refunds = (await find(KNOWN_REFUNDS, ids)).values()
        await find(HELD_BY_REFUND, {c.refund_id for c in commands if isinstance(c, RefundFailed | RefundRefuted)})
        refuted = {command.refund_id for command in commands if isinstance(command, RefundRefuted)}
        postings.refund_refuted_footprint(footprint, refuted)
        footprint.add(OUTFLOWS, *(one.receipt for one in refunds if one.id in refuted and one.receipt is not None))
        known = await find(KNOWN_PAYMENTS, {str(one.payment_id) for one in refunds if one.payment_id is not None})
        keys = {payment.key for payment in known.values()}
        await find(HELD_BY_PAYMENT, keys)
        await find(HELD_UNVERIFIED, {one.customer_id for one in refunds if one.customer_id is not None})
        footprint.add(REFUNDS, *ids).add(PAYMENTS, *keys)
        return footprint.add(CUSTOMERS, *(one.customer_id for one in refunds if one.customer_id is not None))

    def handle(self, command: RefundStep, work: Work) -> Answer:
        """Do it; the answer is `refund_view`. An outcome told again changes nothing.

        Raises RefundNotFound, RefundDecided, OwnApproval, and for an approval what forbids it now: PaymentReversed,
        SuspenseTooSmall, CreditTooSmall, or PaymentUnverified where only a message, which anybody may have made, tells
        of the money.
        """
        refund = work.get(REFUNDS, command.refund_id)
        if refund is None:
            raise RefundNotFound
        if isinstance(command, DecideRefund):
            after = self._decide(command, work, refund)
        elif isinstance(command, RefundPaid):
            after = self._paid(command, work, refund)
        elif isinstance(command, RefundFailed):
            after = self._failed(command, work, refund)
        else:
            after = self._refuted(command, work, refund)
        work.put(REFUNDS, after.id, after)
        return refund_view(after, self._receipt(work, after), self._customer(work, after))

    def _decide(self, command: DecideRefund, work: Work, refund: Refund) -> Refund:
        after = refund.decided(command.by, work.now, approve=command.approve)
        if command.approve:
            _hold(work, after, command.by)
        name = "RefundApproved" if command.approve else "RefundRejected"
        work.record(after.event(name, purpose="COLLECTIONS_REFUND"))
        work.audit(command.by, f"refund.{after.state.value.lower()}", "refund", after.id)
        return after

    @staticmethod
    def _paid(command: RefundPaid, work: Work, refund: Refund) -> Refund:
        if refund.state is RefundState.PAID:
            return refund
        after = refund.paid(command.receipt, work.now)
        postings.refund_paid(work, refund=refund.id, amount=refund.amount)
        if command.receipt is not None:
            _settle_outflow(work, command.receipt, refund)
        work.record(after.event("RefundPaid"))
        work.audit("mpesa", "refund.paid", "refund", refund.id)
        return after

    @staticmethod
    def _failed(command: RefundFailed, work: Work, refund: Refund) -> Refund:
        if refund.state is RefundState.FAILED:
            return refund
        after = refund.failed(command.code, work.now)
        _release(work, after)
        work.record(after.event("RefundFailed", code=command.code))
        work.audit("mpesa", "refund.failed", "refund", refund.id, code=command.code)
        return after

    @staticmethod
    def _refuted(command: RefundRefuted, work: Work, refund: Refund) -> Refund:
        after = refund.refuted(command.code, work.now)
        postings.refund_refuted(work, refund=refund.id)
        if refund.receipt is not None:
            give_back(work, refund.receipt, by="mpesa")
        _release(work, after)
        work.record(after.event("RefundFailed", code=command.code))
        work.audit("mpesa", "refund.refuted", "refund", refund.id, code=command.code)
        return after

    @staticmethod
    def _receipt(work: Work, refund: Refund) -> str | None:
        return None if refund.payment_id is None else known_payment(work, refund.payment_id).receipt

    @staticmethod
    def _customer(work: Work, refund: Refund) -> str | None:
        return None if refund.customer_id is None else customer_of(work, refund.customer_id).number


def _settle_outflow(work: Work, receipt: str, refund: Refund) -> None:
    """Keep under which receipt it left. What M-Pesa has said is not refused for what a statement told before it."""
    outflow = work.get(OUTFLOWS, receipt)
    if outflow is None or (outflow.amount == refund.amount and not outflow.is_settled):
        settle(work, receipt, refund.amount, OutflowUse.REFUND, at=work.now, by="mpesa")


def _hold(work: Work, refund: Refund, by: str) -> None:
    """Take the money out of suspense or credit, so that it can be used for nothing else."""
    account = postings.SUSPENSE
    if refund.payment_id is not None:
        payment = known_payment(work, refund.payment_id)
        _require_confirmed(payment)
        is_all = _goes_back_whole(work, payment, refund)
        after = payment.in_suspense(payment.suspense - refund.amount, payment.suspense_reason, is_refund=is_all)
        store_payment(work, after)
        work.record(after.event("PaymentRefunding", refund_id=str(refund.id)))
    elif refund.customer_id is not None:
        account = postings.CUSTOMER_CREDIT
        customer = customer_of(work, refund.customer_id)
        _require_confirmed_credit(work, customer, refund.amount)
        work.put(CUSTOMERS, customer.id, customer.moved(credit=-refund.amount.cents))
    journal_id = postings.refund_intended(work, refund=refund.id, amount=refund.amount, from_=account)
    work.append(
        ALLOCATIONS,
        Allocation(
            id=AllocationId(work.ids.new()),
            payment_id=refund.payment_id,
            customer_id=refund.customer_id,
            refund_id=refund.id,
            target=Target.REFUND,
            amount=refund.amount,
            journal_id=journal_id,
            created_at=work.now,
            created_by=by,
        ),
    )


def _require_confirmed(payment: Payment) -> None:
    """Raises PaymentUnverified while nothing but a message, which anybody may have made, tells of it."""
    if payment.verification is Verification.UNVERIFIED:
        raise PaymentUnverified(mpesa_receipt_number=payment.receipt)


def _require_confirmed_credit(work: Work, customer: Customer, amount: Money) -> None:
    """What unverified payments brought her stays, whatever it was used for since. Raises PaymentUnverified."""
    held = work.found(HELD_UNVERIFIED, customer.id)
    if held is None or held.version != customer.version:
        raise Stale(CUSTOMERS, [customer.id])
    unverified = sum((row.amount for row in held.allocations), Money.zero(amount.currency))
    if amount <= customer.credit < amount + unverified:
        raise PaymentUnverified(customer_id=customer.number, unverified_cents=unverified.cents)


def _goes_back_whole(work: Work, payment: Payment, refund: Refund) -> bool:
    """Whether nothing of the payment was used for anything but refunds, once this one is taken out of it."""
    if refund.amount != payment.suspense:
        return False
    held = work.found(HELD_BY_PAYMENT, payment.key)
    if held is None or held.version != payment.version:
        raise Stale(PAYMENTS, [payment.key])
    return all(row.target is Target.REFUND for row in held.allocations)


def _release(work: Work, refund: Refund) -> None:
    """Put the money back where it was; where M-Pesa took the payment back meanwhile, less is to be recovered."""
    account = postings.SUSPENSE
    if refund.payment_id is not None:
        payment = known_payment(work, refund.payment_id)
        if payment.status is PaymentStatus.REVERSED:
            account = postings.RECOVERIES
        else:
            after = payment.in_suspense(payment.suspense + refund.amount, SuspenseReason.REFUND_FAILED)
            store_payment(work, after)
            work.record(after.event("PaymentUnallocated", unallocated_cents=refund.amount.cents))
    elif refund.customer_id is not None:
        account = postings.CUSTOMER_CREDIT
        customer = customer_of(work, refund.customer_id)
        work.put(CUSTOMERS, customer.id, customer.moved(credit=refund.amount.cents))
    journal_id = postings.refund_failed(work, refund=refund.id, amount=refund.amount, to=account)
    allocation = work.found(HELD_BY_REFUND, refund.id)
    if allocation is None:
        raise Stale(REFUNDS, [refund.id])
    reverse_row(work, allocation, allocation.amount, journal_id=journal_id, by="mpesa")
