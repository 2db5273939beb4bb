"""The drawer of a cashier's open shift: what sales, and what comes and goes without one, do to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from penpay.application.shared.unit_of_work import Appended, Find, Footprint, Index, Kind, Work
from penpay.application.wallet.collections_postings import CASH, DRAWERS
from penpay.domain.collections.shift import CashMovement, Shift, ShiftId
from penpay.domain.shared.money import Money

OPEN_SHIFTS: Final[Kind[str, Shift]] = Kind("till_shifts")
"""By cashier: the shift that she has open. One that was closed in the same batch is still found; see `drawer_of`."""
CASH_MOVEMENTS: Final[Appended[CashMovement]] = Appended("cash_movements")
SHIFTS_BY_NUMBER: Final[Index[str, Shift]] = Index("shifts_by_number")
"""By folded number, unlocked."""
KNOWN_SHIFTS: Final[Index[ShiftId, Shift]] = Index("known_shifts")
"""Unlocked."""


class Sold(NamedTuple):
    """What was sold in a shift so far."""

    sales: int
    mpesa_cents: int


SOLD_IN_SHIFTS: Final[Index[ShiftId, Sold]] = Index("sold_in_shifts")
"""As the books show it at the moment of looking."""


def drawers_footprint(footprint: Footprint, cashiers: Iterable[str | None]) -> Footprint:
    """The open shifts of these cashiers."""
    return footprint.add(OPEN_SHIFTS, *(cashier for cashier in cashiers if cashier is not None))


async def takers_footprint(footprint: Footprint, shifts: Iterable[ShiftId | None], find: Find) -> Footprint:
    """The shifts that took something, as far as they are still open."""
    known = await find(KNOWN_SHIFTS, {id_ for id_ in shifts if id_ is not None})
    return drawers_footprint(footprint, (shift.cashier for shift in known.values()))


def drawer_of(work: Work, cashier: str | None) -> Shift | None:
    """The shift that a cashier has open now; None for nobody, and where she has none."""
    shift = None if cashier is None else work.get(OPEN_SHIFTS, cashier)
    return shift if shift is not None and shift.is_open else None


def drawer_that_took(work: Work, shift_id: ShiftId | None) -> Shift | None:
    """The shift that took something, if it is still open."""
    known = None if shift_id is None else work.found(KNOWN_SHIFTS, shift_id)
    shift = None if known is None else drawer_of(work, known.cashier)
    return shift if shift is not None and shift.id == shift_id else None


def take_in(work: Work, shift: Shift | None, amount: Money) -> str:
    """Cash for a sale is put into the drawer, if there is one; the account that it is posted to."""
    if shift is None:
        return CASH
    keep(work, shift.took(amount), "DrawerChanged", taken_cents=amount.cents)
    return DRAWERS


def hand_back(work: Work, shift: Shift | None, amount: Money) -> str:
    """Cash for a sale that is over comes out of the drawer, if there is one; the account that it is posted to."""
    if shift is None:
        return CASH
    now = work.get(OPEN_SHIFTS, shift.cashier) or shift  # it may have given back for this sale already
    keep(work, now.gave_back(amount), "DrawerChanged", returned_cents=amount.cents)
    return DRAWERS


def keep(work: Work, shift: Shift, name: str, **facts: int) -> None:
    """The shift as it is now, and the event that says so."""
    work.put(OPEN_SHIFTS, shift.cashier, shift)
    work.record(shift.event(name, **facts))
