"""The schema, as the code sees it. The migrations build it; a test proves that both are the same."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)

from penpay.infrastructure.sql import mysql
from penpay.infrastructure.sql.types import Cents, Document, Identifier, Moment, Sealed, Word

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def identifier(name: str = "id", *args: Any, **options: Any) -> Column[Any]:
    return Column(name, Identifier, *args, **options)


_PENDING = text("pending_rows IS NOT NULL")

# -- executor

command_batches = Table(
    "command_batches",
    metadata,
    identifier("batch_id", primary_key=True),
    Column("state", Word(10), nullable=False),
    Column("recorded_at", Moment, nullable=False),
    # Events and audit rows of the batch that wait for their place; NULL once they have it, and where there are none.
    Column("pending_rows", Integer),
    CheckConstraint("state IN ('COMMITTED', 'ABANDONED')", name="state"),
    # Of the waiting batches alone; MySQL, which has no index of some rows only, finds them by their number of rows.
    Index("ix_command_batches_pending", "batch_id", sqlite_where=_PENDING, postgresql_where=_PENDING).ddl_if(
        callable_=lambda *_, dialect, **__: dialect.name != mysql.NAME
    ),
    Index("ix_command_batches_pending_rows", "pending_rows").ddl_if(dialect=mysql.NAME),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key_hash", Word(64), primary_key=True),
    Column("caller", Word(64), nullable=False),
    Column("route", Word(64), nullable=False),
    Column("field_digests", Document, nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", Document, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

domain_events = Table(
    "domain_events",
    metadata,
    identifier(primary_key=True),
    Column("name", Word(64), nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("aggregate_type", Word(32), nullable=False),
    identifier("aggregate_id", nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("payload", Document, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    identifier("batch_id", nullable=False),
    UniqueConstraint("aggregate_id", "sequence"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("consumer", Word(32), primary_key=True),
    identifier("event_id", ForeignKey("domain_events.id"), primary_key=True),
    identifier("key", nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("lease_until", Moment),
    Column("fence", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("dead", Boolean, nullable=False),
    Index("ix_deliveries_consumer_key_sequence", "consumer", "key", "sequence"),
)

audit_logs = Table(
    "audit_logs",
    metadata,
    identifier("batch_id", primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("recorded_at", Moment, nullable=False),
    Column("actor", Word(64), nullable=False),
    Column("action", Word(64), nullable=False),
    Column("subject_type", Word(32), nullable=False),
    Column("subject_id", Word(64), nullable=False),
    Column("facts", Document, nullable=False),
    Column("row_hash", Word(64), nullable=False),
)

# -- publisher and sealer

leases = Table(
    "leases",
    metadata,
    Column("name", Word(32), primary_key=True),
    identifier("holder", nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("lease_until", Moment, nullable=False),
)

event_positions = Table(
    "event_positions",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    identifier("event_id", ForeignKey("domain_events.id"), nullable=False, unique=True),
    sqlite_with_rowid=False,
)

audit_seals = Table(
    "audit_seals",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    identifier("batch_id", ForeignKey("command_batches.batch_id"), nullable=False, unique=True),
    Column("rows_count", Integer, nullable=False),
    Column("seal", Word(64), nullable=False),
    sqlite_with_rowid=False,
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("position", BigInteger, ForeignKey("audit_seals.position"), primary_key=True, autoincrement=False),
    Column("seal", Word(64), nullable=False),
    Column("rows_count", BigInteger, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("key_id", Word(16), nullable=False),
    Column("signature", Word(128), nullable=False),
    sqlite_with_rowid=False,
)

# -- ledger

ledger_accounts = Table(
    "ledger_accounts",
    metadata,
    identifier(primary_key=True),
    Column("code", Word(80), nullable=False, unique=True),
    Column("name", Word(80), nullable=False),
    Column("type", Word(10), nullable=False),
    Column("currency", Word(3), nullable=False),
    identifier("owner_id"),
    Column("may_go_negative", Boolean, nullable=False),
    Column("balance_cents", Cents, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("last_recorded_at", Moment, nullable=False),
    CheckConstraint("balance_cents >= 0 OR may_go_negative", name="no_overdraft"),
    CheckConstraint("type IN ('ASSET', 'LIABILITY', 'EQUITY', 'REVENUE', 'EXPENSE')", name="type"),
    Index("ix_ledger_accounts_owner_id", "owner_id"),
)

ledger_journals = Table(
    "ledger_journals",
    metadata,
    identifier(primary_key=True),
    Column("kind", Word(40), nullable=False),
    Column("reference", Word(64), nullable=False),
    identifier("transaction_id"),
    identifier("reverses_id", ForeignKey("ledger_journals.id")),
    Column("happened_at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    UniqueConstraint("kind", "reference"),
    UniqueConstraint("reverses_id"),
    Index("ix_ledger_journals_transaction_id", "transaction_id"),
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    identifier("account_id", ForeignKey("ledger_accounts.id"), primary_key=True),
    Column("account_seq", BigInteger, primary_key=True, autoincrement=False),
    identifier("journal_id", ForeignKey("ledger_journals.id"), nullable=False),
    Column("side", Word(6), nullable=False),
    Column("amount_cents", Cents, nullable=False),
    Column("balance_after_cents", Cents, nullable=False),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("side IN ('DEBIT', 'CREDIT')", name="side"),
    Index("ix_ledger_entries_journal_id", "journal_id"),
)

APPEND_ONLY = (
    ledger_entries,
    ledger_journals,
    domain_events,
    audit_logs,
    event_positions,
    audit_seals,
    audit_checkpoints,
)
"""Tables that the database itself keeps from being changed."""

# -- identity

users = Table(
    "users",
    metadata,
    identifier(primary_key=True),
    Column("status", Word(16), nullable=False),
    Column("email_sealed", Sealed, nullable=False),
    Column("email_index", Word(64), nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
)

user_phone_verification = Table(
    "user_phone_verification",
    metadata,
    identifier("user_id", ForeignKey("users.id"), primary_key=True),
    Column("phone_sealed", Sealed, nullable=False),
    Column("phone_index", Word(64), nullable=False, unique=True),
    Column("verified_at", Moment),
)

deriv_accounts = Table(
    "deriv_accounts",
    metadata,
    identifier(primary_key=True),
    identifier("user_id", ForeignKey("users.id"), nullable=False),
    Column("deriv_login_id", Word(20), nullable=False, unique=True),
    Column("currency", Word(3), nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("user_id", "currency"),
)

api_keys = Table(
    "api_keys",
    metadata,
    identifier(primary_key=True),
    identifier("user_id", ForeignKey("users.id"), nullable=False),
    Column("key_hash", Word(64), nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("revoked_at", Moment),
)

# -- payments

transactions = Table(
    "transactions",
    metadata,
    identifier(primary_key=True),
    identifier("user_id", ForeignKey("users.id"), nullable=False),
    Column("type", Word(10), nullable=False),
    Column("status", Word(32), nullable=False),
    Column("amount_cents", Cents, nullable=False),
    Column("currency", Word(3), nullable=False),
    Column("deriv_login_id", Word(20), nullable=False),
    Column("usd_cents", Cents, nullable=False),
    Column("kes_at_mid_cents", Cents, nullable=False),
    Column("kes_priced_cents", Cents, nullable=False),
    Column("kes_charged_cents", Cents, nullable=False),
    Column("rate_mid_e8", BigInteger, nullable=False),
    Column("rate_spread_bps", Integer, nullable=False),
    Column("rate_source", Word(64), nullable=False),
    Column("rate_locked_at", Moment, nullable=False),
    Column("rate_expires_at", Moment, nullable=False),
    Column("receipt", Word(20)),
    Column("failure_code", Word(40)),
    Column("recovered_by", Word(20)),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("type IN ('DEPOSIT', 'WITHDRAWAL')", name="type"),
    CheckConstraint("amount_cents > 0 AND kes_charged_cents > 0 AND usd_cents > 0", name="amounts"),
    Index("ix_transactions_user_id_created_at", "user_id", "created_at"),
)


def evidence(*subject: Any) -> list[Column[Any]]:
    """The columns every evidence row has; the states are drawn in `domain.payments.evidence`.

    `subject` is the foreign key of what it is for, where that is always a transaction.
    """
    return [
        identifier(primary_key=True),
        Column("purpose", Word(20), nullable=False),
        identifier("subject_id", *subject, nullable=False),
        Column("state", Word(10), nullable=False),
        Column("amount_cents", Cents, nullable=False),
        Column("currency", Word(3), nullable=False),
        Column("due_at", Moment),
        Column("lease_until", Moment),
        Column("fence", BigInteger, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("code", Word(64)),
        Column("created_at", Moment, nullable=False),
        Column("sent_at", Moment),
        Column("decided_at", Moment),
        Column("version", BigInteger, nullable=False),
    ]


mpesa_requests = Table(
    "mpesa_requests",
    metadata,
    *evidence(ForeignKey("transactions.id")),
    Column("account_reference", Word(12), nullable=False, unique=True),
    Column("phone_sealed", Sealed, nullable=False),
    Column("checkout_sealed", Sealed),
    Column("checkout_index", Word(64), unique=True),
    Column("merchant_request_id", Word(64)),
    Column("receipt", Word(20), unique=True),
    Column("verified_at", Moment),
    Column("disputed_cents", Cents),
    CheckConstraint("amount_cents > 0", name="amount"),
    Index("ix_mpesa_requests_due_at", "due_at"),
    Index("ix_mpesa_requests_subject_id", "subject_id"),
)

deriv_transfers = Table(
    "deriv_transfers",
    metadata,
    *evidence(ForeignKey("transactions.id")),
    Column("reference", Word(40), nullable=False, unique=True),
    Column("deriv_login_id", Word(20), nullable=False),
    Column("provider_id", Word(40), unique=True),
    identifier("open_outflow_of", unique=True),
    CheckConstraint("amount_cents > 0", name="amount"),
    Index("ix_deriv_transfers_due_at", "due_at"),
    Index("ix_deriv_transfers_subject_id", "subject_id"),
)

webhook_logs = Table(
    "webhook_logs",
    metadata,
    identifier(primary_key=True),
    Column("source", Word(20), nullable=False),
    identifier("subject_id"),
    Column("remote_address", Word(45), nullable=False),
    Column("body_sealed", Sealed, nullable=False),
    Column("body_hash", Word(64), nullable=False),
    Column("outcome", Word(40), nullable=False),
    Column("due_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index("ix_webhook_logs_created_at", "created_at"),
    Index("ix_webhook_logs_due_at", "due_at"),
)

fx_rates = Table(
    "fx_rates",
    metadata,
    identifier(primary_key=True),
    Column("base", Word(3), nullable=False),
    Column("quote", Word(3), nullable=False),
    Column("mid_e8", BigInteger, nullable=False),
    Column("source", Word(64), nullable=False),
    Column("valid_from", Moment, nullable=False),
    Column("entered_by", Word(64), nullable=False),
    Column("approved_by", Word(64)),
    Column("approved_at", Moment),
    Column("created_at", Moment, nullable=False),
    CheckConstraint("mid_e8 > 0", name="mid"),
    CheckConstraint("approved_by IS NULL OR approved_by <> entered_by", name="maker_checker"),
)
