"""What M-Pesa tells of a push by our own reference, where nobody knows for certain which id is its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from penpay.application.payments.policy import PAID_WITHIN, PAYMENTS_LISTED_FOR
from penpay.application.shared.push_ids import UNPROVEN
from penpay.domain.mpesa.gateway import CallOutcome, MpesaReceipts, PaymentAnswer, PaymentOutcome, PullWindow
from penpay.domain.mpesa.pulled import PulledTransaction
from penpay.domain.payments.evidence import MpesaRequest


async def told_of_reference(
    receipts: MpesaReceipts | None, request: MpesaRequest, answer: PaymentAnswer, now: datetime
) -> PaymentAnswer:
    """What counts for this push in the place of `answer`, which M-Pesa gave for an id that may be another push's.

    PAID, with its receipt, if the list of payments (daraja.md §5.9) has our reference with our amount and no other
    phone. `answer` itself, if it says FAILED and the list was read whole, later than a prompt can be paid, without our
    reference: be the id whose it may, this push was not paid. UNKNOWN in every other case. Asks, and changes nothing.
    """
    sent_at = request.sent_at or request.created_at
    since, until = max(sent_at - PAID_WITHIN, now - PAYMENTS_LISTED_FOR), sent_at + PAID_WITHIN
    if receipts is None or since >= until:
        return UNPROVEN
    ours: list[PulledTransaction] = []
    is_whole, offset = since == sent_at - PAID_WITHIN and until <= now, 0
    while True:
        page = await receipts.pull(PullWindow(since=since, until=until, offset=offset))
        if page.outcome is not CallOutcome.ACCEPTED:
            return replace(UNPROVEN, retry_after_ms=page.retry_after_ms)
        ours += [row for row in page.transactions if row.bill_reference.strip().upper() == request.account_reference]
        is_whole = is_whole and not page.unreadable
        if page.next_offset is None:
            break
        offset = page.next_offset
    for row in ours:
        if row.amount == request.amount and row.phone.matches(request.phone) is not False:
            return PaymentAnswer(outcome=PaymentOutcome.PAID, receipt=row.receipt)
    return answer if is_whole and not ours and answer.outcome is PaymentOutcome.FAILED else UNPROVEN
