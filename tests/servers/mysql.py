"""A MySQL or MariaDB server at an address: databases for one test, and SQL sent as its administrator would.

`mariadb.running` starts one; `PENPAY_TEST_MYSQL_URL` names one that runs already, such as a MySQL 8.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncmy
from asyncmy.constants.CLIENT import MULTI_STATEMENTS
from asyncmy.errors import Error
from sqlalchemy.engine import URL, make_url

from tests.servers.process import Unavailable

T = TypeVar("T")
SETTING: Final = "PENPAY_TEST_MYSQL_URL"
Rows = list[tuple[str, ...]]


class MysqlServer:
    """A running server, and a user of it who may make databases and users."""

    def __init__(self, address: URL) -> None:
        self.address = address
        self._numbers = itertools.count(1)
        self._run = f"penpay_test_{secrets.token_hex(4)}"
        self._copies: dict[str, str] = {}

    def url(self, database: str, *, user: str | None = None, password: str | None = None) -> str:
        """The SQLAlchemy address of a database, through asyncmy."""
        address = self.address.set(drivername="mysql+asyncmy", database=database)
        if user is not None:
            address = address.set(username=user, password=password)
        return address.render_as_string(hide_password=False)

    def create_database(self, template: str | None = None) -> str:
        """Create a database and return its name: empty, or with the tables, rows and triggers of `template`."""
        name = f"{self._run}_{next(self._numbers)}"
        # As most servers have it by themselves: what must not be folded cannot rely on its database.
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        if template is not None:
            if template not in self._copies:
                self._copies[template] = self._copy_of(template)
            self.execute(self._copies[template], name)
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, and end whatever connections are left on it."""
        for (connection,) in self.execute(f"SELECT id FROM information_schema.processlist WHERE db = '{name}'"):
            try:
                self.execute(f"KILL {connection}")
            except Error:
                continue  # it has ended by itself
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def execute(self, statements: str, database: str = "") -> Rows:
        """Run SQL statements parted by semicolons; the rows of the last one, every value as text and NULL as ''."""
        return _finish(self._execute(statements, database))

    async def _execute(self, statements: str, database: str) -> Rows:
        address = self.address
        connection = await asyncmy.connect(
            host=address.host,
            port=address.port or 3306,
            user=address.username,
            password=address.password or "",
            db=database or None,
            autocommit=True,
            client_flag=MULTI_STATEMENTS,
        )
        try:
            async with connection.cursor() as cursor:
                await cursor.execute(statements)
                rows: Sequence[Any] = await cursor.fetchall()
                while await cursor.nextset():
                    rows = await cursor.fetchall()
        finally:
            await connection.ensure_closed()
        return [tuple(map(_text, row)) for row in rows]

    def _copy_of(self, template: str) -> str:
        """The statements that make a database like `template`."""
        tables = [name for (name,) in self.execute("SHOW TABLES", template)]
        made = ["SET foreign_key_checks = 0"]
        made += [self.execute(f"SHOW CREATE TABLE `{name}`", template)[0][1] for name in tables]
        filled = [name for name in tables if self.execute(f"SELECT 1 FROM `{name}` LIMIT 1", template)]
        made += [f"INSERT INTO `{name}` SELECT * FROM `{template}`.`{name}`" for name in filled]
        triggers = self.execute(
            "SELECT trigger_name, action_timing, event_manipulation, event_object_table, action_statement"
            f" FROM information_schema.triggers WHERE trigger_schema = '{template}'"
        )
        made += [
            f"CREATE TRIGGER {name} {timing} {event} ON {table} FOR EACH ROW {statement}"
            for name, timing, event, table, statement in triggers
        ]
        return "; ".join(made)


def given() -> MysqlServer:
    """The server that the environment names; raises Unavailable when it names none."""
    address = os.environ.get(SETTING)
    if not address:
        raise Unavailable(f"{SETTING} does not name a server")
    return MysqlServer(make_url(address))


def _text(value: object) -> str:
    """A value as text; sixteen bytes are an id."""
    if isinstance(value, bytes):
        return str(UUID(bytes=value)) if len(value) == 16 else value.hex()
    return "" if value is None else str(value)


def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a loop of its own, beside whatever loop the test runs on."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
