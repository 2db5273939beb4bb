"""The command line as such: bad usage, missing settings, and how soon it answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from penpay.cli import COMMANDS, build_app
from tests.integration.cli.conftest import Terminal
from tests.integration.cli.looking import USER_ONE


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("users", "create"),
        ("fx", "approve", "not-an-id", "--by", "user_two"),
        ("ledger", "balance", "equity:owner", "--as-of", "yesterday"),
        ("ledger", "balance", "equity:owner", "--as-of", "2026-11-20T09:00:00"),
        ("ledger", "trial-balance", "--as-of", "yesterday"),
        ("ledger", "trial-balance", "--as-of", "0001-01-01T00:00:00+14:00"),
        ("fx", "set", "129.5", "--by", "user_two", "--source", "x", "--valid-from", "9999-12-31T23:59:59-10:00"),
        ("ledger", "balance", "equity\udcff"),
        ("ledgr",),
        ("ledger", "nonsense"),
        ("fx", "show", "--limit", "0"),
    ],
)
def test_what_is_not_understood_ends_with_2(arguments: tuple[str, ...], fresh_sqlite_url: str) -> None:
    """Bad usage is told from refusal by its exit status, before anything is opened."""
    Terminal({"DATABASE_URL": fresh_sqlite_url}).run(*arguments, status=2)
    assert not Path(fresh_sqlite_url.partition("///")[2]).exists()


def test_missing_settings_are_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings the command that needs them says which ones, and looking after the database still works."""
    monkeypatch.chdir(tmp_path)
    bare = Terminal({"DATABASE_URL": f"sqlite:///{tmp_path}/new/folder/penpay.db"})

    assert "invalid_settings" == bare.refused("users", "create", *USER_ONE)
    bare.run("db", "migrate")
    bare.run("ledger", "verify")


def test_a_file_of_settings_that_is_no_text_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .env in another encoding is told in one line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"MPESA_PASSKEY=caf\xe9\n")

    assert "invalid_settings" == Terminal({}).refused("ledger", "verify")


def test_reading_makes_no_database(tmp_path: Path) -> None:
    """A wrong address is told, and no empty file is left where somebody might take it for the books."""
    reader = Terminal({"DATABASE_URL": f"sqlite:///{tmp_path}/mistyped/penpay.db"})

    assert {"schema_behind"} == {
        reader.refused(*arguments) for arguments in (("ledger", "verify"), ("reviews", "list"), ("fx", "show"))
    }
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [name for name, _, _ in COMMANDS])
def test_what_help_tells_of_a_command_is_what_it_says_of_itself(name: str) -> None:
    """The list of commands is written without importing them, and does not go its own way."""
    program: Any = get_command(build_app())
    listed = program.commands[name]

    first_paragraph = " ".join(listed.loaded.help.partition("\n\n")[0].split())
    assert (listed.name, listed.help) == (listed.loaded.name, first_paragraph)
    assert Terminal({}).run(name, "--help").stdout.split("\n")[1].startswith(f" Usage: penpay {name} [OPTIONS]")


SERVING = {"aiosmtplib", "fastapi", "httpx", "starlette", "uvicorn", "uvloop", "websockets"}
DATABASE = {"aiosqlite", "alembic", "asyncmy", "asyncpg", "sqlalchemy"}
_LOADED = """
import json, sys
from typer.testing import CliRunner
from penpay.cli import build_app
result = CliRunner().invoke(build_app(), sys.argv[1:])
print(json.dumps([result.exit_code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


@pytest.mark.parametrize(
    ("arguments", "spared"),
    [
        (("--help",), {*SERVING, *DATABASE, "pydantic", "cryptography"}),
        (("ledger", "--help"), SERVING),
        (("ledger", "verify"), SERVING),
        (("ledger", "trial-balance"), SERVING),
        (("reviews", "list"), SERVING),
        (("fx", "show"), SERVING),
    ],
)
def test_a_command_loads_only_what_it_needs(arguments: tuple[str, ...], spared: set[str], tmp_path: Path) -> None:
    """The help and whatever only reads the books start without servers, clients and the libraries they are made of."""
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/penpay.db"}
    Terminal(env).run("db", "migrate")

    done = subprocess.run(  # noqa: S603  (our own program)
        [sys.executable, "-c", _LOADED, *arguments], env=env, capture_output=True, text=True, check=True
    )

    status, loaded = json.loads(done.stdout, parse_float=str)
    assert (0, set()) == (status, spared & set(loaded))


def test_the_program_runs_as_a_process(tmp_path: Path) -> None:
    """`python -m penpay` is the same command, with the same exit status."""
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/penpay.db"}

    done = [
        subprocess.run(  # noqa: S603  (our own program)
            [sys.executable, "-m", "penpay", *arguments], env=env, capture_output=True, text=True, check=False
        )
        for arguments in (("db", "migrate"), ("ledger", "balance", "x"))
    ]

    assert [0, 1] == [process.returncode for process in done]
    assert "error: account_not_found: There is no such ledger account.\n" == done[-1].stderr
