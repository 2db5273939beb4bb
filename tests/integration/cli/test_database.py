"""Migrating a database at a terminal, and what is refused on the wrong one."""

from __future__ import annotations

from sqlalchemy import text

from tests.integration.cli.conftest import Terminal
from tests.integration.cli.looking import USER_ONE, in_database


def test_a_database_is_migrated_once(empty: Terminal) -> None:
    """Status says what migrate will do and has done, to people and to scripts."""
    before = empty.json("db", "status", status=1)
    migrated = empty.json("db", "migrate")
    empty.run("db", "migrate")
    after = empty.json("db", "status")

    assert (None, False) == (before["revision"], before["current"])
    assert {"revision": before["head"]} == migrated
    assert (before["head"], True) == (after["revision"], after["current"])


def test_books_of_an_unmigrated_database_are_not_read(empty: Terminal) -> None:
    """Reading waits for the migration, and says so by a stable code."""
    assert "schema_behind" == empty.refused("ledger", "verify")


def test_a_database_of_a_newer_version_is_left_alone(terminal: Terminal) -> None:
    """An older program touches nothing of a newer one's."""
    in_database(
        terminal, lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    )

    assert "schema_ahead" == terminal.refused("ledger", "verify")
    assert "schema_ahead" == terminal.refused("db", "migrate")
    assert "schema_ahead" == terminal.refused("users", "create", *USER_ONE)


def test_a_database_that_is_not_there_is_told_without_its_password(empty: Terminal) -> None:
    """A wrong address ends in one line, which does not quote the address."""
    url = "postgresql://penpay:hunter2@127.0.0.1:1/none"

    result = empty.run("db", "status", status=1, DATABASE_URL=url)

    assert result.stderr.startswith("error: database_unavailable: ")
    assert "hunter2" not in result.output
