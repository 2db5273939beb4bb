"""Revision 0003 on a database that was used before there were positions and seals."""

from __future__ import annotations

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql import migrations
from tests.contract.migrations.test_append_only import ROWS, A, ids_of


def upgrade_to(connection: Connection, revision: str) -> None:
    """Bring an empty database to an older revision."""
    scripts = migrations.scripts()
    context = MigrationContext.configure(connection)
    for script in reversed(list(scripts.iterate_revisions(revision, "base"))):
        script.module.upgrade(Operations(context))
        context.stamp(scripts, script.revision)


async def test_batches_committed_before_wait_for_their_place(engine: AsyncEngine) -> None:
    """A batch with one event and one audit row waits with two, an empty one with none, an abandoned one not at all."""
    async with engine.begin() as connection:
        await connection.run_sync(upgrade_to, "0002")
        for row in ROWS:
            if "event_positions" not in row and "audit_seals" not in row and "audit_checkpoints" not in row:
                await connection.execute(text(ids_of(engine, row)))
        for number, state in ((5, "COMMITTED"), (6, "ABANDONED")):
            other = f"{A[:-1]}{number}"
            row = f"INSERT INTO command_batches VALUES ('{other}', '{state}', '2026-11-20 09:00:00')"
            await connection.execute(text(ids_of(engine, row)))

    await migrations.upgrade(engine)

    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT pending_rows FROM command_batches ORDER BY batch_id"))
        assert [2, 0, None] == list(found.scalars())
