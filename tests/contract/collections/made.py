"""Rows made by hand, for tests that only read them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from penpay.domain.collections.shift import (
    CashDirection,
    CashMovement,
    CashMovementId,
    CashPurpose,
    Counted,
    Shift,
    ShiftId,
)
from penpay.domain.shared.money import Currency, Money
from tests.support.ports import MORNING


def closed_shift() -> tuple[Shift, CashMovement]:
    """A shift with 1,000 as its float in which 116 were taken, 50 went for milk, and 5 are missing."""
    movement = CashMovement(
        id=CashMovementId(UUID(int=2)),
        shift_id=ShiftId(UUID(int=1)),
        direction=CashDirection.OUT,
        purpose=CashPurpose.EXPENSE,
        amount=Money(5_000, Currency.KES),
        reason="Milk",
        moved_at=MORNING,
        moved_by="staff:wanjiru",
    )
    shift = Shift(
        id=ShiftId(UUID(int=1)),
        number="SHIFT-001",
        cashier="staff:wanjiru",
        opened_at=MORNING,
        opening_float=Money(100_000, Currency.KES),
    )
    counted = Counted(
        cash=Money(106_100, Currency.KES),
        mpesa=Money(0, Currency.KES),
        sales=1,
        by="staff:wanjiru",
        at=MORNING + timedelta(hours=8),
    )
    taken = shift.took(Money(11_600, Currency.KES)).moved(CashDirection.OUT, movement.amount)
    return taken.closed(counted), movement
