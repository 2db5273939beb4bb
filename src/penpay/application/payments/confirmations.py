"""C2B confirmations of deposits: M-Pesa tells of a pushed payment a second time, under the push's account reference.

Such a message is one more word about the push, like its callback: it confirms a payment whose callback was lost, adds
the receipt to one that only a query has told, and is believed no further (DESIGN §5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from penpay.application.payments.callbacks import ApplyWebhookHandler
from penpay.application.payments.collecting import request_and_transaction, requests_footprint
from penpay.application.payments.rows import REQUESTS_BY_RECEIPT, TRANSACTIONS
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.shared.webhooks import WEBHOOKS, WebhookOutcome
from penpay.domain.mpesa.c2b import C2bPayment
from penpay.domain.mpesa.callback import StkCallback
from penpay.domain.shared.ids import MpesaRequestId, WebhookId

_PAID: Final = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmDeposit:
    """A confirmation carries the account reference of this push. Telling it again changes nothing."""

    webhook_id: WebhookId | None
    """The stored message; None when a list of payments told it."""
    request_id: MpesaRequestId
    payment: C2bPayment


class ConfirmDepositHandler:
    def __init__(self, callbacks: ApplyWebhookHandler) -> None:
        self._callbacks = callbacks

    async def footprint(self, commands: Sequence[ConfirmDeposit], find: Find) -> Footprint:
        await find(REQUESTS_BY_RECEIPT, {command.payment.receipt for command in commands})
        footprint = await requests_footprint({command.request_id for command in commands}, find)
        return footprint.add(WEBHOOKS, *(c.webhook_id for c in commands if c.webhook_id is not None))

    def handle(self, command: ConfirmDeposit, work: Work) -> WebhookOutcome:
        """Apply it once and say what became of it. Raises NotFound for a push that does not exist."""
        webhook = None if command.webhook_id is None else work.get(WEBHOOKS, command.webhook_id)
        if webhook is not None and webhook.outcome is not WebhookOutcome.RECEIVED:
            return webhook.outcome
        request, transaction, subject = request_and_transaction(work, command.request_id)
        told = command.payment
        if command.webhook_id is None and request.receipt == told.receipt:
            return WebhookOutcome.REPEATED  # each reading of the list tells it again
        transaction, event = transaction.moved(
            "MpesaConfirmationReceived",
            transaction.status,
            work.now,
            webhook_id=None if command.webhook_id is None else str(command.webhook_id),
            told_receipt=told.receipt,
        )
        work.put(TRANSACTIONS, transaction.id, transaction)
        work.record(event)
        outcome = self._callbacks.conclude(request, transaction, subject, _as_callback(request.id, told), work)
        if webhook is not None:
            applied = replace(webhook, subject_id=request.id, outcome=outcome, due_at=None, version=webhook.version + 1)
            work.put(WEBHOOKS, webhook.id, applied)
        work.audit("mpesa", "mpesa_request.confirmed", "mpesa_request", request.id, outcome=outcome.value)
        return outcome


def _as_callback(request_id: MpesaRequestId, told: C2bPayment) -> StkCallback:
    """The words of a successful callback. A confirmation has no CheckoutRequestID: the reference has named the push."""
    return StkCallback(
        merchant_request_id="",
        checkout_request_id=str(request_id),
        result_code=_PAID,
        result_desc="",
        amount=told.amount,
        amount_readable=True,
        receipt=told.receipt,
        phone_text=told.phone.text or None,
        paid_at=told.paid_at,
    )
