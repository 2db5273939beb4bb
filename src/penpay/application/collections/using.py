"""Using money: what a payment, or a part of it out of suspense, does to invoices, credit and sales.

A plan changes the rows at once and says what to post; whoever made it posts one journal for all of it and then
`record_uses` adds the allocations under that journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from penpay.application.collections.rows import (
    ALL_OPEN_INVOICES,
    ALLOCATIONS,
    CUSTOMERS,
    INVOICES,
    OLDEST_INVOICES,
    SALES,
    TENDERS,
    OpenInvoices,
)
from penpay.application.shared.unit_of_work import Find, Footprint, Stale, Work
from penpay.application.wallet import collections_postings as postings
from penpay.application.wallet.collections_postings import Sold, Uses
from penpay.domain.collections.allocation import (
    Allocation,
    AllocationId,
    OpenInvoice,
    PaymentId,
    SaleId,
    Target,
    first_in_first_out,
)
from penpay.domain.collections.customer import Customer, CustomerId
from penpay.domain.collections.errors import CustomerNotFound, InvoiceNotFound, SaleNotFound
from penpay.domain.collections.invoice import Invoice, InvoiceId
from penpay.domain.collections.line import KES, ZERO
from penpay.domain.collections.payment import Payment
from penpay.domain.collections.point_of_sale import Sale, SaleStatus, TenderKind
from penpay.domain.collections.reference import Candidate, Referent, SuspenseReason
from penpay.domain.shared.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One thing that a part of the money is used for."""

    target: Target
    amount: Money
    customer_id: CustomerId | None
    invoice: Invoice | None = None
    """As it is once it is paid."""
    sale: Sale | None = None
    """As it is once it is paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an amount is used for. The uses and what stays in suspense add up to it."""

    uses: tuple[Use, ...]
    posted: Uses
    customer_id: CustomerId | None
    reason: SuspenseReason | None = None
    """Why something of it is in suspense."""

    @property
    def suspense(self) -> Money:
        return self.posted.suspense


def customer_of(work: Work, id_: CustomerId) -> Customer:
    """The customer; raises CustomerNotFound."""
    found = work.get(CUSTOMERS, id_)
    if found is None:
        raise CustomerNotFound
    return found


def invoice_of(work: Work, id_: InvoiceId) -> Invoice:
    """The invoice; raises InvoiceNotFound."""
    found = work.get(INVOICES, id_)
    if found is None:
        raise InvoiceNotFound
    return found


def sale_of(work: Work, id_: SaleId) -> Sale:
    """The sale; raises SaleNotFound."""
    found = work.get(SALES, id_)
    if found is None:
        raise SaleNotFound
    return found


async def destinations_footprint(footprint: Footprint, wanted: Mapping[Candidate, int], find: Find) -> Footprint:
    """Every row that these sums of cents can touch at their destinations."""
    fifo: dict[CustomerId, int] = {}
    for chosen, cents in wanted.items():
        if chosen.customer_id is not None:
            footprint.add(CUSTOMERS, CustomerId(chosen.customer_id))
        if chosen.referent is Referent.INVOICE:
            footprint.add(INVOICES, InvoiceId(chosen.id))
        elif chosen.referent is Referent.SALE:
            footprint.add(SALES, SaleId(chosen.id))
        else:
            fifo[CustomerId(chosen.id)] = cents
    if any(chosen.referent is Referent.SALE for chosen in wanted):
        postings.books_footprint(footprint)
    await fifo_footprint(footprint, fifo, find)
    return footprint


async def fifo_footprint(footprint: Footprint, wanted: Mapping[CustomerId, int], find: Find) -> None:
    """Of each customer the oldest open invoices that these sums of cents pay, and no more."""
    oldest = dict(await find(OLDEST_INVOICES, wanted.keys()))
    short = {id_ for id_, found in oldest.items() if not found.is_all and _open_cents(found.invoices) < wanted[id_]}
    oldest.update(await find(ALL_OPEN_INVOICES, short))
    for id_, found in oldest.items():
        rest = wanted[id_]
        for invoice_id, balance in found.invoices:
            if rest <= 0:
                break
            footprint.add(INVOICES, invoice_id)
            rest -= balance


def _open_cents(invoices: tuple[OpenInvoice, ...]) -> int:
    return sum(one.balance_cents for one in invoices)


def plan_for(work: Work, chosen: Candidate | SuspenseReason, amount: Money, payment_id: PaymentId, by: str) -> Plan:
    """Use an amount of a payment for what was chosen; what nothing was chosen for goes to suspense."""
    if isinstance(chosen, SuspenseReason):
        return in_suspense(amount, chosen)
    if chosen.referent is Referent.INVOICE:
        return pay_invoice(work, InvoiceId(chosen.id), amount)
    if chosen.referent is Referent.CUSTOMER:
        return pay_oldest(work, CustomerId(chosen.id), amount)
    return pay_sale(work, SaleId(chosen.id), amount, payment_id, by)


def in_suspense(amount: Money, reason: SuspenseReason) -> Plan:
    """Nothing is known to use it for."""
    return Plan(uses=(), posted=Uses(suspense=amount), customer_id=None, reason=reason)


def pay_invoice(work: Work, invoice_id: InvoiceId, amount: Money) -> Plan:
    """Pay one invoice; what exceeds it is the customer's credit. A void one is paid by nothing: suspense."""
    invoice = invoice_of(work, invoice_id)
    if invoice.is_void:
        return in_suspense(amount, SuspenseReason.VOID_INVOICE)
    return _settle(work, invoice.customer_id, [OpenInvoice(invoice.id, invoice.balance.cents)], amount)


def pay_oldest(work: Work, customer_id: CustomerId, amount: Money) -> Plan:
    """Pay a customer's open invoices, the oldest first; what is left over is her credit.

    Raises Stale when the invoices that were looked up may not be the oldest, or not all, any more.
    """
    customer = customer_of(work, customer_id)
    found = work.found(ALL_OPEN_INVOICES, customer_id) or work.found(OLDEST_INVOICES, customer_id)
    if found is None or found.reopened_count != customer.reopened_count:
        raise Stale(CUSTOMERS, [customer_id])
    known, rest = [], amount.cents
    for invoice_id, _ in found.invoices:
        if rest <= 0:
            break
        balance = invoice_of(work, invoice_id).balance.cents
        known.append(OpenInvoice(invoice_id, balance))
        rest -= balance
    if rest > 0 and not _is_complete(found, customer):
        raise Stale(CUSTOMERS, [customer_id])
    return _settle(work, customer_id, known, amount)


def _is_complete(found: OpenInvoices, customer: Customer) -> bool:
    return found.is_all and found.issued_count == customer.issued_count


def _settle(work: Work, customer_id: CustomerId, invoices: list[OpenInvoice], amount: Money) -> Plan:
    parts, rest = first_in_first_out(amount, invoices)
    uses = []
    for invoice_id, part in parts:
        invoice = invoice_of(work, invoice_id).settled(part)
        work.put(INVOICES, invoice_id, invoice)
        uses.append(Use(target=Target.INVOICE, amount=part, customer_id=customer_id, invoice=invoice))
    if rest.cents:
        uses.append(Use(target=Target.CREDIT, amount=rest, customer_id=customer_id))
    paid = amount - rest
    customer = customer_of(work, customer_id)
    work.put(CUSTOMERS, customer_id, customer.moved(receivable=-paid.cents, credit=rest.cents))
    return Plan(uses=tuple(uses), posted=Uses(receivable=paid, credit=rest), customer_id=customer_id)


def pay_sale(work: Work, sale_id: SaleId, amount: Money, payment_id: PaymentId, by: str) -> Plan:
    """Take a payment for a sale: it completes the sale, or waits for the rest of the money.

    More than is to pay, and all of it where the sale is over, is the customer's credit or else goes to suspense.
    """
    sale = sale_of(work, sale_id)
    part = min(amount, sale.to_pay) if sale.is_pending else ZERO
    rest = amount - part
    uses: list[Use] = []
    posted = Uses()
    if part.cents:
        earlier = sale.taken
        after, tender = sale.tendered(TenderKind.MPESA, part, work.now, by, payment_id)
        work.put(SALES, sale_id, after)
        work.append(TENDERS, tender)
        uses.append(Use(target=Target.POS, amount=part, customer_id=sale.customer_id, sale=after))
        is_paid = after.status is SaleStatus.PAID
        sold = Sold(net=sale.net, vat=sale.vat, part_payments=earlier) if is_paid else None
        posted = Uses(part_payment=ZERO if is_paid else part, completes=sold)
    if rest.cents and sale.customer_id is not None:
        customer = customer_of(work, sale.customer_id)
        work.put(CUSTOMERS, customer.id, customer.moved(credit=rest.cents))
        uses.append(Use(target=Target.CREDIT, amount=rest, customer_id=sale.customer_id))
        posted = Uses(part_payment=posted.part_payment, completes=posted.completes, credit=rest)
    elif rest.cents:
        posted = Uses(part_payment=posted.part_payment, completes=posted.completes, suspense=rest)
    reason = SuspenseReason.SALE_OVERPAID if part.cents else SuspenseReason.SALE_NOT_OPEN
    return Plan(
        uses=tuple(uses),
        posted=posted,
        customer_id=sale.customer_id,
        reason=reason if posted.suspense.cents else None,
    )


def record_uses(work: Work, plan: Plan, payment: Payment, journal_id: UUID, by: str) -> None:
    """Add the allocations of a plan whose journal is posted, and tell of every invoice and sale that was paid."""
    for use in plan.uses:
        work.append(
            ALLOCATIONS,
            Allocation(
                id=AllocationId(work.ids.new()),
                payment_id=payment.id,
                customer_id=use.customer_id,
                invoice_id=use.invoice.id if use.invoice else None,
                sale_id=use.sale.id if use.sale else None,
                target=use.target,
                amount=use.amount,
                journal_id=journal_id,
                created_at=work.now,
                created_by=by,
            ),
        )
        facts = {"paid_cents": use.amount.cents, "mpesa_receipt_number": payment.receipt}
        if use.invoice is not None:
            work.record(use.invoice.event("PaymentAllocated", **facts, **customer_facts(work, use.customer_id)))
        if use.sale is not None:
            paid = use.sale.status is SaleStatus.PAID
            work.record(use.sale.event("SalePaid" if paid else "SaleTendered", **facts))
            if paid:
                book_cost(work, use.sale)


def book_cost(work: Work, sale: Sale) -> None:
    """What was sold has left the stock, where its cost is known."""
    if sale.cost is not None and sale.cost.cents:
        postings.sale_cost(work, sale=sale.id, cost=sale.cost)


def customer_facts(work: Work, customer_id: CustomerId | None) -> dict[str, str | int]:
    """Whose it is and what she owes now, for an event."""
    if customer_id is None:
        return {}
    customer = customer_of(work, customer_id)
    return {"customer_id": customer.number, "customer_balance_cents": customer.receivable.cents - customer.credit.cents}


def kes(cents: int) -> Money:
    return Money(cents, KES)
