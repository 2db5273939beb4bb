"""The tables of capture: what stands between M-Pesa and the payments of Collections."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, UniqueConstraint

from penpay.infrastructure.sql.collections_tables import pos_sales
from penpay.infrastructure.sql.tables import metadata
from penpay.infrastructure.sql.types import Cents, Document, Identifier, Moment, Sealed, Word

c2b_registrations = Table(
    "c2b_registrations",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("short_code", Word(7), nullable=False),
    Column("unanswered", Word(9), nullable=False),
    # Both addresses: their paths hold the secret that proves a message came by them.
    Column("addresses_sealed", Sealed, nullable=False),
    Column("state", Word(10), nullable=False),
    Column("code", Word(64)),
    Column("asked_by", Word(64), nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("answered_at", Moment),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("unanswered IN ('Completed', 'Cancelled')", name="unanswered"),
    CheckConstraint("state IN ('ASKING', 'REGISTERED', 'STANDING', 'REFUSED', 'UNKNOWN')", name="state"),
    Index("ix_c2b_registrations_short_code_asked_at", "short_code", "asked_at"),
)

receipt_pulls = Table(
    "receipt_pulls",
    metadata,
    Column("short_code", Word(7), primary_key=True),
    Column("pulled_until", Moment),
    Column("due_at", Moment, nullable=False),
    Column("lease_until", Moment),
    Column("fence", BigInteger, nullable=False),
    Column("code", Word(64)),
    Column("version", BigInteger, nullable=False),
)

balance_checks = Table(
    "balance_checks",
    metadata,
    Column("id", Identifier, primary_key=True),
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
    UniqueConstraint("short_code", "day"),
)

till_pushes = Table(
    "till_pushes",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("sale_id", Identifier, ForeignKey(pos_sales.c.id), nullable=False),
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
    Column("account_reference", Word(12), nullable=False, unique=True),
    Column("phone_sealed", Sealed, nullable=False),
    Column("checkout_sealed", Sealed),
    Column("checkout_index", Word(64), unique=True),
    Column("merchant_request_id", Word(64)),
    Column("receipt", Word(20)),
    Column("verified_at", Moment),
    Column("disputed_cents", Cents),
    # The sale until the push has ended: one prompt at a time asks for one sale.
    Column("open_for", Identifier, unique=True),
    CheckConstraint("amount_cents > 0", name="amount"),
    Index("ix_till_pushes_due_at", "due_at"),
    Index("ix_till_pushes_sale_id", "sale_id"),
)
