"""Exchange rates at a terminal: two people, exact figures, and no slip of a digit."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.payments.rows import CURRENT_RATES
from penpay.domain.shared.money import Currency
from penpay.infrastructure.sql.fx import CurrentRateFinder
from penpay.infrastructure.system import SystemClock
from tests.integration.cli.conftest import Terminal
from tests.integration.cli.looking import in_database

RATE = ("fx", "set", "129.50", "--source", "central bank", "--by", "user_one")


def current(terminal: Terminal) -> Any:
    """The rate deposits are quoted at."""

    async def look(connection: AsyncConnection) -> Any:
        pair = (Currency.USD, Currency.KES)
        return (await CurrentRateFinder(SystemClock()).find(connection, [pair])).get(pair)

    return in_database(terminal, look)


def test_a_rate_counts_once_two_people_agree(terminal: Terminal) -> None:
    """User One enters, User Two approves, and then it is the current rate, exactly as typed."""
    entered = terminal.json(*RATE)
    assert None is current(terminal)
    assert "rate_not_approvable" == terminal.refused("fx", "approve", entered["id"], "--by", "user_one")

    approved = terminal.json("fx", "approve", entered["id"], "--by", "user_two")

    assert ("129.5", 12_950_000_000, "user_two") == (approved["mid"], approved["mid_e8"], approved["approved_by"])
    assert 12_950_000_000 == current(terminal).mid_e8
    assert CURRENT_RATES == CurrentRateFinder.index
    assert [approved] == terminal.json("fx", "show")
    assert "129.5" in terminal.run("fx", "show").stdout


def test_the_database_keeps_maker_and_checker_apart(terminal: Terminal) -> None:
    """Whoever gets past the program meets the CHECK of the table."""
    terminal.run(*RATE)

    with pytest.raises(Exception, match="maker_checker"):
        in_database(
            terminal, lambda connection: connection.execute(text("UPDATE fx_rates SET approved_by = entered_by"))
        )


def test_a_slip_of_a_digit_is_held_up(terminal: Terminal) -> None:
    """A rate far from the last approved one is approved only by somebody who says that it is right."""
    terminal.run("fx", "approve", terminal.json(*RATE)["id"], "--by", "user_two")
    slipped = terminal.json("fx", "set", "192.5", "--source", "central bank", "--by", "user_one")["id"]

    assert "rate_not_approvable" == terminal.refused("fx", "approve", slipped, "--by", "user_two")
    assert 12_950_000_000 == current(terminal).mid_e8

    terminal.run("fx", "approve", slipped, "--by", "user_two", "--confirm-move")
    assert 19_250_000_000 == current(terminal).mid_e8


def test_of_approved_rates_the_latest_valid_one_is_current(terminal: Terminal) -> None:
    """A rate for next year does not count yet, and one for last year no more, whenever they were approved."""
    for rate, valid_from in (("129.5", None), ("130.5", "2099-01-01T00:00:00Z"), ("128.5", "2020-01-01T00:00:00Z")):
        more = () if valid_from is None else ("--valid-from", valid_from)
        entered = terminal.json("fx", "set", rate, "--source", "central bank", "--by", "user_one", *more)
        terminal.run("fx", "approve", entered["id"], "--by", "user_two")

    assert 12_950_000_000 == current(terminal).mid_e8


REFUSED_RATES = (
    (("fx", "set", "1e2", "--source", "x", "--by", "user_one"), "invalid_request"),
    (("fx", "set", "129.5", "--source", "x", "--by", "User One"), "invalid_request"),
    (("fx", "set", "129.5", "--source", "x", "--by", "user_one", "--quote", "EUR"), "unknown_currency"),
    (("fx", "approve", str(UUID(int=1)), "--by", "user_two"), "not_found"),
)


def test_a_malformed_rate_is_refused(terminal: Terminal) -> None:
    """Each mistake has its stable code, and nothing is kept."""
    for arguments, code in REFUSED_RATES:
        assert (arguments, code) == (arguments, terminal.refused(*arguments))

    assert [] == terminal.json("fx", "show")
