"""The forbidden SQL is sent, as an angry person with a database client would send it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql import migrations
from penpay.infrastructure.sql.engine import open_engine

A, B, C, D = (f"01890000-0000-7000-8000-00000000000{n}" for n in range(4))
MOMENT = "'2026-11-20 09:00:00'"

ROWS = (
    f"INSERT INTO ledger_accounts VALUES ('{A}', 'equity:owner', 'Owner', 'EQUITY', 'KES', NULL, TRUE, 0, 0, {MOMENT})",
    f"INSERT INTO ledger_journals VALUES ('{B}', 'funding', 'r1', NULL, NULL, {MOMENT}, {MOMENT})",
    (
        "INSERT INTO ledger_entries (account_id, account_seq, journal_id, side, amount_cents, balance_after_cents)"
        f" VALUES ('{A}', 1, '{B}', 'CREDIT', 100, 100)"
    ),
    (
        "INSERT INTO domain_events"
        " (id, name, schema_version, aggregate_type, aggregate_id, sequence, payload, recorded_at, batch_id)"
        f" VALUES ('{C}', 'UserRegistered', 1, 'User', '{D}', 1, '{{}}', {MOMENT}, '{A}')"
    ),
    (
        "INSERT INTO audit_logs"
        " (batch_id, ordinal, recorded_at, actor, action, subject_type, subject_id, facts, row_hash)"
        f" VALUES ('{A}', 0, {MOMENT}, 'operator', 'user.registered', 'user', '{D}', '{{}}', 'x')"
    ),
    f"INSERT INTO command_batches (batch_id, state, recorded_at) VALUES ('{A}', 'COMMITTED', {MOMENT})",
    f"INSERT INTO event_positions VALUES (1, '{C}')",
    f"INSERT INTO audit_seals VALUES (1, '{A}', 1, 'x')",
    f"INSERT INTO audit_checkpoints VALUES (1, 'x', 1, {MOMENT}, 'k', 'x')",
)

FORBIDDEN = {
    "ledger_entries": ("amount_cents", "account_id, account_seq"),
    "ledger_journals": ("reference", "id"),
    "domain_events": ("payload", "id"),
    "audit_logs": ("actor", "batch_id, ordinal"),
    "event_positions": ("event_id", "position"),
    "audit_seals": ("seal", "position"),
    "audit_checkpoints": ("signature", "position"),
}
"""Each protected table, a column somebody would like to change, and its key."""


@pytest.fixture
async def books(engine: AsyncEngine) -> AsyncEngine:
    """A migrated database with one row in each protected table."""
    await migrations.upgrade(engine)
    async with engine.begin() as connection:
        for row in ROWS:
            await connection.execute(text(ids_of(engine, row)))
    return engine


def ids_of(engine: AsyncEngine, statement: str) -> str:
    """The statement with its ids as the engine takes them: MySQL does not mistake a text for 16 bytes."""
    if engine.dialect.name != "mysql":
        return statement
    return re.sub(r"(?<!'user', )'([0-9a-f-]{36})'", lambda found: f"x'{UUID(found[1]).hex}'", statement)


async def contents(engine: AsyncEngine, table: str) -> Sequence[Any]:
    async with engine.connect() as connection:
        return (await connection.execute(text(f"SELECT * FROM {table}"))).all()


def attacks(dialect: str, table: str) -> list[str]:
    """Every statement that would change or remove a row."""
    column, key = FORBIDDEN[table]
    upsert = f"ON CONFLICT ({key}) DO UPDATE SET {column} = {column if dialect == 'sqlite' else f'{table}.{column}'}"
    found = [
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        f"INSERT INTO {table} SELECT * FROM {table} WHERE TRUE {upsert}",
    ]
    if dialect == "mysql":
        again = f"INSERT INTO {table} SELECT * FROM {table} AS old"
        return [
            *found[:2],
            f"{again} ON DUPLICATE KEY UPDATE {column} = old.{column}",
            f"REPLACE INTO {table} SELECT * FROM {table}",
        ]
    if dialect == "sqlite":
        return [*found, f"REPLACE INTO {table} SELECT * FROM {table}", f"UPDATE OR REPLACE {table} SET {column} = 1"]
    return [*found, f"TRUNCATE {table} CASCADE", f"UPDATE {table} SET {column} = {column} WHERE FALSE"]


@pytest.mark.parametrize("table", FORBIDDEN)
async def test_no_statement_changes_what_is_append_only(books: AsyncEngine, table: str) -> None:
    """UPDATE, DELETE, REPLACE, an upsert and TRUNCATE are refused, and the row is as it was."""
    before = await contents(books, table)

    for statement in attacks(books.dialect.name, table):
        with pytest.raises(DBAPIError, match=f"{table} is append-only"):
            async with books.begin() as connection:
                await connection.execute(text(statement))

    assert 1 == len(before)
    assert before == await contents(books, table)


async def test_truncating_what_they_refer_to_is_refused_too(fresh_postgresql_url: str) -> None:
    """On PostgreSQL a TRUNCATE that would cascade into the ledger is refused, even an empty one."""
    engine = open_engine(fresh_postgresql_url)
    try:
        await migrations.upgrade(engine)
        with pytest.raises(DBAPIError, match="is append-only"):
            async with engine.begin() as connection:
                await connection.execute(text("TRUNCATE ledger_accounts CASCADE"))
    finally:
        await engine.dispose()


async def test_appending_still_works(books: AsyncEngine) -> None:
    """What is protected from change still grows."""
    async with books.begin() as connection:
        await connection.execute(
            text(
                ids_of(
                    books,
                    "INSERT INTO ledger_entries"
                    " (account_id, account_seq, journal_id, side, amount_cents, balance_after_cents)"
                    f" VALUES ('{A}', 2, '{B}', 'CREDIT', 50, 150)",
                )
            )
        )

    assert 2 == len(await contents(books, "ledger_entries"))
