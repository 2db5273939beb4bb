"""Fixtures of every test: databases made for one test, the fence around the network, and what could not run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.servers import postgresql
from tests.servers.process import Unavailable
from tests.support import network
from tests.support.not_run import not_run, skip_not_run

# A slow moment of a shared machine is no counter-example.
settings.register_profile("penpay", deadline=None)
settings.load_profile("penpay")

UNIT = Path(__file__).parent / "unit"


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


@pytest.fixture
def fresh_sqlite_url(tmp_path: Path) -> str:
    """The address of a SQLite database that does not exist yet, in a directory of its own."""
    return f"sqlite+aiosqlite:///{tmp_path / 'penpay.sqlite3'}"


@pytest.fixture(scope="session", autouse=True)
def _only_this_machine() -> Iterator[None]:
    """No test reaches beyond loopback."""
    with pytest.MonkeyPatch.context() as patch:
        network.fence(patch, network.loopback)
        yield


@pytest.fixture(autouse=True)
def _unit_tests_open_no_socket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below tests/unit no socket connects, binds or looks a name up, not even on loopback."""
    if UNIT in request.path.parents:
        network.fence(monkeypatch, network.nothing)


def pytest_sessionstart() -> None:
    """Treat being terminated like Ctrl-C, so that servers and their directories go with us."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs PostgreSQL, so that `-m "not postgresql"` can be trusted."""
    for item in items:
        if "postgresql_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.postgresql)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install PostgreSQL, where that is needed and possible, before a test's own time limit begins to run."""
    if any(item.get_closest_marker("postgresql") for item in session.items):
        try:
            postgresql.require_programs()
        except Unavailable:
            return  # the fixture asks again and skips with the reason


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say loudly, after everything but the closing line, what this run does not vouch for."""
    yield
    lines = not_run(terminalreporter.stats.get("skipped", []))
    if lines:
        terminalreporter.section("NOT RUN", sep="!", red=True, bold=True)
        for line in lines:
            terminalreporter.write_line(line, red=True)
