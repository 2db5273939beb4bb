"""Collections: customers, invoices, sales at the till, M-Pesa payments and what each was allocated to."""

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

from penpay.infrastructure.sql.migrations.append_only import protect
from penpay.infrastructure.sql.types import Cents, Identifier, Moment, Sealed, Word

revision = "0007"
down_revision = "0006"


def upgrade(op: Operations) -> None:
    """Add the tables; what a payment was allocated to can be added to and reversed, never changed."""
    _customers(op)
    _invoices(op)
    _invoice_lines(op)
    _credit_notes(op)
    _pos_sales(op)
    _pos_sale_lines(op)
    _payments(op)
    _collections_refunds(op)
    _payment_allocations(op)
    _pos_tenders(op)
    _number_series(op)
    protect(op, "payment_allocations")


def _customers(op: Operations) -> None:
    op.create_table(
        "customers",
        Column("id", Identifier, nullable=False),
        Column("customer_number", Word(20), nullable=False),
        Column("customer_number_folded", Word(20), nullable=False),
        Column("name_sealed", Sealed, nullable=False),
        Column("phone_sealed", Sealed),
        Column("phone_index", Word(64)),
        Column("msisdn_index", Word(64)),
        Column("email_sealed", Sealed),
        Column("auto_apply_credit", Boolean, nullable=False),
        Column("receivable_cents", Cents, nullable=False),
        Column("credit_cents", Cents, nullable=False),
        Column("issued_count", BigInteger, nullable=False),
        Column("reopened_count", BigInteger, nullable=False),
        Column("paid_on", Word(10)),
        Column("paid_on_cents", Cents, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("credit_cents >= 0", name="ck_customers_credit"),
        CheckConstraint("receivable_cents >= 0", name="ck_customers_receivable"),
        PrimaryKeyConstraint("id", name="pk_customers"),
        UniqueConstraint("customer_number", name="uq_customers_customer_number"),
        UniqueConstraint("customer_number_folded", name="uq_customers_customer_number_folded"),
        UniqueConstraint("phone_index", name="uq_customers_phone_index"),
    )
    op.create_index("ix_customers_msisdn_index", "customers", ["msisdn_index"])


def _invoices(op: Operations) -> None:
    op.create_table(
        "invoices",
        Column("id", Identifier, nullable=False),
        Column("invoice_number", Word(20), nullable=False),
        Column("invoice_number_folded", Word(20), nullable=False),
        Column("customer_id", Identifier, nullable=False),
        Column("status", Word(16), nullable=False),
        Column("net_cents", Cents, nullable=False),
        Column("vat_cents", Cents, nullable=False),
        Column("total_cents", Cents, nullable=False),
        Column("credited_cents", Cents, nullable=False),
        Column("balance", Cents, nullable=False),
        Column("is_open", Boolean, nullable=False),
        Column("memo", Word(200)),
        Column("issued_at", Moment, nullable=False),
        Column("due_on", Word(10), nullable=False),
        Column("voided_at", Moment),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("(status = 'VOID') = (voided_at IS NOT NULL)", name="ck_invoices_voided"),
        CheckConstraint("status IN ('UNPAID', 'PARTIALLY_PAID', 'PAID', 'VOID')", name="ck_invoices_status"),
        CheckConstraint("balance BETWEEN 0 AND total_cents - credited_cents", name="ck_invoices_balance"),
        CheckConstraint("credited_cents BETWEEN 0 AND total_cents", name="ck_invoices_credited"),
        CheckConstraint("is_open = (balance > 0)", name="ck_invoices_open"),
        CheckConstraint("total_cents = net_cents + vat_cents AND total_cents > 0", name="ck_invoices_total"),
        ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_invoices_customer_id"),
        PrimaryKeyConstraint("id", name="pk_invoices"),
        UniqueConstraint("invoice_number", name="uq_invoices_invoice_number"),
        UniqueConstraint("invoice_number_folded", name="uq_invoices_invoice_number_folded"),
    )
    op.create_index("ix_invoices_customer_id_issued_at", "invoices", ["customer_id", "issued_at"])
    op.create_index("ix_invoices_fifo", "invoices", ["customer_id", "is_open", "issued_at", "invoice_number"])
    op.create_index("ix_invoices_is_open_due_on", "invoices", ["is_open", "due_on"])
    op.create_index("ix_invoices_issued_at", "invoices", ["issued_at"])


def _invoice_lines(op: Operations) -> None:
    op.create_table(
        "invoice_lines",
        Column("invoice_id", Identifier, nullable=False),
        Column("line_no", Integer, nullable=False, autoincrement=False),
        Column("description", Word(200), nullable=False),
        Column("quantity_milli", BigInteger, nullable=False),
        Column("unit_price_cents", Cents, nullable=False),
        Column("discount_cents", Cents, nullable=False),
        Column("vat_rate_bps", Integer, nullable=False),
        Column("net_cents", Cents, nullable=False),
        Column("vat_cents", Cents, nullable=False),
        CheckConstraint("net_cents >= 0 AND vat_cents >= 0", name="ck_invoice_lines_sums"),
        CheckConstraint(
            "quantity_milli > 0 AND unit_price_cents >= 0 AND discount_cents >= 0", name="ck_invoice_lines_amounts"
        ),
        ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name="fk_invoice_lines_invoice_id"),
        PrimaryKeyConstraint("invoice_id", "line_no", name="pk_invoice_lines"),
    )


def _credit_notes(op: Operations) -> None:
    op.create_table(
        "credit_notes",
        Column("id", Identifier, nullable=False),
        Column("credit_note_number", Word(20), nullable=False),
        Column("invoice_id", Identifier, nullable=False),
        Column("net_cents", Cents, nullable=False),
        Column("vat_cents", Cents, nullable=False),
        Column("total_cents", Cents, nullable=False),
        Column("reason", Word(200), nullable=False),
        Column("issued_at", Moment, nullable=False),
        Column("issued_by", Word(64), nullable=False),
        CheckConstraint("total_cents = net_cents + vat_cents AND total_cents > 0", name="ck_credit_notes_total"),
        ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name="fk_credit_notes_invoice_id"),
        PrimaryKeyConstraint("id", name="pk_credit_notes"),
        UniqueConstraint("credit_note_number", name="uq_credit_notes_credit_note_number"),
    )
    op.create_index("ix_credit_notes_invoice_id", "credit_notes", ["invoice_id"])
    op.create_index("ix_credit_notes_issued_at", "credit_notes", ["issued_at"])


def _pos_sales(op: Operations) -> None:
    op.create_table(
        "pos_sales",
        Column("id", Identifier, nullable=False),
        Column("pos_number", Word(20), nullable=False),
        Column("pos_number_folded", Word(20), nullable=False),
        Column("customer_id", Identifier),
        Column("status", Word(10), nullable=False),
        Column("net_cents", Cents, nullable=False),
        Column("vat_cents", Cents, nullable=False),
        Column("total_cents", Cents, nullable=False),
        Column("cost_cents", Cents),
        Column("cash_cents", Cents, nullable=False),
        Column("mpesa_cents", Cents, nullable=False),
        Column("tenders", Integer, nullable=False),
        Column("expires_at", Moment, nullable=False),
        Column("due_at", Moment),
        Column("paid_at", Moment),
        Column("created_at", Moment, nullable=False),
        Column("created_by", Word(64), nullable=False),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("(status = 'PAID') = (paid_at IS NOT NULL)", name="ck_pos_sales_paid"),
        CheckConstraint("(status = 'PENDING') = (due_at IS NOT NULL)", name="ck_pos_sales_due"),
        CheckConstraint("status IN ('PENDING', 'PAID', 'EXPIRED', 'CANCELLED')", name="ck_pos_sales_status"),
        CheckConstraint(
            "cash_cents >= 0 AND mpesa_cents >= 0 AND cash_cents + mpesa_cents <= total_cents",
            name="ck_pos_sales_tenders",
        ),
        CheckConstraint("total_cents = net_cents + vat_cents AND total_cents > 0", name="ck_pos_sales_total"),
        ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_pos_sales_customer_id"),
        PrimaryKeyConstraint("id", name="pk_pos_sales"),
        UniqueConstraint("pos_number", name="uq_pos_sales_pos_number"),
        UniqueConstraint("pos_number_folded", name="uq_pos_sales_pos_number_folded"),
    )
    op.create_index("ix_pos_sales_due_at", "pos_sales", ["due_at"])
    op.create_index("ix_pos_sales_status_created_at", "pos_sales", ["status", "created_at"])


def _pos_sale_lines(op: Operations) -> None:
    op.create_table(
        "pos_sale_lines",
        Column("sale_id", Identifier, nullable=False),
        Column("line_no", Integer, nullable=False, autoincrement=False),
        Column("description", Word(200), nullable=False),
        Column("quantity_milli", BigInteger, nullable=False),
        Column("unit_price_cents", Cents, nullable=False),
        Column("discount_cents", Cents, nullable=False),
        Column("vat_rate_bps", Integer, nullable=False),
        Column("net_cents", Cents, nullable=False),
        Column("vat_cents", Cents, nullable=False),
        Column("unit_cost_cents", Cents),
        CheckConstraint("net_cents >= 0 AND vat_cents >= 0", name="ck_pos_sale_lines_sums"),
        CheckConstraint(
            "quantity_milli > 0 AND unit_price_cents >= 0 AND discount_cents >= 0", name="ck_pos_sale_lines_amounts"
        ),
        ForeignKeyConstraint(["sale_id"], ["pos_sales.id"], name="fk_pos_sale_lines_sale_id"),
        PrimaryKeyConstraint("sale_id", "line_no", name="pk_pos_sale_lines"),
    )


def _payments(op: Operations) -> None:
    op.create_table(
        "payments",
        Column("id", Identifier, nullable=False),
        Column("mpesa_receipt_number", Word(20)),
        Column("push_reference", Word(12)),
        Column("source", Word(10), nullable=False),
        Column("amount_cents", Cents, nullable=False),
        Column("short_code", Word(7)),
        Column("bill_reference", Word(64)),
        Column("payer_msisdn_sealed", Sealed),
        Column("payer_form", Word(6), nullable=False),
        Column("payer_index", Word(64)),
        Column("payer_name_sealed", Sealed),
        Column("org_balance_cents", Cents),
        Column("transacted_at", Moment),
        Column("paid_at", Moment, nullable=False),
        Column("received_at", Moment, nullable=False),
        Column("verification", Word(10), nullable=False),
        Column("verified_by", Word(64)),
        Column("status", Word(20), nullable=False),
        Column("suspense_cents", Cents, nullable=False),
        Column("suspense_reason", Word(20)),
        Column("customer_id", Identifier),
        Column("flags", Word(120), nullable=False),
        Column("webhook_id", Identifier),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("payer_form IN ('PLAIN', 'MASKED', 'HASHED', 'NONE')", name="ck_payments_payer_form"),
        CheckConstraint("source IN ('C2B', 'STK', 'PULL', 'STATEMENT')", name="ck_payments_source"),
        CheckConstraint(
            "status IN ('SUSPENSE', 'PARTIALLY_ALLOCATED', 'ALLOCATED', 'REVERSED', 'REFUNDED')",
            name="ck_payments_status",
        ),
        CheckConstraint("verification IN ('UNVERIFIED', 'VERIFIED')", name="ck_payments_verification"),
        CheckConstraint("amount_cents > 0", name="ck_payments_amount"),
        CheckConstraint("mpesa_receipt_number IS NOT NULL OR push_reference IS NOT NULL", name="ck_payments_identity"),
        CheckConstraint("suspense_cents BETWEEN 0 AND amount_cents", name="ck_payments_suspense"),
        ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_payments_customer_id"),
        PrimaryKeyConstraint("id", name="pk_payments"),
        UniqueConstraint("mpesa_receipt_number", name="uq_payments_mpesa_receipt_number"),
        UniqueConstraint("push_reference", name="uq_payments_push_reference"),
    )
    op.create_index("ix_payments_customer_id_paid_at", "payments", ["customer_id", "paid_at"])
    op.create_index("ix_payments_paid_at", "payments", ["paid_at"])
    op.create_index("ix_payments_payer_index_paid_at", "payments", ["payer_index", "paid_at"])
    op.create_index("ix_payments_status_paid_at", "payments", ["status", "paid_at"])


def _collections_refunds(op: Operations) -> None:
    op.create_table(
        "collections_refunds",
        Column("id", Identifier, nullable=False),
        Column("payment_id", Identifier),
        Column("customer_id", Identifier),
        Column("amount_cents", Cents, nullable=False),
        Column("state", Word(10), nullable=False),
        Column("reason", Word(200), nullable=False),
        Column("phone_sealed", Sealed, nullable=False),
        Column("proposed_by", Word(64), nullable=False),
        Column("proposed_at", Moment, nullable=False),
        Column("decided_by", Word(64)),
        Column("decided_at", Moment),
        Column("receipt", Word(20)),
        Column("failure_code", Word(64)),
        Column("ended_at", Moment),
        Column("version", BigInteger, nullable=False),
        CheckConstraint(
            "decided_by IS NULL OR state = 'REJECTED' OR decided_by <> proposed_by",
            name="ck_collections_refunds_maker_checker",
        ),
        CheckConstraint(
            "state IN ('PROPOSED', 'APPROVED', 'REJECTED', 'PAID', 'FAILED')", name="ck_collections_refunds_state"
        ),
        CheckConstraint("(payment_id IS NULL) <> (customer_id IS NULL)", name="ck_collections_refunds_origin"),
        CheckConstraint("amount_cents > 0", name="ck_collections_refunds_amount"),
        ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_collections_refunds_customer_id"),
        ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_collections_refunds_payment_id"),
        PrimaryKeyConstraint("id", name="pk_collections_refunds"),
    )
    op.create_index("ix_collections_refunds_customer_id", "collections_refunds", ["customer_id"])
    op.create_index("ix_collections_refunds_payment_id", "collections_refunds", ["payment_id"])
    op.create_index("ix_collections_refunds_state_proposed_at", "collections_refunds", ["state", "proposed_at"])


def _payment_allocations(op: Operations) -> None:
    op.create_table(
        "payment_allocations",
        Column("id", Identifier, nullable=False),
        Column("payment_id", Identifier),
        Column("customer_id", Identifier),
        Column("invoice_id", Identifier),
        Column("pos_sale_id", Identifier),
        Column("refund_id", Identifier),
        Column("target", Word(10), nullable=False),
        Column("amount_cents", Cents, nullable=False),
        Column("reverses_id", Identifier),
        Column("journal_id", Identifier, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("created_by", Word(64), nullable=False),
        CheckConstraint("(target = 'INVOICE') = (invoice_id IS NOT NULL)", name="ck_payment_allocations_invoice"),
        CheckConstraint(
            "target IN ('INVOICE', 'CREDIT', 'POS', 'REFUND', 'RECOVERY')",
            name="ck_payment_allocations_target",
        ),
        CheckConstraint("amount_cents > 0", name="ck_payment_allocations_amount"),
        CheckConstraint("payment_id IS NOT NULL OR customer_id IS NOT NULL", name="ck_payment_allocations_origin"),
        ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_payment_allocations_customer_id"),
        ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name="fk_payment_allocations_invoice_id"),
        ForeignKeyConstraint(["journal_id"], ["ledger_journals.id"], name="fk_payment_allocations_journal_id"),
        ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_payment_allocations_payment_id"),
        ForeignKeyConstraint(["pos_sale_id"], ["pos_sales.id"], name="fk_payment_allocations_pos_sale_id"),
        ForeignKeyConstraint(["refund_id"], ["collections_refunds.id"], name="fk_payment_allocations_refund_id"),
        ForeignKeyConstraint(["reverses_id"], ["payment_allocations.id"], name="fk_payment_allocations_reverses_id"),
        PrimaryKeyConstraint("id", name="pk_payment_allocations"),
        UniqueConstraint("reverses_id", name="uq_payment_allocations_reverses_id"),
    )
    op.create_index(
        "ix_payment_allocations_customer_id_created_at", "payment_allocations", ["customer_id", "created_at"]
    )
    op.create_index("ix_payment_allocations_invoice_id", "payment_allocations", ["invoice_id"])
    op.create_index("ix_payment_allocations_payment_id", "payment_allocations", ["payment_id"])


def _pos_tenders(op: Operations) -> None:
    op.create_table(
        "pos_tenders",
        Column("sale_id", Identifier, nullable=False),
        Column("seq", Integer, nullable=False, autoincrement=False),
        Column("kind", Word(14), nullable=False),
        Column("amount_cents", Cents, nullable=False),
        Column("payment_id", Identifier),
        Column("taken_at", Moment, nullable=False),
        Column("taken_by", Word(64), nullable=False),
        CheckConstraint("kind IN ('CASH', 'MPESA', 'CASH_RETURNED', 'MPESA_RETURNED')", name="ck_pos_tenders_kind"),
        CheckConstraint("amount_cents > 0", name="ck_pos_tenders_amount"),
        ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_pos_tenders_payment_id"),
        ForeignKeyConstraint(["sale_id"], ["pos_sales.id"], name="fk_pos_tenders_sale_id"),
        PrimaryKeyConstraint("sale_id", "seq", name="pk_pos_tenders"),
    )
    op.create_index("ix_pos_tenders_payment_id", "pos_tenders", ["payment_id"])


def _number_series(op: Operations) -> None:
    op.create_table(
        "number_series",
        Column("name", Word(8), nullable=False),
        Column("day", Word(10), nullable=False),
        Column("last", BigInteger, nullable=False),
        Column("version", BigInteger, nullable=False),
        PrimaryKeyConstraint("name", name="pk_number_series"),
    )
