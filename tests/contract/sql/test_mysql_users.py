"""The users that docs/databases.md tells an operator to make: one migrates, the other cannot lose a row of history."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from tests.contract.sql.commands import Move, wallet
from tests.contract.sql.world import opened
from tests.servers.mysql import MysqlServer
from tests.support.engines import MYSQL
from tests.support.schema import create_schema

PAGE = Path(__file__).resolve().parents[3] / "docs" / "databases.md"
A, B = wallet(1), wallet(2)


@dataclass(frozen=True, slots=True)
class Users:
    """The addresses of one database, as its owner and as the program."""

    owner: str
    app: str


@pytest.fixture(params=MYSQL)
def users(request: pytest.FixtureRequest) -> Iterator[Users]:
    """What the page's own statements make, under names that nobody else has."""
    server: MysqlServer = request.getfixturevalue(f"{request.param}_server")
    database = server.create_database()
    server.drop_database(database)
    (statements,) = re.findall(r"```mysql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    owner, app = f"{database[-20:]}_owner", f"{database[-20:]}_app"
    statements = statements.replace("penpay_owner", owner).replace("penpay_app", app)
    statements = statements.replace("DATABASE penpay ", f"DATABASE {database} ").replace("penpay.*", f"{database}.*")
    if request.param == "mysql":
        server.execute("SET GLOBAL log_bin_trust_function_creators = 1")  # as the page says of MySQL
    server.execute(statements.strip())
    yield Users(
        server.url(database, user=owner, password="a long password"),
        server.url(database, user=app, password="another long password"),
    )
    server.drop_database(database)
    server.execute(f"DROP USER '{owner}'@'%', '{app}'@'%'")


async def test_the_program_s_user_writes_and_cannot_lose_a_row(users: Users) -> None:
    """The owner migrates; the program books money, and no statement of its user empties or unguards the books."""
    await create_schema(users.owner)
    async with opened(users.app) as world:
        await world.fund(A)
        await world.execute(Move(A, B, 1, "m"))
        before = await world.rows("SELECT * FROM ledger_entries ORDER BY account_id, account_seq")

        for statement in (
            "TRUNCATE ledger_entries",
            "DROP TABLE ledger_entries",
            "DROP TRIGGER ledger_entries_no_delete",
            "ALTER TABLE ledger_entries DROP COLUMN side",
            "ALTER TABLE ledger_entries ENGINE = MEMORY",
            "RENAME TABLE ledger_entries TO elsewhere",
            "CREATE TABLE mine (n INT)",
        ):
            with pytest.raises(DBAPIError, match=r"\((1142|1044|1227|1419), "):
                await world.change(statement)
        with pytest.raises(DBAPIError, match="ledger_entries is append-only"):
            await world.change("DELETE FROM ledger_entries")

        assert before == await world.rows("SELECT * FROM ledger_entries ORDER BY account_id, account_seq")
        await world.books_agree()


async def test_the_owner_could(users: Users) -> None:
    """It is the right to DROP that is missing, not the statement that is wrong."""
    await create_schema(users.owner)
    async with opened(users.owner) as world:
        await world.change("TRUNCATE audit_checkpoints")
        assert [] == await world.rows("SELECT * FROM audit_checkpoints")
