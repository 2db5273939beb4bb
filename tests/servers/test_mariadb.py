"""The throw-away MariaDB: separate databases, the settings asked for, and nothing left behind."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from asyncmy.errors import Error

from tests.servers import mariadb, mysql, process
from tests.servers.mysql import MysqlServer

ROOT = Path(__file__).resolve().parents[2]


def test_a_copy_of_a_template_is_a_database_of_its_own(mariadb_server: MysqlServer) -> None:
    """A copy has the tables, rows and triggers of its template."""
    template = mariadb_server.create_database()
    mariadb_server.execute(
        "CREATE TABLE alembic_version (version_num VARCHAR(32)); INSERT INTO alembic_version VALUES ('7');"
        "CREATE TABLE t (n INT); INSERT INTO t VALUES (1);"
        "CREATE TRIGGER no_more BEFORE INSERT ON t FOR EACH ROW SIGNAL SQLSTATE '45000'",
        template,
    )
    copy = mariadb_server.create_database(template)

    assert [("7", "1")] == mariadb_server.execute(
        "SELECT version_num, (SELECT count(*) FROM t) FROM alembic_version", copy
    )
    with pytest.raises(Error, match="1644"):
        mariadb_server.execute("INSERT INTO t VALUES (2)", copy)


def test_a_wrong_statement_is_an_error(mariadb_server: MysqlServer) -> None:
    """A fixture that could not prepare its database says so."""
    with pytest.raises(Error, match="nowhere"):
        mariadb_server.execute("SELECT * FROM nowhere", mariadb_server.create_database())


@pytest.mark.mariadb
def test_a_durable_server_syncs_every_commit() -> None:
    """Tests may lose everything in a power cut; a benchmark that could would measure nothing."""
    with mariadb.running(mariadb.DURABLE) as server:
        shown = server.execute("SELECT @@innodb_flush_log_at_trx_commit, @@innodb_doublewrite, @@log_bin, @@datadir")

    ((flush, doublewrite, binlog, folder),) = shown
    assert ("1", "1", "0") == (flush, doublewrite, binlog)
    assert not folder.startswith("/dev/shm")  # noqa: S108  (memory would be no disk)


@pytest.mark.mariadb
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

    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(port))) != 0:
                break
        time.sleep(0.05)
    else:
        pytest.fail("the server still answers")
    # Who is killed cannot clean up: that much is left to us.
    home = Path(data).parent
    assert home.exists() == (end is signal.SIGKILL)
    shutil.rmtree(home, ignore_errors=True)


OWNER = textwrap.dedent(
    """
    import signal
    from tests.servers import mariadb
    with mariadb.running(mariadb.FAST) as server:
        print(server.address.port, server.execute("SELECT @@datadir")[0][0], flush=True)
        signal.pause()
    """
)


def test_without_programs_and_without_root_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that cannot have MariaDB gives the reason that the end of the run repeats."""
    monkeypatch.setattr(mariadb, "find_programs", lambda: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(process.Unavailable, match="only root on Debian can install 'mariadb-server'"):
        mariadb.require_programs()


def test_a_mysql_that_nobody_named_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an address there is nothing to test on, and the reason names the setting."""
    monkeypatch.delenv(mysql.SETTING, raising=False)

    with pytest.raises(process.Unavailable, match="PENPAY_TEST_MYSQL_URL does not name a server"):
        mysql.given()
