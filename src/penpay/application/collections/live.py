"""What whoever watches the business sees of its events: public numbers, amounts and statuses, and nothing of a person.

An event is stored for ever and may grow members that not everybody should see, so what is shown is named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from penpay.application.shared.publishing import PositionedEvent
from penpay.domain.shared.events import Fact

NAMES: Final = frozenset(
    {
        "CustomerCreated",
        "InvoiceIssued",
        "BalanceGapFound",
        "InvoiceVoided",
        "CreditNoteIssued",
        "PaymentReceived",
        "PaymentAllocated",
        "PaymentContradicted",
        "PaymentUnallocated",
        "PaymentRefunding",
        "PaymentReversed",
        "PaymentVerified",
        "ReceiptAttached",
        "CreditApplied",
        "SaleOpened",
        "SaleTendered",
        "SaleTenderReversed",
        "SuspenseAllocated",
        "SalePaid",
        "SaleExpired",
        "SaleCancelled",
        "RefundProposed",
        "RefundApproved",
        "RefundRejected",
        "RefundPaid",
        "RefundFailed",
        "ShiftOpened",
        "DrawerChanged",
        "ShiftClosed",
    }
)
SHOWN: Final = frozenset(
    {
        "amount_cents",
        "balance_cents",
        "counted_cents",
        "credit_note_id",
        "customer_balance_cents",
        "customer_id",
        "day",
        "difference_cents",
        "due_on",
        "expected_cents",
        "fields",
        "first_after",
        "first_before",
        "first_missing_cents",
        "float_cents",
        "gaps",
        "invoice_id",
        "missing_cents",
        "mpesa_receipt_number",
        "paid_cents",
        "pos_id",
        "refund_id",
        "shift_id",
        "short_code",
        "state",
        "status",
        "suspense_cents",
        "suspense_reason",
        "total_cents",
    }
)


def live_view(one: PositionedEvent) -> Mapping[str, Fact]:
    """An event as it is told to those who watch."""
    payload = one.stored.event.payload
    return {name: payload[name] for name in sorted(SHOWN & payload.keys())}
