"""What the migrations build is what the code believes to be there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql import (
    capture_tables,
    collections_tables,
    migrations,
    notification_tables,
    operator_tables,
    payout_tables,
    staff_tables,
)
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.tables import APPEND_ONLY, metadata

# Imported for the tables they add to the metadata.
assert operator_tables.operator_customers.metadata is metadata
assert collections_tables.customers.metadata is metadata
assert capture_tables.till_pushes.metadata is metadata
assert staff_tables.staff.metadata is metadata
assert payout_tables.reviews.metadata is metadata
assert notification_tables.notifications.metadata is metadata


ELSEWHERE = {"mysql": "ix_command_batches_pending"}
"""The index that the metadata keeps for other engines; elsewhere it is MySQL's."""


def differences(connection: Connection, wanted: MetaData) -> list[Any]:
    """What alembic would have to do to come from this database to the metadata."""
    elsewhere = ELSEWHERE.get(connection.dialect.name, "ix_command_batches_pending_rows")
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "compare_server_default": True,
            "include_object": lambda _, name, *__: name != elsewhere,
        },
    )
    return list(compare_metadata(context, wanted))


def details(connection: Connection) -> dict[str, dict[str, object]]:
    """What alembic does not compare: checks, column order and nullability, keys, and SQLite's kind of table."""
    seen = inspect(connection)
    return {name: _table(connection, seen, name) for name in sorted(seen.get_table_names()) if name in metadata.tables}


def _table(connection: Connection, seen: Any, name: str) -> dict[str, object]:
    found = {
        "columns": [(column["name"], str(column["type"]), column["nullable"]) for column in seen.get_columns(name)],
        "primary key": seen.get_pk_constraint(name),
        "checks": {check["name"]: check["sqltext"] for check in seen.get_check_constraints(name)},
        "foreign keys": sorted(str(key) for key in seen.get_foreign_keys(name)),
        "unique": sorted(str(key) for key in seen.get_unique_constraints(name)),
        "indexes": sorted(_told(index) for index in seen.get_indexes(name)),
    }
    if connection.dialect.name == "sqlite":
        found["without rowid"] = connection.execute(
            text("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = :name"), {"name": name}
        ).scalar_one()
    return found


def _told(index: Any) -> str:
    """All of an index, the condition of a partial one in words."""
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return str({**index, "dialect_options": options})


async def test_the_migrated_schema_is_the_one_of_the_code(engine: AsyncEngine) -> None:
    """Alembic finds nothing to add, drop or change after the migrations."""
    await migrations.upgrade(engine)

    async with engine.connect() as connection:
        assert [] == await connection.run_sync(differences, metadata)


async def test_what_alembic_does_not_compare_is_the_same_too(
    engine: AsyncEngine,
) -> None:
    """Checks, column order, keys and WITHOUT ROWID are as `create_all` would make them."""
    await migrations.upgrade(engine)
    async with engine.connect() as connection:
        migrated = await connection.run_sync(details)

    async with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            await connection.execute(text(f"DROP TABLE {table.name}"))
        await connection.run_sync(metadata.create_all)
        created = await connection.run_sync(details)

    assert set(metadata.tables) == set(migrated)
    for name, table in created.items():
        for aspect, wanted in table.items():
            assert (name, aspect, wanted) == (name, aspect, migrated[name][aspect])


async def test_a_missing_check_would_be_seen(engine: AsyncEngine) -> None:
    """The comparison of checks can fail."""
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        created = await connection.run_sync(details)
        await connection.execute(text("DROP TABLE fx_rates"))
        await connection.execute(text("CREATE TABLE fx_rates (id CHAR(36) NOT NULL)"))
        assert created["fx_rates"] != (await connection.run_sync(details))["fx_rates"]
        assert [] != await connection.run_sync(differences, metadata)


async def test_the_append_only_tables_are_protected(engine: AsyncEngine) -> None:
    """Exactly the tables called append-only have triggers."""
    await migrations.upgrade(engine)
    triggers = {
        "sqlite": "SELECT DISTINCT tbl_name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT DISTINCT event_object_table FROM information_schema.triggers",
        "mysql": (
            "SELECT DISTINCT event_object_table FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
        ),
    }[engine.dialect.name]

    async with engine.connect() as connection:
        protected = (await connection.execute(text(triggers))).scalars().all()

    assert {table.name for table in (*APPEND_ONLY, *collections_tables.APPEND_ONLY)} == set(protected)


def test_a_revision_is_named_by_its_number() -> None:
    """The newest revision is the last file of the folder, so that reading them in order is their order."""
    assert re.fullmatch(r"[0-9]{4}", migrations.head())


async def test_sqlite_and_the_url_of_a_missing_folder(tmp_path: Any) -> None:
    """A database in a folder that is not there is an error that says so, not a new folder somewhere."""
    engine = open_engine(f"sqlite+aiosqlite:///{tmp_path}/none/penpay.db")
    with pytest.raises(Exception, match="unable to open database file"):
        await migrations.upgrade(engine)
    await engine.dispose()
