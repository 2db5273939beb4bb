"""Money that left the PayBill account, invoices that are issued again and again, and reminders."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    UniqueConstraint,
)

from penpay.infrastructure.sql.types import Cents, Document, Identifier, Moment, Sealed, Word

revision = "0014"
down_revision = "0013"


def upgrade(op: Operations) -> None:
    """Add what this revision is about."""
    _add_outflows(op)
    _add_recurring(op)
    _add_reminders(op)


def _add_outflows(op: Operations) -> None:
    uses = "'UNEXPLAINED', 'BANK', 'CHARGE', 'EXPENSE', 'OWNER', 'REFUND', 'PAYOUT', 'REVERSAL'"
    name = "collections_outflows"
    op.create_table(
        name,
        Column("id", Identifier, nullable=False),
        Column("mpesa_receipt_number", Word(20), nullable=False),
        Column("amount_cents", Cents, nullable=False),
        Column("left_at", Moment, nullable=False),
        Column("outflow_use", Word(12), nullable=False),
        Column("reason", Word(20)),
        Column("linked_receipt", Word(20)),
        Column("reversal_of", Word(20)),
        Column("told_sealed", Sealed, nullable=False),
        Column("recorded_by", Word(64), nullable=False),
        Column("recorded_at", Moment, nullable=False),
        Column("explained_by", Word(64)),
        Column("explained_at", Moment),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("amount_cents > 0", name=f"ck_{name}_amount"),
        CheckConstraint(f"outflow_use IN ({uses})", name=f"ck_{name}_use"),
        CheckConstraint("(outflow_use = 'UNEXPLAINED') = (reason IS NOT NULL)", name=f"ck_{name}_reason"),
        CheckConstraint("outflow_use = 'REVERSAL' OR reversal_of IS NULL", name=f"ck_{name}_reversal"),
        PrimaryKeyConstraint("id", name=f"pk_{name}"),
        UniqueConstraint("mpesa_receipt_number", name=f"uq_{name}_mpesa_receipt_number"),
        UniqueConstraint("reversal_of", name=f"uq_{name}_reversal_of"),
    )
    op.create_index("ix_collections_outflows_outflow_use_left_at", name, ["outflow_use", "left_at"])
    op.create_index("ix_collections_outflows_left_at", name, ["left_at"])
    op.create_index("ix_collections_outflows_linked_receipt", name, ["linked_receipt"])


def _add_recurring(op: Operations) -> None:
    name = "recurring_invoices"
    op.create_table(
        name,
        Column("id", Identifier, nullable=False),
        Column("recurring_number", Word(20), nullable=False),
        Column("customer_id", Identifier, nullable=False),
        Column("items", Document, nullable=False),
        Column("vat_included", Boolean, nullable=False),
        Column("due_days", Integer, nullable=False),
        Column("memo", Word(200)),
        Column("every", Word(5), nullable=False),
        Column("every_count", Integer, nullable=False),
        Column("starts_on", Word(10), nullable=False),
        Column("ends_on", Word(10)),
        Column("times", Integer),
        Column("state", Word(6), nullable=False),
        Column("next_occurrence", Integer, nullable=False),
        Column("due_at", Moment),
        Column("created_by", Word(64), nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("every IN ('DAY', 'WEEK', 'MONTH') AND every_count > 0", name=f"ck_{name}_every"),
        CheckConstraint("state IN ('ACTIVE', 'PAUSED', 'ENDED')", name=f"ck_{name}_state"),
        CheckConstraint("(state = 'ACTIVE') = (due_at IS NOT NULL)", name=f"ck_{name}_due"),
        ForeignKeyConstraint(["customer_id"], ["customers.id"], name=f"fk_{name}_customer_id"),
        PrimaryKeyConstraint("id", name=f"pk_{name}"),
        UniqueConstraint("recurring_number", name=f"uq_{name}_recurring_number"),
    )
    op.create_index(f"ix_{name}_due_at", name, ["due_at"])
    op.create_index(f"ix_{name}_customer_id", name, ["customer_id"])
    issued = "recurring_occurrences"
    op.create_table(
        issued,
        Column("recurring_id", Identifier, nullable=False),
        Column("occurrence", Integer, nullable=False, autoincrement=False),
        Column("invoice_id", Identifier, nullable=False),
        ForeignKeyConstraint(["recurring_id"], ["recurring_invoices.id"], name=f"fk_{issued}_recurring_id"),
        ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name=f"fk_{issued}_invoice_id"),
        PrimaryKeyConstraint("recurring_id", "occurrence", name=f"pk_{issued}"),
        UniqueConstraint("invoice_id", name=f"uq_{issued}_invoice_id"),
    )


def _add_reminders(op: Operations) -> None:
    op.create_table(
        "reminder_policies",
        Column("name", Word(8), nullable=False),
        Column("is_on", Boolean, nullable=False),
        Column("levels", Document, nullable=False),
        Column("since_day", Word(10), nullable=False),
        Column("changed_by", Word(64), nullable=False),
        Column("changed_at", Moment, nullable=False),
        Column("version", BigInteger, nullable=False),
        PrimaryKeyConstraint("name", name="pk_reminder_policies"),
    )
    op.create_table(
        "reminder_opt_outs",
        Column("customer_id", Identifier, nullable=False),
        Column("opted_by", Word(64), nullable=False),
        Column("opted_at", Moment, nullable=False),
        Column("version", BigInteger, nullable=False),
        ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_reminder_opt_outs_customer_id"),
        PrimaryKeyConstraint("customer_id", name="pk_reminder_opt_outs"),
    )
    name = "invoice_reminders"
    op.create_table(
        name,
        Column("invoice_id", Identifier, nullable=False),
        Column("level_days", Integer, nullable=False, autoincrement=False),
        Column("channel", Word(4), nullable=False),
        Column("customer_id", Identifier, nullable=False),
        Column("title", Word(120), nullable=False),
        Column("text", Word(480), nullable=False),
        Column("state", Word(10), nullable=False),
        Column("due_at", Moment),
        Column("lease_until", Moment),
        Column("fence", BigInteger, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("code", Word(64)),
        Column("provider_id", Word(128)),
        Column("created_at", Moment, nullable=False),
        Column("sent_at", Moment),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("state IN ('WAITING', 'SENT', 'KEPT', 'GIVEN_UP')", name=f"ck_{name}_state"),
        CheckConstraint("(state = 'WAITING') = (due_at IS NOT NULL)", name=f"ck_{name}_due"),
        ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name=f"fk_{name}_invoice_id"),
        ForeignKeyConstraint(["customer_id"], ["customers.id"], name=f"fk_{name}_customer_id"),
        PrimaryKeyConstraint("invoice_id", "level_days", "channel", name=f"pk_{name}"),
    )
    op.create_index("ix_invoice_reminders_due_at", name, ["due_at"])
