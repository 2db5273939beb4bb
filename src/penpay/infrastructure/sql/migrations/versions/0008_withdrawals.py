"""Withdrawals, payouts by M-Pesa, kept secrets, and people's decisions about reviews."""

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

from penpay.infrastructure.sql.types import Cents, Document, Identifier, Moment, Sealed, Word

revision = "0008"
down_revision = "0007"


def upgrade(op: Operations) -> None:
    """Add the tables; a review there is becomes one about its transaction that nobody has decided."""
    _withdrawals(op)
    _disbursements(op)
    _secrets(op)
    _reviews(op)


def _evidence() -> list[Column[object]]:
    return [
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
    ]


def _withdrawals(op: Operations) -> None:
    op.create_table(
        "deriv_withdrawals",
        *_evidence(),
        Column("reference", Word(40), nullable=False),
        Column("deriv_login_id", Word(20), nullable=False),
        Column("code_asked_at", Moment),
        Column("client_row_id", Word(40)),
        Column("provider_id", Word(40)),
        CheckConstraint("amount_cents > 0", name="ck_deriv_withdrawals_amount"),
        CheckConstraint("id = subject_id", name="ck_deriv_withdrawals_subject"),
        ForeignKeyConstraint(["subject_id"], ["transactions.id"], name="fk_deriv_withdrawals_subject_id"),
        PrimaryKeyConstraint("id", name="pk_deriv_withdrawals"),
        UniqueConstraint("reference", name="uq_deriv_withdrawals_reference"),
        UniqueConstraint("provider_id", name="uq_deriv_withdrawals_provider_id"),
    )
    op.create_index("ix_deriv_withdrawals_due_at", "deriv_withdrawals", ["due_at"])
    op.create_index("ix_deriv_withdrawals_deriv_login_id", "deriv_withdrawals", ["deriv_login_id"])


def _disbursements(op: Operations) -> None:
    op.create_table(
        "mpesa_disbursements",
        *_evidence(),
        Column("originator_conversation_id", Word(64), nullable=False),
        Column("phone_sealed", Sealed, nullable=False),
        Column("conversation_id", Word(64)),
        Column("receipt", Word(20)),
        Column("told_code", Word(64)),
        Column("question_id", Identifier),
        Column("verified_at", Moment),
        Column("open_outflow_of", Identifier),
        CheckConstraint("amount_cents > 0", name="ck_mpesa_disbursements_amount"),
        PrimaryKeyConstraint("id", name="pk_mpesa_disbursements"),
        UniqueConstraint("originator_conversation_id", name="uq_mpesa_disbursements_originator_conversation_id"),
        UniqueConstraint("receipt", name="uq_mpesa_disbursements_receipt"),
        UniqueConstraint("question_id", name="uq_mpesa_disbursements_question_id"),
        UniqueConstraint("open_outflow_of", name="uq_mpesa_disbursements_open_outflow_of"),
    )
    op.create_index("ix_mpesa_disbursements_due_at", "mpesa_disbursements", ["due_at"])
    op.create_index("ix_mpesa_disbursements_subject_id", "mpesa_disbursements", ["subject_id"])


def _secrets(op: Operations) -> None:
    op.create_table(
        "secrets",
        Column("purpose", Word(20), nullable=False),
        Column("subject_id", Identifier, nullable=False),
        Column("value_sealed", Sealed, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("expires_at", Moment, nullable=False),
        PrimaryKeyConstraint("purpose", "subject_id", name="pk_secrets"),
    )
    op.create_index("ix_secrets_expires_at", "secrets", ["expires_at"])


def _reviews(op: Operations) -> None:
    """Made anew, since what is unique about a review changes, and not every engine can drop a constraint."""
    old = "id, transaction_id, reason, amount_cents, currency, facts, opened_at"
    op.execute(f"CREATE TABLE reviews_kept AS SELECT {old} FROM reviews")  # noqa: S608  (own names)
    op.drop_table("reviews")
    op.create_table(
        "reviews",
        Column("id", Identifier, nullable=False),
        Column("subject_id", Identifier, nullable=False),
        Column("transaction_id", Identifier),
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
        CheckConstraint("approved_by IS NULL OR approved_by <> proposed_by", name="ck_reviews_maker_checker"),
        CheckConstraint("(approved_by IS NULL) = (resolved_at IS NULL)", name="ck_reviews_resolved"),
        ForeignKeyConstraint(["transaction_id"], ["transactions.id"], name="fk_reviews_transaction_id"),
        PrimaryKeyConstraint("id", name="pk_reviews"),
        UniqueConstraint("subject_id", "reason", name="uq_reviews_subject_id_reason"),
    )
    op.create_index("ix_reviews_opened_at", "reviews", ["opened_at"])
    op.execute(
        f"INSERT INTO reviews ({old}, subject_id, version) "  # noqa: S608  (own names)
        f"SELECT {old}, COALESCE(transaction_id, id), 1 FROM reviews_kept"
    )
    op.drop_table("reviews_kept")
