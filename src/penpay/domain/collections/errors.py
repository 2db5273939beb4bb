"""Refusals of Collections that a caller can act on."""

from __future__ import annotations

from penpay.domain.shared.errors import DomainError

# -- what was sent


class InvalidNumber(DomainError):
    code = "invalid_number"
    title = "A number has 1 to 20 letters, digits, dots, slashes and hyphens, and begins with a letter or digit."


class InvalidLine(DomainError):
    code = "invalid_line"
    title = "A line needs a description, a quantity above zero, and a discount that is not above its price."


class InvalidReceipt(DomainError):
    code = "invalid_receipt"
    title = "A receipt is 1 to 20 letters and digits."


# -- people


class CustomerExists(DomainError):
    code = "customer_exists"
    title = "A customer has this number or phone already."


class CustomerNotFound(DomainError):
    code = "customer_not_found"
    title = "There is no such customer."


class CreditTooSmall(DomainError):
    code = "credit_too_small"
    title = "The customer has less credit than this."


# -- invoices


class InvoiceExists(DomainError):
    code = "invoice_exists"
    title = "An invoice has this number already."


class InvoiceNotFound(DomainError):
    code = "invoice_not_found"
    title = "There is no such invoice."


class InvoiceVoid(DomainError):
    code = "invoice_void"
    title = "The invoice is void."


class InvoicePaid(DomainError):
    code = "invoice_paid"
    title = "Nothing is owed on the invoice."


class CreditNoteTooLarge(DomainError):
    code = "credit_note_too_large"
    title = "More would be taken off the invoice than it is about."


class RecurringNotFound(DomainError):
    code = "recurring_not_found"
    title = "There is no such recurring invoice."


class RecurringOver(DomainError):
    code = "recurring_over"
    title = "The recurring invoice is not in a state that allows this."


# -- payments and allocations


class PaymentNotFound(DomainError):
    code = "payment_not_found"
    title = "There is no payment with this receipt."


class PaymentReversed(DomainError):
    code = "payment_reversed"
    title = "The payment has been reversed."


class PaymentUnverified(DomainError):
    code = "payment_unverified"
    title = "M-Pesa has not confirmed this money to us: read its list of payments or import a statement first."


class SuspenseTooSmall(DomainError):
    code = "suspense_too_small"
    title = "Less than this amount of the payment is in suspense."


class UnknownReference(DomainError):
    code = "unknown_reference"
    title = "The reference names no invoice, customer or sale, or more than one."


class AllocationNotFound(DomainError):
    code = "allocation_not_found"
    title = "There is no such allocation."


class AllocationOver(DomainError):
    code = "allocation_over"
    title = "The allocation has been reversed already, or is of a kind that cannot be."


class ReceiptTaken(DomainError):
    code = "receipt_taken"
    title = "Another payment has this receipt, or this payment another receipt."


# -- sales


class SaleNotFound(DomainError):
    code = "sale_not_found"
    title = "There is no such sale."


class SaleNotPending(DomainError):
    code = "sale_not_pending"
    title = "The sale is paid, expired or cancelled."


class TenderTooLarge(DomainError):
    code = "tender_too_large"
    title = "More would be taken than is still to pay."


# -- the drawer


class ShiftNotFound(DomainError):
    code = "shift_not_found"
    title = "There is no such shift."


class ShiftOpen(DomainError):
    code = "shift_open"
    title = "The cashier has a shift open already."


class ShiftNotOpen(DomainError):
    code = "shift_not_open"
    title = "The shift is closed."


class NotYourShift(DomainError):
    code = "not_your_shift"
    title = "The shift is another cashier's."


class CashTooSmall(DomainError):
    code = "cash_too_small"
    title = "There is less cash there than this."


# -- the lock of the books


class PeriodLocked(DomainError):
    code = "period_locked"
    title = "The books are locked through this day."


class LockNotFound(DomainError):
    code = "lock_not_found"
    title = "There is no such wish to lock the books."


class LockDecided(DomainError):
    code = "lock_decided"
    title = "It was approved or rejected already."


# -- charges


class ChargeDiffers(DomainError):
    code = "charge_differs"
    title = "The charge for this receipt is booked with another amount."


# -- outflows


class OutflowNotFound(DomainError):
    code = "outflow_not_found"
    title = "Nothing that left has this receipt."


class OutflowDiffers(DomainError):
    code = "outflow_differs"
    title = "What left under this receipt is booked with another amount."


class OutflowSettled(DomainError):
    code = "outflow_settled"
    title = "What left under this receipt is a refund, a payout or a reversal."


# -- refunds


class RefundNotFound(DomainError):
    code = "refund_not_found"
    title = "There is no such refund."


class RefundDecided(DomainError):
    code = "refund_decided"
    title = "The refund is not in a state that allows this."


class OwnApproval(DomainError):
    code = "own_approval"
    title = "Whoever asked for something cannot approve it."
