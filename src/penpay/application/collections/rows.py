"""The rows Collections locks, adds and looks up, by name; `infrastructure.sql.collections_…` say how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from penpay.application.shared.unit_of_work import Appended, Index, Kind
from penpay.domain.collections.allocation import Allocation, AllocationId, OpenInvoice, RefundId, SaleId
from penpay.domain.collections.customer import Customer, CustomerId
from penpay.domain.collections.invoice import CreditNote, Invoice, InvoiceId, InvoiceLine
from penpay.domain.collections.numbers import NumberSeries, SeriesName
from penpay.domain.collections.outflow import Outflow, OutflowUse
from penpay.domain.collections.payment import Payment
from penpay.domain.collections.point_of_sale import Sale, SaleLine, Tender
from penpay.domain.collections.recurring import Occurrence, RecurringInvoice
from penpay.domain.collections.reference import Candidate
from penpay.domain.collections.refund import Refund
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber

CUSTOMERS: Final[Kind[CustomerId, Customer]] = Kind("customers")
INVOICES: Final[Kind[InvoiceId, Invoice]] = Kind("invoices")
SALES: Final[Kind[SaleId, Sale]] = Kind("pos_sales")
PAYMENTS: Final[Kind[str, Payment]] = Kind("payments")
"""By receipt, or by the text of its id for one that has none yet: see `Payment.key`."""
REFUNDS: Final[Kind[RefundId, Refund]] = Kind("collections_refunds")
RECURRING: Final[Kind[str, RecurringInvoice]] = Kind("recurring_invoices")
"""By number."""
OUTFLOWS: Final[Kind[str, Outflow]] = Kind("collections_outflows")
"""By receipt."""
NUMBER_SERIES: Final[Kind[SeriesName, NumberSeries]] = Kind("number_series")

INVOICE_LINES: Final[Appended[InvoiceLine]] = Appended("invoice_lines")
CREDIT_NOTES: Final[Appended[CreditNote]] = Appended("credit_notes")
SALE_LINES: Final[Appended[SaleLine]] = Appended("pos_sale_lines")
TENDERS: Final[Appended[Tender]] = Appended("pos_tenders")
ALLOCATIONS: Final[Appended[Allocation]] = Appended("payment_allocations")
OCCURRENCES: Final[Appended[Occurrence]] = Appended("recurring_occurrences")

REFERENTS: Final[Index[str, tuple[Candidate, ...]]] = Index("referents")
"""By folded number: the invoice, the customer and the sale that have it."""
CUSTOMERS_BY_PHONE: Final[Index[PhoneNumber, CustomerId]] = Index("customers_by_phone")
PAYMENTS_BY_PUSH: Final[Index[str, str]] = Index("payments_by_push")
"""By AccountReference of a push: the payment's key."""


@dataclass(frozen=True, slots=True)
class OpenInvoices:
    """The oldest open invoices of a customer as they were when somebody looked."""

    issued_count: int
    """The customer's counts at that moment: whether more can have become open since."""
    reopened_count: int
    invoices: tuple[OpenInvoice, ...]
    """In the order in which they are paid."""
    is_all: bool
    """Whether there were no more."""


OLDEST_INVOICES: Final[Index[CustomerId, OpenInvoices]] = Index("oldest_invoices")
"""The first few of them."""
ALL_OPEN_INVOICES: Final[Index[CustomerId, OpenInvoices]] = Index("all_open_invoices")


class Held(NamedTuple):
    """Allocations that counted when somebody looked, and the version of what holds them at that moment."""

    version: int
    allocations: tuple[Allocation, ...]
    customer_versions: tuple[tuple[CustomerId, int], ...]
    """Of every customer they name."""


HELD_BY_PAYMENT: Final[Index[str, Held]] = Index("held_by_payment")
"""By the payment's key; the version is the payment's."""
HELD_BY_INVOICE: Final[Index[InvoiceId, Held]] = Index("held_by_invoice")
"""The version is the invoice's."""
HELD_BY_CREDIT: Final[Index[CustomerId, Held]] = Index("held_by_credit")
"""What a customer's credit was applied to; the version is the customer's."""
HELD_UNVERIFIED: Final[Index[CustomerId, Held]] = Index("held_unverified")
"""What was paid for a customer, or into her credit, by payments nobody has verified; the version is hers."""
HELD_BY_ID: Final[Index[AllocationId, Held]] = Index("held_by_id")
"""One allocation; the version means nothing."""
HELD_BY_REFUND: Final[Index[RefundId, Allocation]] = Index("held_by_refund")
HELD_BY_SALE: Final[Index[SaleId, Held]] = Index("held_by_sale")
"""The version is the sale's."""
KNOWN_PAYMENTS: Final[Index[str, Payment]] = Index("known_payments")
"""By receipt or by the text of the id, unlocked."""
TENDERS_OF_SALES: Final[Index[SaleId, tuple[Tender, ...]]] = Index("tenders_of_sales")
"""All that was taken for a sale and given back, oldest first."""
KNOWN_SALES: Final[Index[SaleId, Sale]] = Index("known_sales")
KNOWN_REFUNDS: Final[Index[RefundId, Refund]] = Index("known_refunds")

RECURRING_CUSTOMERS: Final[Index[str, CustomerId]] = Index("recurring_customers")
"""By number of a recurring invoice: whom it bills."""


class OurOutflow(NamedTuple):
    """Money that we have sent away ourselves."""

    use: OutflowUse
    amount: Money


OUR_OUTFLOWS: Final[Index[str, OurOutflow]] = Index("our_outflows")
"""By receipt: refunds that are paid, and payouts to users of PenPay that have arrived."""
TOLD_REVERSALS: Final[Index[str, str]] = Index("told_reversals")
"""By receipt of a payment: the receipt of an outflow that is said to have taken it back, and is booked as another."""
REVERSED_UNDER: Final[Index[str, str]] = Index("reversed_under")
"""By receipt of a payment: the receipt under which M-Pesa has taken it back."""
