"""Cashiers' shifts, cash that moves without a sale, and the day through which the books are locked."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    UniqueConstraint,
)

from penpay.infrastructure.sql.types import Cents, Identifier, Moment, Word

revision = "0013"
down_revision = "0012"


def upgrade(op: Operations) -> None:
    """Add the tables; a sale and its cash name their shift. Cash may stand below zero until its float is booked."""
    _till_shifts(op)
    _cash_movements(op)
    _period_locks(op)
    _named_by(op, "pos_sales")
    _named_by(op, "pos_tenders")
    op.execute("UPDATE ledger_accounts SET may_go_negative = TRUE WHERE code = '1000'")


def _till_shifts(op: Operations) -> None:
    op.create_table(
        "till_shifts",
        Column("id", Identifier, nullable=False),
        Column("shift_number", Word(20), nullable=False),
        Column("shift_number_folded", Word(20), nullable=False),
        Column("cashier", Word(64), nullable=False),
        Column("open_by", Word(64)),
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
            name="ck_till_shifts_amounts",
        ),
        CheckConstraint("counted_cents IS NULL OR counted_cents >= 0", name="ck_till_shifts_counted"),
        CheckConstraint(
            "(open_by IS NULL) = (counted_cents IS NOT NULL) AND (open_by IS NULL) = (mpesa_cents IS NOT NULL)"
            " AND (open_by IS NULL) = (sales_count IS NOT NULL) AND (open_by IS NULL) = (closed_at IS NOT NULL)"
            " AND (open_by IS NULL) = (closed_by IS NOT NULL)",
            name="ck_till_shifts_closed",
        ),
        CheckConstraint("open_by IS NULL OR open_by = cashier", name="ck_till_shifts_open_by"),
        PrimaryKeyConstraint("id", name="pk_till_shifts"),
        UniqueConstraint("shift_number", name="uq_till_shifts_shift_number"),
        UniqueConstraint("shift_number_folded", name="uq_till_shifts_shift_number_folded"),
        UniqueConstraint("open_by", name="uq_till_shifts_open_by"),
    )
    op.create_index("ix_till_shifts_opened_at", "till_shifts", ["opened_at"])


def _cash_movements(op: Operations) -> None:
    op.create_table(
        "cash_movements",
        Column("id", Identifier, nullable=False),
        Column("shift_id", Identifier),
        Column("direction", Word(3), nullable=False),
        Column("purpose", Word(10), nullable=False),
        Column("amount_cents", Cents, nullable=False),
        Column("reason", Word(200), nullable=False),
        Column("moved_at", Moment, nullable=False),
        Column("moved_by", Word(64), nullable=False),
        CheckConstraint("direction IN ('IN', 'OUT')", name="ck_cash_movements_direction"),
        CheckConstraint("purpose IN ('SAFE', 'BANK', 'OWNER', 'EXPENSE')", name="ck_cash_movements_purpose"),
        CheckConstraint("amount_cents > 0", name="ck_cash_movements_amount"),
        ForeignKeyConstraint(["shift_id"], ["till_shifts.id"], name="fk_cash_movements_shift_id"),
        PrimaryKeyConstraint("id", name="pk_cash_movements"),
    )
    op.create_index("ix_cash_movements_shift_id", "cash_movements", ["shift_id"])
    op.create_index("ix_cash_movements_moved_at", "cash_movements", ["moved_at"])


def _period_locks(op: Operations) -> None:
    """The lock in force is there from the beginning, so that it can be held while somebody books."""
    op.create_table(
        "books_lock",
        Column("name", Word(16), nullable=False),
        Column("locked_through", Word(10)),
        Column("version", BigInteger, nullable=False),
        PrimaryKeyConstraint("name", name="pk_books_lock"),
    )
    op.execute("INSERT INTO books_lock (name, version) VALUES ('collections', 1)")
    op.create_table(
        "period_locks",
        Column("id", Identifier, nullable=False),
        Column("locked_through", Word(10)),
        Column("reason", Word(200), nullable=False),
        Column("state", Word(10), nullable=False),
        Column("proposed_by", Word(64), nullable=False),
        Column("proposed_at", Moment, nullable=False),
        Column("decided_by", Word(64)),
        Column("decided_at", Moment),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("state IN ('PROPOSED', 'APPROVED', 'REJECTED')", name="ck_period_locks_state"),
        CheckConstraint(
            "decided_by IS NULL OR state = 'REJECTED' OR decided_by <> proposed_by",
            name="ck_period_locks_maker_checker",
        ),
        CheckConstraint(
            "(state = 'PROPOSED') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)",
            name="ck_period_locks_decided",
        ),
        PrimaryKeyConstraint("id", name="pk_period_locks"),
    )
    op.create_index("ix_period_locks_proposed_at", "period_locks", ["proposed_at"])


def _named_by(op: Operations, table: str) -> None:
    """Let the rows of a table name a shift. There is no foreign key: SQLite takes none under a name afterwards."""
    op.add_column(table, Column("shift_id", Identifier))
    op.create_index(f"ix_{table}_shift_id", table, ["shift_id"])
