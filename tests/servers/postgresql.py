"""A throw-away PostgreSQL, started from the installed programs on an ephemeral loopback port.

with postgresql.running(postgresql.FAST) as server:
    url = server.url(server.create_database())
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.servers.process import (
    Account,
    Home,
    ServerProcess,
    directory_with,
    free_port,
    in_memory,
    install_debian_package,
    run,
    search_path,
    tail,
    unprivileged_account,
)

PROGRAMS: Final = ("initdb", "postgres", "pg_isready", "psql")
USER: Final = "penpay"

FAST: Final[Mapping[str, str]] = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "128MB",  # it may stand in memory
}
"""For tests: nothing survives a power cut, and nothing has to."""

DURABLE: Final[Mapping[str, str]] = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
"""For benchmarks: what production promises."""


class CannotStart(RuntimeError):
    """The programs are there and the server does not come up: a fault to repair, not a reason to skip."""


class PostgresqlServer:
    """A running server with one superuser, `penpay`, whom it trusts without a password on loopback."""

    def __init__(self, programs: Path, port: int) -> None:
        self.programs = programs
        """The directory of psql, pgbench and the rest."""
        self.port = port
        self._numbers = itertools.count(1)

    def url(self, database: str) -> str:
        """The SQLAlchemy address of a database, through asyncpg."""
        return f"postgresql+asyncpg://{USER}@127.0.0.1:{self.port}/{database}"

    def create_database(self, template: str | None = None) -> str:
        """Create a database and return its name: empty, or a copy of `template`, to which nobody may be connected."""
        name = f"test_{next(self._numbers)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template or "template0"}"')
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, and end whatever connections are left on it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run one SQL statement as the superuser and return psql's bare output."""
        done = run(
            [
                *(str(self.programs / "psql"), "--no-psqlrc", "--quiet", "--no-align", "--tuples-only"),
                *("--set", "ON_ERROR_STOP=1", "--host", "127.0.0.1", "--port", str(self.port)),
                *("--username", USER, "--dbname", database, "--command", statement),
            ],
            environment=_environment(),
        )
        if done.returncode != 0:
            raise RuntimeError(f"{statement}: {tail(done.stdout)}")
        return done.stdout.strip()


def find_programs() -> Path | None:
    """Return the newest installed PostgreSQL: PG_BINDIR, then PATH, then where Debian keeps its versions."""
    chosen = os.environ.get("PG_BINDIR")
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    return directory_with(
        PROGRAMS,
        [*([Path(chosen)] if chosen else []), *search_path(), *sorted(debian, key=_version, reverse=True)],
    )


def require_programs() -> Path:
    """Return the directory of the programs, installing them if that is possible; raises Unavailable if it is not."""
    found = find_programs()
    if found is None:
        install_debian_package("postgresql")
        found = find_programs()
    if found is None:
        raise CannotStart("the package 'postgresql' is installed, but its programs are not to be found")
    return found


@contextmanager
def running(settings: Mapping[str, str]) -> Iterator[PostgresqlServer]:
    """Run a server of its own for the block. Raises Unavailable if this machine has none, CannotStart if it fails.

    A FAST one lives in memory where there is room: a test's database is ten megabytes in three hundred files, and a
    disk takes ten times as long over them.
    """
    programs = require_programs()
    account = unprivileged_account("postgres")
    home = Home("postgresql", account, within=in_memory() if settings is FAST else None)
    try:
        data = _new_cluster(programs, home.path, account)
        process, port = _start(programs, data, home.path, account, settings)
        try:
            yield PostgresqlServer(programs, port)
        finally:
            process.stop()
    finally:
        home.close()


def _new_cluster(programs: Path, home: Path, account: Account) -> Path:
    data = home / "data"
    done = run(
        [
            *(str(programs / "initdb"), "--pgdata", str(data), "--username", USER, "--auth", "trust"),
            *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
        ],
        account=account,
        environment=_environment(),
    )
    if done.returncode != 0:
        raise CannotStart(f"initdb: {tail(done.stdout)}")
    return data


def _start(
    programs: Path, data: Path, home: Path, account: Account, settings: Mapping[str, str]
) -> tuple[ServerProcess, int]:
    """Start on a free port; on another if somebody was quicker."""
    log = home / "server.log"
    for _ in range(3):
        port = free_port()
        fixed = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(home),
            "timezone": "UTC",
        }
        options = [f"--{name}={value}" for name, value in {**settings, **fixed}.items()]
        process = ServerProcess(
            [str(programs / "postgres"), "-D", str(data), *options],
            account=account,
            log=log,
            environment=_environment(),
            # PostgreSQL's "fast shutdown": it ends the sessions that are left instead of waiting for them.
            stop_signal=signal.SIGINT,
        )
        if _answers(programs, process, port):
            return process, port
        process.stop()
        if "Address already in use" not in process.log_tail():
            break
    raise CannotStart(process.log_tail())


def _answers(programs: Path, process: ServerProcess, port: int) -> bool:
    """Wait up to a minute, as on a busy machine, for the server to take connections."""
    deadline = time.monotonic() + 60
    ask = [str(programs / "pg_isready"), "--quiet", "--host", "127.0.0.1", "--port", str(port)]
    while time.monotonic() < deadline and not process.has_ended():
        if run(ask, environment=_environment()).returncode == 0:
            return True
        time.sleep(0.05)
    return False


def _version(programs: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", programs.parent.name))


def _environment() -> dict[str, str]:
    """Our environment without the PG… variables that would send the programs to somebody else's server."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("PG")}, "LC_ALL": "C"}
