"""A statement finds voided invoices and credit notes by their customer, and a credit note says whose it is."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, PrimaryKeyConstraint, UniqueConstraint

from penpay.infrastructure.sql.types import Cents, Identifier, Moment, Word

revision = "0012"
down_revision = "0011"


def upgrade(op: Operations) -> None:
    """Index the days on which invoices were voided, and make the table of credit notes anew with its customers."""
    op.create_index("ix_invoices_customer_id_voided_at", "invoices", ["customer_id", "voided_at"])
    old = "id, credit_note_number, invoice_id, net_cents, vat_cents, total_cents, reason, issued_at, issued_by"
    op.execute(f"CREATE TABLE credit_notes_kept AS SELECT {old} FROM credit_notes")  # noqa: S608  (own names)
    op.drop_table("credit_notes")
    op.create_table(
        "credit_notes",
        Column("id", Identifier, nullable=False),
        Column("credit_note_number", Word(20), nullable=False),
        Column("invoice_id", Identifier, nullable=False),
        Column("customer_id", Identifier, nullable=False),
        Column("net_cents", Cents, nullable=False),
        Column("vat_cents", Cents, nullable=False),
        Column("total_cents", Cents, nullable=False),
        Column("reason", Word(200), nullable=False),
        Column("issued_at", Moment, nullable=False),
        Column("issued_by", Word(64), nullable=False),
        CheckConstraint("total_cents = net_cents + vat_cents AND total_cents > 0", name="ck_credit_notes_total"),
        ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name="fk_credit_notes_invoice_id"),
        ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_credit_notes_customer_id"),
        PrimaryKeyConstraint("id", name="pk_credit_notes"),
        UniqueConstraint("credit_note_number", name="uq_credit_notes_credit_note_number"),
    )
    op.create_index("ix_credit_notes_invoice_id", "credit_notes", ["invoice_id"])
    op.create_index("ix_credit_notes_issued_at", "credit_notes", ["issued_at"])
    op.create_index("ix_credit_notes_customer_id_issued_at", "credit_notes", ["customer_id", "issued_at"])
    kept = ", ".join(f"credit_notes_kept.{name}" for name in old.split(", "))
    op.execute(
        f"INSERT INTO credit_notes ({old}, customer_id) SELECT {kept}, invoices.customer_id "  # noqa: S608  (own names)
        "FROM credit_notes_kept JOIN invoices ON invoices.id = credit_notes_kept.invoice_id"
    )
    op.drop_table("credit_notes_kept")
