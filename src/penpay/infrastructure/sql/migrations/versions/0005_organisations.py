"""What merchants ask of the operator through Daraja in their initiators' names."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    UniqueConstraint,
)

from penpay.infrastructure.sql.types import Cents, Identifier, Moment, Sealed, Word

revision = "0005"
down_revision = "0004"


def upgrade(op: Operations) -> None:
    """Add the one table; accounts of merchants are opened by their first posting."""
    op.create_table(
        "daraja_requests",
        Column("id", Identifier, nullable=False),
        Column("kind", Word(10), nullable=False),
        Column("short_code", Word(7), nullable=False),
        Column("originator_conversation_id", Word(128), nullable=False),
        Column("conversation_id", Word(64), nullable=False),
        Column("amount_cents", Cents),
        Column("details_sealed", Sealed, nullable=False),
        Column("state", Word(10), nullable=False),
        Column("result_code", Word(16)),
        Column("result_text", Word(160)),
        Column("transaction_id", Identifier),
        Column("accepted_at", Moment, nullable=False),
        Column("finished_at", Moment),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("amount_cents > 0", name="ck_daraja_requests_amount"),
        CheckConstraint(
            "kind IN ('B2C', 'B2B', 'STATUS', 'BALANCE', 'REVERSAL')",
            name="ck_daraja_requests_kind",
        ),
        CheckConstraint(
            "state IN ('ACCEPTED', 'DONE', 'FAILED', 'EXPIRED')",
            name="ck_daraja_requests_state",
        ),
        CheckConstraint("(state = 'ACCEPTED') = (finished_at IS NULL)", name="ck_daraja_requests_finished"),
        CheckConstraint("transaction_id IS NULL OR state = 'DONE'", name="ck_daraja_requests_moved"),
        ForeignKeyConstraint(
            ["transaction_id"], ["operator_transactions.id"], name="fk_daraja_requests_transaction_id"
        ),
        PrimaryKeyConstraint("id", name="pk_daraja_requests"),
        UniqueConstraint("originator_conversation_id", name="uq_daraja_requests_originator_conversation_id"),
        UniqueConstraint("conversation_id", name="uq_daraja_requests_conversation_id"),
        UniqueConstraint("transaction_id", name="uq_daraja_requests_transaction_id"),
    )
    op.create_index("ix_daraja_requests_state_id", "daraja_requests", ["state", "id"])
