"""The books of Collections at a terminal: proven, and reported."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.integration.cli.conftest import Terminal
from tests.integration.cli.looking import in_database
from tests.integration.cli.test_books import literal

FORGED = (
    "INSERT INTO ledger_accounts (id, code, name, type, currency, owner_id, may_go_negative, balance_cents, version,"
    " last_recorded_at) VALUES ({id}, '1010', 'M-Pesa Cash', 'ASSET', 'KES', NULL, TRUE, 12345, 0,"
    " '2026-02-03 09:00:00')"
)


def test_the_books_of_a_new_business_hold_and_report_nothing(terminal: Terminal) -> None:
    """Nothing differs; every report is there, empty and in balance."""
    assert {"isValid": True, "errors": []} == terminal.json("collections", "verify")
    assert "The books hold" in terminal.run("collections", "verify").stdout
    assert {"as_of": None, "accounts": [], "totals": [], "balanced": True} == terminal.json(
        "collections", "report", "trial-balance"
    )
    order = ("collections", "report", "balance-sheet", "--as-of", "2026-02-28")
    sheet = {"from": "2026-01-01", "as_of": "2026-02-28", "currencies": [], "balanced": True}
    assert sheet == terminal.json(*order)
    assert "currency,section,code,account,amount" == terminal.run(*order, "--csv").stdout.strip()
    assert [] == terminal.json("collections", "report", "aging")["customers"]
    assert {"days": []} == terminal.json("collections", "report", "daily")
    answer = terminal.json("collections", "report", "pnl", "--from", "2026-02-01", "--to", "2026-02-28")
    assert ("2026-02-01", "2026-02-28", 0) == (answer["from"], answer["to"], answer["profit_cents"])


def test_what_differs_is_shown_and_fails_the_command(terminal: Terminal) -> None:
    """Money on 1010 that no payment brought: the account and by how much, in a table and as JSON."""
    in_database(terminal, lambda connection: connection.execute(text(FORGED.format(id=literal(connection, 7)))))

    answer = terminal.json("collections", "verify", status=1)
    shown = terminal.run("collections", "verify", status=1, COLUMNS="200").stdout

    assert not answer["isValid"]
    (error,) = [one for one in answer["errors"] if one["check"] == "mpesa_total"]
    assert ("1010", 12_345, "KES") == (error["account"], error["difference_cents"], error["currency"])
    assert "mpesa_total" in shown
    assert "KES 123.45" in shown
    trial = terminal.json("collections", "report", "trial-balance")
    assert ([{"currency": "KES", "debit_cents": 12_345, "credit_cents": 0}], False) == (
        trial["totals"],
        trial["balanced"],
    )
    for report in ("trial-balance", "balance-sheet", "aging", "daily", "pnl"):
        assert terminal.run("collections", "report", report).stdout


@pytest.mark.parametrize(
    "order",
    [
        ("report", "daily", "--from", "yesterday"),
        ("report", "trial-balance", "--as-of", "2026-02-30"),
        ("report", "trial-balance", "--as-of", "0001-01-01"),
        ("report", "statement-of-changes"),
    ],
)
def test_what_is_no_report_is_not_understood(empty: Terminal, order: tuple[str, ...]) -> None:
    """A day that is none, and a report that there is not."""
    empty.run("collections", *order, status=2)


def test_days_that_run_backwards_are_refused(terminal: Terminal) -> None:
    """The last day comes after the first, or is the same."""
    for report in ("daily", "pnl"):
        order = ("collections", "report", report, "--from", "2026-02-02", "--to", "2026-02-01")
        assert "invalid_request" == terminal.refused(*order)
