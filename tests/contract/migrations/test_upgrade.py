"""Coming to the newest revision: once, together, and never half."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.shared.unit_of_work import Transient
from penpay.infrastructure.sql import migrations
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.migrations import MigrationInterrupted, SchemaAhead, SchemaBehind
from tests.support.engines import MYSQL


async def tables(engine: AsyncEngine) -> Sequence[str]:
    async with engine.connect() as connection:
        return await connection.run_sync(lambda sync: inspect(sync).get_table_names())


async def test_an_empty_database_is_behind_and_then_current(engine: AsyncEngine) -> None:
    """A server refuses an empty database, and takes it once it is migrated."""
    assert None is await migrations.revision_of(engine)
    with pytest.raises(SchemaBehind, match="penpay db migrate"):
        await migrations.require_current(engine)

    await migrations.upgrade(engine)

    assert migrations.head() == await migrations.revision_of(engine)
    await migrations.require_current(engine)


async def test_migrating_again_changes_nothing(engine: AsyncEngine) -> None:
    """A second migration leaves rows and revision alone."""
    await migrations.upgrade(engine)
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO operator_receipts (name, day, used, version) VALUES ('mpesa', '2026-11-20', 1, 1)")
        )

    await migrations.upgrade(engine)

    async with engine.connect() as connection:
        assert 1 == (await connection.execute(text("SELECT count(*) FROM operator_receipts"))).scalar_one()


async def test_a_database_ahead_of_the_code_is_refused(engine: AsyncEngine) -> None:
    """Neither a server nor a migration of an older version touches a newer schema."""
    await migrations.upgrade(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(SchemaAhead, match="9999"):
        await migrations.require_current(engine)
    with pytest.raises(SchemaAhead, match="9999"):
        await migrations.upgrade(engine)


async def test_many_who_migrate_at_once_do_not_meet(each_url: str) -> None:
    """Of four processes starting together one migrates and the others find nothing to do."""
    engines = [open_engine(each_url) for _ in range(4)]
    try:
        await asyncio.gather(*(migrations.upgrade(engine) for engine in engines))

        assert migrations.head() == await migrations.revision_of(engines[0])
    finally:
        for engine in engines:
            await engine.dispose()


async def test_a_new_embedded_database_is_opened_while_another_writes_its_first_row(fresh_sqlite_url: str) -> None:
    """SQLite refuses at once, without its time-out, to begin a log while somebody writes; who opens waits for that."""
    writer = sqlite3.connect(make_url(fresh_sqlite_url).database or "", isolation_level=None)
    engine = open_engine(fresh_sqlite_url)
    try:
        writer.execute("BEGIN IMMEDIATE")
        opened = asyncio.ensure_future(tables(engine))
        await asyncio.sleep(0.1)
        assert not opened.done()
        writer.execute("ROLLBACK")

        assert [] == await opened
    finally:
        writer.close()
        await engine.dispose()


async def test_two_databases_are_migrated_side_by_side(fresh_sqlite_url: str, fresh_postgresql_url: str) -> None:
    """Two databases in one interpreter do not write through each other's connection."""
    ours, theirs = open_engine(fresh_sqlite_url), open_engine(fresh_postgresql_url)
    try:
        await asyncio.gather(migrations.upgrade(ours), migrations.upgrade(theirs))

        assert set(await tables(ours)) == set(await tables(theirs))
        assert "ledger_entries" in await tables(ours)
    finally:
        await ours.dispose()
        await theirs.dispose()


async def test_a_migration_that_fails_leaves_nothing_behind(engine: AsyncEngine) -> None:
    """All or nothing: what stands in the way of the last table takes back the first one."""
    if engine.dialect.name == "mysql":
        pytest.skip("cannot take back what creates tables; the next test is about that")
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE operator_receipts (name CHAR(1))"))

    with pytest.raises(Exception, match="operator_receipts"):
        await migrations.upgrade(engine)

    assert ["operator_receipts"] == await tables(engine)
    assert None is await migrations.revision_of(engine)


@pytest.mark.parametrize("name", MYSQL)
async def test_a_migration_that_was_interrupted_is_told_and_not_gone_on_with(
    name: str, request: pytest.FixtureRequest
) -> None:
    """MySQL keeps the half of it: whoever migrates, serves or looks is told that a backup is needed."""
    engine = open_engine(request.getfixturevalue(f"fresh_{name}_url"))
    try:
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE operator_receipts (name CHAR(1))"))
        for attempt in (migrations.upgrade, migrations.upgrade, migrations.require_current):
            with pytest.raises(MigrationInterrupted, match=r"revision 0002 was interrupted.*restore the backup"):
                await attempt(engine)

        assert "ledger_entries" in await tables(engine)  # revision 0001 was ended and stays
        assert "leases" not in await tables(engine)
    finally:
        await engine.dispose()


@pytest.mark.parametrize("name", MYSQL)
async def test_a_migration_does_not_wait_for_another_for_ever(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody else migrates this database one waits, and then is told to try again."""
    url = request.getfixturevalue(f"fresh_{name}_url")
    monkeypatch.setattr(migrations, "_LOCK_SECONDS", 0)
    ours, theirs = open_engine(url), open_engine(url)
    try:
        async with theirs.connect() as other:
            assert 1 == await other.scalar(text(f"SELECT GET_LOCK({migrations._LOCK_NAME}, 0)"))
            with pytest.raises(Transient, match="another migration"):
                await migrations.upgrade(ours)
        assert [] == await tables(ours)
    finally:
        await ours.dispose()
        await theirs.dispose()


async def test_a_lock_that_is_not_given_up_ends_the_migration(fresh_postgresql_url: str, monkeypatch: Any) -> None:
    """A migration waits seconds for a lock, not for ever: the waiting would stop everybody behind it."""
    engine = open_engine(fresh_postgresql_url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(migrations._upgrade)
            timeout = (await connection.execute(text("SHOW lock_timeout"))).scalar_one()
    finally:
        await engine.dispose()

    assert "5s" == timeout
