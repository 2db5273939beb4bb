"""Where payments to merchants' numbers are told, which numbers may be pulled, and the till that a push pays."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKeyConstraint, PrimaryKeyConstraint

from penpay.infrastructure.sql.types import Moment, Sealed, Word

revision = "0006"
down_revision = "0005"


def upgrade(op: Operations) -> None:
    """Add both tables, the till of a push, and an index that leads to the payments of one number."""
    op.create_table(
        "operator_c2b_urls",
        Column("short_code", Word(7), nullable=False),
        Column("api", Word(2), nullable=False),
        Column("default_action", Word(9), nullable=False),
        Column("addresses_sealed", Sealed, nullable=False),
        Column("registered_at", Moment, nullable=False),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("api IN ('v1', 'v2')", name="ck_operator_c2b_urls_api"),
        CheckConstraint("default_action IN ('Completed', 'Cancelled')", name="ck_operator_c2b_urls_default_action"),
        _of_a_merchant("operator_c2b_urls"),
        PrimaryKeyConstraint("short_code", name="pk_operator_c2b_urls"),
    )
    op.create_table(
        "operator_pull_registrations",
        Column("short_code", Word(7), nullable=False),
        Column("contact_sealed", Sealed, nullable=False),
        Column("registered_at", Moment, nullable=False),
        _of_a_merchant("operator_pull_registrations"),
        PrimaryKeyConstraint("short_code", name="pk_operator_pull_registrations"),
    )
    op.add_column("stk_pushes", Column("till", Word(7)))
    op.create_index(
        "ix_operator_transactions_short_code_happened_at", "operator_transactions", ["short_code", "happened_at"]
    )


def _of_a_merchant(table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["short_code"], ["operator_merchants.short_code"], name=f"fk_{table}_short_code")
