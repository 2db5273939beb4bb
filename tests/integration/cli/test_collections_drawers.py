"""Shifts and locks at a terminal: read by those who keep the books."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert

from penpay.infrastructure.sql.collections_shifts import CashMovementAppender, ShiftRepository
from penpay.infrastructure.sql.collections_tables import cash_movements, till_shifts
from tests.contract.collections.made import closed_shift
from tests.integration.cli.conftest import Terminal
from tests.integration.cli.looking import in_database


def test_a_shift_is_shown_and_listed(terminal: Terminal) -> None:
    """Float 1,000, 116 sold, 50 for milk; 5 shillings are missing."""
    shift, movement = closed_shift()
    rows = ((till_shifts, ShiftRepository().row(shift)), (cash_movements, CashMovementAppender().row(movement)))

    async def write(connection: Any) -> None:
        for table, row in rows:
            await connection.execute(insert(table), dict(zip(table.c.keys(), row, strict=True)))

    in_database(terminal, write)

    (listed,) = terminal.json("collections", "shifts")
    found = terminal.json("collections", "shift", "shift-001")
    assert (106_600, 106_100, -500) == tuple(found[f"{name}_cents"] for name in ("expected", "counted", "difference"))
    assert {**listed, "movements": found["movements"]} == found
    assert ["Milk"] == [one["reason"] for one in found["movements"]]
    shown = terminal.run("collections", "shift", "SHIFT-001").stdout
    for text in ("SHIFT-001 of staff:wanjiru, closed", "1,066.00", "-5.00", "Milk"):
        assert text in shown
    assert "-5.00" in terminal.run("collections", "shifts", COLUMNS="200").stdout
    assert "shift_not_found" == terminal.refused("collections", "shift", "SHIFT-002")


def test_what_is_locked_is_told(terminal: Terminal) -> None:
    """Nothing at first."""
    assert {"locked_through": None, "locks": []} == terminal.json("collections", "locks")
    assert "Nothing is locked." in terminal.run("collections", "locks").stdout
