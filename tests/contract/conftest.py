"""Databases with the schema and nothing else, made for one test, on one engine after the other."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.contract.sql.world import create_schema
from tests.servers.mysql import MysqlServer
from tests.servers.postgresql import PostgresqlServer
from tests.support.engines import EVERY


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema, migrated once and copied for each test."""
    path = tmp_path_factory.mktemp("schema") / "penpay.sqlite3"
    _finish(create_schema(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: PostgresqlServer) -> str:
    """The name of a database with the schema, likewise."""
    name = postgresql_server.create_database()
    _finish(create_schema(postgresql_server.url(name)))
    return name


@pytest.fixture(scope="session")
def migrated_mariadb(mariadb_server: MysqlServer) -> str:
    """The name of a MariaDB database with the schema, likewise."""
    name = mariadb_server.create_database()
    _finish(create_schema(mariadb_server.url(name)))
    return name


@pytest.fixture(scope="session")
def migrated_mysql(mysql_server: MysqlServer) -> str:
    """The name of a MySQL database with the schema, likewise."""
    name = mysql_server.create_database()
    _finish(create_schema(mysql_server.url(name)))
    return name


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """The address of a SQLite database that holds the schema and nothing else."""
    copy = tmp_path / "penpay.sqlite3"
    shutil.copyfile(migrated_sqlite, copy)
    return f"sqlite+aiosqlite:///{copy}"


@pytest.fixture
def postgresql_url(postgresql_server: PostgresqlServer, migrated_postgresql: str) -> Iterator[str]:
    """The address of such a database on PostgreSQL."""
    name = postgresql_server.create_database(template=migrated_postgresql)
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


@pytest.fixture
def mariadb_url(mariadb_server: MysqlServer, migrated_mariadb: str) -> Iterator[str]:
    """The address of such a database on MariaDB."""
    name = mariadb_server.create_database(template=migrated_mariadb)
    yield mariadb_server.url(name)
    mariadb_server.drop_database(name)


@pytest.fixture
def mysql_url(mysql_server: MysqlServer, migrated_mysql: str) -> Iterator[str]:
    """The address of such a database on MySQL."""
    name = mysql_server.create_database(template=migrated_mysql)
    yield mysql_server.url(name)
    mysql_server.drop_database(name)


@pytest.fixture(params=EVERY)
def url(request: pytest.FixtureRequest) -> str:
    """The address of such a database, on one engine after the other."""
    address: str = request.getfixturevalue(f"{request.param}_url")
    return address


def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end on a loop of its own, beside whatever loop the test runs on."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
