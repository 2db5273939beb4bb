"""Reading the books at a terminal, and what waits for people."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.infrastructure.sql.tables import ledger_journals
from tests.integration.cli.conftest import Terminal
from tests.integration.cli.looking import in_database


def test_empty_books_are_sound(terminal: Terminal) -> None:
    """A new installation verifies, balances at nothing, and has nothing for people to decide."""
    assert {"sound": True, "findings": []} == terminal.json("ledger", "verify")
    assert {"accounts": [], "totals": [], "balanced": True} == terminal.json("ledger", "trial-balance")
    assert [] == terminal.json("reviews", "list")
    assert "account_not_found" == terminal.refused("ledger", "balance", "mpesa:collection")
    assert "sound" in terminal.run("ledger", "verify").stdout


def test_books_that_are_not_sound_fail_the_command(terminal: Terminal) -> None:
    """A balance somebody wrote into the table is found, shown, and ends the command with 1."""
    in_database(terminal, lambda connection: connection.execute(text(_FORGED.format(id=literal(connection, 7)))))

    answer = terminal.json("ledger", "verify", status=1)
    shown = terminal.run("ledger", "verify", status=1).stdout

    assert not answer["sound"]
    assert {"equity:owner"} <= {finding["subject"] for finding in answer["findings"]}
    assert "equity:owner" in shown
    trial = terminal.json("ledger", "trial-balance")
    assert ([{"currency": "KES", "debit_cents": 0, "credit_cents": 12_345}], False) == (
        trial["totals"],
        trial["balanced"],
    )
    assert "KES 123.45" in terminal.run("ledger", "trial-balance").stdout
    assert {"code": "equity:owner", "currency": "KES", "balance_cents": 12_345} == terminal.json(
        "ledger", "balance", "equity:owner"
    )
    assert "KES 0.00" in terminal.run("ledger", "balance", "equity:owner", "--as-of", "2020-01-01T00:00:00Z").stdout


_FORGED = (
    "INSERT INTO ledger_accounts (id, code, name, type, currency, owner_id, may_go_negative, balance_cents, version,"
    " last_recorded_at) VALUES ({id}, 'equity:owner', 'Owner', 'EQUITY', 'KES', NULL, FALSE, 12345, 1,"
    " '2026-11-20 09:00:00')"
)


def test_the_books_are_read_as_of_a_moment_between_two_postings(terminal: Terminal) -> None:
    """USD 10.00 are booked, then KES 500.00; as of the first posting the trial balance knows only the dollars."""
    fund(terminal, "deriv:agent", "10.00", "USD")
    between = in_database(terminal, last_recorded).isoformat()
    fund(terminal, "mpesa:collection", "500.00", "KES")

    before = terminal.json("ledger", "trial-balance", "--as-of", "2020-01-01T00:00:00Z")
    then = terminal.json("ledger", "trial-balance", "--as-of", between)
    now = terminal.json("ledger", "trial-balance")

    dollars = {"currency": "USD", "debit_cents": 1_000, "credit_cents": 1_000}
    shillings = {"currency": "KES", "debit_cents": 50_000, "credit_cents": 50_000}
    assert {"accounts": [], "totals": [], "balanced": True} == before
    assert ([dollars], True) == (then["totals"], then["balanced"])
    assert ["deriv:agent", "equity:owner:USD"] == [account["code"] for account in then["accounts"]]
    assert ([shillings, dollars], True) == (now["totals"], now["balanced"])
    assert "KES" not in terminal.run("ledger", "trial-balance", "--as-of", between).stdout


@pytest.mark.parametrize("reference", ["", "two words", "x" * 65, "überweisung", "0712345678", "+254712345678"])
def test_a_reference_that_cannot_be_booked_is_refused(terminal: Terminal, reference: str) -> None:
    """Not in visible ASCII, too long, or a phone number, which the books could never forget: nothing is booked."""
    order = ("ledger", "fund", "deriv:agent", "--amount", "10.00", "--currency", "USD", "--by", "user_one")

    assert "invalid_request" == terminal.refused(*order, "--reference", reference)
    assert [] == terminal.json("ledger", "trial-balance")["accounts"]
    terminal.run(*order, "--reference", "x" * 64)


def fund(terminal: Terminal, account: str, amount: str, currency: str) -> None:
    terminal.run(
        *("ledger", "fund", account, "--amount", amount, "--currency", currency),
        *("--reference", f"opening-{currency}", "--by", "user_one"),
    )


async def last_recorded(connection: AsyncConnection) -> datetime:
    moment: datetime = (await connection.execute(select(func.max(ledger_journals.c.recorded_at)))).scalar_one()
    return moment


def literal(connection: AsyncConnection, number: int) -> str:
    """An id in a statement's text."""
    return f"x'{UUID(int=number).hex}'" if connection.dialect.name == "mysql" else f"'{UUID(int=number)}'"


def test_a_review_is_shown(terminal: Terminal) -> None:
    """What waits for people is listed with its reason and what it holds up."""
    in_database(
        terminal,
        lambda connection: connection.execute(
            text(
                "INSERT INTO reviews"
                " (version, id, subject_id, transaction_id, reason, amount_cents, currency, facts, opened_at) VALUES"
                f" (1, {literal(connection, 8)}, {literal(connection, 9)}, NULL,"
                " 'DELIVERY_DEAD', 500000, 'KES', '{}', '2026-11-20 09:00:00')"
            )
        ),
    )

    (review,) = terminal.json("reviews", "list")

    assert ("DELIVERY_DEAD", 500_000, None) == (review["reason"], review["amount_cents"], review["transaction_id"])
    assert "KES 5,000.00" in terminal.run("reviews", "list").stdout
