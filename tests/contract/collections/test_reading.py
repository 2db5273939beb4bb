"""What people see: single things, lists in pages, what waits in suspense, and what nobody can change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from penpay.application.collections.allocating import AllocatePayment
from penpay.application.collections.customers import CreateCustomer
from penpay.application.collections.invoicing import CreateInvoice, IssueCreditNote, VoidInvoice
from penpay.application.collections.queries import InvoiceFilter
from penpay.application.collections.receiving import ReceivePayment
from penpay.application.collections.refunding import ProposeRefund
from penpay.domain.collections.customer import Contact
from penpay.domain.collections.errors import CustomerExists, InvoiceExists
from penpay.domain.collections.line import LineItem
from penpay.domain.collections.payment import Payer, PayerForm, PaymentSource
from penpay.domain.collections.refund import RefundState
from penpay.domain.shared.email import Email
from penpay.domain.shared.phone import PhoneNumber
from tests.contract.collections.stage import STAFF, Stage, bill, kes, rows
from tests.contract.collections.test_selling import sell

AMINA = Contact(name="Amina Odhiambo", phone=PhoneNumber.parse("0712345678"), email=Email("amina@example.com"))


def books(stage: Stage) -> Any:
    return rows().books(stage.engine)


async def test_a_customer_is_seen_with_her_contact_and_balance(stage: Stage) -> None:
    """Found in any spelling; in the table her name, phone and address are sealed."""
    answer = await stage.do(CreateCustomer(contact=AMINA, by=STAFF))
    await stage.invoice("CUST-001", kes(100))

    seen = await books(stage).customer("cust001")

    assert {**answer, "balance_cents": 10_000, "receivable_cents": 10_000} == seen
    assert ("Amina Odhiambo", "+254712345678", "amina@example.com") == (seen["name"], seen["phone"], seen["email"])
    assert await books(stage).customer("CUST-002") is None
    stored = str(await stage.rows("SELECT * FROM customers"))
    assert "712345678" not in stored
    assert "Amina" not in stored


async def test_nobody_has_another_s_number_or_phone(stage: Stage) -> None:
    """Also when two are created at once: one is made, the other refused."""
    await stage.do(CreateCustomer(contact=AMINA, number="ACME", by=STAFF))
    for contact, number in ((AMINA, None), (Contact(name="B"), "a-cme")):
        with pytest.raises(CustomerExists):
            await stage.do(CreateCustomer(contact=contact, number=number, by=STAFF))
    await stage.invoice("ACME", kes(1), "X-1")
    with pytest.raises(InvoiceExists):
        await stage.invoice("ACME", kes(1), "x1")

    twins: list[Any] = await stage.together(
        [CreateCustomer(contact=Contact(name="C"), number="TWIN", by=STAFF) for _ in range(3)]
    )

    assert 2 == sum(isinstance(result, CustomerExists) for result in twins)


async def test_numbers_do_not_collide(stage: Stage) -> None:
    """A hundred invoices and customers at once each get a number of their own."""
    await stage.customer()
    made: list[Any] = await stage.together([bill("CUST-001", kes(1)) for _ in range(100)])
    await stage.together([CreateCustomer(contact=Contact(name="C"), by=STAFF) for _ in range(100)])

    assert {f"INV-20260301-{number:04d}" for number in range(1, 101)} == {one["invoice_id"] for one in made}
    assert 101 == await stage.one("SELECT count(DISTINCT customer_number) FROM customers")


async def test_an_invoice_tells_its_lines_and_what_became_of_it(stage: Stage) -> None:
    """Lines, payments, credit notes; overdue from the day after its due day in Nairobi."""
    await stage.customer()
    items = (
        LineItem(description="Maize", quantity_milli=1_500, unit_price=kes(100), vat_rate_bps=1_600),
        LineItem(description="Delivery", unit_price=kes(50)),
    )
    await stage.do(CreateInvoice(customer_number="CUST-001", items=items, number="A-1", memo="March", by=STAFF))
    await stage.paid("R1", kes(100), "A-1")
    await stage.do(IssueCreditNote(invoice_number="A-1", amount=kes(24), reason="late", by=STAFF))
    now = stage.clock.now()

    seen = await books(stage).invoice("a1", now=now)
    tomorrow = await books(stage).invoice("A-1", now=now + timedelta(hours=15))

    assert (20_000, 2_400, 22_400, 10_000, 2_400, 10_000) == tuple(
        seen[key] for key in ("net_cents", "vat_cents", "total_cents", "paid_cents", "credited_cents", "balance_cents")
    )
    assert ["Maize", "Delivery"] == [line["description"] for line in seen["lines"]]
    assert ["R1"] == [one["mpesa_receipt_number"] for one in seen["allocations"]]
    assert [("CN-20260301-0001", 257)] == [(one["credit_note_id"], one["vat_cents"]) for one in seen["credit_notes"]]
    assert ("PARTIALLY_PAID", "OVERDUE") == (seen["display_status"], tomorrow["display_status"])


async def test_lists_come_in_pages(stage: Stage) -> None:
    """Each page begins where the one before ended; filters hold."""
    await stage.customer()
    await stage.customer()
    for number in range(5):
        stage.clock.moment += timedelta(seconds=1)
        await stage.invoice(f"CUST-00{number % 2 + 1}", kes(10), f"A-{number}")
        await stage.paid(f"R{number}", kes(4), f"A-{number}")
        await sell(stage, 116)
    await stage.paid("LAST", kes(6), "A-0")
    await stage.do(VoidInvoice(invoice_number="A-1", by=STAFF))
    now, seen = stage.clock.now(), books(stage)

    async def invoices(which: InvoiceFilter, customer: str | None = None) -> list[str]:
        found, after = [], None
        while True:
            page = await seen.invoices(which, 2, now=now, customer_number=customer, after=after)
            found += [str(one["invoice_id"]) for one in page.items]
            after = page.next
            if after is None:
                return found

    assert ["A-4", "A-3", "A-2", "A-1", "A-0"] == await invoices(InvoiceFilter.ALL)
    assert ["A-2", "A-3", "A-4"] == sorted(await invoices(InvoiceFilter.OUTSTANDING))
    assert ["A-4", "A-2", "A-0"] == await invoices(InvoiceFilter.ALL, "cust001")
    assert (["A-0"], ["A-1"], []) == (
        await invoices(InvoiceFilter.PAID),
        await invoices(InvoiceFilter.VOID),
        await invoices(InvoiceFilter.OVERDUE),
    )
    first = await seen.payments(4)
    rest = await seen.payments(4, after=first.next)
    assert ["R0", "R1", "R2", "R3", "R4", "LAST"] == [
        one["mpesa_receipt_number"] for one in reversed([*first.items, *rest.items])
    ]
    pending = await seen.sales(3, status="PENDING")
    assert ["POS-005", "POS-004", "POS-003"] == [one["pos_id"] for one in pending.items]
    assert ["POS-002", "POS-001"] == [one["pos_id"] for one in (await seen.sales(3, after=pending.next)).items]
    people = await seen.customers(1)
    assert ("CUST-001", ["CUST-002"]) == (
        people.next,
        [one["customer_id"] for one in (await seen.customers(1, people.next)).items],
    )


async def test_the_queue_of_suspense_and_the_refunds_come_in_pages(stage: Stage) -> None:
    """The longest waiting first, the newest refund first; a page begins after its row even when that left the list."""
    await stage.customer()
    for number in range(5):
        stage.clock.moment += timedelta(seconds=1)
        await stage.paid(f"R{number}", kes(4), None)
        phone = PhoneNumber.parse("0712345678")
        await stage.do(ProposeRefund(receipt=f"R{number}", amount=kes(1), phone=phone, reason=f"r{number}", by=STAFF))
    seen = books(stage)

    first = await seen.suspense(2)
    await stage.do(AllocatePayment(receipt="R1", reference="CUST-001", by=STAFF))
    second = await seen.suspense(2, after=first.next)
    last = await seen.suspense(2, after=second.next)
    newest = await seen.refunds(3)
    oldest = await seen.refunds(3, state=RefundState.PROPOSED, after=newest.next)

    receipts = [[one["mpesa_receipt_number"] for one in page.items] for page in (first, second, last)]
    assert [["R0", "R1"], ["R2", "R3"], ["R4"]] == receipts
    assert [["r4", "r3", "r2"], ["r1", "r0"]] == [[one["reason"] for one in page.items] for page in (newest, oldest)]
    assert (None, None) == (last.next, oldest.next)
    assert [] == (await seen.suspense(5, customer_number="CUST-001")).items


async def test_suspense_is_shown_with_what_it_may_be_for(stage: Stage) -> None:
    """The payer's phone comes hashed and is recognised; the amount is that of an open invoice."""
    await stage.do(CreateCustomer(contact=AMINA, by=STAFF))
    await stage.invoice("CUST-001", kes(700), "A-1")
    await stage.invoice("CUST-001", kes(300), "A-2")
    hashed = Payer.of(PhoneNumber.parse("0712345678")).hashed or ""
    payer = Payer(form=PayerForm.HASHED, text=hashed, name="AMINA")
    told = ReceivePayment(receipt="R1", source=PaymentSource.C2B, amount=kes(700), bill_reference="rent", payer=payer)
    await stage.do(told)

    (waiting,) = (await books(stage).suspense(10)).items

    assert ("R1", "UNKNOWN_REFERENCE", 70_000) == (
        waiting["mpesa_receipt_number"],
        waiting["suspense_reason"],
        waiting["suspense_cents"],
    )
    assert [("A-1", ["PAYER", "NAME", "AMOUNT"]), ("CUST-001", ["PAYER", "NAME"]), ("A-2", ["PAYER", "NAME"])] == [
        (one["reference"], sorted(one["hints"], key=["PAYER", "NAME", "AMOUNT"].index))
        for one in waiting["suggestions"]
    ]
    assert 70_000 == await books(stage).paid_today(now=stage.clock.now(), payer_hash=hashed)
    assert 0 == await books(stage).paid_today(now=stage.clock.now() + timedelta(days=1), payer_hash=hashed)


async def test_a_payment_is_seen_without_the_payer_s_number(stage: Stage) -> None:
    """A plain number is masked; the allocations name what it paid."""
    await stage.do(CreateCustomer(contact=AMINA, by=STAFF))
    await stage.invoice("CUST-001", kes(50), "A-1")
    told = ReceivePayment(
        receipt="R1",
        source=PaymentSource.C2B,
        amount=kes(70),
        bill_reference="A-1",
        payer=Payer.of(PhoneNumber.parse("0712345678"), "AMINA"),
    )
    await stage.do(told)

    seen = await books(stage).payment("R1")

    assert ("+2547******78", "AMINA", "CUST-001") == (seen["payer"], seen["payer_name"], seen["customer_id"])
    assert [("INVOICE", 5_000, "A-1"), ("CREDIT", 2_000, None)] == [
        (one["target"], one["amount_cents"], one["invoice_id"]) for one in seen["allocations"]
    ]
    assert seen == await books(stage).payment(seen["payment_id"])
    assert await books(stage).payment("R2") is None


async def test_whoever_pays_a_refund_out_learns_the_number(stage: Stage) -> None:
    """People see it masked."""
    await stage.paid("R1", kes(100), None)
    phone = PhoneNumber.parse("0712345678")
    answer = await stage.do(ProposeRefund(receipt="R1", amount=kes(100), phone=phone, reason="twice", by=STAFF))

    (shown,) = (await books(stage).refunds(5, state=RefundState.PROPOSED)).items

    assert answer == shown
    assert "+2547******78" == shown["phone"]
    found = await books(stage).refund(stage.identifier(await stage.one("SELECT id FROM collections_refunds")))
    assert phone == found.phone


async def test_a_reference_that_no_database_could_hold_is_booked(stage: Stage) -> None:
    """NUL, half a character and a thousand letters do not keep money out of the books."""
    for at, reference in enumerate(("A\x00B", "\ud800", "x" * 1_000, "' OR 1=1 --")):
        await stage.paid(f"R{at}", kes(1), reference)

    assert 400 == await stage.account("2300")
    await stage.agrees()


async def test_allocations_cannot_be_changed(stage: Stage) -> None:
    """Whatever SQL is sent."""
    customer = await stage.customer()
    await stage.paid("R1", kes(1), customer)

    for statement in ("UPDATE payment_allocations SET amount_cents = 2", "DELETE FROM payment_allocations"):
        with pytest.raises(DBAPIError):
            await stage.change(statement)
    assert 100 == await stage.one("SELECT amount_cents FROM payment_allocations")
