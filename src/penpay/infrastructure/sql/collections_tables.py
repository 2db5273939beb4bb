"""The tables of Collections, as the code sees them. Names, phones and e-mail addresses are sealed.

Days are ISO text, YYYY-MM-DD in Nairobi: compared as text they stand in the right order on every engine.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, Table

from penpay.infrastructure.sql.tables import metadata
from penpay.infrastructure.sql.types import Cents, Identifier, Moment, Sealed, Word

customers = Table(
    "customers",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("customer_number", Word(20), nullable=False, unique=True),
    Column("customer_number_folded", Word(20), nullable=False, unique=True),
    Column("name_sealed", Sealed, nullable=False),
    Column("phone_sealed", Sealed),
    Column("phone_index", Word(64), unique=True),
    # Of the SHA-256 that M-Pesa gives in a payer's stead, so that a hashed payer is recognised.
    Column("msisdn_index", Word(64)),
    Column("email_sealed", Sealed),
    Column("auto_apply_credit", Boolean, nullable=False),
    Column("receivable_cents", Cents, nullable=False),
    Column("credit_cents", Cents, nullable=False),
    # How often an invoice was issued to her, and how often one that was paid became open again.
    Column("issued_count", BigInteger, nullable=False),
    Column("reopened_count", BigInteger, nullable=False),
    # What she has paid on the newest day on which she paid.
    Column("paid_on", Word(10)),
    Column("paid_on_cents", Cents, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("receivable_cents >= 0", name="receivable"),
    CheckConstraint("credit_cents >= 0", name="credit"),
    Index("ix_customers_msisdn_index", "msisdn_index"),
)

invoices = Table(
    "invoices",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("invoice_number", Word(20), nullable=False, unique=True),
    Column("invoice_number_folded", Word(20), nullable=False, unique=True),
    Column("customer_id", Identifier, ForeignKey("customers.id"), nullable=False),
    Column("status", Word(16), nullable=False),
    Column("net_cents", Cents, nullable=False),
    Column("vat_cents", Cents, nullable=False),
    Column("total_cents", Cents, nullable=False),
    Column("credited_cents", Cents, nullable=False),
    Column("balance", Cents, nullable=False),
    # Whether the balance is above zero, in a column of its own for the indexes.
    Column("is_open", Boolean, nullable=False),
    Column("memo", Word(200)),
    Column("issued_at", Moment, nullable=False),
    Column("due_on", Word(10), nullable=False),
    Column("voided_at", Moment),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("status IN ('UNPAID', 'PARTIALLY_PAID', 'PAID', 'VOID')", name="status"),
    CheckConstraint("total_cents = net_cents + vat_cents AND total_cents > 0", name="total"),
    CheckConstraint("credited_cents BETWEEN 0 AND total_cents", name="credited"),
    CheckConstraint("balance BETWEEN 0 AND total_cents - credited_cents", name="balance"),
    CheckConstraint("is_open = (balance > 0)", name="open"),
    CheckConstraint("(status = 'VOID') = (voided_at IS NOT NULL)", name="voided"),
    # First in, first out: the oldest open invoices of one customer.
    Index("ix_invoices_fifo", "customer_id", "is_open", "issued_at", "invoice_number"),
    Index("ix_invoices_customer_id_issued_at", "customer_id", "issued_at"),
    Index("ix_invoices_customer_id_voided_at", "customer_id", "voided_at"),
    Index("ix_invoices_is_open_due_on", "is_open", "due_on"),
    Index("ix_invoices_issued_at", "issued_at"),
)


def _lines(owner: str, owners: str) -> list[Any]:
    return [
        Column(owner, Identifier, ForeignKey(f"{owners}.id"), primary_key=True),
        Column("line_no", Integer, primary_key=True, autoincrement=False),
        Column("description", Word(200), nullable=False),
        Column("quantity_milli", BigInteger, nullable=False),
        Column("unit_price_cents", Cents, nullable=False),
        Column("discount_cents", Cents, nullable=False),
        Column("vat_rate_bps", Integer, nullable=False),
        Column("net_cents", Cents, nullable=False),
        Column("vat_cents", Cents, nullable=False),
        CheckConstraint("quantity_milli > 0 AND unit_price_cents >= 0 AND discount_cents >= 0", name="amounts"),
        CheckConstraint("net_cents >= 0 AND vat_cents >= 0", name="sums"),
    ]


invoice_lines = Table("invoice_lines", metadata, *_lines("invoice_id", "invoices"))

credit_notes = Table(
    "credit_notes",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("credit_note_number", Word(20), nullable=False, unique=True),
    Column("invoice_id", Identifier, ForeignKey("invoices.id"), nullable=False),
    # The invoice's, so that a statement finds her credit notes alone.
    Column("customer_id", Identifier, ForeignKey("customers.id"), nullable=False),
    Column("net_cents", Cents, nullable=False),
    Column("vat_cents", Cents, nullable=False),
    Column("total_cents", Cents, nullable=False),
    Column("reason", Word(200), nullable=False),
    Column("issued_at", Moment, nullable=False),
    Column("issued_by", Word(64), nullable=False),
    CheckConstraint("total_cents = net_cents + vat_cents AND total_cents > 0", name="total"),
    Index("ix_credit_notes_invoice_id", "invoice_id"),
    Index("ix_credit_notes_issued_at", "issued_at"),
    Index("ix_credit_notes_customer_id_issued_at", "customer_id", "issued_at"),
)

till_shifts = Table(
    "till_shifts",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("shift_number", Word(20), nullable=False, unique=True),
    Column("shift_number_folded", Word(20), nullable=False, unique=True),
    Column("cashier", Word(64), nullable=False),
    # The cashier until it is closed, then NULL: each has one open shift.
    Column("open_by", Word(64), unique=True),
    Column("opened_at", Moment, nullable=False),
    Column("float_cents", Cents, nullable=False),
    Column("taken_cents", Cents, nullable=False),
    Column("returned_cents", Cents, nullable=False),
    Column("in_cents", Cents, nullable=False),
    Column("out_cents", Cents, nullable=False),
    Column("counted_cents", Cents),
    Column("mpesa_cents", Cents),
    Column("sales_count", BigInteger),
    Column("closed_at", Moment),
    Column("closed_by", Word(64)),
    Column("version", BigInteger, nullable=False),
    CheckConstraint(
        "float_cents >= 0 AND taken_cents >= 0 AND returned_cents >= 0 AND in_cents >= 0 AND out_cents >= 0",
        name="amounts",
    ),
    CheckConstraint("counted_cents IS NULL OR counted_cents >= 0", name="counted"),
    CheckConstraint(
        "(open_by IS NULL) = (counted_cents IS NOT NULL) AND (open_by IS NULL) = (mpesa_cents IS NOT NULL)"
        " AND (open_by IS NULL) = (sales_count IS NOT NULL) AND (open_by IS NULL) = (closed_at IS NOT NULL)"
        " AND (open_by IS NULL) = (closed_by IS NOT NULL)",
        name="closed",
    ),
    CheckConstraint("open_by IS NULL OR open_by = cashier", name="open_by"),
    Index("ix_till_shifts_opened_at", "opened_at"),
)

cash_movements = Table(
    "cash_movements",
    metadata,
    Column("id", Identifier, primary_key=True),
    # NULL where the cash was in no drawer.
    Column("shift_id", Identifier, ForeignKey("till_shifts.id")),
    Column("direction", Word(3), nullable=False),
    Column("purpose", Word(10), nullable=False),
    Column("amount_cents", Cents, nullable=False),
    Column("reason", Word(200), nullable=False),
    Column("moved_at", Moment, nullable=False),
    Column("moved_by", Word(64), nullable=False),
    CheckConstraint("direction IN ('IN', 'OUT')", name="direction"),
    CheckConstraint("purpose IN ('SAFE', 'BANK', 'OWNER', 'EXPENSE')", name="purpose"),
    CheckConstraint("amount_cents > 0", name="amount"),
    Index("ix_cash_movements_shift_id", "shift_id"),
    Index("ix_cash_movements_moved_at", "moved_at"),
)

pos_sales = Table(
    "pos_sales",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("pos_number", Word(20), nullable=False, unique=True),
    Column("pos_number_folded", Word(20), nullable=False, unique=True),
    Column("customer_id", Identifier, ForeignKey("customers.id")),
    Column("status", Word(10), nullable=False),
    Column("net_cents", Cents, nullable=False),
    Column("vat_cents", Cents, nullable=False),
    Column("total_cents", Cents, nullable=False),
    Column("cost_cents", Cents),
    Column("cash_cents", Cents, nullable=False),
    Column("mpesa_cents", Cents, nullable=False),
    Column("tenders", Integer, nullable=False),
    Column("expires_at", Moment, nullable=False),
    # When the sale must be expired; NULL once it is over.
    Column("due_at", Moment),
    Column("paid_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Word(64), nullable=False),
    Column("version", BigInteger, nullable=False),
    # The shift in which it was opened.
    Column("shift_id", Identifier),
    CheckConstraint("status IN ('PENDING', 'PAID', 'EXPIRED', 'CANCELLED')", name="status"),
    CheckConstraint("total_cents = net_cents + vat_cents AND total_cents > 0", name="total"),
    CheckConstraint("cash_cents >= 0 AND mpesa_cents >= 0 AND cash_cents + mpesa_cents <= total_cents", name="tenders"),
    CheckConstraint("(status = 'PAID') = (paid_at IS NOT NULL)", name="paid"),
    CheckConstraint("(status = 'PENDING') = (due_at IS NOT NULL)", name="due"),
    Index("ix_pos_sales_status_created_at", "status", "created_at"),
    Index("ix_pos_sales_shift_id", "shift_id"),
    Index("ix_pos_sales_due_at", "due_at"),
)

pos_sale_lines = Table(
    "pos_sale_lines",
    metadata,
    *_lines("sale_id", "pos_sales"),
    Column("unit_cost_cents", Cents),
)

payments = Table(
    "payments",
    metadata,
    Column("id", Identifier, primary_key=True),
    # NULL only while the success of a push from the till is known by asking alone.
    Column("mpesa_receipt_number", Word(20), unique=True),
    # Our own AccountReference of the push that asked for this money: the payment's identity until it has a receipt.
    Column("push_reference", Word(12), unique=True),
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
    # When it was paid as far as we know: as told, never later than received.
    Column("paid_at", Moment, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("verification", Word(10), nullable=False),
    Column("verified_by", Word(64)),
    Column("status", Word(20), nullable=False),
    Column("suspense_cents", Cents, nullable=False),
    Column("suspense_reason", Word(20)),
    Column("customer_id", Identifier, ForeignKey("customers.id")),
    # The flags in order of the alphabet, a comma between two; "" where nothing is odd.
    Column("flags", Word(120), nullable=False),
    Column("webhook_id", Identifier),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("source IN ('C2B', 'STK', 'PULL', 'STATEMENT')", name="source"),
    CheckConstraint("payer_form IN ('PLAIN', 'MASKED', 'HASHED', 'NONE')", name="payer_form"),
    CheckConstraint("verification IN ('UNVERIFIED', 'VERIFIED')", name="verification"),
    CheckConstraint(
        "status IN ('SUSPENSE', 'PARTIALLY_ALLOCATED', 'ALLOCATED', 'REVERSED', 'REFUNDED')", name="status"
    ),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("suspense_cents BETWEEN 0 AND amount_cents", name="suspense"),
    CheckConstraint("mpesa_receipt_number IS NOT NULL OR push_reference IS NOT NULL", name="identity"),
    Index("ix_payments_paid_at", "paid_at"),
    Index("ix_payments_customer_id_paid_at", "customer_id", "paid_at"),
    Index("ix_payments_payer_index_paid_at", "payer_index", "paid_at"),
    Index("ix_payments_status_paid_at", "status", "paid_at"),
)

collections_refunds = Table(
    "collections_refunds",
    metadata,
    Column("id", Identifier, primary_key=True),
    # The payment out of whose suspense it is paid; NULL where it is paid out of a customer's credit.
    Column("payment_id", Identifier, ForeignKey("payments.id")),
    Column("customer_id", Identifier, ForeignKey("customers.id")),
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
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("state IN ('PROPOSED', 'APPROVED', 'REJECTED', 'PAID', 'FAILED')", name="state"),
    CheckConstraint("(payment_id IS NULL) <> (customer_id IS NULL)", name="origin"),
    CheckConstraint("decided_by IS NULL OR state = 'REJECTED' OR decided_by <> proposed_by", name="maker_checker"),
    Index("ix_collections_refunds_state_proposed_at", "state", "proposed_at"),
    Index("ix_collections_refunds_payment_id", "payment_id"),
    Index("ix_collections_refunds_customer_id", "customer_id"),
)

payment_allocations = Table(
    "payment_allocations",
    metadata,
    Column("id", Identifier, primary_key=True),
    # NULL where the money came out of a customer's credit, in which payments are not told apart.
    Column("payment_id", Identifier, ForeignKey("payments.id")),
    Column("customer_id", Identifier, ForeignKey("customers.id")),
    Column("invoice_id", Identifier, ForeignKey("invoices.id")),
    Column("pos_sale_id", Identifier, ForeignKey("pos_sales.id")),
    Column("refund_id", Identifier, ForeignKey("collections_refunds.id")),
    Column("target", Word(10), nullable=False),
    Column("amount_cents", Cents, nullable=False),
    Column("reverses_id", Identifier, ForeignKey("payment_allocations.id"), unique=True),
    Column("journal_id", Identifier, ForeignKey("ledger_journals.id"), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Word(64), nullable=False),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("target IN ('INVOICE', 'CREDIT', 'POS', 'REFUND', 'RECOVERY')", name="target"),
    CheckConstraint("(target = 'INVOICE') = (invoice_id IS NOT NULL)", name="invoice"),
    CheckConstraint("payment_id IS NOT NULL OR customer_id IS NOT NULL", name="origin"),
    Index("ix_payment_allocations_payment_id", "payment_id"),
    Index("ix_payment_allocations_invoice_id", "invoice_id"),
    Index("ix_payment_allocations_customer_id_created_at", "customer_id", "created_at"),
)

pos_tenders = Table(
    "pos_tenders",
    metadata,
    Column("sale_id", Identifier, ForeignKey("pos_sales.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", Word(14), nullable=False),
    Column("amount_cents", Cents, nullable=False),
    Column("payment_id", Identifier, ForeignKey("payments.id")),
    Column("taken_at", Moment, nullable=False),
    Column("taken_by", Word(64), nullable=False),
    # In whose drawer the cash is, or out of whose it came.
    Column("shift_id", Identifier),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("kind IN ('CASH', 'MPESA', 'CASH_RETURNED', 'MPESA_RETURNED')", name="kind"),
    Index("ix_pos_tenders_shift_id", "shift_id"),
    Index("ix_pos_tenders_payment_id", "payment_id"),
)

number_series = Table(
    "number_series",
    metadata,
    Column("name", Word(8), primary_key=True),
    # The day whose numbers are given out; "" for a series that goes on for ever.
    Column("day", Word(10), nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
)

books_lock = Table(
    "books_lock",
    metadata,
    Column("name", Word(16), primary_key=True),
    Column("locked_through", Word(10)),
    Column("version", BigInteger, nullable=False),
)

period_locks = Table(
    "period_locks",
    metadata,
    Column("id", Identifier, primary_key=True),
    # NULL: all is to be open.
    Column("locked_through", Word(10)),
    Column("reason", Word(200), nullable=False),
    Column("state", Word(10), nullable=False),
    Column("proposed_by", Word(64), nullable=False),
    Column("proposed_at", Moment, nullable=False),
    Column("decided_by", Word(64)),
    Column("decided_at", Moment),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("state IN ('PROPOSED', 'APPROVED', 'REJECTED')", name="state"),
    CheckConstraint("decided_by IS NULL OR state = 'REJECTED' OR decided_by <> proposed_by", name="maker_checker"),
    CheckConstraint(
        "(state = 'PROPOSED') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)", name="decided"
    ),
    Index("ix_period_locks_proposed_at", "proposed_at"),
)

APPEND_ONLY = (payment_allocations,)
"""Tables of Collections that the database itself keeps from being changed."""
