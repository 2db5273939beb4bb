"""Where M-Pesa tells of payments, which were pulled, whether balances go on from each other, pushes at the till."""

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

from penpay.infrastructure.sql.types import Cents, Document, Identifier, Moment, Sealed, Word

revision = "0010"
down_revision = "0009"


def upgrade(op: Operations) -> None:
    """Add the four tables."""
    _add_registrations(op)
    _add_pulls_and_checks(op)
    _add_till_pushes(op)


def _add_registrations(op: Operations) -> None:
    op.create_table(
        "c2b_registrations",
        Column("id", Identifier, nullable=False),
        Column("short_code", Word(7), nullable=False),
        Column("unanswered", Word(9), nullable=False),
        Column("addresses_sealed", Sealed, nullable=False),
        Column("state", Word(10), nullable=False),
        Column("code", Word(64)),
        Column("asked_by", Word(64), nullable=False),
        Column("asked_at", Moment, nullable=False),
        Column("answered_at", Moment),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("unanswered IN ('Completed', 'Cancelled')", name="ck_c2b_registrations_unanswered"),
        CheckConstraint(
            "state IN ('ASKING', 'REGISTERED', 'STANDING', 'REFUSED', 'UNKNOWN')", name="ck_c2b_registrations_state"
        ),
        PrimaryKeyConstraint("id", name="pk_c2b_registrations"),
    )
    op.create_index("ix_c2b_registrations_short_code_asked_at", "c2b_registrations", ["short_code", "asked_at"])


def _add_pulls_and_checks(op: Operations) -> None:
    op.create_table(
        "receipt_pulls",
        Column("short_code", Word(7), nullable=False),
        Column("pulled_until", Moment),
        Column("due_at", Moment, nullable=False),
        Column("lease_until", Moment),
        Column("fence", BigInteger, nullable=False),
        Column("code", Word(64)),
        Column("version", BigInteger, nullable=False),
        PrimaryKeyConstraint("short_code", name="pk_receipt_pulls"),
    )
    op.create_table(
        "balance_checks",
        Column("id", Identifier, nullable=False),
        Column("short_code", Word(7), nullable=False),
        Column("day", Word(10), nullable=False),
        Column("receipts", Integer, nullable=False),
        Column("opening_cents", Cents),
        Column("closing_cents", Cents),
        Column("missing_cents", Cents, nullable=False),
        Column("gaps", Document, nullable=False),
        Column("told", Integer, nullable=False),
        Column("checked_at", Moment, nullable=False),
        Column("checked_by", Word(64), nullable=False),
        Column("version", BigInteger, nullable=False),
        PrimaryKeyConstraint("id", name="pk_balance_checks"),
        UniqueConstraint("short_code", "day", name="uq_balance_checks_short_code_day"),
    )


def _add_till_pushes(op: Operations) -> None:
    op.create_table(
        "till_pushes",
        Column("id", Identifier, nullable=False),
        Column("sale_id", Identifier, nullable=False),
        Column("state", Word(10), nullable=False),
        Column("amount_cents", Cents, nullable=False),
        Column("due_at", Moment),
        Column("lease_until", Moment),
        Column("fence", BigInteger, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("code", Word(64)),
        Column("created_at", Moment, nullable=False),
        Column("created_by", Word(64), nullable=False),
        Column("sent_at", Moment),
        Column("decided_at", Moment),
        Column("version", BigInteger, nullable=False),
        Column("account_reference", Word(12), nullable=False),
        Column("phone_sealed", Sealed, nullable=False),
        Column("checkout_sealed", Sealed),
        Column("checkout_index", Word(64)),
        Column("merchant_request_id", Word(64)),
        Column("receipt", Word(20)),
        Column("verified_at", Moment),
        Column("disputed_cents", Cents),
        Column("open_for", Identifier),
        CheckConstraint("amount_cents > 0", name="ck_till_pushes_amount"),
        ForeignKeyConstraint(["sale_id"], ["pos_sales.id"], name="fk_till_pushes_sale_id"),
        PrimaryKeyConstraint("id", name="pk_till_pushes"),
        UniqueConstraint("account_reference", name="uq_till_pushes_account_reference"),
        UniqueConstraint("checkout_index", name="uq_till_pushes_checkout_index"),
        UniqueConstraint("open_for", name="uq_till_pushes_open_for"),
    )
    op.create_index("ix_till_pushes_due_at", "till_pushes", ["due_at"])
    op.create_index("ix_till_pushes_sale_id", "till_pushes", ["sale_id"])
