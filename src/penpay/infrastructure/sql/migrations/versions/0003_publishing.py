"""Positions of events, seals and checkpoints of the audit trail, and the lease of whoever gives them."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
)

from penpay.infrastructure.sql import mysql
from penpay.infrastructure.sql.migrations.append_only import protect
from penpay.infrastructure.sql.types import Identifier, Moment, Word

revision = "0003"
down_revision = "0002"


def upgrade(op: Operations) -> None:
    """Add the tables, and mark every batch there is as waiting for its place."""
    _mark_batches(op)
    op.create_table(
        "leases",
        Column("name", Word(32), nullable=False),
        Column("holder", Identifier, nullable=False),
        Column("fence", BigInteger, nullable=False),
        Column("lease_until", Moment, nullable=False),
        PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "event_positions",
        Column("position", BigInteger, autoincrement=False, nullable=False),
        Column("event_id", Identifier, nullable=False),
        ForeignKeyConstraint(["event_id"], ["domain_events.id"], name="fk_event_positions_event_id"),
        PrimaryKeyConstraint("position", name="pk_event_positions"),
        UniqueConstraint("event_id", name="uq_event_positions_event_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_seals",
        Column("position", BigInteger, autoincrement=False, nullable=False),
        Column("batch_id", Identifier, nullable=False),
        Column("rows_count", Integer, nullable=False),
        Column("seal", Word(64), nullable=False),
        ForeignKeyConstraint(["batch_id"], ["command_batches.batch_id"], name="fk_audit_seals_batch_id"),
        PrimaryKeyConstraint("position", name="pk_audit_seals"),
        UniqueConstraint("batch_id", name="uq_audit_seals_batch_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_checkpoints",
        Column("position", BigInteger, autoincrement=False, nullable=False),
        Column("seal", Word(64), nullable=False),
        Column("rows_count", BigInteger, nullable=False),
        Column("made_at", Moment, nullable=False),
        Column("key_id", Word(16), nullable=False),
        Column("signature", Word(128), nullable=False),
        ForeignKeyConstraint(["position"], ["audit_seals.position"], name="fk_audit_checkpoints_position"),
        PrimaryKeyConstraint("position", name="pk_audit_checkpoints"),
        sqlite_with_rowid=False,
    )
    protect(op, "event_positions", "audit_seals", "audit_checkpoints")


def _mark_batches(op: Operations) -> None:
    on_mysql = op.get_context().dialect.name == mysql.NAME
    op.add_column("command_batches", Column("pending_rows", Integer))
    op.execute("UPDATE command_batches SET pending_rows = 0 WHERE state = 'COMMITTED'")
    for table in ("domain_events", "audit_logs"):
        counted = f"(SELECT batch_id, count(*) AS rows_count FROM {table} GROUP BY batch_id) AS counted"  # noqa: S608  (own names)
        if on_mysql:
            op.execute(
                f"UPDATE command_batches JOIN {counted} ON command_batches.batch_id = counted.batch_id "  # noqa: S608  (own names)
                "SET pending_rows = pending_rows + counted.rows_count"
            )
            continue
        op.execute(
            f"UPDATE command_batches SET pending_rows = pending_rows + counted.rows_count FROM {counted} "  # noqa: S608  (own names)
            "WHERE command_batches.batch_id = counted.batch_id"
        )
    if on_mysql:  # it has no index of some rows only: this one leads to those with a number
        op.create_index("ix_command_batches_pending_rows", "command_batches", ["pending_rows"])
        return
    waiting = text("pending_rows IS NOT NULL")
    op.create_index(
        "ix_command_batches_pending", "command_batches", ["batch_id"], sqlite_where=waiting, postgresql_where=waiting
    )
