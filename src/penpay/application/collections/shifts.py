"""A cashier's shift: opened with a counted float, closed by counting again; and cash that moves without a sale.

A sale needs no shift: cash that somebody without an open shift takes is in 1000, with all cash that is in no drawer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from penpay.application.collections.drawer import (
    CASH_MOVEMENTS,
    OPEN_SHIFTS,
    SHIFTS_BY_NUMBER,
    SOLD_IN_SHIFTS,
    Sold,
    drawer_of,
    drawers_footprint,
    keep,
)
from penpay.application.collections.naming import numbers_footprint, take_number
from penpay.application.collections.period import lock_footprint, require_open
from penpay.application.collections.shift_views import movement_view, shift_view
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Stale, Work
from penpay.application.wallet import cash_postings as postings
from penpay.application.wallet.collections_postings import CASH, DRAWERS
from penpay.application.wallet.postings import balance
from penpay.domain.collections.errors import CashTooSmall, ShiftNotFound, ShiftNotOpen, ShiftOpen
from penpay.domain.collections.numbers import SeriesName
from penpay.domain.collections.period import check_dated
from penpay.domain.collections.reference import fold
from penpay.domain.collections.shift import (
    CashDirection,
    CashMovement,
    CashMovementId,
    CashPurpose,
    Counted,
    Shift,
    ShiftId,
    check_movement,
)
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.nairobi import day_bounds, nairobi_day


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenShift:
    """A cashier begins, with so much in her drawer."""

    cashier: str
    opening_float: Money
    by: str


class OpenShiftHandler:
    async def footprint(self, commands: Sequence[OpenShift], find: Find) -> Footprint:  # noqa: ARG002  (nothing to find)
        footprint = numbers_footprint(postings.cash_footprint(Footprint()), SeriesName.SHIFT)
        return drawers_footprint(footprint, (command.cashier for command in commands))

    def handle(self, command: OpenShift, work: Work) -> Answer:
        """Open it; the answer is `shift_view`. Raises ShiftOpen where she has one, and InvalidAmount."""
        before = work.get(OPEN_SHIFTS, command.cashier)
        if before is not None and before.is_open:
            raise ShiftOpen(shift_id=before.number)
        if before is not None:
            raise Stale(OPEN_SHIFTS, [command.cashier])
        shift = Shift(
            id=ShiftId(work.ids.new()),
            number=take_number(work, SeriesName.SHIFT),
            cashier=command.cashier,
            opened_at=work.now,
            opening_float=command.opening_float,
        )
        postings.shift_opened(work, shift=shift.id, amount=shift.opening_float)
        keep(work, shift, "ShiftOpened", float_cents=shift.opening_float.cents)
        work.audit(command.by, "shift.opened", "shift", shift.id, shift_id=shift.number)
        return shift_view(shift)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveCash:
    """Cash comes or goes without a sale: in a shift's drawer, or where no drawer is concerned in 1000."""

    shift_number: str | None = None
    direction: CashDirection
    purpose: CashPurpose
    amount: Money
    reason: str
    moved_on: date | None = None
    """The day in Nairobi on which it moved, where that was in no drawer; None: today."""
    by: str
    is_owner: bool = False
    """An owner may do it in anybody's shift."""

    def __post_init__(self) -> None:
        check_movement(self.direction, self.purpose, self.amount, self.reason, in_drawer=self.shift_number is not None)
        if self.moved_on is not None and self.shift_number is not None:
            raise InvalidRequest("In a drawer, cash moves now.", fields=["moved_on"])


class MoveCashHandler:
    async def footprint(self, commands: Sequence[MoveCash], find: Find) -> Footprint:
        numbers = [command.shift_number for command in commands if command.shift_number is not None]
        return lock_footprint(await _named_footprint(numbers, find))

    def handle(self, command: MoveCash, work: Work) -> Answer:
        """Book it; the answer is `movement_view`.

        Raises ShiftNotFound, ShiftNotOpen, NotYourShift, CashTooSmall where less is there than is to leave,
        InvalidRequest for a day to come and PeriodLocked for one that is locked.
        """
        moved_at = _dated(command, work)
        shift = None
        if command.shift_number is not None:
            shift = _open_shift(work, command.shift_number)
            shift.require_of(command.by, is_owner=command.is_owner)
        movement = CashMovement(
            id=CashMovementId(work.ids.new()),
            shift_id=shift.id if shift else None,
            direction=command.direction,
            purpose=command.purpose,
            amount=command.amount,
            reason=command.reason,
            moved_at=moved_at,
            moved_by=command.by,
        )
        if shift is not None:
            facts = {"amount_cents": command.amount.cents}
            keep(work, shift.moved(command.direction, command.amount), "DrawerChanged", **facts)
        elif command.direction is CashDirection.OUT:
            _require_cash(work, command.amount)
        _post(work, movement)
        work.append(CASH_MOVEMENTS, movement)
        work.audit(command.by, "cash.moved", "cash_movement", movement.id, amount_cents=movement.amount.cents)
        return movement_view(movement, shift.number if shift else None)


def _dated(command: MoveCash, work: Work) -> datetime:
    """When it counts as moved: now, or as the day began on which it did."""
    today = nairobi_day(work.now)
    if command.moved_on is None or command.moved_on == today:
        return work.now
    check_dated(command.moved_on, today, "moved_on")
    require_open(work, command.moved_on)
    return day_bounds(command.moved_on)[0]


def _require_cash(work: Work, amount: Money) -> None:
    there = balance(work, CASH, Currency.KES)
    if amount > there:
        raise CashTooSmall(cash_cents=there.cents)


def _post(work: Work, movement: CashMovement) -> None:
    account = CASH if movement.shift_id is None else DRAWERS
    id_, amount, purpose, at = movement.id, movement.amount, movement.purpose.value, movement.moved_at
    if movement.direction is CashDirection.IN:
        postings.cash_put_in(work, movement=id_, amount=amount, purpose=purpose, into=account, at=at)
    else:
        postings.cash_taken_out(work, movement=id_, amount=amount, purpose=purpose, out_of=account, at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseShift:
    """The drawer was counted and is emptied; what was counted is in 1000 from now on."""

    shift_number: str
    counted: Money
    by: str
    is_owner: bool = False
    """An owner may close anybody's shift."""


class CloseShiftHandler:
    async def footprint(self, commands: Sequence[CloseShift], find: Find) -> Footprint:
        numbers = [command.shift_number for command in commands]
        footprint = await _named_footprint(numbers, find)
        known = await find(SHIFTS_BY_NUMBER, {fold(number) for number in numbers})
        await find(SOLD_IN_SHIFTS, {shift.id for shift in known.values()})
        return footprint

    def handle(self, command: CloseShift, work: Work) -> Answer:
        """Close it, and book what is too much or too little; the answer is `shift_view`.

        Raises ShiftNotFound, ShiftNotOpen, NotYourShift and InvalidAmount.
        """
        shift = _open_shift(work, command.shift_number)
        shift.require_of(command.by, is_owner=command.is_owner)
        sold = work.found(SOLD_IN_SHIFTS, shift.id) or Sold(0, 0)
        counted = Counted(
            cash=command.counted,
            mpesa=Money(sold.mpesa_cents, Currency.KES),
            sales=sold.sales,
            by=command.by,
            at=work.now,
        )
        after = shift.closed(counted)
        postings.shift_closed(work, shift=shift.id, counted=counted.cash, expected=shift.expected)
        difference = (counted.cash - shift.expected).cents
        keep(work, after, "ShiftClosed", counted_cents=counted.cash.cents, difference_cents=difference)
        work.audit(command.by, "shift.closed", "shift", shift.id, shift_id=shift.number, difference_cents=difference)
        return shift_view(after)


async def _named_footprint(numbers: Sequence[str], find: Find) -> Footprint:
    """The shifts with these numbers and every account of cash."""
    known = await find(SHIFTS_BY_NUMBER, {fold(number) for number in numbers})
    footprint = postings.cash_footprint(Footprint())
    return drawers_footprint(footprint, (shift.cashier for shift in known.values()))


def _open_shift(work: Work, number: str) -> Shift:
    """The shift with this number, locked. Raises ShiftNotFound and ShiftNotOpen."""
    known = work.found(SHIFTS_BY_NUMBER, fold(number))
    if known is None:
        raise ShiftNotFound
    shift = drawer_of(work, known.cashier)
    if shift is None or shift.id != known.id:
        raise ShiftNotOpen(shift_id=known.number)
    return shift
