"""Receipts that only a callback has told: M-Pesa, asked about a push, tells none, and anybody may have made one up.

They hold until M-Pesa's own records say otherwise, and then give way without moving money.
"""

from __future__ import annotations

from penpay.application.collections.rows import PAYMENTS
from penpay.application.shared.unit_of_work import Work
from penpay.domain.collections.payment import Payment


def give_up(work: Work, known: Payment, by: str) -> None:
    """It is another payment's receipt: what the push brought stays, and has none.

    One commit cannot give a unique receipt from row to row, so the other payment is booked by a second one.
    """
    after = known.renamed(None)
    work.put(PAYMENTS, known.key, after)
    work.record(after.event("ReceiptGivenUp"))
    work.audit(by, "payment.receipt_given_up", "payment", known.id, receipt=known.receipt)


def correct(work: Work, known: Payment, receipt: str, by: str) -> None:
    """What the push brought has another receipt, which proves it too; `by` is the source that has it."""
    named = known.renamed(receipt)
    after = named.verified(by)
    work.put(PAYMENTS, known.key, after)
    work.record(named.event("ReceiptCorrected"), after.event("PaymentVerified", verified_by=by))
    work.audit(by, "payment.receipt_corrected", "payment", known.id, receipt=known.receipt)
