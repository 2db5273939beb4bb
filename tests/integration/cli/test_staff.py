"""The staff at a terminal: the first owner, and passwords that are no arguments."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from penpay.cli import build_app
from tests.integration.cli.conftest import Terminal

PASSWORD = "correct horse battery"


def typed(terminal: Terminal, *arguments: str, password: str = PASSWORD, status: int = 0) -> Any:
    """Run one command with a password on standard input; its answer, or the code it is refused with."""
    result = CliRunner().invoke(build_app(), [*arguments, "--json"], input=f"{password}\n", env=terminal.env)
    assert status == result.exit_code, result.output
    return json.loads(result.stdout, parse_float=str) if not status else result.stderr.split(": ", 2)[1]


def test_the_first_owner_is_made_at_a_terminal_and_logs_in(terminal: Terminal) -> None:
    """Her password comes by standard input, and what she gets for it is a token."""
    (owner,) = typed(terminal, "staff", "add", "--email", "Owner@Example.com", "--role", "owner")
    session = typed(terminal, "staff", "token", "--email", "owner@example.com")

    assert ("owner@example.com", "owner", None) == (owner["email"], owner["role"], owner["disabled_at"])
    assert session["token"].startswith("pps_")
    assert [owner] == terminal.json("staff", "list")


def test_a_password_is_no_argument(terminal: Terminal) -> None:
    """There is no option for it, in no command."""
    for command in ("add", "password", "token"):
        assert "--password" not in terminal.run("staff", command, "--help").stdout


def test_roles_and_access_are_changed_and_the_last_owner_stays(terminal: Terminal) -> None:
    """What would leave nobody in charge is refused with its code."""
    typed(terminal, "staff", "add", "--email", "owner@example.com", "--role", "owner")
    typed(terminal, "staff", "add", "--email", "cashier@example.com", "--role", "cashier")
    (promoted,) = terminal.json("staff", "role", "--email", "cashier@example.com", "--role", "accountant")
    (disabled,) = terminal.json("staff", "disable", "--email", "cashier@example.com")

    assert ("accountant", False) == (promoted["role"], disabled["disabled_at"] is None)
    assert "wrong_credentials" == typed(terminal, "staff", "token", "--email", "cashier@example.com", status=1)
    terminal.run("staff", "enable", "--email", "cashier@example.com")
    typed(terminal, "staff", "password", "--email", "cashier@example.com", password="another good password")
    typed(terminal, "staff", "token", "--email", "cashier@example.com", password="another good password")
    assert "last_owner" == terminal.refused("staff", "disable", "--email", "owner@example.com")
    assert "staff_not_found" == terminal.refused("staff", "disable", "--email", "nobody@example.com")
    assert "weak_password" == typed(
        terminal, "staff", "password", "--email", "owner@example.com", password="short", status=1
    )
    assert "cashier@example.com" in terminal.run("staff", "list").stdout
