"""Money that left the PayBill account: by M-Pesa's receipt, and what it was for."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import BigInteger, CheckConstraint, Column, PrimaryKeyConstraint, UniqueConstraint

from penpay.infrastructure.sql.types import Cents, Identifier, Moment, Sealed, Word

revision = "0014"
down_revision = "0012"


def upgrade(op: Operations) -> None:
    """Add what this revision is about."""
    _add_outflows(op)


def _add_outflows(op: Operations) -> None:
    uses = "'UNEXPLAINED', 'BANK', 'CHARGE', 'EXPENSE', 'OWNER', 'REFUND', 'PAYOUT', 'REVERSAL'"
    name = "collections_outflows"
    op.create_table(
        name,
        Column("id", Identifier, nullable=False),
        Column("mpesa_receipt_number", Word(20), nullable=False),
        Column("amount_cents", Cents, nullable=False),
        Column("left_at", Moment, nullable=False),
        Column("outflow_use", Word(12), nullable=False),
        Column("reason", Word(20)),
        Column("linked_receipt", Word(20)),
        Column("reversal_of", Word(20)),
        Column("told_sealed", Sealed, nullable=False),
        Column("recorded_by", Word(64), nullable=False),
        Column("recorded_at", Moment, nullable=False),
        Column("explained_by", Word(64)),
        Column("explained_at", Moment),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("amount_cents > 0", name=f"ck_{name}_amount"),
        CheckConstraint(f"outflow_use IN ({uses})", name=f"ck_{name}_use"),
        CheckConstraint("(outflow_use = 'UNEXPLAINED') = (reason IS NOT NULL)", name=f"ck_{name}_reason"),
        CheckConstraint("outflow_use = 'REVERSAL' OR reversal_of IS NULL", name=f"ck_{name}_reversal"),
        PrimaryKeyConstraint("id", name=f"pk_{name}"),
        UniqueConstraint("mpesa_receipt_number", name=f"uq_{name}_mpesa_receipt_number"),
        UniqueConstraint("reversal_of", name=f"uq_{name}_reversal_of"),
    )
    op.create_index("ix_collections_outflows_outflow_use_left_at", name, ["outflow_use", "left_at"])
    op.create_index("ix_collections_outflows_left_at", name, ["left_at"])
    op.create_index("ix_collections_outflows_linked_receipt", name, ["linked_receipt"])
