"""The first schema: the executor's tables, the ledger, identity and deposits."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    UniqueConstraint,
)

from penpay.infrastructure.sql.migrations.append_only import protect
from penpay.infrastructure.sql.types import Cents, Document, Identifier, Moment, Sealed, Word

revision = "0001"
down_revision = None


def upgrade(op: Operations) -> None:
    """Build every table, and keep the append-only ones from being changed."""
    _command_tables(op)
    _ledger(op)
    _identity(op)
    _transactions(op)
    _evidence(op)
    _messages(op)
    protect(op, "ledger_entries", "ledger_journals", "domain_events", "audit_logs")


def _command_tables(op: Operations) -> None:
    """What the executor keeps: batches, answers, events, what is owed of them, and the audit trail."""
    op.create_table(
        "command_batches",
        Column("batch_id", Identifier, nullable=False),
        Column("state", Word(10), nullable=False),
        Column("recorded_at", Moment, nullable=False),
        CheckConstraint("state IN ('COMMITTED', 'ABANDONED')", name="ck_command_batches_state"),
        PrimaryKeyConstraint("batch_id", name="pk_command_batches"),
    )
    op.create_table(
        "idempotency_keys",
        Column("key_hash", Word(64), nullable=False),
        Column("caller", Word(64), nullable=False),
        Column("route", Word(64), nullable=False),
        Column("field_digests", Document, nullable=False),
        Column("status", Integer, nullable=False),
        Column("answer", Document, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("expires_at", Moment, nullable=False),
        PrimaryKeyConstraint("key_hash", name="pk_idempotency_keys"),
    )
    op.create_table(
        "domain_events",
        Column("id", Identifier, nullable=False),
        Column("name", Word(64), nullable=False),
        Column("schema_version", Integer, nullable=False),
        Column("aggregate_type", Word(32), nullable=False),
        Column("aggregate_id", Identifier, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("payload", Document, nullable=False),
        Column("recorded_at", Moment, nullable=False),
        Column("batch_id", Identifier, nullable=False),
        PrimaryKeyConstraint("id", name="pk_domain_events"),
        UniqueConstraint("aggregate_id", "sequence", name="uq_domain_events_aggregate_id_sequence"),
    )
    op.create_table(
        "deliveries",
        Column("consumer", Word(32), nullable=False),
        Column("event_id", Identifier, nullable=False),
        Column("key", Identifier, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("due_at", Moment, nullable=False),
        Column("lease_until", Moment),
        Column("fence", BigInteger, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("dead", Boolean, nullable=False),
        ForeignKeyConstraint(["event_id"], ["domain_events.id"], name="fk_deliveries_event_id"),
        PrimaryKeyConstraint("consumer", "event_id", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_consumer_key_sequence", "deliveries", ["consumer", "key", "sequence"])
    op.create_table(
        "audit_logs",
        Column("batch_id", Identifier, nullable=False),
        Column("ordinal", Integer, nullable=False),
        Column("recorded_at", Moment, nullable=False),
        Column("actor", Word(64), nullable=False),
        Column("action", Word(64), nullable=False),
        Column("subject_type", Word(32), nullable=False),
        Column("subject_id", Word(64), nullable=False),
        Column("facts", Document, nullable=False),
        Column("row_hash", Word(64), nullable=False),
        PrimaryKeyConstraint("batch_id", "ordinal", name="pk_audit_logs"),
    )


def _ledger(op: Operations) -> None:
    """Accounts, journals and entries."""
    op.create_table(
        "ledger_accounts",
        Column("id", Identifier, nullable=False),
        Column("code", Word(80), nullable=False),
        Column("name", Word(80), nullable=False),
        Column("type", Word(10), nullable=False),
        Column("currency", Word(3), nullable=False),
        Column("owner_id", Identifier),
        Column("may_go_negative", Boolean, nullable=False),
        Column("balance_cents", Cents, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("last_recorded_at", Moment, nullable=False),
        CheckConstraint(
            "type IN ('ASSET', 'LIABILITY', 'EQUITY', 'REVENUE', 'EXPENSE')", name="ck_ledger_accounts_type"
        ),
        CheckConstraint("balance_cents >= 0 OR may_go_negative", name="ck_ledger_accounts_no_overdraft"),
        PrimaryKeyConstraint("id", name="pk_ledger_accounts"),
        UniqueConstraint("code", name="uq_ledger_accounts_code"),
    )
    op.create_index("ix_ledger_accounts_owner_id", "ledger_accounts", ["owner_id"])
    op.create_table(
        "ledger_journals",
        Column("id", Identifier, nullable=False),
        Column("kind", Word(40), nullable=False),
        Column("reference", Word(64), nullable=False),
        Column("transaction_id", Identifier),
        Column("reverses_id", Identifier),
        Column("happened_at", Moment, nullable=False),
        Column("recorded_at", Moment, nullable=False),
        ForeignKeyConstraint(["reverses_id"], ["ledger_journals.id"], name="fk_ledger_journals_reverses_id"),
        PrimaryKeyConstraint("id", name="pk_ledger_journals"),
        UniqueConstraint("kind", "reference", name="uq_ledger_journals_kind_reference"),
        UniqueConstraint("reverses_id", name="uq_ledger_journals_reverses_id"),
    )
    op.create_index("ix_ledger_journals_transaction_id", "ledger_journals", ["transaction_id"])
    op.create_table(
        "ledger_entries",
        Column("account_id", Identifier, nullable=False),
        Column("account_seq", BigInteger, autoincrement=False, nullable=False),
        Column("journal_id", Identifier, nullable=False),
        Column("side", Word(6), nullable=False),
        Column("amount_cents", Cents, nullable=False),
        Column("balance_after_cents", Cents, nullable=False),
        CheckConstraint("side IN ('DEBIT', 'CREDIT')", name="ck_ledger_entries_side"),
        CheckConstraint("amount_cents > 0", name="ck_ledger_entries_amount"),
        ForeignKeyConstraint(["account_id"], ["ledger_accounts.id"], name="fk_ledger_entries_account_id"),
        ForeignKeyConstraint(["journal_id"], ["ledger_journals.id"], name="fk_ledger_entries_journal_id"),
        PrimaryKeyConstraint("account_id", "account_seq", name="pk_ledger_entries"),
    )
    op.create_index("ix_ledger_entries_journal_id", "ledger_entries", ["journal_id"])


def _identity(op: Operations) -> None:
    """Users, their phones, Deriv accounts and API keys."""
    op.create_table(
        "users",
        Column("id", Identifier, nullable=False),
        Column("status", Word(16), nullable=False),
        Column("email_sealed", Sealed, nullable=False),
        Column("email_index", Word(64), nullable=False),
        Column("created_at", Moment, nullable=False),
        PrimaryKeyConstraint("id", name="pk_users"),
        UniqueConstraint("email_index", name="uq_users_email_index"),
    )
    op.create_table(
        "user_phone_verification",
        Column("user_id", Identifier, nullable=False),
        Column("phone_sealed", Sealed, nullable=False),
        Column("phone_index", Word(64), nullable=False),
        Column("verified_at", Moment),
        ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_user_phone_verification_user_id"),
        PrimaryKeyConstraint("user_id", name="pk_user_phone_verification"),
        UniqueConstraint("phone_index", name="uq_user_phone_verification_phone_index"),
    )
    op.create_table(
        "deriv_accounts",
        Column("id", Identifier, nullable=False),
        Column("user_id", Identifier, nullable=False),
        Column("deriv_login_id", Word(20), nullable=False),
        Column("currency", Word(3), nullable=False),
        Column("created_at", Moment, nullable=False),
        ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_deriv_accounts_user_id"),
        PrimaryKeyConstraint("id", name="pk_deriv_accounts"),
        UniqueConstraint("deriv_login_id", name="uq_deriv_accounts_deriv_login_id"),
        UniqueConstraint("user_id", "currency", name="uq_deriv_accounts_user_id_currency"),
    )
    op.create_table(
        "api_keys",
        Column("id", Identifier, nullable=False),
        Column("user_id", Identifier, nullable=False),
        Column("key_hash", Word(64), nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("revoked_at", Moment),
        ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_keys_user_id"),
        PrimaryKeyConstraint("id", name="pk_api_keys"),
        UniqueConstraint("key_hash", name="uq_api_keys_key_hash"),
    )


def _transactions(op: Operations) -> None:
    """Deposits, and the exchange rates they lock."""
    op.create_table(
        "fx_rates",
        Column("id", Identifier, nullable=False),
        Column("base", Word(3), nullable=False),
        Column("quote", Word(3), nullable=False),
        Column("mid_e8", BigInteger, nullable=False),
        Column("source", Word(64), nullable=False),
        Column("valid_from", Moment, nullable=False),
        Column("entered_by", Word(64), nullable=False),
        Column("approved_by", Word(64)),
        Column("approved_at", Moment),
        Column("created_at", Moment, nullable=False),
        CheckConstraint("approved_by IS NULL OR approved_by <> entered_by", name="ck_fx_rates_maker_checker"),
        CheckConstraint("mid_e8 > 0", name="ck_fx_rates_mid"),
        PrimaryKeyConstraint("id", name="pk_fx_rates"),
    )
    op.create_table(
        "transactions",
        Column("id", Identifier, nullable=False),
        Column("user_id", Identifier, nullable=False),
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
        CheckConstraint("type IN ('DEPOSIT', 'WITHDRAWAL')", name="ck_transactions_type"),
        CheckConstraint("amount_cents > 0 AND kes_charged_cents > 0 AND usd_cents > 0", name="ck_transactions_amounts"),
        ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_transactions_user_id"),
        PrimaryKeyConstraint("id", name="pk_transactions"),
    )
    op.create_index("ix_transactions_user_id_created_at", "transactions", ["user_id", "created_at"])


def _evidence(op: Operations) -> None:
    """What was asked of M-Pesa and of Deriv."""
    op.create_table(
        "mpesa_requests",
        Column("id", Identifier, nullable=False),
        Column("purpose", Word(20), nullable=False),
        Column("subject_id", Identifier, nullable=False),
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
        Column("account_reference", Word(12), nullable=False),
        Column("phone_sealed", Sealed, nullable=False),
        Column("checkout_sealed", Sealed),
        Column("checkout_index", Word(64)),
        Column("merchant_request_id", Word(64)),
        Column("receipt", Word(20)),
        Column("verified_at", Moment),
        Column("disputed_cents", Cents),
        CheckConstraint("amount_cents > 0", name="ck_mpesa_requests_amount"),
        ForeignKeyConstraint(["subject_id"], ["transactions.id"], name="fk_mpesa_requests_subject_id"),
        PrimaryKeyConstraint("id", name="pk_mpesa_requests"),
        UniqueConstraint("account_reference", name="uq_mpesa_requests_account_reference"),
        UniqueConstraint("checkout_index", name="uq_mpesa_requests_checkout_index"),
        UniqueConstraint("receipt", name="uq_mpesa_requests_receipt"),
    )
    op.create_index("ix_mpesa_requests_due_at", "mpesa_requests", ["due_at"])
    op.create_index("ix_mpesa_requests_subject_id", "mpesa_requests", ["subject_id"])
    op.create_table(
        "deriv_transfers",
        Column("id", Identifier, nullable=False),
        Column("purpose", Word(20), nullable=False),
        Column("subject_id", Identifier, nullable=False),
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
        Column("reference", Word(40), nullable=False),
        Column("deriv_login_id", Word(20), nullable=False),
        Column("provider_id", Word(40)),
        Column("open_outflow_of", Identifier),
        CheckConstraint("amount_cents > 0", name="ck_deriv_transfers_amount"),
        ForeignKeyConstraint(["subject_id"], ["transactions.id"], name="fk_deriv_transfers_subject_id"),
        PrimaryKeyConstraint("id", name="pk_deriv_transfers"),
        UniqueConstraint("open_outflow_of", name="uq_deriv_transfers_open_outflow_of"),
        UniqueConstraint("provider_id", name="uq_deriv_transfers_provider_id"),
        UniqueConstraint("reference", name="uq_deriv_transfers_reference"),
    )
    op.create_index("ix_deriv_transfers_due_at", "deriv_transfers", ["due_at"])
    op.create_index("ix_deriv_transfers_subject_id", "deriv_transfers", ["subject_id"])


def _messages(op: Operations) -> None:
    """What others posted to us, and what people must decide."""
    op.create_table(
        "webhook_logs",
        Column("id", Identifier, nullable=False),
        Column("source", Word(20), nullable=False),
        Column("subject_id", Identifier),
        Column("remote_address", Word(45), nullable=False),
        Column("body_sealed", Sealed, nullable=False),
        Column("body_hash", Word(64), nullable=False),
        Column("outcome", Word(40), nullable=False),
        Column("due_at", Moment),
        Column("created_at", Moment, nullable=False),
        Column("version", BigInteger, nullable=False),
        PrimaryKeyConstraint("id", name="pk_webhook_logs"),
    )
    op.create_index("ix_webhook_logs_created_at", "webhook_logs", ["created_at"])
    op.create_index("ix_webhook_logs_due_at", "webhook_logs", ["due_at"])
    op.create_table(
        "reviews",
        Column("id", Identifier, nullable=False),
        Column("transaction_id", Identifier),
        Column("reason", Word(40), nullable=False),
        Column("amount_cents", Cents, nullable=False),
        Column("currency", Word(3), nullable=False),
        Column("facts", Document, nullable=False),
        Column("opened_at", Moment, nullable=False),
        ForeignKeyConstraint(["transaction_id"], ["transactions.id"], name="fk_reviews_transaction_id"),
        PrimaryKeyConstraint("id", name="pk_reviews"),
        UniqueConstraint("transaction_id", "reason", name="uq_reviews_transaction_id_reason"),
    )
