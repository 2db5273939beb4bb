"""The tables of reminders: the policy, who has opted out, and the messages."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, Table

from penpay.infrastructure.sql.tables import metadata
from penpay.infrastructure.sql.types import Document, Identifier, Moment, Word

reminder_policies = Table(
    "reminder_policies",
    metadata,
    Column("name", Word(8), primary_key=True),
    Column("is_on", Boolean, nullable=False),
    Column("levels", Document, nullable=False),
    Column("since_day", Word(10), nullable=False),
    Column("changed_by", Word(64), nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("version", BigInteger, nullable=False),
)

reminder_opt_outs = Table(
    "reminder_opt_outs",
    metadata,
    Column("customer_id", Identifier, ForeignKey("customers.id"), primary_key=True),
    Column("opted_by", Word(64), nullable=False),
    Column("opted_at", Moment, nullable=False),
    Column("version", BigInteger, nullable=False),
)

invoice_reminders = Table(
    "invoice_reminders",
    metadata,
    # Each invoice and level once on each channel.
    Column("invoice_id", Identifier, ForeignKey("invoices.id"), primary_key=True),
    Column("level_days", Integer, primary_key=True, autoincrement=False),
    Column("channel", Word(4), primary_key=True),
    Column("customer_id", Identifier, ForeignKey("customers.id"), nullable=False),
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
    Index("ix_invoice_reminders_due_at", "due_at"),
)
