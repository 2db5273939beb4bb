"""The table of money that left the PayBill account."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Table

from penpay.infrastructure.sql.tables import metadata
from penpay.infrastructure.sql.types import Cents, Identifier, Moment, Sealed, Word

collections_outflows = Table(
    "collections_outflows",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("mpesa_receipt_number", Word(20), nullable=False, unique=True),
    Column("amount_cents", Cents, nullable=False),
    Column("left_at", Moment, nullable=False),
    Column("outflow_use", Word(12), nullable=False),
    Column("reason", Word(20)),
    Column("linked_receipt", Word(20)),
    # The payment that was taken back by it, once that is booked: each is taken back once.
    Column("reversal_of", Word(20), unique=True),
    Column("told_sealed", Sealed, nullable=False),
    Column("recorded_by", Word(64), nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("explained_by", Word(64)),
    Column("explained_at", Moment),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint(
        "outflow_use IN ('UNEXPLAINED', 'BANK', 'CHARGE', 'EXPENSE', 'OWNER', 'REFUND', 'PAYOUT', 'REVERSAL')",
        name="use",
    ),
    CheckConstraint("(outflow_use = 'UNEXPLAINED') = (reason IS NOT NULL)", name="reason"),
    CheckConstraint("outflow_use = 'REVERSAL' OR reversal_of IS NULL", name="reversal"),
    Index("ix_collections_outflows_outflow_use_left_at", "outflow_use", "left_at"),
    Index("ix_collections_outflows_left_at", "left_at"),
    Index("ix_collections_outflows_linked_receipt", "linked_receipt"),
)
