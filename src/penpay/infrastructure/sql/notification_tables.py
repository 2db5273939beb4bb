"""The table of messages to users."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table

from penpay.infrastructure.sql.tables import identifier, metadata
from penpay.infrastructure.sql.types import Moment, Word

notifications = Table(
    "notifications",
    metadata,
    identifier("transaction_id", ForeignKey("transactions.id"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("channel", Word(4), primary_key=True),
    identifier("user_id", ForeignKey("users.id"), nullable=False),
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
    CheckConstraint("state IN ('WAITING', 'SENT', 'KEPT', 'GIVEN_UP')", name="state"),
    CheckConstraint("(state = 'WAITING') = (due_at IS NOT NULL)", name="due"),
    Index("ix_notifications_due_at", "due_at"),
    Index("ix_notifications_created_at", "created_at"),
    Index("ix_notifications_user_id", "user_id"),
)
