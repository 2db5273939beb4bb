"""Revision 0012 on a business that had issued credit notes before they said whose they are."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql import migrations
from tests.contract.migrations.test_append_only import MOMENT, A, B, C, D, ids_of
from tests.contract.migrations.test_publishing_revision import upgrade_to

_CUSTOMER = (
    "INSERT INTO customers (id, customer_number, customer_number_folded, name_sealed, auto_apply_credit,"
    " receivable_cents, credit_cents, issued_count, reopened_count, paid_on_cents, created_at, version)"
    " VALUES ('{id}', '{number}', '{number}', {sealed}, TRUE, 0, 0, 1, 0, 0, {at}, 1)"
)
_INVOICE = (
    "INSERT INTO invoices (id, invoice_number, invoice_number_folded, customer_id, status, net_cents, vat_cents,"
    " total_cents, credited_cents, balance, is_open, issued_at, due_on, version)"
    " VALUES ('{id}', '{number}', '{number}', '{customer}', 'PAID', 100, 0, 100, 100, 0, FALSE, {at}, '2026-11-20', 1)"
)
_NOTE = (
    "INSERT INTO credit_notes (id, credit_note_number, invoice_id, net_cents, vat_cents, total_cents, reason,"
    " issued_at, issued_by) VALUES ('{id}', '{number}', '{invoice}', 100, 0, 100, 'late', {at}, 'staff:x')"
)


async def test_credit_notes_stand_with_the_customers_of_their_invoices(engine: AsyncEngine) -> None:
    """Two customers, an invoice and a credit note each: nothing of the notes is lost, and each knows whose it is."""
    sealed = "'\\x00'" if engine.dialect.name == "postgresql" else "x'00'"
    async with engine.begin() as connection:
        await connection.run_sync(upgrade_to, "0010")
        for customer, invoice, number in ((A, C, "1"), (B, D, "2")):
            rows = (
                _CUSTOMER.format(id=customer, number=f"C{number}", sealed=sealed, at=MOMENT),
                _INVOICE.format(id=invoice, number=f"I{number}", customer=customer, at=MOMENT),
                _NOTE.format(id=customer, number=f"N{number}", invoice=invoice, at=MOMENT),
            )
            for row in rows:
                await connection.execute(text(ids_of(engine, row)))

    await migrations.upgrade(engine)

    async with engine.connect() as connection:
        found = await connection.execute(
            text(
                "SELECT c.customer_number, i.invoice_number, n.credit_note_number, n.total_cents, n.reason"
                " FROM credit_notes n JOIN customers c ON c.id = n.customer_id JOIN invoices i ON i.id = n.invoice_id"
                " ORDER BY n.credit_note_number"
            )
        )
        assert [("C1", "I1", "N1", 100, "late"), ("C2", "I2", "N2", 100, "late")] == [tuple(row) for row in found]
