"""The till: opening a sale, taking cash, and ending a sale that was not paid.

M-Pesa reaches a sale by `ReceivePayment`, which a push or the sale's number leads there, or by `AllocatePayment`, by
which somebody picks a payment that is in suspense.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from penpay.application.collections.drawer import (
    drawer_of,
    drawer_that_took,
    drawers_footprint,
    hand_back,
    take_in,
    takers_footprint,
)
from penpay.application.collections.naming import (
    customer_ids,
    named_customer,
    numbers_footprint,
    require,
    take_number,
)
from penpay.application.collections.receiving import known_payment, store_payment
from penpay.application.collections.rows import (
    ALLOCATIONS,
    CUSTOMERS,
    HELD_BY_SALE,
    KNOWN_PAYMENTS,
    PAYMENTS,
    REFERENTS,
    SALE_LINES,
    SALES,
    TENDERS,
    TENDERS_OF_SALES,
)
from penpay.application.collections.taking_back import held_footprint, reverse_row
from penpay.application.collections.using import book_cost, customer_of, sale_of
from penpay.application.collections.views import sale_view
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Stale, Work
from penpay.application.wallet import collections_postings as postings
from penpay.application.wallet.collections_postings import Sold
from penpay.domain.collections.allocation import Allocation, AllocationId, PaymentId, SaleId, Target
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.line import LineItem, priced, totals
from penpay.domain.collections.numbers import SeriesName
from penpay.domain.collections.point_of_sale import Sale, SaleLine, SaleStatus, Tender, TenderKind, standing
from penpay.domain.collections.reference import Referent, SuspenseReason, fold
from penpay.domain.collections.shift import Shift
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Money

WAITS_FOR: Final = timedelta(minutes=30)
"""How long a sale waits for its money unless somebody says otherwise."""
_LONGEST_WAIT: Final = timedelta(days=7)
_TIMER: Final = "worker:sale_expiry"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSale:
    """Something is sold at the till and is to be paid now."""

    items: tuple[LineItem, ...]
    customer_number: str | None = None
    """Whose credit it becomes if too much is paid."""
    vat_included: bool = True
    waits_for: timedelta = WAITS_FOR
    cashier: str | None = None
    """Whose sale it is, if she has a shift open."""
    by: str

    def __post_init__(self) -> None:
        if not timedelta(0) < self.waits_for <= _LONGEST_WAIT:
            raise InvalidRequest("A sale waits for at most seven days.", fields=["waits_for"])


class OpenSaleHandler:
    async def footprint(self, commands: Sequence[OpenSale], find: Find) -> Footprint:
        numbers = {fold(command.customer_number) for command in commands if command.customer_number}
        found = await find(REFERENTS, numbers)
        footprint = drawers_footprint(Footprint(), (command.cashier for command in commands))
        return numbers_footprint(footprint, SeriesName.SALE).add(CUSTOMERS, *customer_ids(found))

    def handle(self, command: OpenSale, work: Work) -> Answer:
        """Open it; the answer is `sale_view`. Raises CustomerNotFound, InvalidLine and InvalidAmount."""
        customer = None
        if command.customer_number is not None:
            customer = customer_of(work, named_customer(work, command.customer_number))
        lines = priced(command.items, vat_included=command.vat_included)
        sums = totals(lines)
        shift = drawer_of(work, command.cashier)
        sale = Sale(
            id=SaleId(work.ids.new()),
            number=take_number(work, SeriesName.SALE),
            customer_id=customer.id if customer else None,
            status=SaleStatus.PENDING,
            net=sums.net,
            vat=sums.vat,
            cost=sums.cost,
            expires_at=work.now + command.waits_for,
            created_at=work.now,
            created_by=command.by,
            shift_id=shift.id if shift else None,
        )
        work.add(SALES, sale.id, sale)
        for line in lines:
            work.append(SALE_LINES, SaleLine(sale_id=sale.id, line=line))
        number = customer.number if customer else None
        work.record(sale.event("SaleOpened", customer_id=number))
        work.audit(command.by, "sale.opened", "sale", sale.id, pos_id=sale.number)
        return sale_view(sale, number, lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeCash:
    """Cash was taken for a sale; the change is given already."""

    pos_number: str
    amount: Money | None = None
    """None: all that is still to pay."""
    cashier: str | None = None
    """Into whose drawer it is put, if she has a shift open."""
    by: str


class TakeCashHandler:
    async def footprint(self, commands: Sequence[TakeCash], find: Find) -> Footprint:
        found = await find(REFERENTS, {fold(command.pos_number) for command in commands})
        footprint = postings.books_footprint(Footprint())
        sales = (SaleId(one.id) for some in found.values() for one in some if one.referent is Referent.SALE)
        return drawers_footprint(footprint.add(SALES, *sales), (command.cashier for command in commands))

    def handle(self, command: TakeCash, work: Work) -> Answer:
        """Take it, and settle the sale if that completes it; the answer is `sale_view`.

        Raises SaleNotFound, SaleNotPending, InvalidAmount, and TenderTooLarge above what is to pay.
        """
        sale = sale_of(work, SaleId(require(work, command.pos_number, Referent.SALE).id))
        sale.require_pending()
        amount = sale.to_pay if command.amount is None else command.amount.require_positive()
        after, tender = sale.tendered(TenderKind.CASH, amount, work.now, command.by)
        shift = drawer_of(work, command.cashier)
        tender = replace(tender, shift_id=shift.id if shift else None)
        work.put(SALES, after.id, after)
        work.append(TENDERS, tender)
        is_paid = after.status is SaleStatus.PAID
        sold = Sold(net=sale.net, vat=sale.vat, part_payments=sale.taken) if is_paid else None
        into = take_in(work, shift, amount)
        postings.cash_taken(work, tender=_tender_name(tender), amount=amount, completes=sold, into=into)
        work.record(after.event("SalePaid" if is_paid else "SaleTendered", paid_cents=amount.cents))
        if is_paid:
            book_cost(work, after)
        work.audit(command.by, "sale.cash_taken", "sale", after.id, amount_cents=amount.cents)
        return sale_view(after, None, tenders=[tender])


def _tender_name(tender: Tender) -> str:
    return f"{tender.sale_id}:{tender.seq}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSale:
    """A sale does not happen; what was taken for it is given back."""

    pos_number: str
    cashier: str | None = None
    """Out of whose drawer cash is handed back, if she has a shift open."""
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireSale:
    """The time of a sale is over."""

    sale_id: SaleId


class EndSaleHandler:
    """Ends sales that are not paid. Cash is to be handed back; M-Pesa money is credit, or in suspense.

    Cash comes out of the drawer of whoever cancels; without one, out of the drawer that took it, if that is still open.
    """

    async def footprint(self, commands: Sequence[CancelSale | ExpireSale], find: Find) -> Footprint:
        footprint = postings.books_footprint(Footprint())
        numbers = {fold(command.pos_number) for command in commands if isinstance(command, CancelSale)}
        found = await find(REFERENTS, numbers)
        ids = {SaleId(one.id) for some in found.values() for one in some if one.referent is Referent.SALE}
        ids |= {command.sale_id for command in commands if isinstance(command, ExpireSale)}
        footprint.add(SALES, *ids)
        taken = [tender for some in (await find(TENDERS_OF_SALES, ids)).values() for tender in some]
        drawers_footprint(footprint, (one.cashier for one in commands if isinstance(one, CancelSale)))
        await takers_footprint(footprint, (tender.shift_id for tender in taken), find)
        return await sales_footprint(footprint, ids, find)

    def handle(self, command: CancelSale | ExpireSale, work: Work) -> Answer:
        """End it; the answer is `sale_view`. An expiry that comes too early or too late changes nothing.

        Raises SaleNotFound, and for a cancellation SaleNotPending.
        """
        drawer = None
        if isinstance(command, ExpireSale):
            sale, by, status = sale_of(work, command.sale_id), _TIMER, SaleStatus.EXPIRED
            if not sale.is_pending or sale.expires_at > work.now:
                return sale_view(sale, None)
        else:
            sale = sale_of(work, SaleId(require(work, command.pos_number, Referent.SALE).id))
            by, status = command.by, SaleStatus.CANCELLED
            drawer = drawer_of(work, command.cashier)
        sale.require_pending()
        held = work.found(HELD_BY_SALE, sale.id)
        if held is None or held.version != sale.version:
            raise Stale(SALES, [sale.id])
        taken = work.found(TENDERS_OF_SALES, sale.id)
        tenders = standing(taken or ())
        after, returned = sale.returned(tenders, work.now, by, status)
        work.put(SALES, after.id, after)
        paying = list(held.allocations)
        for was, tender in zip(tenders, returned, strict=True):
            if tender.payment_id is None:
                _hand_back(work, tender, drawer or drawer_that_took(work, was.shift_id))
            else:
                work.append(TENDERS, tender)
                _give_back(work, after, tender, tender.payment_id, paying=paying, by=by)
        name = "SaleExpired" if status is SaleStatus.EXPIRED else "SaleCancelled"
        work.record(after.event(name))
        work.audit(by, f"sale.{status.value.lower()}", "sale", after.id, pos_id=after.number)
        return sale_view(after, None, tenders=returned)


async def sales_footprint(footprint: Footprint, ids: set[SaleId], find: Find) -> Footprint:
    """The payments and customers of what was paid by M-Pesa for these sales."""
    held = (await find(HELD_BY_SALE, ids)).values()
    for one in held:
        held_footprint(footprint, one)
    paid = {str(row.payment_id) for one in held for row in one.allocations if row.payment_id is not None}
    known = await find(KNOWN_PAYMENTS, paid)
    return footprint.add(PAYMENTS, *(payment.key for payment in known.values()))


def _hand_back(work: Work, tender: Tender, drawer: Shift | None) -> None:
    """Cash leaves the part payments, and the drawer, or where there is none the cash that is in none."""
    out_of = hand_back(work, drawer, tender.amount)
    work.append(TENDERS, replace(tender, shift_id=drawer.id if drawer else None))
    postings.tender_returned(work, tender=_tender_name(tender), amount=tender.amount, to=out_of)


def _give_back(
    work: Work, sale: Sale, tender: Tender, payment_id: PaymentId, *, paying: list[Allocation], by: str
) -> None:
    """M-Pesa money leaves the part payments for credit or suspense."""
    name = _tender_name(tender)
    allocation = next(row for row in paying if (row.payment_id, row.amount) == (payment_id, tender.amount))
    paying.remove(allocation)
    if sale.customer_id is None:
        journal_id = postings.tender_returned(work, tender=name, amount=tender.amount, to=postings.SUSPENSE)
        payment = known_payment(work, payment_id)
        kept = payment.in_suspense(payment.suspense + tender.amount, SuspenseReason.SALE_NOT_OPEN)
        store_payment(work, kept)
        work.record(kept.event("PaymentUnallocated", unallocated_cents=tender.amount.cents))
    else:
        journal_id = postings.tender_returned(work, tender=name, amount=tender.amount, to=postings.CUSTOMER_CREDIT)
        _credit(work, sale.customer_id, allocation, journal_id, by)
    reverse_row(work, allocation, allocation.amount, journal_id=journal_id, by=by)


def _credit(work: Work, customer_id: CustomerId, allocation: Allocation, journal_id: UUID, by: str) -> None:
    customer = customer_of(work, customer_id)
    work.put(CUSTOMERS, customer_id, customer.moved(credit=allocation.amount.cents))
    credited = replace(
        allocation,
        id=AllocationId(work.ids.new()),
        customer_id=customer_id,
        sale_id=None,
        target=Target.CREDIT,
        journal_id=journal_id,
        created_at=work.now,
        created_by=by,
    )
    work.append(ALLOCATIONS, credited)
