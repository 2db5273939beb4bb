"""The proof of the books: silent over what the commands write, and loud over whatever somebody else does to it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sqlalchemy import text

from penpay.application.collections.invoicing import IssueCreditNote, VoidInvoice
from penpay.application.collections.reports import BookError
from penpay.infrastructure.sql.collections_reports import SqlCollectionsReports
from tests.contract.collections.stage import STAFF, Stage, kes

Breach = tuple[str, str, str, int]

_OTHER = "(SELECT id FROM ledger_accounts WHERE code = '2200')"


async def errors(stage: Stage) -> list[BookError]:
    return list(await SqlCollectionsReports(stage.engine, clock=stage.clock).verify())


async def breaches(stage: Stage) -> set[Breach]:
    """Check, account, subject and difference of each."""
    return {(one.check, one.account, one.subject, one.difference.cents) for one in await errors(stage)}


async def business(stage: Stage) -> None:
    """An invoice paid in part, one paid above, one void, one with a credit note, and money for nobody."""
    first, second = await stage.customer("CUST-001"), await stage.customer("CUST-002")
    await stage.invoice(first, kes(1_000), "INV-1")
    await stage.paid("QA1", kes(400), "INV-1")
    await stage.invoice(second, kes(300), "INV-2")
    await stage.paid("QA2", kes(500), "CUST-002")
    await stage.invoice(first, kes(50), "INV-3")
    await stage.do(VoidInvoice(invoice_number="INV-3", by=STAFF))
    await stage.invoice(first, kes(80), "INV-4")
    await stage.do(IssueCreditNote(invoice_number="INV-4", amount=kes(20), reason="Late", by=STAFF))
    await stage.paid("QA3", kes(60), "nobody at all")


async def test_empty_books_hold(stage: Stage) -> None:
    """A new business has nothing wrong with its books."""
    assert [] == await errors(stage)


async def test_what_the_commands_write_holds(stage: Stage) -> None:
    """Invoices, payments, credit, a void, a credit note and suspense agree with the ledger in every figure."""
    await business(stage)
    assert [] == await errors(stage)
    await stage.agrees()


PLANTED: Mapping[str, tuple[str, set[Breach]]] = {
    "an invoice owes a shilling more": (
        "UPDATE invoices SET balance = balance + 100 WHERE invoice_number = 'INV-1'",
        {
            ("customer_receivable", "1200", "CUST-001", -100),
            ("invoice_balance", "1200", "INV-1", -100),
            ("receivable_total", "1200", "1200", -100),
        },
    ),
    "a customer owes a cent less": (
        "UPDATE customers SET receivable_cents = receivable_cents - 1 WHERE customer_number = 'CUST-001'",
        {
            ("customer_receivable", "1200", "CUST-001", -1),
            ("customer_balance", "1200", "CUST-001", -1),
            ("balances_total", "1200", "1200", 1),
        },
    ),
    "a customer has credit out of nowhere": (
        "UPDATE customers SET credit_cents = credit_cents + 5 WHERE customer_number = 'CUST-002'",
        {
            ("customer_credit", "2100", "CUST-002", 5),
            ("customer_balance", "1200", "CUST-002", -5),
            ("credit_total", "2100", "2100", -5),
        },
    ),
    "money in suspense is gone": (
        "UPDATE payments SET suspense_cents = 0 WHERE mpesa_receipt_number = 'QA3'",
        {
            ("payment_allocated", "1010", "QA3", 6_000),
            ("payment_status", "1010", "QA3", 0),
            ("suspense_total", "2300", "2300", 6_000),
        },
    ),
    "a payment is larger than it was": (
        "UPDATE payments SET amount_cents = amount_cents + 100 WHERE mpesa_receipt_number = 'QA1'",
        {
            ("payment_allocated", "1010", "QA1", 100),
            ("receipt_booked", "1010", "QA1", -100),
            ("mpesa_total", "1010", "1010", -100),
        },
    ),
    "a credit note stands with somebody else": (
        "UPDATE credit_notes SET customer_id = (SELECT id FROM customers WHERE customer_number = 'CUST-002')",
        {("credit_note_owner", "1200", "CN-20260301-0001", 2_000)},
    ),
    "a payment is called refunded": (
        "UPDATE payments SET status = 'REFUNDED' WHERE mpesa_receipt_number = 'QA1'",
        {("payment_status", "1010", "QA1", 0)},
    ),
    "a receipt is another one": (
        "UPDATE payments SET mpesa_receipt_number = 'QA9' WHERE mpesa_receipt_number = 'QA1'",
        {("receipt_booked", "1010", "QA9", -40_000), ("receipt_unknown", "1010", "QA1", 40_000)},
    ),
    "an invoice is called paid": (
        "UPDATE invoices SET status = 'PAID' WHERE invoice_number = 'INV-1'",
        {("invoice_status", "1200", "INV-1", 60_000)},
    ),
    "more was taken off an invoice than its credit note says": (
        "UPDATE invoices SET credited_cents = credited_cents + 1, balance = balance - 1 WHERE invoice_number = 'INV-4'",
        {
            ("invoice_credited", "1200", "INV-4", 1),
            ("customer_receivable", "1200", "CUST-001", 1),
            ("receivable_total", "1200", "1200", 1),
        },
    ),
}
"""What somebody does to a table, and what is found."""


@pytest.mark.parametrize("planted", PLANTED)
async def test_what_somebody_changed_is_found_where_it_is(stage: Stage, planted: str) -> None:
    """Each change is told with the account, the customer, invoice or receipt, and by how much it is off."""
    await business(stage)
    statement, expected = PLANTED[planted]
    async with stage.engine.begin() as connection:
        await connection.execute(text(statement))

    assert expected == await breaches(stage)


async def test_an_allocation_without_its_journal_is_found(stage: Stage) -> None:
    """A row that says an invoice was paid, under a journal that booked something else, names that journal."""
    await business(stage)
    copied = (
        "INSERT INTO payment_allocations (id, payment_id, customer_id, invoice_id, target, amount_cents, journal_id,"
        " created_at, created_by) SELECT p.id, p.id, i.customer_id, i.id, 'INVOICE', 100, j.id, p.paid_at, 'x'"
        " FROM payments p, invoices i, ledger_journals j WHERE p.mpesa_receipt_number = 'QA3'"
        " AND i.invoice_number = 'INV-1' AND j.kind = 'receipt_booked' AND j.reference = 'QA3'"
    )
    async with stage.engine.begin() as connection:
        await connection.execute(text(copied))

    found = [one for one in await errors(stage) if one.check == "allocation_journal"]

    assert [("1200", 100)] == [(one.account, one.difference.cents) for one in found]
    assert found[0].journal


async def test_an_entry_that_unbalances_its_journal_is_found(stage: Stage) -> None:
    """The ledger's own rules are part of the proof: the journal is named, and what it is off by."""
    await business(stage)
    slipped_in = (
        "INSERT INTO ledger_entries (account_id, account_seq, journal_id, side, amount_cents, balance_after_cents)"
        " SELECT a.id, a.version + 1, j.id, 'DEBIT', 7, a.balance_cents + 7 FROM ledger_accounts a, ledger_journals j"
        " WHERE a.code = '1010' AND j.kind = 'receipt_booked' AND j.reference = 'QA1'"
    )
    async with stage.engine.begin() as connection:
        await connection.execute(text(slipped_in))

    found = {one.check: one for one in await errors(stage)}

    assert {"journal_balance", "account_balance", "account_sequence", "receipt_booked"} == set(found)
    assert ("", 7) == (found["journal_balance"].account, found["journal_balance"].difference.cents)
    assert found["journal_balance"].journal
    assert found["receipt_booked"].journal == found["journal_balance"].journal
