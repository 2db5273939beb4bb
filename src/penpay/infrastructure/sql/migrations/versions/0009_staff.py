"""People who work for the business, their sessions, and wrong passwords."""

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

from penpay.infrastructure.sql.types import Identifier, Moment, Sealed, Word

revision = "0009"
down_revision = "0008"


def upgrade(op: Operations) -> None:
    """Add the three tables."""
    op.create_table(
        "staff",
        Column("id", Identifier, nullable=False),
        Column("email_sealed", Sealed, nullable=False),
        Column("email_index", Word(64), nullable=False),
        Column("password_hash", Word(160), nullable=False),
        Column("role", Word(16), nullable=False),
        Column("generation", BigInteger, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("disabled_at", Moment),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("role IN ('cashier', 'accountant', 'owner')", name="ck_staff_role"),
        PrimaryKeyConstraint("id", name="pk_staff"),
        UniqueConstraint("email_index", name="uq_staff_email_index"),
    )
    op.create_table(
        "staff_sessions",
        Column("id", Identifier, nullable=False),
        Column("staff_id", Identifier, nullable=False),
        Column("token_hash", Word(64), nullable=False),
        Column("generation", BigInteger, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("expires_at", Moment, nullable=False),
        Column("ended_at", Moment),
        ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_staff_sessions_staff_id"),
        PrimaryKeyConstraint("id", name="pk_staff_sessions"),
        UniqueConstraint("token_hash", name="uq_staff_sessions_token_hash"),
    )
    op.create_index("ix_staff_sessions_staff_id", "staff_sessions", ["staff_id"])
    op.create_index("ix_staff_sessions_expires_at", "staff_sessions", ["expires_at"])
    op.create_table(
        "login_attempts",
        Column("subject", Word(64), nullable=False),
        Column("wrong", Integer, nullable=False),
        Column("since", Moment, nullable=False),
        Column("locked_until", Moment),
        PrimaryKeyConstraint("subject", name="pk_login_attempts"),
    )
    op.create_index("ix_login_attempts_since", "login_attempts", ["since"])
