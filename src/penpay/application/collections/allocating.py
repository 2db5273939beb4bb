"""Allocating by hand: out of suspense, back again, and from one use to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from penpay.application.collections.receiving import known_payment, payment_of, store_payment
from penpay.application.collections.rows import HELD_BY_ID, KNOWN_PAYMENTS, PAYMENTS, REFERENTS
from penpay.application.collections.taking_back import held_footprint, require_fresh_owners, take_back
from penpay.application.collections.using import (
    customer_facts,
    destinations_footprint,
    invoice_of,
    plan_for,
    record_uses,
    sale_of,
)
from penpay.application.collections.views import payment_view
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.allocation import Allocation, AllocationId, SaleId, Target
from penpay.domain.collections.errors import (
    AllocationNotFound,
    AllocationOver,
    InvoiceVoid,
    SuspenseTooSmall,
    UnknownReference,
)
from penpay.domain.collections.invoice import InvoiceId
from penpay.domain.collections.payment import Payment
from penpay.domain.collections.reference import Candidate, Referent, SuspenseReason, choose, forms
from penpay.domain.shared.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocatePayment:
    """Somebody has found what money in suspense is for: an invoice, a customer or a sale at the till."""

    receipt: str
    """Or the text of the payment's id while it has none."""
    reference: str
    """The number of what it is for, matched as forgivingly as a payer's."""
    amount: Money | None = None
    """None: all that is in suspense."""
    by: str


class AllocatePaymentHandler:
    async def footprint(self, commands: Sequence[AllocatePayment], find: Find) -> Footprint:
        footprint = postings.books_footprint(Footprint())
        known = await find(KNOWN_PAYMENTS, {command.receipt for command in commands})
        footprint.add(PAYMENTS, *(payment.key for payment in known.values()))
        wanted: dict[Candidate, int] = {}
        referents = await find(REFERENTS, {form for command in commands for form in forms(command.reference)})
        for command in commands:
            payment = known.get(command.receipt)
            chosen = choose(command.reference, lambda form: referents.get(form, ()))
            if payment is not None and isinstance(chosen, Candidate):
                cents = payment.suspense.cents if command.amount is None else command.amount.cents
                wanted[chosen] = wanted.get(chosen, 0) + cents
        return await destinations_footprint(footprint, wanted, find)

    def handle(self, command: AllocatePayment, work: Work) -> Answer:
        """Use it; the answer is `payment_view`. Of more than a sale without a customer costs, the rest stays.

        Raises PaymentNotFound, PaymentReversed, SuspenseTooSmall, UnknownReference, InvoiceVoid and SaleNotPending.
        """
        known = work.found(KNOWN_PAYMENTS, command.receipt)
        payment = payment_of(work, None if known is None else known.key)
        payment.require_kept()
        amount = payment.suspense if command.amount is None else command.amount.require_positive()
        if not 0 < amount.cents <= payment.suspense.cents:
            raise SuspenseTooSmall(mpesa_receipt_number=payment.receipt, suspense_cents=payment.suspense.cents)
        after = use_suspense(work, payment, chosen_by_hand(work, command.reference), amount, command.by)
        work.audit(command.by, "payment.allocated", "payment", payment.id, amount_cents=amount.cents)
        return payment_view(after, _customer_number(work, after))


def chosen_by_hand(work: Work, reference: str) -> Candidate:
    """What a reference names; raises UnknownReference."""
    chosen = choose(reference, lambda form: work.found(REFERENTS, form) or ())
    if isinstance(chosen, SuspenseReason):
        raise UnknownReference(reason=chosen.value)
    return chosen


def use_suspense(work: Work, payment: Payment, chosen: Candidate, amount: Money, by: str) -> Payment:
    """Use an amount of a payment's suspense; the payment as it is then. Raises InvoiceVoid and SaleNotPending."""
    if chosen.referent is Referent.INVOICE:
        invoice = invoice_of(work, InvoiceId(chosen.id))
        if invoice.is_void:
            raise InvoiceVoid(invoice_id=invoice.number)
    if chosen.referent is Referent.SALE:
        sale = sale_of(work, SaleId(chosen.id))
        sale.require_pending()
        if sale.customer_id is None:
            amount = min(amount, sale.to_pay)
    plan = plan_for(work, chosen, amount, payment.id, by)
    rest = payment.suspense - amount
    after = replace(
        payment.in_suspense(rest, payment.suspense_reason), customer_id=payment.customer_id or plan.customer_id
    )
    store_payment(work, after)
    journal_id = postings.suspense_allocated(work, allocation=work.ids.new(), amount=amount, uses=plan.posted)
    work.record(after.event("SuspenseAllocated", used_cents=amount.cents, **customer_facts(work, plan.customer_id)))
    record_uses(work, plan, after, journal_id, by)
    return after


def _customer_number(work: Work, payment: Payment) -> str | None:
    facts = customer_facts(work, payment.customer_id) if payment.customer_id else {}
    number = facts.get("customer_id")
    return None if number is None else str(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unallocate:
    """Take back what a payment, or credit, was used for."""

    allocation_id: AllocationId
    to_suspense: bool = False
    """Into suspense, to be used for somebody else or refunded; otherwise it is the customer's credit."""
    by: str


class UnallocateHandler:
    async def footprint(self, commands: Sequence[Unallocate], find: Find) -> Footprint:
        return await _held_footprint({command.allocation_id for command in commands}, find)

    def handle(self, command: Unallocate, work: Work) -> Answer:
        """Reverse the row; the answer names it and the amount.

        Raises AllocationNotFound for one that does not count any more, AllocationOver for a sale, a refund or credit
        that would become credit, and CreditTooSmall when credit is used up.
        """
        allocation = _fresh(work, command.allocation_id)
        if command.to_suspense:
            _to_suspense(work, allocation, command.by)
        else:
            take_back(work, allocation, allocation.amount, to=Target.CREDIT, by=command.by)
        amount = allocation.amount.cents
        work.audit(command.by, "allocation.reversed", "allocation", allocation.id, amount_cents=amount)
        return {"allocation_id": str(allocation.id), "amount_cents": amount}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reallocate:
    """What a payment was used for was wrong: use it for something else."""

    allocation_id: AllocationId
    reference: str
    """The number of what it is for."""
    by: str


class ReallocateHandler:
    async def footprint(self, commands: Sequence[Reallocate], find: Find) -> Footprint:
        footprint = await _held_footprint({command.allocation_id for command in commands}, find)
        held = await find(HELD_BY_ID, {command.allocation_id for command in commands})
        wanted: dict[Candidate, int] = {}
        referents = await find(REFERENTS, {form for command in commands for form in forms(command.reference)})
        for command in commands:
            chosen = choose(command.reference, lambda form: referents.get(form, ()))
            if command.allocation_id in held and isinstance(chosen, Candidate):
                (allocation,) = held[command.allocation_id].allocations
                wanted[chosen] = wanted.get(chosen, 0) + allocation.amount.cents
        return await destinations_footprint(footprint, wanted, find)

    def handle(self, command: Reallocate, work: Work) -> Answer:
        """Reverse the row and use the money anew; the answer is `payment_view`.

        For the customer whose it was before it becomes her credit, since she names no invoice. Raises
        AllocationNotFound, AllocationOver for what came out of credit, UnknownReference, InvoiceVoid, SaleNotPending.
        """
        allocation = _fresh(work, command.allocation_id)
        chosen = chosen_by_hand(work, command.reference)
        if allocation.payment_id is None:
            raise AllocationOver("What credit was applied to is taken back into credit, and applied anew.")
        if chosen.referent is Referent.CUSTOMER and chosen.id == allocation.customer_id:
            take_back(work, allocation, allocation.amount, to=Target.CREDIT, by=command.by)
            payment = known_payment(work, allocation.payment_id)
        else:
            payment = _to_suspense(work, allocation, command.by)
            payment = use_suspense(work, payment, chosen, allocation.amount, command.by)
        work.audit(command.by, "payment.reallocated", "payment", payment.id, amount_cents=allocation.amount.cents)
        return payment_view(payment, _customer_number(work, payment))


async def _held_footprint(ids: set[AllocationId], find: Find) -> Footprint:
    footprint = postings.books_footprint(Footprint())
    found = await find(HELD_BY_ID, ids)
    for held in found.values():
        held_footprint(footprint, held)
    paid = {str(one.payment_id) for held in found.values() for one in held.allocations if one.payment_id is not None}
    known = await find(KNOWN_PAYMENTS, paid)
    return footprint.add(PAYMENTS, *(payment.key for payment in known.values()))


def _fresh(work: Work, id_: AllocationId) -> Allocation:
    """An allocation that counts. Raises AllocationNotFound, and Stale when its customer has changed meanwhile."""
    held = work.found(HELD_BY_ID, id_)
    if held is None:
        raise AllocationNotFound
    require_fresh_owners(work, held)
    (allocation,) = held.allocations
    return allocation


def _to_suspense(work: Work, allocation: Allocation, by: str) -> Payment:
    """Take all of an allocation back into its payment's suspense."""
    take_back(work, allocation, allocation.amount, to=None, by=by)
    if allocation.payment_id is None:
        raise AllocationOver
    payment = known_payment(work, allocation.payment_id)
    after = payment.in_suspense(payment.suspense + allocation.amount, SuspenseReason.UNALLOCATED)
    store_payment(work, after)
    work.record(after.event("PaymentUnallocated", unallocated_cents=allocation.amount.cents))
    return after
