"""A throw-away MariaDB, started from the installed programs on an ephemeral loopback port.

Its user `penpay` may do everything and needs no password.

with mariadb.running(mariadb.FAST) as server:
    url = server.url(server.create_database())
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncmy.errors import Error
from sqlalchemy.engine import URL

from tests.servers.mysql import MysqlServer
from tests.servers.postgresql import CannotStart
from tests.servers.process import (
    Account,
    Home,
    ServerProcess,
    free_port,
    in_memory,
    install_debian_package,
    run,
    search_path,
    tail,
    unprivileged_account,
)

USER: Final = "penpay"

FAST: Final[Mapping[str, str]] = {
    "innodb_flush_log_at_trx_commit": "0",
    "innodb_doublewrite": "OFF",
    "innodb_flush_method": "nosync",
    "innodb_file_per_table": "OFF",
}
"""For tests: nothing survives a power cut, and nothing has to."""

DURABLE: Final[Mapping[str, str]] = {
    "innodb_flush_log_at_trx_commit": "1",
    "innodb_doublewrite": "ON",
    "innodb_flush_method": "O_DIRECT",
    # What a server of this size is given: 128 MB of pages and 96 MB of log, the defaults, make it a bench of the disk.
    "innodb_buffer_pool_size": str(512 * 1024 * 1024),
    "innodb_log_file_size": str(512 * 1024 * 1024),
}
"""For benchmarks: what production promises. There is no binary log, as on the PostgreSQL beside it."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs are; Debian keeps them in two directories."""

    install: Path
    server: Path


def find_programs() -> Programs | None:
    """Return the installed MariaDB: MARIADB_BINDIR, then PATH, then where Debian keeps the server."""
    chosen = os.environ.get("MARIADB_BINDIR")
    places = os.pathsep.join(map(str, [*([chosen] if chosen else []), *search_path(), "/usr/sbin"]))
    install, server = (shutil.which(name, path=places) for name in ("mariadb-install-db", "mariadbd"))
    return None if install is None or server is None else Programs(Path(install), Path(server))


def require_programs() -> Programs:
    """Return where the programs are, installing them if that is possible; raises Unavailable if it is not."""
    found = find_programs()
    if found is None:
        install_debian_package("mariadb-server")
        found = find_programs()
    if found is None:
        raise CannotStart("the package 'mariadb-server' is installed, but its programs are not to be found")
    return found


@contextmanager
def running(settings: Mapping[str, str]) -> Iterator[MysqlServer]:
    """Run a server of its own for the block. Raises Unavailable if this machine has none, CannotStart if it fails.

    A FAST one lives in memory where there is room: it syncs each table it makes, and a test makes thirty.
    """
    programs = require_programs()
    account = unprivileged_account("mysql")
    home = Home("mariadb", account, within=in_memory() if settings is FAST else None)
    try:
        data = _new_data(programs, home.path, account)
        process, port = _start(programs, data, home.path, account, settings)
        try:
            yield _server_on(port)
        finally:
            process.stop()
    finally:
        home.close()


def _new_data(programs: Programs, home: Path, account: Account) -> Path:
    data = home / "data"
    done = run(
        [
            *(str(programs.install), "--no-defaults", f"--datadir={data}", f"--tmpdir={home}", "--skip-test-db"),
            *("--skip-name-resolve", "--auth-root-authentication-method=normal", "--innodb-flush-method=nosync"),
        ],
        account=account,
        environment=_environment(),
    )
    if done.returncode != 0:
        raise CannotStart(f"mariadb-install-db: {tail(done.stdout)}")
    return data


def _start(
    programs: Programs, data: Path, home: Path, account: Account, settings: Mapping[str, str]
) -> tuple[ServerProcess, int]:
    """Start on a free port; on another if somebody was quicker."""
    log, socket, first = home / "server.log", home / "server.sock", home / "first.sql"
    first.write_text(
        f"CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1';\n"
        f"GRANT ALL ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    first.chmod(0o644)
    for _ in range(3):
        port = free_port()
        fixed = {
            "datadir": str(data),
            "tmpdir": str(home),
            "socket": str(socket),
            "pid-file": str(home / "server.pid"),
            "bind-address": "127.0.0.1",
            "port": str(port),
            "init-file": str(first),
            "default-time-zone": "+03:00",  # Nairobi's, so that whoever forgets to ask for UTC is found out
        }
        options = [f"--{name}={value}" for name, value in {**settings, **fixed}.items()]
        process = ServerProcess(
            [str(programs.server), "--no-defaults", "--skip-log-bin", "--skip-name-resolve", *options],
            account=account,
            log=log,
            environment=_environment(),
            stop_signal=signal.SIGTERM,
        )
        if _answers(_server_on(port), process):
            return process, port
        process.stop()
        if "Address already in use" not in process.log_tail():
            break
    raise CannotStart(process.log_tail())


def _answers(server: MysqlServer, process: ServerProcess) -> bool:
    """Wait up to a minute, as on a busy machine, for the server to take connections."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not process.has_ended():
        try:
            server.execute("SELECT 1")
        except (Error, OSError):
            time.sleep(0.05)
        else:
            return True
    return False


def _server_on(port: int) -> MysqlServer:
    return MysqlServer(URL.create("mysql+asyncmy", username=USER, host="127.0.0.1", port=port))


def _environment() -> dict[str, str]:
    """Our environment without the variables that would send the programs to somebody else's server."""
    ours = ("MYSQL_", "MARIADB_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(ours)}, "LC_ALL": "C"}
