"""Billing: invoices, their correction by credit notes, and voiding them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from penpay.application.collections.crediting import apply_credit
from penpay.application.collections.naming import (
    customer_ids,
    look_up,
    named,
    named_customer,
    numbers_footprint,
    require,
    take_number,
)
from penpay.application.collections.period import lock_footprint, require_open
from penpay.application.collections.rows import (
    CREDIT_NOTES,
    CUSTOMERS,
    HELD_BY_INVOICE,
    INVOICE_LINES,
    INVOICES,
    REFERENTS,
)
from penpay.application.collections.taking_back import fresh_invoice, held_footprint, take_back
from penpay.application.collections.using import customer_facts, customer_of, invoice_of
from penpay.application.collections.views import credit_note_view, invoice_view
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.allocation import Target, newest_first
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.errors import CreditNoteTooLarge, InvoiceExists, InvoiceVoid
from penpay.domain.collections.invoice import (
    CreditNote,
    CreditNoteId,
    Invoice,
    InvoiceId,
    InvoiceStatus,
    lines_of,
)
from penpay.domain.collections.line import ZERO, Line, LineItem, priced, totals
from penpay.domain.collections.numbers import SeriesName
from penpay.domain.collections.period import check_dated
from penpay.domain.collections.reference import Referent, fold
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Money
from penpay.domain.shared.nairobi import day_bounds, nairobi_day

LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateInvoice:
    """What a customer is billed. An amount alone is one line of it without VAT."""

    customer_number: str
    items: tuple[LineItem, ...]
    vat_included: bool = False
    """Whether the prices of the lines contain VAT, or it comes on top."""
    due_on: date | None = None
    """The day in Nairobi by which it is to be paid; None: today."""
    issued_on: date | None = None
    """The day in Nairobi that it bears, no day to come; None: today. The accounts go by when it is booked."""
    number: str | None = None
    """None: the next of the day."""
    memo: str | None = None
    by: str

    def __post_init__(self) -> None:
        if self.memo is not None and len(self.memo) > LONGEST_TEXT:
            raise InvalidRequest(f"A memo has at most {LONGEST_TEXT} characters.", fields=["memo"])


class CreateInvoiceHandler:
    async def footprint(self, commands: Sequence[CreateInvoice], find: Find) -> Footprint:
        await look_up((command.number for command in commands if command.number), find)
        found = await find(REFERENTS, {fold(command.customer_number) for command in commands})
        footprint = numbers_footprint(postings.books_footprint(lock_footprint(Footprint())), SeriesName.INVOICE)
        return footprint.add(CUSTOMERS, *customer_ids(found))

    def handle(self, command: CreateInvoice, work: Work) -> Answer:
        """Bill her, and let her credit pay it where she lets it; the answer is `invoice_view`.

        Raises CustomerNotFound, InvoiceExists, InvalidNumber, InvalidLine, InvalidAmount, InvalidRequest for a day to
        come and PeriodLocked for a day that is locked.
        """
        issued_at = _dated(command, work)
        customer = customer_of(work, named_customer(work, command.customer_number))
        if command.number is not None and named(work, command.number, Referent.INVOICE) is not None:
            raise InvoiceExists(invoice_id=command.number)
        lines = priced(command.items, vat_included=command.vat_included)
        invoice = issue(work, _issued(command, work, customer.id, lines, issued_at), lines, command.by)
        return invoice_view(invoice, customer.number, nairobi_day(work.now), lines)


def issue(work: Work, invoice: Invoice, lines: Sequence[Line], by: str) -> Invoice:
    """Bill a customer, and let her credit pay it where she lets it; the invoice as it is then.

    One that is dated back stands before others in her row, so whoever has looked at that must look again.
    """
    customer = customer_of(work, invoice.customer_id)
    work.add(INVOICES, invoice.id, invoice)
    for line in lines_of(invoice.id, lines):
        work.append(INVOICE_LINES, line)
    is_earlier = invoice.issued_at < work.now
    work.put(CUSTOMERS, customer.id, customer.moved(receivable=invoice.total.cents, issued=1, reopened=int(is_earlier)))
    postings.invoice_issued(work, invoice=invoice.id, net=invoice.net, vat=invoice.vat, happened_at=invoice.issued_at)
    facts = {"total_cents": invoice.total.cents, **customer_facts(work, customer.id)}
    work.record(invoice.event("InvoiceIssued", due_on=invoice.due_on.isoformat(), **facts))
    work.audit(by, "invoice.issued", "invoice", invoice.id, invoice_id=invoice.number)
    credit = min(customer.credit, invoice.balance)
    if customer.auto_apply_credit and credit.cents:
        return apply_credit(work, invoice, credit, by)
    return invoice


def _dated(command: CreateInvoice, work: Work) -> datetime:
    """When it counts as issued: now, or as the day began that it bears."""
    today = nairobi_day(work.now)
    if command.issued_on is None or command.issued_on == today:
        return work.now
    check_dated(command.issued_on, today, "issued_on")
    require_open(work, command.issued_on)
    return day_bounds(command.issued_on)[0]


def _issued(
    command: CreateInvoice, work: Work, customer_id: CustomerId, lines: Sequence[Line], issued_at: datetime
) -> Invoice:
    sums = totals(lines)
    return Invoice(
        id=InvoiceId(work.ids.new()),
        number=take_number(work, SeriesName.INVOICE, command.number),
        customer_id=customer_id,
        status=InvoiceStatus.UNPAID,
        net=sums.net,
        vat=sums.vat,
        balance=sums.total,
        memo=command.memo,
        issued_at=issued_at,
        due_on=command.due_on or nairobi_day(issued_at),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidInvoice:
    """An invoice should not have been: it is undone, and what had paid it is the customer's credit."""

    invoice_number: str
    by: str


class VoidInvoiceHandler:
    async def footprint(self, commands: Sequence[VoidInvoice], find: Find) -> Footprint:
        return lock_footprint(await _invoices_footprint([command.invoice_number for command in commands], find))

    def handle(self, command: VoidInvoice, work: Work) -> Answer:
        """Void it once; the answer is `invoice_view`.

        Raises InvoiceNotFound, PeriodLocked where it was issued in a locked period (a credit note corrects it), and
        InvoiceVoid on a repeat.
        """
        invoice, held = fresh_invoice(work, InvoiceId(require(work, command.invoice_number, Referent.INVOICE).id))
        if invoice.is_void:
            raise InvoiceVoid(invoice_id=invoice.number)
        require_open(work, nairobi_day(invoice.issued_at))
        for allocation in held:
            take_back(work, allocation, allocation.amount, to=Target.CREDIT, by=command.by)
        invoice = invoice_of(work, invoice.id)
        left = invoice.balance
        vat = invoice.vat_of(left) if left.cents else ZERO
        if left.cents:
            postings.invoice_voided(work, invoice=invoice.id, net=left - vat, vat=vat)
        after = invoice.voided(work.now)
        customer = customer_of(work, invoice.customer_id)
        work.put(INVOICES, after.id, after)
        work.put(CUSTOMERS, customer.id, customer.moved(receivable=-left.cents))
        work.record(after.event("InvoiceVoided", **customer_facts(work, customer.id)))
        work.audit(command.by, "invoice.voided", "invoice", after.id, invoice_id=after.number)
        return invoice_view(after, customer.number, nairobi_day(work.now))


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueCreditNote:
    """Take something off an invoice; what was paid above the rest is the customer's credit."""

    invoice_number: str
    amount: Money | None = None
    """With VAT; None: all that is left of it."""
    reason: str
    by: str

    def __post_init__(self) -> None:
        if not self.reason.strip() or len(self.reason) > LONGEST_TEXT:
            raise InvalidRequest(f"A reason has 1 to {LONGEST_TEXT} characters.", fields=["reason"])


class IssueCreditNoteHandler:
    async def footprint(self, commands: Sequence[IssueCreditNote], find: Find) -> Footprint:
        footprint = await _invoices_footprint([command.invoice_number for command in commands], find)
        return numbers_footprint(footprint, SeriesName.CREDIT_NOTE)

    def handle(self, command: IssueCreditNote, work: Work) -> Answer:
        """Issue it; the answer is `credit_note_view`.

        The VAT in it has the part of the invoice's VAT that it has of the total. Raises InvoiceNotFound, InvoiceVoid,
        InvalidAmount, and CreditNoteTooLarge when less is left of the invoice.
        """
        invoice, held = fresh_invoice(work, InvoiceId(require(work, command.invoice_number, Referent.INVOICE).id))
        if invoice.is_void:
            raise InvoiceVoid(invoice_id=invoice.number)
        left = invoice.total - invoice.credited
        amount = left if command.amount is None else command.amount
        if left.cents == 0 or amount.require_positive() > left:
            raise CreditNoteTooLarge(invoice_id=invoice.number, left_cents=left.cents)
        if amount > invoice.balance:
            taken, _ = newest_first(amount - invoice.balance, held)
            for allocation, part in taken:
                take_back(work, allocation, part, to=Target.CREDIT, by=command.by)
            invoice = invoice_of(work, invoice.id)
        note = self._note(command, work, invoice, amount)
        after = invoice.taken_off(amount)
        customer = customer_of(work, invoice.customer_id)
        work.put(INVOICES, after.id, after)
        work.put(CUSTOMERS, customer.id, customer.moved(receivable=-amount.cents))
        work.append(CREDIT_NOTES, note)
        postings.credit_note_issued(work, credit_note=note.id, net=note.net, vat=note.vat)
        facts = {"credit_note_id": note.number, "amount_cents": amount.cents, **customer_facts(work, customer.id)}
        work.record(after.event("CreditNoteIssued", **facts))
        work.audit(command.by, "credit_note.issued", "invoice", after.id, credit_note_id=note.number)
        return credit_note_view(note, after.number)

    @staticmethod
    def _note(command: IssueCreditNote, work: Work, invoice: Invoice, amount: Money) -> CreditNote:
        vat = invoice.vat_of(amount)
        return CreditNote(
            id=CreditNoteId(work.ids.new()),
            number=take_number(work, SeriesName.CREDIT_NOTE),
            invoice_id=invoice.id,
            customer_id=invoice.customer_id,
            net=amount - vat,
            vat=vat,
            reason=command.reason,
            issued_at=work.now,
            issued_by=command.by,
        )


async def _invoices_footprint(numbers: Sequence[str], find: Find) -> Footprint:
    """The invoices with these numbers, their customers and all that pays them."""
    footprint = postings.books_footprint(Footprint())
    found = await find(REFERENTS, {fold(number) for number in numbers})
    ids = {InvoiceId(one.id) for some in found.values() for one in some if one.referent is Referent.INVOICE}
    owners = {one.customer_id for some in found.values() for one in some if one.referent is Referent.INVOICE}
    footprint.add(INVOICES, *ids).add(CUSTOMERS, *(CustomerId(owner) for owner in owners if owner is not None))
    for held in (await find(HELD_BY_INVOICE, ids)).values():
        held_footprint(footprint, held)
    return footprint
