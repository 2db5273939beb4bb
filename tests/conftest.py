"""Fixtures of every test: databases made for one test, the fence around the network, and what could not run."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

from penpay.infrastructure.system import tune_garbage_collection
from tests.servers import mariadb, mysql, postgresql
from tests.servers.process import Unavailable
from tests.support import matrix, network, statements
from tests.support.not_run import not_run, skip_not_run
from tests.support.schema import create_schema_aside

# A slow moment of a shared machine is no counter-example.
settings.register_profile("penpay", deadline=None)
settings.load_profile("penpay")

UNIT = Path(__file__).parent / "unit"
LONGEST_FIRST = ("simulation", "property", "end_to_end", "third_party", "integration", "contract")
"""Kinds of tests in the order in which their modules take longest, so that no worker is left with one at the end."""


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.PostgresqlServer]:
    """One PostgreSQL for the run (one per worker under xdist), without durability."""
    try:
        with postgresql.running(postgresql.FAST) as server:
            yield server
    except Unavailable as reason:
        skip_not_run("PostgreSQL", reason)


@pytest.fixture
def fresh_postgresql_url(postgresql_server: postgresql.PostgresqlServer) -> Iterator[str]:
    """The address of an empty PostgreSQL database that lives for one test."""
    name = postgresql_server.create_database()
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[mysql.MysqlServer]:
    """One MariaDB for the run (one per worker under xdist), without durability."""
    try:
        with mariadb.running(mariadb.FAST) as server:
            yield server
    except Unavailable as reason:
        skip_not_run("MariaDB", reason)


@pytest.fixture(scope="session")
def mysql_server() -> mysql.MysqlServer:
    """The MySQL 8 that the environment names."""
    try:
        return mysql.given()
    except Unavailable as reason:
        skip_not_run("MySQL 8", reason)


@pytest.fixture
def fresh_mariadb_url(mariadb_server: mysql.MysqlServer) -> Iterator[str]:
    """The address of an empty MariaDB database that lives for one test."""
    yield from _fresh(mariadb_server)


@pytest.fixture
def fresh_mysql_url(mysql_server: mysql.MysqlServer) -> Iterator[str]:
    """The address of an empty MySQL database that lives for one test."""
    yield from _fresh(mysql_server)


def _fresh(server: mysql.MysqlServer, template: str | None = None) -> Iterator[str]:
    name = server.create_database(template)
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def fresh_sqlite_url(tmp_path: Path) -> str:
    """The address of a SQLite database that does not exist yet, in a directory of its own."""
    return f"sqlite+aiosqlite:///{tmp_path / 'penpay.sqlite3'}"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema and nothing else, migrated once and copied for each test that wants it."""
    path = tmp_path_factory.mktemp("schema") / "penpay.sqlite3"
    create_schema_aside(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: postgresql.PostgresqlServer) -> str:
    """The name of such a database on PostgreSQL."""
    name = postgresql_server.create_database()
    create_schema_aside(postgresql_server.url(name))
    return name


@pytest.fixture(scope="session")
def migrated_mariadb(mariadb_server: mysql.MysqlServer) -> str:
    """The name of such a database on MariaDB."""
    return _migrated(mariadb_server)


@pytest.fixture(scope="session")
def migrated_mysql(mysql_server: mysql.MysqlServer) -> str:
    """The name of such a database on MySQL."""
    return _migrated(mysql_server)


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """The address of a SQLite database that holds the schema and nothing else, and lives for one test."""
    copy = tmp_path / "penpay.sqlite3"
    shutil.copyfile(migrated_sqlite, copy)
    return f"sqlite+aiosqlite:///{copy}"


@pytest.fixture
def postgresql_url(postgresql_server: postgresql.PostgresqlServer, migrated_postgresql: str) -> Iterator[str]:
    """The address of such a database on PostgreSQL."""
    name = postgresql_server.create_database(template=migrated_postgresql)
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


@pytest.fixture
def mariadb_url(mariadb_server: mysql.MysqlServer, migrated_mariadb: str) -> Iterator[str]:
    """The address of such a database on MariaDB."""
    yield from _fresh(mariadb_server, migrated_mariadb)


@pytest.fixture
def mysql_url(mysql_server: mysql.MysqlServer, migrated_mysql: str) -> Iterator[str]:
    """The address of such a database on MySQL."""
    yield from _fresh(mysql_server, migrated_mysql)


def _migrated(server: mysql.MysqlServer) -> str:
    name = server.create_database()
    create_schema_aside(server.url(name))
    return name


@pytest.fixture(scope="session", autouse=True)
def _only_this_machine() -> Iterator[None]:
    """No test reaches beyond loopback."""
    with pytest.MonkeyPatch.context() as patch:
        network.fence(patch, network.loopback)
        yield


@pytest.fixture(scope="session", autouse=True)
def _statements_put_together_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        statements.share(patch)
        yield


@pytest.fixture(autouse=True)
def _unit_tests_open_no_socket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below tests/unit no socket connects, binds or looks a name up, not even on loopback."""
    if UNIT in request.path.parents:
        network.fence(monkeypatch, network.nothing)


def pytest_sessionstart() -> None:
    """Treat being terminated like Ctrl-C, so that servers and their directories go with us."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background job begins deaf to it, and so would every program that a test starts and interrupts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first, and mark what needs a server, so that `-m "not postgresql"` can be trusted."""
    items.sort(key=_kind)
    for item in items:
        for engine in ("postgresql", "mariadb", "mysql"):
            if f"{engine}_server" in getattr(item, "fixturenames", ()):
                item.add_marker(engine)
    matrix.note(items)


def _kind(item: pytest.Item) -> int:
    kind = item.path.relative_to(UNIT.parent).parts[0]
    return LONGEST_FIRST.index(kind) if kind in LONGEST_FIRST else len(LONGEST_FIRST)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install servers, where that is needed and possible, before a test's own time limit begins to run.

    And have garbage looked for as the programs do: seven thousand collected tests are walked through each time.
    """
    tune_garbage_collection()
    for marker, require in (("postgresql", postgresql.require_programs), ("mariadb", mariadb.require_programs)):
        if any(item.get_closest_marker(marker) for item in session.items):
            with suppress(Unavailable):  # the fixture asks again and skips with the reason
                require()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Show what became of each fault, and say loudly, last of all, what this run does not vouch for."""
    yield
    told = matrix.table(terminalreporter.stats)
    if told:
        terminalreporter.section("What became of each fault")
        for line in told:
            terminalreporter.write_line(line)
    lines = not_run(terminalreporter.stats.get("skipped", []))
    if lines:
        terminalreporter.section("NOT RUN", sep="!", red=True, bold=True)
        for line in lines:
            terminalreporter.write_line(line, red=True)
