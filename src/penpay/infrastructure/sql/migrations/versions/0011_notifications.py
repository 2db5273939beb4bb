"""Messages to users about how their transactions stand."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
)

from penpay.infrastructure.sql.types import Identifier, Moment, Word

revision = "0011"
down_revision = "0010"


def upgrade(op: Operations) -> None:
    """Add the table; of what has ended before, nobody is told."""
    op.create_table(
        "notifications",
        Column("transaction_id", Identifier, nullable=False),
        Column("sequence", BigInteger, nullable=False, autoincrement=False),
        Column("channel", Word(4), nullable=False),
        Column("user_id", Identifier, nullable=False),
        Column("status", Word(40), nullable=False),
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
        CheckConstraint("state IN ('WAITING', 'SENT', 'KEPT', 'GIVEN_UP')", name="ck_notifications_state"),
        CheckConstraint("(state = 'WAITING') = (due_at IS NOT NULL)", name="ck_notifications_due"),
        ForeignKeyConstraint(["transaction_id"], ["transactions.id"], name="fk_notifications_transaction_id"),
        ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_notifications_user_id"),
        PrimaryKeyConstraint("transaction_id", "sequence", "channel", name="pk_notifications"),
    )
    op.create_index("ix_notifications_due_at", "notifications", ["due_at"])
    op.create_index("ix_notifications_created_at", "notifications", ["created_at"])
    op.create_index("ix_notifications_user_id", "notifications", ["user_id"])
