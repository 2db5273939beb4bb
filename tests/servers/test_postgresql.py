"""The throw-away PostgreSQL: separate databases, the settings asked for, and nothing left behind."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import asyncpg
import pytest

from tests.servers import postgresql, process
from tests.servers.postgresql import PostgresqlServer

ROOT = Path(__file__).resolve().parents[2]


async def test_the_url_leads_to_an_empty_database(fresh_postgresql_url: str) -> None:
    """Each test gets a database of its own, with nothing in it."""
    connection = await asyncpg.connect(fresh_postgresql_url.replace("+asyncpg", ""))
    try:
        tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await connection.close()

    assert 0 == tables


def test_a_copy_of_a_template_is_a_database_of_its_own(postgresql_server: PostgresqlServer) -> None:
    """What is written to a copy reaches neither the template nor another copy."""
    template = postgresql_server.create_database()
    postgresql_server.execute("CREATE TABLE t (n integer); INSERT INTO t VALUES (1)", template)
    one, two = postgresql_server.create_database(template), postgresql_server.create_database(template)
    postgresql_server.execute("INSERT INTO t VALUES (2)", one)

    counts = [postgresql_server.execute("SELECT count(*) FROM t", name) for name in (template, one, two)]

    assert ["1", "2", "1"] == counts


async def test_a_database_is_dropped_with_its_connections(postgresql_server: PostgresqlServer) -> None:
    """A test that forgot to close a connection does not keep its database alive."""
    name = postgresql_server.create_database()
    forgotten = await asyncpg.connect(postgresql_server.url(name).replace("+asyncpg", ""))
    postgresql_server.drop_database(name)
    forgotten.terminate()

    assert "0" == postgresql_server.execute(f"SELECT count(*) FROM pg_database WHERE datname = '{name}'")


def test_a_wrong_statement_is_an_error(postgresql_server: PostgresqlServer) -> None:
    """A fixture that could not prepare its database says so."""
    with pytest.raises(RuntimeError, match="nowhere"):
        postgresql_server.execute("SELECT * FROM nowhere")


@pytest.mark.postgresql
@pytest.mark.parametrize(("settings", "fsync"), [(postgresql.FAST, "off"), (postgresql.DURABLE, "on")])
def test_the_caller_chooses_durability(settings: dict[str, str], fsync: str) -> None:
    """Tests may lose everything in a power cut; a benchmark that could would measure nothing."""
    with postgresql.running(settings) as server:
        shown = {name: server.execute(f"SHOW {name}") for name in settings}

    assert dict(settings) == shown
    assert fsync == shown["fsync"]


@pytest.mark.postgresql
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_the_server_goes_with_its_owner(end: signal.Signals) -> None:
    """Whether the owner is interrupted or killed, no server stays behind."""
    owner = subprocess.Popen(  # noqa: S603 -- our own interpreter
        [sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with owner:
        assert owner.stdout is not None
        port, data = owner.stdout.readline().split()
        owner.send_signal(end)
        owner.wait()

    programs = postgresql.require_programs()
    for _ in range(100):
        answer = subprocess.run(  # noqa: S603 -- PostgreSQL's own program
            [programs / "pg_isready", "--quiet", "--host", "127.0.0.1", "--port", port], check=False
        )
        if answer.returncode == NO_RESPONSE:
            break
    assert NO_RESPONSE == answer.returncode
    # Who is killed cannot clean up: that much is left to us.
    assert Path(data).exists() == (end is signal.SIGKILL)
    shutil.rmtree(Path(data).parent, ignore_errors=True)


NO_RESPONSE = 2
OWNER = textwrap.dedent(
    """
    import signal
    from tests.servers import postgresql
    with postgresql.running(postgresql.FAST) as server:
        print(server.port, server.execute("SHOW data_directory"), flush=True)
        signal.pause()
    """
)


def test_without_programs_and_without_root_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that cannot have PostgreSQL gives the reason that the end of the run repeats."""
    monkeypatch.setattr(postgresql, "find_programs", lambda: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(process.Unavailable, match="only root on Debian can install 'postgresql'"):
        postgresql.require_programs()


def test_a_failed_installation_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What apt answers is the reason that is shown."""
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho 'E: no network'; exit 100\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 0)

    with pytest.raises(process.Unavailable, match=r"'apt-get update' failed: E: no network"):
        process.install_debian_package("postgresql")


def test_the_chosen_programs_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PG_BINDIR decides which of several installed versions is tested."""
    for program in postgresql.PROGRAMS:
        (tmp_path / program).touch(mode=0o755)
    monkeypatch.setenv("PG_BINDIR", str(tmp_path))

    assert tmp_path == postgresql.find_programs()


def test_a_directory_without_every_program_is_passed_over(tmp_path: Path) -> None:
    """A client-only installation cannot start a server."""
    (tmp_path / "psql").touch(mode=0o755)

    assert process.directory_with(["psql", "postgres"], [tmp_path]) is None


def test_root_needs_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL refuses root, so root without anybody to become cannot run it."""

    def unknown(_name: str) -> None:
        raise KeyError

    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("pwd.getpwnam", unknown)

    with pytest.raises(process.Unavailable, match="nobody"):
        process.unprivileged_account("postgres")
