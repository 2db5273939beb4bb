"""The tables of the staff, as the code sees them. Addresses are sealed; passwords and tokens are hashed."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table

from penpay.infrastructure.sql.tables import metadata
from penpay.infrastructure.sql.types import Identifier, Moment, Sealed, Word

staff = Table(
    "staff",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("email_sealed", Sealed, nullable=False),
    Column("email_index", Word(64), nullable=False, unique=True),
    Column("password_hash", Word(160), nullable=False),
    Column("role", Word(16), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("disabled_at", Moment),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("role IN ('cashier', 'accountant', 'owner')", name="role"),
)

staff_sessions = Table(
    "staff_sessions",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("staff_id", Identifier, ForeignKey("staff.id"), nullable=False),
    Column("token_hash", Word(64), nullable=False, unique=True),
    Column("generation", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Index("ix_staff_sessions_staff_id", "staff_id"),
    Index("ix_staff_sessions_expires_at", "expires_at"),
)

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("subject", Word(64), primary_key=True),
    Column("wrong", Integer, nullable=False),
    Column("since", Moment, nullable=False),
    Column("locked_until", Moment),
    Index("ix_login_attempts_since", "since"),
)
