"""A payment is booked once, wherever its reference leads, and never dropped."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from penpay.application.collections.receiving import AttachReceipt, Received, ReceivePayment, VerifyPayment
from penpay.domain.collections.errors import PaymentNotFound, ReceiptTaken
from penpay.domain.collections.payment import Payer, PaymentSource, PaymentStatus
from penpay.domain.shared.phone import PhoneNumber
from tests.contract.collections.stage import Stage, bill, kes, opened, receipt_of


async def test_a_payment_of_an_invoice_settles_it(stage: Stage) -> None:
    """The worked example: 5,000 for INV-20260203-0001 makes it PAID, and the customer owes nothing."""
    customer = await stage.customer()
    await stage.invoice(customer, kes(5_000), "INV-20260203-0001")

    received = await stage.paid("QGK12XYZ9", kes(5_000), "INV-20260203-0001")

    assert (received.status, received.repeated) == (PaymentStatus.ALLOCATED, False)
    assert [("PAID", 0)] == await stage.rows("SELECT status, balance FROM invoices")
    assert {"1010": 500_000, "4000": 500_000} == await stage.trial_balance()
    await stage.agrees()


@pytest.mark.parametrize(
    ("reference", "invoice", "credit", "suspense"),
    [
        ("INV-20260203-0001", 100, 0, 0),
        ("inv 20260203 0001", 100, 0, 0),
        (" INV202602030001", 100, 0, 0),
        ("20260203-0001", 100, 0, 0),
        ("CUST-001", 100, 0, 0),
        ("cust001", 100, 0, 0),
        ("001", 100, 0, 0),
        ("INV-20260203-0002", 0, 0, 100),
        ("", 0, 0, 100),
        (None, 0, 0, 100),
        ("0712345678", 0, 0, 100),
    ],
)
async def test_a_reference_is_matched_forgivingly(
    stage: Stage, reference: str | None, invoice: int, credit: int, suspense: int
) -> None:
    """Case, blanks, dashes and a prefix that is left out do not matter; anything else waits for people."""
    customer = await stage.customer()
    await stage.invoice(customer, kes(500), "INV-20260203-0001")

    await stage.paid("R1", kes(100), reference)

    left = await stage.one("SELECT balance FROM invoices")
    assert (50_000 - 100 * invoice, 100 * credit) == (left, await stage.account("2100"))
    assert 100 * suspense == await stage.account("2300")
    await stage.agrees()


async def test_a_customer_s_reference_pays_the_oldest_invoice_first(stage: Stage) -> None:
    """250 for invoices of 100, 100 and 100 in their order: two are paid, the third in half."""
    customer = await stage.customer()
    for number in ("B-1", "A-2", "C-3"):
        await stage.invoice(customer, kes(100), number)
        stage.clock.moment += timedelta(seconds=1)

    await stage.paid("R1", kes(250), customer)

    paid = await stage.rows("SELECT invoice_number, status, balance FROM invoices ORDER BY issued_at")
    assert [("B-1", "PAID", 0), ("A-2", "PAID", 0), ("C-3", "PARTIALLY_PAID", 5_000)] == paid
    await stage.agrees()


async def test_more_than_is_owed_is_credit_for_the_next_invoice(stage: Stage) -> None:
    """500 for an invoice of 200 leaves 300 of credit, which pays the next invoice of 250 by itself."""
    customer = await stage.customer()
    await stage.invoice(customer, kes(200), "A-1")
    await stage.paid("R1", kes(500), "A-1")
    assert 30_000 == await stage.account("2100")

    await stage.invoice(customer, kes(250), "A-2")

    assert [(0,), (0,)] == await stage.rows("SELECT balance FROM invoices")
    assert 5_000 == await stage.account("2100")
    await stage.agrees()


async def test_credit_waits_where_a_customer_does_not_want_it_applied(stage: Stage) -> None:
    """With auto_apply_credit off the next invoice stays unpaid."""
    customer = await stage.customer(auto=False)
    await stage.paid("R1", kes(500), customer)

    await stage.invoice(customer, kes(250))

    assert ("UNPAID", 25_000) == (await stage.rows("SELECT status, balance FROM invoices"))[0]
    assert 50_000 == await stage.account("2100")
    await stage.agrees()


async def test_a_payment_of_a_paid_invoice_is_credit(stage: Stage) -> None:
    """Paying twice by two receipts loses nothing."""
    customer = await stage.customer()
    await stage.invoice(customer, kes(100), "A-1")

    for receipt in ("R1", "R2"):
        await stage.paid(receipt, kes(100), "A-1")

    assert 10_000 == await stage.account("2100")
    await stage.agrees()


async def test_a_hundred_identical_payments_at_once_count_once(stage: Stage) -> None:
    """One books, ninety-nine recognise it."""
    customer = await stage.customer()

    results: list[Received] = await stage.together([receipt_of("SAME1", kes(10), customer)] * 100)

    assert 99 == sum(result.repeated for result in results)
    assert 1 == len({result.payment_id for result in results})
    assert 1_000 == await stage.account("1010")
    await stage.agrees()


async def test_a_receipt_that_comes_again_with_other_facts_is_an_anomaly(stage: Stage) -> None:
    """The books stay as they are, and the payment says that something was odd."""
    customer = await stage.customer()
    await stage.paid("R1", kes(100), customer)

    again = await stage.paid("R1", kes(900), "OTHER")

    assert (True, ("amount_cents", "bill_reference")) == (again.repeated, again.contradicts)
    assert 10_000 == await stage.account("1010")
    assert [("RECEIPT_REUSED",)] == await stage.rows("SELECT flags FROM payments")
    assert 1 == await stage.one("SELECT count(*) FROM domain_events WHERE name = 'PaymentContradicted'")
    await stage.agrees()


async def test_what_breaks_a_limit_is_booked_and_flagged(stage: Stage) -> None:
    """250,001 at once, and more than 500,000 on one day in Nairobi; the next day begins anew."""
    customer = await stage.customer()
    await stage.paid("R1", kes(250_001), customer)
    await stage.paid("R2", kes(249_999), customer)
    await stage.paid("R3", kes(1), customer)
    stage.clock.moment += timedelta(hours=15)  # from nine in the morning to midnight in Nairobi
    await stage.paid("R4", kes(250_000), customer)

    flags = await stage.rows("SELECT mpesa_receipt_number, flags FROM payments ORDER BY mpesa_receipt_number")
    assert [("R1", "OVER_TRANSACTION_LIMIT"), ("R2", ""), ("R3", "OVER_DAY_LIMIT"), ("R4", "")] == flags
    await stage.agrees()


async def test_the_balance_that_a_second_telling_brings_is_kept(stage: Stage) -> None:
    """A push told its payment without; the confirmation brings balance, moment and number, and moves nothing."""
    told = replace(receipt_of("R1", kes(100), None), source=PaymentSource.STK, short_code=None, org_balance=None)
    await stage.do(told)
    first = replace(told, org_balance=kes(900), short_code="174379", transacted_at=stage.clock.now())
    for again in (first, replace(first, org_balance=kes(1))):
        assert (await stage.do(again)).repeated

    found = "SELECT org_balance_cents, short_code, transacted_at IS NOT NULL, suspense_cents FROM payments"
    assert [(90_000, "174379", True, 10_000)] == await stage.rows(found)
    recognised = "SELECT count(*) FROM audit_logs WHERE action = 'payment.recognised'"
    assert 1 == await stage.one(recognised), "the audit log says who brought it"
    await stage.agrees()


async def test_what_is_told_late_counts_to_the_day_it_was_paid_on(stage: Stage) -> None:
    """A list of yesterday's payments comes after today's first one: each is summed with yesterday's, alone or at once.

    Today's sum knows nothing of them, nor does another customer's.
    """
    customer, other = await stage.customer(), await stage.customer()
    yesterday = stage.clock.now()
    stage.clock.moment += timedelta(hours=20)
    await stage.paid("TODAY1", kes(200_000), customer)
    await stage.paid("TODAY2", kes(200_000), other)

    def late(receipt: str, amount: int, whose: str, at: datetime) -> ReceivePayment:
        return replace(receipt_of(receipt, kes(amount), whose), transacted_at=at)

    await stage.do(late("LATE1", 250_000, customer, yesterday))
    for told in await stage.together(
        [late(f"LATE{number}", 125_000, customer, yesterday) for number in (2, 3)]
        + [late("LATE4", 1, customer, yesterday), late("OTHER", 250_000, other, yesterday)]
    ):
        assert not told.repeated
    await stage.do(late("OLDER", 250_000, customer, yesterday - timedelta(days=1)))
    await stage.do(late("LATE5", 1, customer, yesterday))
    await stage.paid("TODAY3", kes(250_000), customer)
    await stage.paid("TODAY4", kes(250_000), other)

    flagged = "SELECT mpesa_receipt_number FROM payments WHERE flags = 'OVER_DAY_LIMIT' ORDER BY mpesa_receipt_number"
    assert [("LATE4",), ("LATE5",)] == await stage.rows(flagged)
    await stage.agrees()


async def test_a_void_invoice_is_paid_by_nothing(stage: Stage) -> None:
    """Its payment waits with that reason."""
    from penpay.application.collections.invoicing import VoidInvoice  # noqa: PLC0415 -- one test needs it

    customer = await stage.customer()
    await stage.invoice(customer, kes(100), "A-1")
    await stage.do(VoidInvoice(invoice_number="A-1", by="staff:wanjiru"))

    await stage.paid("R1", kes(100), "A-1")

    assert [("SUSPENSE", "VOID_INVOICE")] == await stage.rows("SELECT status, suspense_reason FROM payments")
    await stage.agrees()


async def test_all_news_of_one_push_is_about_one_payment(stage: Stage) -> None:
    """Known by asking first, then told with its receipt, then by the confirmation: booked once."""

    def told(receipt: str | None, source: PaymentSource) -> ReceivePayment:
        return ReceivePayment(receipt=receipt, source=source, amount=kes(50), push_reference="PP00000001AB")

    first: Received = await stage.do(told(None, PaymentSource.STK))
    again: list[Received] = [
        await stage.do(told("QGK1", PaymentSource.STK)),
        await stage.do(told("QGK1", PaymentSource.C2B)),
        await stage.do(told(None, PaymentSource.STK)),
    ]

    assert [first.payment_id] * 3 == [result.payment_id for result in again]
    assert [("QGK1", "PP00000001AB", 5_000)] == await stage.rows(
        "SELECT mpesa_receipt_number, push_reference, amount_cents FROM payments"
    )
    assert 5_000 == await stage.account("1010")
    await stage.agrees()


async def test_a_receipt_is_attached_once(stage: Stage) -> None:
    """A receipt that another payment has, or a second one, is refused."""
    push = ReceivePayment(receipt=None, source=PaymentSource.STK, amount=kes(50), push_reference="PP00000001AB")
    first: Received = await stage.do(push)
    other = await stage.paid("TAKEN", kes(50), None)

    for _ in range(2):
        await stage.do(AttachReceipt(payment_id=first.payment_id, receipt="QGK1", by="mpesa"))
    for payment_id, receipt in ((first.payment_id, "QGK2"), (first.payment_id, "TAKEN"), (other.payment_id, "QGK1")):
        with pytest.raises(ReceiptTaken):
            await stage.do(AttachReceipt(payment_id=payment_id, receipt=receipt, by="mpesa"))
    await stage.agrees()


async def test_a_payment_stays_unverified_until_m_pesa_itself_says_so(stage: Stage) -> None:
    """A confirmation proves nothing; a pull of the same receipt, or our own question, does."""
    await stage.paid("R1", kes(10), None)
    await stage.paid("R2", kes(10), None)
    await stage.do(ReceivePayment(receipt="R1", source=PaymentSource.PULL, amount=kes(10)))
    await stage.do(VerifyPayment(receipt="R2", by="query"))
    with pytest.raises(PaymentNotFound):
        await stage.do(VerifyPayment(receipt="R3", by="query"))

    assert [("VERIFIED", "pull"), ("VERIFIED", "query")] == await stage.rows(
        "SELECT verification, verified_by FROM payments ORDER BY mpesa_receipt_number"
    )


async def test_a_payer_is_recognised_by_the_hash_of_the_number(stage: Stage) -> None:
    """Plain in one payment and hashed in the next, the payer has one index; the number itself stands nowhere."""
    phone = PhoneNumber.parse("0712345678")
    plain = Payer.of(phone, "AMINA")
    for receipt, payer in (("R1", plain), ("R2", Payer(form=_hashed(), text=plain.hashed or ""))):
        command = ReceivePayment(receipt=receipt, source=PaymentSource.C2B, amount=kes(1), payer=payer)
        await stage.do(command)

    assert 1 == await stage.one("SELECT count(DISTINCT payer_index) FROM payments")
    stored: list[tuple[Any, ...]] = await stage.rows("SELECT * FROM payments")
    assert "712345678" not in str(stored)


async def test_two_executors_on_one_customer_lose_nothing(url: str) -> None:
    """A hundred invoices and a hundred payments from each of two processes, all for one customer."""
    async with opened(url, batch_limit=20) as one, opened(url, batch_limit=20) as other:
        customer = await one.customer()
        commands = [
            [bill(customer, kes(7)) if n % 2 else receipt_of(f"{name}{n}", kes(7), customer) for n in range(200)]
            for name in ("A", "B")
        ]
        first = [one.executor.enqueue(command) for command in commands[0]]
        second = [other.executor.enqueue(command) for command in commands[1]]
        for future in (*first, *second):
            await future

        assert 200 == await one.one("SELECT count(*) FROM payments")
        assert 200 == await one.one("SELECT count(DISTINCT invoice_number) FROM invoices")
        assert 140_000 == await one.account("1010")
        assert 0 == await one.account("1200")
        assert 0 == await one.account("2100")
        await one.agrees()


def _hashed() -> Any:
    from penpay.domain.collections.payment import PayerForm  # noqa: PLC0415 -- named once

    return PayerForm.HASHED
