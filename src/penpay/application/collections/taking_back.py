"""Taking money back from what it was used for: the row that says so is reversed, and the money is free again.

What was looked up beforehand is compared with what is locked; a command that came too late looks again (`Stale`).
"""

from __future__ import annotations

from uuid import UUID

from penpay.application.collections.rows import (
    ALLOCATIONS,
    CUSTOMERS,
    HELD_BY_INVOICE,
    INVOICES,
    Held,
)
from penpay.application.collections.using import customer_facts, customer_of, invoice_of
from penpay.application.shared.unit_of_work import Footprint, Stale, Work
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.allocation import Allocation, AllocationId, Target
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.errors import AllocationOver
from penpay.domain.collections.invoice import Invoice, InvoiceId
from penpay.domain.shared.money import Money


def held_footprint(footprint: Footprint, held: Held) -> Footprint:
    """The customers and invoices of allocations."""
    for allocation in held.allocations:
        if allocation.invoice_id is not None:
            footprint.add(INVOICES, allocation.invoice_id)
        if allocation.customer_id is not None:
            footprint.add(CUSTOMERS, allocation.customer_id)
    return footprint


def fresh_invoice(work: Work, invoice_id: InvoiceId) -> tuple[Invoice, tuple[Allocation, ...]]:
    """An invoice with all that pays it now. Raises InvoiceNotFound, and Stale when that has changed meanwhile."""
    invoice, held = invoice_of(work, invoice_id), work.found(HELD_BY_INVOICE, invoice_id)
    if held is None or held.version != invoice.version:
        raise Stale(INVOICES, [invoice_id])
    return invoice, held.allocations


def require_fresh_owners(work: Work, held: Held) -> None:
    """Raises Stale when anything of a customer named in them has changed since they were looked up."""
    stale = [id_ for id_, version in held.customer_versions if customer_of(work, id_).version != version]
    if stale:
        raise Stale(CUSTOMERS, stale)


def take_back(work: Work, allocation: Allocation, part: Money, *, to: Target | None, by: str) -> None:
    """Take a part of what pays an invoice, or all of a credit, back: into credit, or (None) into suspense.

    What came out of the customer's credit goes back there. The caller keeps the payment when it goes to suspense.
    Raises AllocationOver for what is used otherwise, and CreditTooSmall when credit is used up.
    """
    customer_id = allocation.customer_id
    if customer_id is None or allocation.target not in {Target.INVOICE, Target.CREDIT}:
        raise AllocationOver
    pooled = allocation.payment_id is None
    if pooled and to is None:
        raise AllocationOver("Credit is no payment that could be in suspense.")
    is_credit = allocation.target is Target.CREDIT
    if is_credit and to is Target.CREDIT:
        raise AllocationOver("It is the customer's credit already.")
    reopen(work, allocation, part, credited=to is Target.CREDIT)
    id_ = AllocationId(work.ids.new())
    journal_id = postings.allocation_moved(
        work,
        allocation=id_,
        amount=part,
        from_=postings.CUSTOMER_CREDIT if is_credit else postings.RECEIVABLE,
        to=postings.SUSPENSE if to is None else postings.CUSTOMER_CREDIT,
    )
    reverse_row(work, allocation, part, id_=id_, journal_id=journal_id, by=by)
    if to is Target.CREDIT and not pooled:
        work.append(
            ALLOCATIONS,
            Allocation(
                id=AllocationId(work.ids.new()),
                payment_id=allocation.payment_id,
                customer_id=customer_id,
                target=Target.CREDIT,
                amount=part,
                journal_id=journal_id,
                created_at=work.now,
                created_by=by,
            ),
        )


def reopen(work: Work, allocation: Allocation, part: Money, *, credited: bool) -> None:
    """Undo what an allocation did to its invoice or its customer's credit; `credited`: it becomes credit instead."""
    customer_id: CustomerId | None = allocation.customer_id
    if customer_id is None:
        raise AllocationOver
    customer = customer_of(work, customer_id)
    gained = part.cents if credited else 0
    if allocation.invoice_id is None:
        work.put(CUSTOMERS, customer_id, customer.moved(credit=gained - part.cents))
        return
    invoice = invoice_of(work, allocation.invoice_id)
    was_open = invoice.is_open
    after = invoice.reopened(part)
    work.put(INVOICES, after.id, after)
    work.put(CUSTOMERS, customer_id, customer.moved(receivable=part.cents, credit=gained, reopened=not was_open))
    work.record(after.event("PaymentUnallocated", amount_cents=part.cents, **customer_facts(work, customer_id)))


def reverse_row(
    work: Work, allocation: Allocation, part: Money, *, journal_id: UUID, by: str, id_: AllocationId | None = None
) -> None:
    """Add the row that reverses an allocation, and one for what of it goes on counting."""
    work.append(
        ALLOCATIONS,
        Allocation(
            id=id_ or AllocationId(work.ids.new()),
            payment_id=allocation.payment_id,
            customer_id=allocation.customer_id,
            invoice_id=allocation.invoice_id,
            sale_id=allocation.sale_id,
            refund_id=allocation.refund_id,
            target=allocation.target,
            amount=allocation.amount,
            reverses_id=allocation.id,
            journal_id=journal_id,
            created_at=work.now,
            created_by=by,
        ),
    )
    rest = allocation.amount - part
    if rest.cents:
        work.append(
            ALLOCATIONS,
            Allocation(
                id=AllocationId(work.ids.new()),
                payment_id=allocation.payment_id,
                customer_id=allocation.customer_id,
                invoice_id=allocation.invoice_id,
                target=allocation.target,
                amount=rest,
                journal_id=journal_id,
                created_at=work.now,
                created_by=by,
            ),
        )
