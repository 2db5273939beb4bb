"""Stages for the deposit stories, on SQLite, and for the key ones on every other engine too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from penpay.infrastructure.sql import migrations
from penpay.infrastructure.sql.engine import open_engine
from tests.end_to_end.deposits.stage import Stage, staged
from tests.end_to_end.ending import Opening, check_ending
from tests.servers.mysql import MysqlServer
from tests.servers.postgresql import PostgresqlServer
from tests.support.engines import EVERY, SERVERS


@pytest.fixture(scope="session")
def migrated_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Our database and the operator's with their schema and nothing else, migrated once and copied for each story."""
    folder = tmp_path_factory.mktemp("migrated")
    files = (folder / "penpay.db", folder / "operator.db")
    for file in files:
        _finish(_migrate(f"sqlite+aiosqlite:///{file}"))
    return files


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_files: tuple[Path, Path]
) -> AsyncIterator[Stage]:
    """A stage whose System keeps its books in SQLite."""
    async with staged(tmp_path, database_url=None, migrated=migrated_files) as made:
        yield made
        await check_ending(request.node, made, Opening())


@pytest.fixture(params=EVERY)
async def each_stage(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_files: tuple[Path, Path]
) -> AsyncIterator[Stage]:
    """A stage on one engine after the other."""
    url = None if request.param == "sqlite" else request.getfixturevalue(f"migrated_{request.param}_url")
    async with staged(tmp_path, database_url=url, migrated=migrated_files) as made:
        yield made
        await check_ending(request.node, made, Opening())


@pytest.fixture(params=SERVERS)
async def server_stage(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_files: tuple[Path, Path]
) -> AsyncIterator[Stage]:
    """A stage whose System keeps its books on a server, where two programs write at once."""
    url = request.getfixturevalue(f"migrated_{request.param}_url")
    async with staged(tmp_path, database_url=url, migrated=migrated_files) as made:
        yield made
        await check_ending(request.node, made, Opening())


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: PostgresqlServer) -> str:
    """The name of a database with the schema, copied for each story."""
    name = postgresql_server.create_database()
    _finish(_migrate(postgresql_server.url(name)))
    return name


@pytest.fixture
def migrated_postgresql_url(postgresql_server: PostgresqlServer, migrated_postgresql: str) -> Iterator[str]:
    """The address of a PostgreSQL database that holds the schema and nothing else."""
    name = postgresql_server.create_database(template=migrated_postgresql)
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


@pytest.fixture(scope="session")
def migrated_mariadb(mariadb_server: MysqlServer) -> str:
    """The name of a MariaDB database with the schema, copied for each story."""
    name = mariadb_server.create_database()
    _finish(_migrate(mariadb_server.url(name)))
    return name


@pytest.fixture
def migrated_mariadb_url(mariadb_server: MysqlServer, migrated_mariadb: str) -> Iterator[str]:
    """The address of a MariaDB database that holds the schema and nothing else."""
    name = mariadb_server.create_database(template=migrated_mariadb)
    yield mariadb_server.url(name)
    mariadb_server.drop_database(name)


@pytest.fixture(scope="session")
def migrated_mysql(mysql_server: MysqlServer) -> str:
    """The name of a MySQL database with the schema, copied for each story."""
    name = mysql_server.create_database()
    _finish(_migrate(mysql_server.url(name)))
    return name


@pytest.fixture
def migrated_mysql_url(mysql_server: MysqlServer, migrated_mysql: str) -> Iterator[str]:
    """The address of a MySQL database that holds the schema and nothing else."""
    name = mysql_server.create_database(template=migrated_mysql)
    yield mysql_server.url(name)
    mysql_server.drop_database(name)


async def _migrate(url: str) -> None:
    engine = open_engine(url)
    await migrations.upgrade(engine)
    await engine.dispose()


def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end on a loop of its own, beside whatever loop the test runs on."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
