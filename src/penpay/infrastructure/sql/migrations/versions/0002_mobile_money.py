"""The mobile-money operator's tables."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    UniqueConstraint,
)

from penpay.infrastructure.sql.types import Cents, Identifier, Moment, Sealed, Word

revision = "0002"
down_revision = "0001"


def upgrade(op: Operations) -> None:
    """Add what the operator keeps beside the ledger."""
    op.create_table(
        "operator_customers",
        Column("id", Identifier, nullable=False),
        Column("type", Word(16), nullable=False),
        Column("phone_sealed", Sealed, nullable=False),
        Column("phone_index", Word(64), nullable=False),
        Column("pin_hash", Word(160), nullable=False),
        Column("status", Word(16), nullable=False),
        Column("wrong_pins", Integer, nullable=False),
        Column("open_push_id", Identifier),
        Column("last_short_code", Word(7)),
        Column("last_amount_cents", Cents),
        Column("last_paid_at", Moment),
        Column("day_total_cents", Cents),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("status IN ('ACTIVE', 'PIN_LOCKED')", name="ck_operator_customers_status"),
        CheckConstraint("type IN ('SUBSCRIBER')", name="ck_operator_customers_type"),
        PrimaryKeyConstraint("id", name="pk_operator_customers"),
        UniqueConstraint("phone_index", name="uq_operator_customers_phone_index"),
    )
    op.create_table(
        "operator_merchants",
        Column("id", Identifier, nullable=False),
        Column("short_code", Word(7), nullable=False),
        Column("name", Word(80), nullable=False),
        PrimaryKeyConstraint("id", name="pk_operator_merchants"),
        UniqueConstraint("short_code", name="uq_operator_merchants_short_code"),
    )
    op.create_table(
        "stk_pushes",
        Column("id", Identifier, nullable=False),
        Column("merchant_request_id", Word(64), nullable=False),
        Column("checkout_index", Word(64), nullable=False),
        Column("details_sealed", Sealed, nullable=False),
        Column("short_code", Word(7), nullable=False),
        Column("customer_id", Identifier),
        Column("amount_cents", Cents, nullable=False),
        Column("account_reference", Word(20), nullable=False),
        Column("state", Word(10), nullable=False),
        Column("result_code", Word(16)),
        Column("result_text", Word(160)),
        Column("receipt", Word(10)),
        Column("accepted_at", Moment, nullable=False),
        Column("due_at", Moment, nullable=False),
        Column("ended_at", Moment),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("(state = 'PAID') = (receipt IS NOT NULL)", name="ck_stk_pushes_receipt"),
        CheckConstraint("state IN ('PROMPTED', 'PAID', 'FAILED')", name="ck_stk_pushes_state"),
        CheckConstraint("amount_cents > 0", name="ck_stk_pushes_amount"),
        ForeignKeyConstraint(["customer_id"], ["operator_customers.id"], name="fk_stk_pushes_customer_id"),
        ForeignKeyConstraint(["short_code"], ["operator_merchants.short_code"], name="fk_stk_pushes_short_code"),
        PrimaryKeyConstraint("id", name="pk_stk_pushes"),
        UniqueConstraint("checkout_index", name="uq_stk_pushes_checkout_index"),
        UniqueConstraint("receipt", name="uq_stk_pushes_receipt"),
    )
    op.create_index("ix_stk_pushes_state_due_at", "stk_pushes", ["state", "due_at"])
    op.create_table(
        "operator_receipts",
        Column("name", Word(16), nullable=False),
        Column("day", Word(10), nullable=False),
        Column("used", BigInteger, nullable=False),
        Column("version", BigInteger, nullable=False),
        PrimaryKeyConstraint("name", name="pk_operator_receipts"),
    )
