"""Reversals: M-Pesa has taken a payment back, so everything it was used for is undone.

Invoices are open again. Credit it became is taken out; where that was applied to other invoices meanwhile, the newest
of them are opened again. What had left us already, refunded or paid for goods, is to be recovered: 1250.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from penpay.application.collections.receiving import payment_of, store_payment
from penpay.application.collections.rows import (
    ALLOCATIONS,
    CUSTOMERS,
    HELD_BY_CREDIT,
    HELD_BY_PAYMENT,
    KNOWN_PAYMENTS,
    OUTFLOWS,
    PAYMENTS,
    SALES,
    TENDERS,
    TOLD_REVERSALS,
    Held,
)
from penpay.application.collections.settling import settle
from penpay.application.collections.taking_back import (
    held_footprint,
    reopen,
    require_fresh_owners,
    reverse_row,
    take_back,
)
from penpay.application.collections.using import customer_facts, customer_of, sale_of
from penpay.application.collections.views import payment_view
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Stale, Work
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.allocation import Allocation, AllocationId, SaleId, Target, newest_first
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.line import KES
from penpay.domain.collections.outflow import OutflowUse
from penpay.domain.collections.payment import Payment, PaymentStatus, check_receipt
from penpay.domain.collections.point_of_sale import Tender, TenderKind
from penpay.domain.shared.money import Money


class ReversedBy(StrEnum):
    SAFARICOM = "SAFARICOM"
    BUSINESS = "BUSINESS"
    """At our own request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversePayment:
    """The whole of a payment was taken back by M-Pesa."""

    receipt: str
    reversed_by: ReversedBy
    reversal_receipt: str | None = None
    """Of the reversal itself, where it is told."""
    at: datetime | None = None
    """When it was taken back; None where that is not told."""
    by: str

    def __post_init__(self) -> None:
        """Raises InvalidReceipt for what can be no receipt of a reversal."""
        if self.reversal_receipt is not None:
            check_receipt(self.reversal_receipt)


@dataclass(slots=True)
class _Undoing:
    """What undoing one payment comes to; complete once every use of it was looked at."""

    from_cents: defaultdict[str, int]
    """By account: where the money was."""
    reversed_: list[Allocation]
    recovered: list[tuple[CustomerId | None, bool, int]]
    """Whom it is to be recovered from, whether out of her credit, and how much."""


class ReversePaymentHandler:
    async def footprint(self, commands: Sequence[ReversePayment], find: Find) -> Footprint:
        footprint = postings.outflows_footprint(postings.books_footprint(Footprint()))
        footprint.add(OUTFLOWS, *(command.reversal_receipt for command in commands if command.reversal_receipt))
        receipts = {command.receipt for command in commands}
        footprint.add(OUTFLOWS, *(await find(TOLD_REVERSALS, receipts)).values())
        known = await find(KNOWN_PAYMENTS, receipts)
        footprint.add(PAYMENTS, *receipts, *(payment.key for payment in known.values()))
        rows: list[Allocation] = []
        for held in (await find(HELD_BY_PAYMENT, {payment.key for payment in known.values()})).values():
            held_footprint(footprint, held)
            rows.extend(held.allocations)
        credited = {row.customer_id for row in rows if row.target is Target.CREDIT and row.customer_id is not None}
        for held in (await find(HELD_BY_CREDIT, credited)).values():
            held_footprint(footprint, held)
        return footprint.add(SALES, *(row.sale_id for row in rows if row.sale_id is not None))

    def handle(self, command: ReversePayment, work: Work) -> Answer:
        """Undo it once; told again it changes nothing. The answer is `payment_view`.

        Raises PaymentNotFound, and OutflowDiffers or OutflowSettled for the receipt of a reversal that is another one.
        """
        known = work.found(KNOWN_PAYMENTS, command.receipt)
        payment = payment_of(work, None if known is None else known.key)
        if payment.status is PaymentStatus.REVERSED:
            return payment_view(payment)
        held = _fresh(work, payment)
        undoing = _Undoing(defaultdict(int), [], [])
        if payment.suspense.cents:
            undoing.from_cents[postings.SUSPENSE] += payment.suspense.cents
        for row in held.allocations:
            _undo(work, row, undoing, command.by)
        self._take_credit(work, held, undoing, command.by)
        at = work.now if command.at is None else command.at
        _settle_outflow(work, command, payment, at)
        journal_id = postings.receipt_reversed(
            work,
            reference=payment.push_reference or payment.receipt or str(payment.id),
            amount=payment.amount,
            from_={account: Money(cents, KES) for account, cents in undoing.from_cents.items()},
            happened_at=at,
        )
        _record(work, payment, undoing, journal_id, command.by)
        after = payment.reversed()
        store_payment(work, after)
        facts = {"reversed_by": command.reversed_by.value, "reversal_receipt": command.reversal_receipt}
        work.record(after.event("PaymentReversed", **facts, **customer_facts(work, after.customer_id)))
        work.audit(command.by, "payment.reversed", "payment", after.id, reversed_by=command.reversed_by.value)
        return payment_view(after)

    @staticmethod
    def _take_credit(work: Work, held: Held, undoing: _Undoing, by: str) -> None:
        """Take what became credit out of it again, out of invoices it was applied to if need be."""
        cents: defaultdict[CustomerId, int] = defaultdict(int)
        for row in held.allocations:
            if row.target is Target.CREDIT and row.customer_id is not None:
                cents[row.customer_id] += row.amount.cents
        for customer_id, wanted in cents.items():
            short = wanted - customer_of(work, customer_id).credit.cents
            if short > 0:
                applied = work.found(HELD_BY_CREDIT, customer_id)
                taken, _ = newest_first(Money(short, KES), applied.allocations if applied else ())
                for row, part in taken:
                    take_back(work, row, part, to=Target.CREDIT, by=by)
            customer = customer_of(work, customer_id)
            found = min(wanted, customer.credit.cents)
            work.put(CUSTOMERS, customer_id, customer.moved(credit=-found))
            undoing.from_cents[postings.CUSTOMER_CREDIT] += found
            if found < wanted:
                undoing.from_cents[postings.RECOVERIES] += wanted - found
                undoing.recovered.append((customer_id, True, wanted - found))


def _settle_outflow(work: Work, command: ReversePayment, payment: Payment, at: datetime) -> None:
    """Keep under which receipt it was taken back: the one that is named, or that a statement told of before.

    What a statement told of this payment is undone whatever its amount was, for all of the payment is undone.
    """
    receipt, amount = command.reversal_receipt, payment.amount
    if receipt is None:
        receipt = work.found(TOLD_REVERSALS, payment.receipt or "")
        outflow = None if receipt is None else work.get(OUTFLOWS, receipt)
        if receipt is None or outflow is None or outflow.is_settled:
            return
        amount = outflow.amount
    settle(work, receipt, amount, OutflowUse.REVERSAL, linked_receipt=payment.receipt, at=at, by=command.by)


def _fresh(work: Work, payment: Payment) -> Held:
    held = work.found(HELD_BY_PAYMENT, payment.key) or work.found(HELD_BY_PAYMENT, str(payment.id))
    if held is None or held.version != payment.version:
        raise Stale(PAYMENTS, [payment.key])
    require_fresh_owners(work, held)
    return held


def _undo(work: Work, row: Allocation, undoing: _Undoing, by: str) -> None:
    """Undo one use of the payment; credit is taken together afterwards, and a refund has left us."""
    cents = row.amount.cents
    if row.target is Target.REFUND:
        undoing.from_cents[postings.RECOVERIES] += cents
        return
    undoing.reversed_.append(row)
    if row.target is Target.INVOICE:
        reopen(work, row, row.amount, credited=False)
        undoing.from_cents[postings.RECEIVABLE] += cents
    elif row.target is Target.POS and row.sale_id is not None:
        if _tender_taken_back(work, row.sale_id, row, by):
            undoing.from_cents[postings.PART_PAYMENTS] += cents
        else:
            undoing.from_cents[postings.RECOVERIES] += cents
            undoing.recovered.append((row.customer_id, False, cents))


def _tender_taken_back(work: Work, sale_id: SaleId, row: Allocation, by: str) -> bool:
    """Whether the sale was still waiting, so that it lacks this tender now; otherwise the goods are gone."""
    sale = sale_of(work, sale_id)
    if not sale.is_pending:
        return False
    tender = Tender(
        sale_id=sale_id,
        seq=0,
        kind=TenderKind.MPESA,
        amount=row.amount,
        payment_id=row.payment_id,
        taken_at=work.now,
        taken_by=by,
    )
    after, returned = sale.returned([tender], work.now, by)
    work.put(SALES, sale_id, after)
    for one in returned:
        work.append(TENDERS, one)
    work.record(after.event("SaleTenderReversed", amount_cents=row.amount.cents))
    return True


def _record(work: Work, payment: Payment, undoing: _Undoing, journal_id: UUID, by: str) -> None:
    for row in undoing.reversed_:
        reverse_row(work, row, row.amount, journal_id=journal_id, by=by)
    for customer_id, is_credit, cents in undoing.recovered:
        work.append(
            ALLOCATIONS,
            Allocation(
                id=AllocationId(work.ids.new()),
                payment_id=None if is_credit else payment.id,
                customer_id=customer_id,
                target=Target.RECOVERY,
                amount=Money(cents, KES),
                journal_id=journal_id,
                created_at=work.now,
                created_by=by,
            ),
        )
