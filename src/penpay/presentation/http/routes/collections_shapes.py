"""The JSON of Collections that clients read, as it is documented; the values come from `collections.views`.

Ids are the numbers people know; amounts are cents of KES; moments RFC 3339 in UTC; days YYYY-MM-DD in Nairobi.
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from penpay.application.collections.suggestions import Hint
from penpay.domain.collections.allocation import Target
from penpay.domain.collections.invoice import InvoiceStatus
from penpay.domain.collections.payment import PayerForm, PaymentFlag, PaymentSource, PaymentStatus, Verification
from penpay.domain.collections.point_of_sale import SaleStatus, TenderKind
from penpay.domain.collections.reference import Referent, SuspenseReason
from penpay.domain.collections.refund import RefundState
from penpay.domain.payments.evidence import EvidenceState


class CustomerBody(BaseModel):
    """A customer and what she owes."""

    customer_id: str
    name: str
    phone: str | None
    email: str | None
    auto_apply_credit: bool
    balance_cents: int = Field(description="What she owes in all; below zero when the business owes her.")
    receivable_cents: int = Field(description="What is open on her invoices.")
    credit_cents: int = Field(description="What she has paid and nothing was used for yet.")
    created_at: str


class PageBody(BaseModel):
    """A part of a list."""

    next: str | None = Field(description="Give it as `after` for the following page; null on the last.")


class CustomersBody(PageBody):
    customers: list[CustomerBody]


class AppliedCreditBody(BaseModel):
    """Credit that was used."""

    customer_id: str
    applied_cents: int
    credit_cents: int


class BilledLineBody(BaseModel):
    """A line of an invoice or a sale."""

    line_no: int
    description: str
    quantity_milli: int
    unit_price_cents: int
    discount_cents: int
    vat_rate_bps: int
    net_cents: int
    vat_cents: int


class CreditNoteBody(BaseModel):
    """What was taken off an invoice."""

    credit_note_id: str
    invoice_id: str
    net_cents: int
    vat_cents: int
    total_cents: int
    reason: str
    issued_at: str
    issued_by: str


class AllocationBody(BaseModel):
    """What a part of a payment was used for."""

    allocation_id: str
    target: Target
    amount_cents: int
    invoice_id: str | None
    pos_id: str | None
    customer_id: str | None = Field(None, description="Whose it is; of a payment's.")
    mpesa_receipt_number: str | None = Field(None, description="Where it came from; of an invoice's.")
    reverses_id: str | None = Field(description="The allocation that this one takes back.")
    created_at: str
    created_by: str


class InvoiceBody(BaseModel):
    """An invoice."""

    invoice_id: str
    customer_id: str
    status: InvoiceStatus
    display_status: str = Field(description="OVERDUE where something is owed past the due day, else the status.")
    net_cents: int
    vat_cents: int
    total_cents: int
    credited_cents: int = Field(description="Taken off by credit notes.")
    paid_cents: int
    balance_cents: int = Field(description="What is still owed.")
    memo: str | None
    issued_at: str
    due_on: str
    voided_at: str | None
    lines: list[BilledLineBody] = Field(description="Empty in lists, and in answers to what changes it.")
    allocations: list[AllocationBody] | None = Field(None, description="Of one invoice that was asked for.")
    credit_notes: list[CreditNoteBody] | None = Field(None, description="Of one invoice that was asked for.")


class InvoicesBody(PageBody):
    invoices: list[InvoiceBody]


class TenderBody(BaseModel):
    """Money taken for a sale, or given back."""

    kind: TenderKind
    amount_cents: int
    taken_at: str
    taken_by: str


class SaleBody(BaseModel):
    """A sale at the till."""

    pos_id: str
    customer_id: str | None
    status: SaleStatus
    net_cents: int
    vat_cents: int
    total_cents: int
    cash_cents: int
    mpesa_cents: int
    to_pay_cents: int
    expires_at: str
    paid_at: str | None
    created_at: str
    created_by: str
    lines: list[BilledLineBody] = Field(description="Empty in lists, and in answers to what changes it.")
    tenders: list[TenderBody] = Field(description="Likewise.")


class PushBody(BaseModel):
    """A prompt on a customer's handset, which is on its way."""

    push_id: str
    pos_id: str
    amount_cents: int
    state: EvidenceState
    created_at: str


class SalesBody(PageBody):
    sales: list[SaleBody]


class SuggestionBody(BaseModel):
    """Something the money may be for, and why."""

    kind: Referent
    reference: str
    customer_id: str | None
    open_cents: int = Field(description="What is still to pay on it.")
    hints: list[Hint]


class PaymentBody(BaseModel):
    """A payment that came in."""

    payment_id: str
    mpesa_receipt_number: str | None
    source: PaymentSource
    amount_cents: int
    short_code: str | None
    bill_reference: str | None = Field(description="What the payer typed as the account.")
    customer_id: str | None
    payer_form: PayerForm | None = Field(description="null in answers to what changes a payment: nobody looked.")
    payer: str | None = Field(description="The payer's number, masked; null where M-Pesa sent a hash or nothing.")
    payer_name: str | None
    status: PaymentStatus
    suspense_cents: int
    suspense_reason: SuspenseReason | None
    verification: Verification
    verified_by: str | None
    flags: list[PaymentFlag]
    org_balance_cents: int | None
    transacted_at: str | None
    paid_at: str
    received_at: str
    allocations: list[AllocationBody] | None = Field(None, description="Of one payment that was asked for.")
    suggestions: list[SuggestionBody] | None = Field(None, description="Of one in suspense, the strongest first.")


class PaymentsBody(PageBody):
    payments: list[PaymentBody]


class UnallocatedBody(BaseModel):
    """An allocation that was taken back."""

    allocation_id: str
    amount_cents: int


class RefundBody(BaseModel):
    """Money that goes back."""

    refund_id: str
    mpesa_receipt_number: str | None = Field(description="The payment it comes from, if not from credit.")
    customer_id: str | None
    amount_cents: int
    state: RefundState
    reason: str
    phone: str = Field(description="Who is paid, masked.")
    proposed_by: str
    proposed_at: str
    decided_by: str | None
    decided_at: str | None
    receipt: str | None = Field(description="Of the payout.")
    failure_code: str | None
    ended_at: str | None


class RefundsBody(PageBody):
    refunds: list[RefundBody]
