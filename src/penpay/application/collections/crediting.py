"""Customers' credit: applied to invoices by itself or by hand, and taken out of them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penpay.application.collections.naming import customer_ids, look_up, named_customer, require
from penpay.application.collections.rows import (
    ALL_OPEN_INVOICES,
    ALLOCATIONS,
    CUSTOMERS,
    INVOICES,
    REFERENTS,
)
from penpay.application.collections.using import customer_facts, customer_of, invoice_of
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Stale, Work
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.allocation import Allocation, AllocationId, OpenInvoice, Target, first_in_first_out
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.errors import CreditTooSmall, InvoiceNotFound
from penpay.domain.collections.invoice import Invoice, InvoiceId
from penpay.domain.collections.reference import Referent, fold
from penpay.domain.shared.money import Money


def apply_credit(work: Work, invoice: Invoice, amount: Money, by: str) -> Invoice:
    """Pay an invoice out of its customer's credit; the invoice as it is then.

    The footprint names both and the accounts. Raises CreditTooSmall, InvoicePaid, InvoiceVoid.
    """
    after = invoice.settled(amount)
    customer = customer_of(work, invoice.customer_id)
    work.put(INVOICES, invoice.id, after)
    work.put(CUSTOMERS, customer.id, customer.moved(receivable=-amount.cents, credit=-amount.cents))
    id_ = AllocationId(work.ids.new())
    journal_id = postings.credit_applied(work, allocation=id_, amount=amount)
    work.append(
        ALLOCATIONS,
        Allocation(
            id=id_,
            payment_id=None,
            customer_id=customer.id,
            invoice_id=invoice.id,
            target=Target.INVOICE,
            amount=amount,
            journal_id=journal_id,
            created_at=work.now,
            created_by=by,
        ),
    )
    work.record(after.event("CreditApplied", paid_cents=amount.cents, **customer_facts(work, customer.id)))
    return after


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyCredit:
    """Use a customer's credit for her open invoices, the oldest first, or for one of them."""

    customer_number: str
    invoice_number: str | None = None
    amount: Money | None = None
    """None: as much as there is."""
    by: str


class ApplyCreditHandler:
    async def footprint(self, commands: Sequence[ApplyCredit], find: Find) -> Footprint:
        footprint = postings.books_footprint(Footprint())
        await look_up((command.invoice_number for command in commands if command.invoice_number), find)
        found = await find(REFERENTS, {fold(command.customer_number) for command in commands})
        ids = customer_ids(found)
        footprint.add(CUSTOMERS, *ids)
        for open_ in (await find(ALL_OPEN_INVOICES, ids)).values():
            footprint.add(INVOICES, *(invoice_id for invoice_id, _ in open_.invoices))
        return footprint

    def handle(self, command: ApplyCredit, work: Work) -> Answer:
        """The customer's number, what was applied and her credit afterwards.

        Raises CustomerNotFound, InvoiceNotFound (also for another customer's), InvoicePaid, InvoiceVoid, and
        CreditTooSmall when there is less credit than the amount named, or none.
        """
        customer = customer_of(work, named_customer(work, command.customer_number))
        amount = command.amount or customer.credit
        if not 0 < amount.cents <= customer.credit.cents:
            raise CreditTooSmall(customer_id=customer.number, credit_cents=customer.credit.cents)
        if command.invoice_number is not None:
            applied = self._to_one(work, customer.id, command.invoice_number, amount, command.by)
        else:
            applied = self._to_oldest(work, customer.id, amount, command.by)
        after = customer_of(work, customer.id)
        work.audit(command.by, "credit.applied", "customer", customer.id, amount_cents=applied)
        return {"customer_id": customer.number, "applied_cents": applied, "credit_cents": after.credit.cents}

    @staticmethod
    def _to_one(work: Work, customer_id: CustomerId, number: str, amount: Money, by: str) -> int:
        invoice_id = InvoiceId(require(work, number, Referent.INVOICE).id)
        invoice = invoice_of(work, invoice_id)
        if invoice.customer_id != customer_id:
            raise InvoiceNotFound
        part = min(amount, invoice.balance) if invoice.is_open else amount
        apply_credit(work, invoice, part, by)
        return part.cents

    @staticmethod
    def _to_oldest(work: Work, customer_id: CustomerId, amount: Money, by: str) -> int:
        customer, found = customer_of(work, customer_id), work.found(ALL_OPEN_INVOICES, customer_id)
        if found is None or (found.issued_count, found.reopened_count) != (
            customer.issued_count,
            customer.reopened_count,
        ):
            raise Stale(CUSTOMERS, [customer_id])
        opened = [OpenInvoice(one.id, invoice_of(work, one.id).balance.cents) for one in found.invoices]
        parts, rest = first_in_first_out(amount, opened)
        for invoice_id, part in parts:
            apply_credit(work, invoice_of(work, invoice_id), part, by)
        return amount.cents - rest.cents
