"""How the money of Collections moves: one function for each row of its table of flows in docs/ledger.md.

As in `postings`: every function posts one journal in the caller's unit of work, and its reference is the identity of
what happened, so nothing is booked twice. Amounts of zero are left out. Each returns the id of its journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from penpay.application.shared.unit_of_work import Footprint, Work
from penpay.application.wallet.ledger import ACCOUNTS, JOURNALS, post, reverse
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.journal import Line, credit, debit

CASH: Final = "1000"
DRAWERS: Final = "1005"
MPESA_CASH: Final = "1010"
BANK: Final = "1020"
RECEIVABLE: Final = "1200"
RECOVERIES: Final = "1250"
OUTFLOWS: Final = "1260"
INVENTORY: Final = "1300"
CUSTOMER_CREDIT: Final = "2100"
VAT_PAYABLE: Final = "2200"
SUSPENSE: Final = "2300"
PART_PAYMENTS: Final = "2350"
REFUNDS_IN_FLIGHT: Final = "2400"
DRAWINGS: Final = "3100"
SALES_REVENUE: Final = "4000"
COST_OF_GOODS: Final = "5000"
CHARGES: Final = "5100"
OTHER_EXPENSES: Final = "5300"

INVOICE_ISSUED: Final = "invoice_issued"
INVOICE_VOIDED: Final = "invoice_voided"
CREDIT_NOTE_ISSUED: Final = "credit_note_issued"
RECEIPT_BOOKED: Final = "receipt_booked"
RECEIPT_REVERSED: Final = "receipt_reversed"
SUSPENSE_ALLOCATED: Final = "suspense_allocated"
CREDIT_APPLIED: Final = "credit_applied"
ALLOCATION_MOVED: Final = "allocation_moved"
CASH_TAKEN: Final = "cash_taken"
TENDER_RETURNED: Final = "tender_returned"
SALE_COST: Final = "sale_cost"
REFUND_INTENDED: Final = "refund_intended"
REFUND_PAID: Final = "refund_paid"
REFUND_FAILED: Final = "refund_failed"
CHARGE_BOOKED: Final = "charge_booked"
OUTFLOW_BOOKED: Final = "outflow_booked"
OUTFLOW_EXPLAINED: Final = "outflow_explained"
OUTFLOW_SETTLED: Final = "outflow_settled"

_RECEIPTS: Final = (MPESA_CASH, RECEIVABLE, CUSTOMER_CREDIT, SUSPENSE)
_SALES: Final = (CASH, DRAWERS, INVENTORY, VAT_PAYABLE, PART_PAYMENTS, SALES_REVENUE, COST_OF_GOODS)
_ZERO: Final = Money.zero(Currency.KES)


def receipts_footprint(footprint: Footprint) -> Footprint:
    """The accounts that a payment can touch which is for no sale."""
    return footprint.add(ACCOUNTS, *_RECEIPTS)


def charges_footprint(footprint: Footprint, receipts: Iterable[str]) -> Footprint:
    """What charges of M-Pesa's for these receipts touch."""
    footprint.add(JOURNALS, *((CHARGE_BOOKED, receipt) for receipt in receipts))
    return footprint.add(ACCOUNTS, MPESA_CASH, CHARGES)


def outflows_footprint(footprint: Footprint) -> Footprint:
    """The accounts that what left for something else can touch."""
    return footprint.add(ACCOUNTS, MPESA_CASH, BANK, OUTFLOWS, DRAWINGS, CHARGES, OTHER_EXPENSES)


def books_footprint(footprint: Footprint) -> Footprint:
    """Every account of Collections."""
    return footprint.add(ACCOUNTS, *_RECEIPTS, *_SALES, RECOVERIES, REFUNDS_IN_FLIGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """What money that comes in, or out of suspense, is used for. Everything in KES, not negative."""

    receivable: Money = _ZERO
    """Pays invoices."""
    credit: Money = _ZERO
    suspense: Money = _ZERO
    part_payment: Money = _ZERO
    """Waits for the rest of a sale's money."""
    completes: Sold | None = None
    """The sale that it completes."""

    def lines(self) -> list[Line]:
        """The credits; a completed sale also takes its earlier part payments out of where they waited."""
        found = [
            credit(RECEIVABLE, self.receivable),
            credit(CUSTOMER_CREDIT, self.credit),
            credit(SUSPENSE, self.suspense),
            credit(PART_PAYMENTS, self.part_payment),
        ]
        return found + self.completes.lines() if self.completes else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """A sale that is settled now."""

    net: Money
    vat: Money
    part_payments: Money
    """What was taken for it before."""

    def lines(self) -> list[Line]:
        return [
            debit(PART_PAYMENTS, self.part_payments),
            credit(SALES_REVENUE, self.net),
            credit(VAT_PAYABLE, self.vat),
        ]


def invoice_issued(work: Work, *, invoice: UUID, net: Money, vat: Money, happened_at: datetime) -> UUID:
    """A customer owes us what she was billed."""
    lines = [debit(RECEIVABLE, net + vat), credit(SALES_REVENUE, net), credit(VAT_PAYABLE, vat)]
    return _post(work, INVOICE_ISSUED, str(invoice), lines, happened_at)


def invoice_voided(work: Work, *, invoice: UUID, net: Money, vat: Money) -> UUID:
    """What is left of an invoice after its credit notes is owed no more; nothing pays it any longer."""
    lines = [debit(SALES_REVENUE, net), debit(VAT_PAYABLE, vat), credit(RECEIVABLE, net + vat)]
    return _post(work, INVOICE_VOIDED, str(invoice), lines)


def credit_note_issued(work: Work, *, credit_note: UUID, net: Money, vat: Money) -> UUID:
    """Something is taken off an invoice."""
    lines = [debit(SALES_REVENUE, net), debit(VAT_PAYABLE, vat), credit(RECEIVABLE, net + vat)]
    return _post(work, CREDIT_NOTE_ISSUED, str(credit_note), lines)


def receipt_booked(work: Work, *, reference: str, amount: Money, uses: Uses, happened_at: datetime) -> UUID:
    """Money has reached our PayBill. `reference` is its receipt, or our AccountReference while it has none."""
    return _post(work, RECEIPT_BOOKED, reference, [debit(MPESA_CASH, amount), *uses.lines()], happened_at)


def receipt_reversed(
    work: Work, *, reference: str, amount: Money, from_: Mapping[str, Money], happened_at: datetime
) -> UUID:
    """M-Pesa has taken a payment back; `from_` says by account where the money was."""
    lines = [*(debit(account, part) for account, part in from_.items()), credit(MPESA_CASH, amount)]
    return _post(work, RECEIPT_REVERSED, reference, lines, happened_at)


def suspense_allocated(work: Work, *, allocation: UUID, amount: Money, uses: Uses) -> UUID:
    """People have found what money in suspense is for."""
    return _post(work, SUSPENSE_ALLOCATED, str(allocation), [debit(SUSPENSE, amount), *uses.lines()])


def credit_applied(work: Work, *, allocation: UUID, amount: Money) -> UUID:
    """A customer's credit pays an invoice."""
    return _post(work, CREDIT_APPLIED, str(allocation), [debit(CUSTOMER_CREDIT, amount), credit(RECEIVABLE, amount)])


def allocation_moved(work: Work, *, allocation: UUID, amount: Money, from_: str, to: str) -> UUID:
    """What money was used for is undone; it is the customer's credit again, or in suspense."""
    return _post(work, ALLOCATION_MOVED, str(allocation), [debit(from_, amount), credit(to, amount)])


def cash_taken(work: Work, *, tender: str, amount: Money, completes: Sold | None, into: str = CASH) -> UUID:
    """Cash at the till: a part payment, or what completes the sale. `tender` is the sale's id and its number.

    `into` is CASH, or DRAWERS where a shift takes it.
    """
    uses = Uses(part_payment=_ZERO if completes else amount, completes=completes)
    return _post(work, CASH_TAKEN, tender, [debit(into, amount), *uses.lines()])


def tender_returned(work: Work, *, tender: str, amount: Money, to: str) -> UUID:
    """A part payment of a sale that is over: cash goes back, M-Pesa money is credit or in suspense."""
    return _post(work, TENDER_RETURNED, tender, [debit(PART_PAYMENTS, amount), credit(to, amount)])


def sale_cost(work: Work, *, sale: UUID, cost: Money) -> UUID:
    """What was sold has left the stock."""
    return _post(work, SALE_COST, str(sale), [debit(COST_OF_GOODS, cost), credit(INVENTORY, cost)])


def refund_intended(work: Work, *, refund: UUID, amount: Money, from_: str) -> UUID:
    """A refund is approved: the money can be used for nothing else."""
    return _post(work, REFUND_INTENDED, str(refund), [debit(from_, amount), credit(REFUNDS_IN_FLIGHT, amount)])


def refund_paid(work: Work, *, refund: UUID, amount: Money) -> UUID:
    """M-Pesa has paid a refund out."""
    return _post(work, REFUND_PAID, str(refund), [debit(REFUNDS_IN_FLIGHT, amount), credit(MPESA_CASH, amount)])


def refund_failed(work: Work, *, refund: UUID, amount: Money, to: str) -> UUID:
    """M-Pesa has paid nothing out: the money is where it was."""
    return _post(work, REFUND_FAILED, str(refund), [debit(REFUNDS_IN_FLIGHT, amount), credit(to, amount)])


def refund_refuted_footprint(footprint: Footprint, refunds: Iterable[UUID]) -> Footprint:
    """The journals that `refund_refuted` looks at."""
    return footprint.add(JOURNALS, *((REFUND_PAID, str(refund)) for refund in refunds))


def refund_refuted(work: Work, *, refund: UUID) -> None:
    """M-Pesa has not paid a refund out, as was booked: it is as before."""
    reverse(work, REFUND_PAID, str(refund), happened_at=work.now)


def charge_of(work: Work, receipt: str) -> Money | None:
    """What was booked as charged for a receipt; None where nothing was."""
    posted = work.get(JOURNALS, (CHARGE_BOOKED, receipt))
    return None if posted is None else posted.lines[0].amount


def charge_booked(work: Work, *, receipt: str, amount: Money, happened_at: datetime) -> UUID:
    """M-Pesa has taken a charge. `receipt` is that of what it was charged for."""
    return _post(work, CHARGE_BOOKED, receipt, [debit(CHARGES, amount), credit(MPESA_CASH, amount)], happened_at)


def outflow_booked(work: Work, *, receipt: str, amount: Money, to: str, happened_at: datetime) -> UUID:
    """Money has left our PayBill that the books did not know of."""
    return _post(work, OUTFLOW_BOOKED, receipt, [debit(to, amount), credit(MPESA_CASH, amount)], happened_at)


def outflow_explained(work: Work, *, reference: str, amount: Money, from_: str, to: str) -> UUID:
    """Somebody has said what it left for. `reference` is its receipt and the version of what was said."""
    return _post(work, OUTFLOW_EXPLAINED, reference, [debit(to, amount), credit(from_, amount)])


def outflow_settled(work: Work, *, receipt: str, amount: Money, from_: str) -> UUID:
    """The books know it by another name: what was booked for it is undone."""
    return _post(work, OUTFLOW_SETTLED, receipt, [debit(MPESA_CASH, amount), credit(from_, amount)])


def _post(work: Work, kind: str, reference: str, lines: list[Line], happened_at: datetime | None = None) -> UUID:
    return post(work, kind, reference, lines, happened_at=happened_at or work.now).journal.id
