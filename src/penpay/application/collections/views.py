"""What things of Collections look like from outside: the JSON shapes of every answer about them.

Ids are the numbers people know; amounts are integer cents of KES; moments RFC 3339 in UTC; days YYYY-MM-DD in Nairobi.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from penpay.domain.collections.allocation import Allocation
from penpay.domain.collections.customer import Contact, Customer
from penpay.domain.collections.invoice import OVERDUE, CreditNote, Invoice
from penpay.domain.collections.line import Line, totals
from penpay.domain.collections.outflow import Outflow
from penpay.domain.collections.payment import Payer, PayerForm, Payment
from penpay.domain.collections.point_of_sale import Sale, Tender
from penpay.domain.collections.recurring import RecurringInvoice
from penpay.domain.collections.refund import Refund
from penpay.domain.shared.phone import PhoneNumber

View = dict[str, object]


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, with microseconds."""
    return None if at is None else at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def customer_view(customer: Customer, contact: Contact | None = None) -> View:
    """A customer and what she owes; `balance_cents` is below zero when the business owes her."""
    contact = contact or customer.contact
    return {
        "customer_id": customer.number,
        "name": contact and contact.name,
        "phone": contact and contact.phone and contact.phone.e164,
        "email": contact and contact.email and contact.email.address,
        "auto_apply_credit": customer.auto_apply_credit,
        "balance_cents": customer.balance.cents,
        "receivable_cents": customer.receivable.cents,
        "credit_cents": customer.credit.cents,
        "created_at": moment(customer.created_at),
    }


def line_view(line: Line) -> View:
    """A line of an invoice or a sale."""
    return {
        "line_no": line.line_no,
        "description": line.description,
        "quantity_milli": line.quantity_milli,
        "unit_price_cents": line.unit_price.cents,
        "discount_cents": line.discount.cents,
        "vat_rate_bps": line.vat_rate_bps,
        "net_cents": line.net.cents,
        "vat_cents": line.vat.cents,
    }


def invoice_view(invoice: Invoice, customer_number: str, today: date, lines: Sequence[Line] = ()) -> View:
    """An invoice; `display_status` is OVERDUE where it is open and its due day has passed, else the status."""
    return {
        "invoice_id": invoice.number,
        "customer_id": customer_number,
        "status": invoice.status.value,
        "display_status": OVERDUE if invoice.is_overdue(today) else invoice.status.value,
        "net_cents": invoice.net.cents,
        "vat_cents": invoice.vat.cents,
        "total_cents": invoice.total.cents,
        "credited_cents": invoice.credited.cents,
        "paid_cents": invoice.paid.cents,
        "balance_cents": invoice.balance.cents,
        "memo": invoice.memo,
        "issued_at": moment(invoice.issued_at),
        "due_on": invoice.due_on.isoformat(),
        "voided_at": moment(invoice.voided_at),
        "lines": [line_view(line) for line in lines],
    }


def credit_note_view(note: CreditNote, invoice_number: str) -> View:
    """A credit note."""
    return {
        "credit_note_id": note.number,
        "invoice_id": invoice_number,
        "net_cents": note.net.cents,
        "vat_cents": note.vat.cents,
        "total_cents": note.total.cents,
        "reason": note.reason,
        "issued_at": moment(note.issued_at),
        "issued_by": note.issued_by,
    }


def sale_view(
    sale: Sale, customer_number: str | None, lines: Sequence[Line] = (), tenders: Sequence[Tender] = ()
) -> View:
    """A sale at the till."""
    return {
        "pos_id": sale.number,
        "customer_id": customer_number,
        "status": sale.status.value,
        "net_cents": sale.net.cents,
        "vat_cents": sale.vat.cents,
        "total_cents": sale.total.cents,
        "cash_cents": sale.cash.cents,
        "mpesa_cents": sale.mpesa.cents,
        "to_pay_cents": sale.to_pay.cents,
        "expires_at": moment(sale.expires_at),
        "paid_at": moment(sale.paid_at),
        "created_at": moment(sale.created_at),
        "created_by": sale.created_by,
        "lines": [line_view(line) for line in lines],
        "tenders": [
            {
                "kind": tender.kind.value,
                "amount_cents": tender.amount.cents,
                "taken_at": moment(tender.taken_at),
                "taken_by": tender.taken_by,
            }
            for tender in tenders
        ],
    }


def payment_view(payment: Payment, customer_number: str | None = None, payer: Payer | None = None) -> View:
    """A payment; of the payer what people may see: a plain number masked, a hash not at all.

    `payer_form` is None where the payment was read for its money alone.
    """
    told = payer or payment.payer
    return {
        "payment_id": str(payment.id),
        "mpesa_receipt_number": payment.receipt,
        "source": payment.source.value,
        "amount_cents": payment.amount.cents,
        "short_code": payment.short_code,
        "bill_reference": payment.bill_reference,
        "customer_id": customer_number,
        "payer_form": told and told.form.value,
        "payer": payer and _shown(payer),
        "payer_name": payer and (payer.name or None),
        "status": payment.status.value,
        "suspense_cents": payment.suspense.cents,
        "suspense_reason": payment.suspense_reason and payment.suspense_reason.value,
        "verification": payment.verification.value,
        "verified_by": payment.verified_by,
        "flags": sorted(flag.value for flag in payment.flags),
        "org_balance_cents": payment.org_balance and payment.org_balance.cents,
        "transacted_at": moment(payment.transacted_at),
        "paid_at": moment(payment.paid_at),
        "received_at": moment(payment.received_at),
    }


def _shown(payer: Payer) -> str | None:
    if payer.form is PayerForm.PLAIN:
        return PhoneNumber(payer.text).masked
    return payer.text if payer.form is PayerForm.MASKED else None


def allocation_view(allocation: Allocation, invoice_number: str | None, pos_number: str | None) -> View:
    """One allocation; `reverses_id` names the one that it takes back."""
    return {
        "allocation_id": str(allocation.id),
        "target": allocation.target.value,
        "amount_cents": allocation.amount.cents,
        "invoice_id": invoice_number,
        "pos_id": pos_number,
        "reverses_id": allocation.reverses_id and str(allocation.reverses_id),
        "created_at": moment(allocation.created_at),
        "created_by": allocation.created_by,
    }


def refund_view(refund: Refund, receipt: str | None, customer_number: str | None) -> View:
    """A refund; `mpesa_receipt_number` is the payment it comes from, `receipt` that of the payout."""
    return {
        "refund_id": str(refund.id),
        "mpesa_receipt_number": receipt,
        "customer_id": customer_number,
        "amount_cents": refund.amount.cents,
        "state": refund.state.value,
        "reason": refund.reason,
        "phone": refund.phone.masked,
        "proposed_by": refund.proposed_by,
        "proposed_at": moment(refund.proposed_at),
        "decided_by": refund.decided_by,
        "decided_at": moment(refund.decided_at),
        "receipt": refund.receipt,
        "failure_code": refund.failure_code,
        "ended_at": moment(refund.ended_at),
    }


def outflow_view(outflow: Outflow) -> View:
    """Money that left the PayBill account; `told` is what M-Pesa's statement says of it."""
    return {
        "mpesa_receipt_number": outflow.receipt,
        "amount_cents": outflow.amount.cents,
        "use": outflow.use.value,
        "reason": None if outflow.reason is None else outflow.reason.value,
        "linked_receipt": outflow.linked_receipt,
        "told": outflow.told,
        "left_at": moment(outflow.at),
        "recorded_by": outflow.recorded_by,
        "explained_by": outflow.explained_by,
        "explained_at": moment(outflow.explained_at),
    }


def recurring_view(one: RecurringInvoice, customer_number: str) -> View:
    """A recurring invoice, with the lines of each bill."""
    lines, schedule = one.lines(), one.schedule
    return {
        "recurring_id": one.number,
        "customer_id": customer_number,
        "state": one.state.value,
        "total_cents": totals(lines).total.cents,
        "lines": [line_view(line) for line in lines],
        "memo": one.memo,
        "due_days": one.due_days,
        "every": schedule.every.value,
        "interval": schedule.interval,
        "starts_on": schedule.starts_on.isoformat(),
        "ends_on": None if schedule.ends_on is None else schedule.ends_on.isoformat(),
        "times": schedule.times,
        "next_on": None if one.due_at is None else schedule.day(one.next).isoformat(),
        "created_by": one.created_by,
        "created_at": moment(one.created_at),
    }
