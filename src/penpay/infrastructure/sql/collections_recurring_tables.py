"""The tables of recurring invoices and of the bills that were issued for them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, Table

from penpay.infrastructure.sql.tables import metadata
from penpay.infrastructure.sql.types import Document, Identifier, Moment, Word

recurring_invoices = Table(
    "recurring_invoices",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("recurring_number", Word(20), nullable=False, unique=True),
    Column("customer_id", Identifier, ForeignKey("customers.id"), nullable=False),
    Column("items", Document, nullable=False),
    Column("vat_included", Boolean, nullable=False),
    Column("due_days", Integer, nullable=False),
    Column("memo", Word(200)),
    Column("every", Word(5), nullable=False),
    Column("every_count", Integer, nullable=False),
    Column("starts_on", Word(10), nullable=False),
    Column("ends_on", Word(10)),
    Column("times", Integer),
    Column("state", Word(6), nullable=False),
    # The first bill that was neither issued nor left out, counted from 0.
    Column("next_occurrence", Integer, nullable=False),
    # When it must be issued; NULL where none is to be.
    Column("due_at", Moment),
    Column("created_by", Word(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("every IN ('DAY', 'WEEK', 'MONTH') AND every_count > 0", name="every"),
    CheckConstraint("state IN ('ACTIVE', 'PAUSED', 'ENDED')", name="state"),
    CheckConstraint("(state = 'ACTIVE') = (due_at IS NOT NULL)", name="due"),
    Index("ix_recurring_invoices_due_at", "due_at"),
    Index("ix_recurring_invoices_customer_id", "customer_id"),
)

recurring_occurrences = Table(
    "recurring_occurrences",
    metadata,
    Column("recurring_id", Identifier, ForeignKey("recurring_invoices.id"), primary_key=True),
    # Each bill is issued once, whoever issues it.
    Column("occurrence", Integer, primary_key=True, autoincrement=False),
    Column("invoice_id", Identifier, ForeignKey("invoices.id"), nullable=False, unique=True),
)
