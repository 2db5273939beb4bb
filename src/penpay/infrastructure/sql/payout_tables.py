"""The tables of what leaves by M-Pesa and comes back from Deriv, of people's decisions, and of kept secrets."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, UniqueConstraint

from penpay.infrastructure.sql.tables import evidence, identifier, metadata
from penpay.infrastructure.sql.types import Cents, Document, Moment, Sealed, Word

deriv_withdrawals = Table(
    "deriv_withdrawals",
    metadata,
    *evidence(ForeignKey("transactions.id")),
    Column("reference", Word(40), nullable=False, unique=True),
    Column("deriv_login_id", Word(20), nullable=False),
    Column("code_asked_at", Moment),
    Column("client_row_id", Word(40)),
    Column("provider_id", Word(40), unique=True),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("id = subject_id", name="subject"),
    Index("ix_deriv_withdrawals_due_at", "due_at"),
    Index("ix_deriv_withdrawals_deriv_login_id", "deriv_login_id"),
)

mpesa_disbursements = Table(
    "mpesa_disbursements",
    metadata,
    *evidence(),
    Column("originator_conversation_id", Word(64), nullable=False, unique=True),
    Column("phone_sealed", Sealed, nullable=False),
    Column("conversation_id", Word(64)),
    Column("receipt", Word(20), unique=True),
    Column("told_code", Word(64)),
    identifier("question_id", unique=True),
    Column("verified_at", Moment),
    identifier("open_outflow_of", unique=True),
    CheckConstraint("amount_cents > 0", name="amount"),
    Index("ix_mpesa_disbursements_due_at", "due_at"),
    Index("ix_mpesa_disbursements_subject_id", "subject_id"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("purpose", Word(20), primary_key=True),
    identifier("subject_id", primary_key=True),
    Column("value_sealed", Sealed, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Index("ix_secrets_expires_at", "expires_at"),
)

reviews = Table(
    "reviews",
    metadata,
    identifier(primary_key=True),
    identifier("subject_id", nullable=False),
    identifier("transaction_id", ForeignKey("transactions.id")),
    Column("reason", Word(40), nullable=False),
    Column("amount_cents", Cents, nullable=False),
    Column("currency", Word(3), nullable=False),
    Column("facts", Document, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("decision", Word(24)),
    Column("note_sealed", Sealed),
    Column("proposed_by", Word(64)),
    Column("proposed_at", Moment),
    Column("approved_by", Word(64)),
    Column("resolved_at", Moment),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("approved_by IS NULL OR approved_by <> proposed_by", name="maker_checker"),
    CheckConstraint("(approved_by IS NULL) = (resolved_at IS NULL)", name="resolved"),
    UniqueConstraint("subject_id", "reason"),
    Index("ix_reviews_opened_at", "opened_at"),
)
