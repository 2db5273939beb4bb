"""What money was used for: rows that are added and reversed, never changed.

A row counts until another row reverses it. What counts of a payment and what of it is in suspense, for which there are
no rows, always add up to the payment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType
from uuid import UUID

from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.invoice import InvoiceId
from penpay.domain.collections.line import KES
from penpay.domain.shared.money import Money

AllocationId = NewType("AllocationId", UUID)
PaymentId = NewType("PaymentId", UUID)
SaleId = NewType("SaleId", UUID)
RefundId = NewType("RefundId", UUID)


class Target(StrEnum):
    """What a part of a payment is used for."""

    INVOICE = "INVOICE"
    CREDIT = "CREDIT"
    """The customer's credit, one pool in which payments are not told apart."""
    POS = "POS"
    REFUND = "REFUND"
    RECOVERY = "RECOVERY"
    """It was taken back from us after it had left us already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """One row. `payment_id` is None where the money came out of, or went back into, a customer's credit."""

    id: AllocationId
    payment_id: PaymentId | None
    customer_id: CustomerId | None
    invoice_id: InvoiceId | None = None
    sale_id: SaleId | None = None
    refund_id: RefundId | None = None
    target: Target
    amount: Money
    reverses_id: AllocationId | None = None
    journal_id: UUID
    created_at: datetime
    created_by: str


class OpenInvoice(NamedTuple):
    """What first-in-first-out needs to know of an invoice."""

    id: InvoiceId
    balance_cents: int


class Part(NamedTuple):
    """How much of one invoice is paid."""

    invoice_id: InvoiceId
    amount: Money


def first_in_first_out(amount: Money, invoices: Sequence[OpenInvoice]) -> tuple[tuple[Part, ...], Money]:
    """Pay invoices in the order given, each as far as it goes; the parts, and what is left over.

    The parts and the rest add up to the amount. An invoice without a balance is passed over.
    """
    rest, parts = amount.cents, []
    for invoice_id, balance in invoices:
        if rest == 0:
            break
        part = min(rest, balance)
        if part > 0:
            parts.append(Part(invoice_id, Money(part, KES)))
            rest -= part
    return tuple(parts), Money(rest, KES)


def newest_first(amount: Money, rows: Sequence[Allocation]) -> tuple[tuple[tuple[Allocation, Money], ...], Money]:
    """Take an amount back out of rows, the newest first; each row with what is taken of it, and what none covers."""
    rest, taken = amount.cents, []
    for row in sorted(rows, key=lambda one: (one.created_at, one.id), reverse=True):
        if rest == 0:
            break
        part = min(rest, row.amount.cents)
        taken.append((row, Money(part, KES)))
        rest -= part
    return tuple(taken), Money(rest, KES)
