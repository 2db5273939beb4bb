"""A cashier's shift: the float she counted, the cash that went in and out, and what she counted in the end.

OPEN ─→ CLOSED. A cashier has one open shift; a closed one never changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from penpay.domain.collections.errors import CashTooSmall, NotYourShift, ShiftNotOpen
from penpay.domain.collections.line import ZERO
from penpay.domain.shared.errors import InvalidAmount, InvalidRequest
from penpay.domain.shared.events import DomainEvent, Fact
from penpay.domain.shared.money import Money

ShiftId = NewType("ShiftId", UUID)
CashMovementId = NewType("CashMovementId", UUID)
LONGEST_REASON = 200


class ShiftState(StrEnum):
    OPEN = "OPEN"
    CLOSED = "CLOSED"


class CashDirection(StrEnum):
    """Whether cash comes to us or leaves us."""

    IN = "IN"
    OUT = "OUT"


class CashPurpose(StrEnum):
    """Where cash that is not for a sale comes from, or goes to."""

    SAFE = "SAFE"
    """Between a drawer and the cash that is in no drawer."""
    BANK = "BANK"
    OWNER = "OWNER"
    """The owner puts in, or takes out for herself."""
    EXPENSE = "EXPENSE"
    """Paid for something small; it only goes out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CashMovement:
    """Cash that came or went without a sale; `shift_id` is None where it was in no drawer."""

    id: CashMovementId
    shift_id: ShiftId | None
    direction: CashDirection
    purpose: CashPurpose
    amount: Money
    reason: str
    moved_at: datetime
    moved_by: str


def check_movement(
    direction: CashDirection, purpose: CashPurpose, amount: Money, reason: str, *, in_drawer: bool
) -> None:
    """Raises InvalidAmount and InvalidRequest for a movement that cannot be."""
    amount.require_positive()
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise InvalidRequest(f"A reason has 1 to {LONGEST_REASON} characters.", fields=["reason"])
    if purpose is CashPurpose.EXPENSE and direction is CashDirection.IN:
        raise InvalidRequest("An expense takes cash out.", fields=["direction", "purpose"])
    if purpose is CashPurpose.SAFE and not in_drawer:
        raise InvalidRequest("Between the safe and a drawer, cash moves in a shift.", fields=["purpose"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What was found when a shift was closed."""

    cash: Money
    """Counted in the drawer."""
    mpesa: Money
    """What M-Pesa had paid of the shift's sales by then."""
    sales: int
    """How many sales were opened in it."""
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One cashier's time at the till, in KES. What she takes is net of the change she gives."""

    id: ShiftId
    number: str
    cashier: str
    opened_at: datetime
    opening_float: Money
    """Counted before the first sale."""
    taken: Money = ZERO
    """Cash for sales."""
    returned: Money = ZERO
    """Cash handed back for sales that were not completed."""
    put_in: Money = ZERO
    taken_out: Money = ZERO
    counted: Counted | None = None
    version: int = 1

    def __post_init__(self) -> None:
        if self.opening_float.cents < 0:
            raise InvalidAmount("A float is never negative.")

    @property
    def state(self) -> ShiftState:
        return ShiftState.OPEN if self.counted is None else ShiftState.CLOSED

    @property
    def is_open(self) -> bool:
        return self.counted is None

    @property
    def expected(self) -> Money:
        """What is in the drawer if every shilling is there; below zero where more was handed back than there was."""
        return self.opening_float + self.taken - self.returned + self.put_in - self.taken_out

    @property
    def difference(self) -> Money | None:
        """What was counted less what was expected: above zero too much, below zero too little. None while open."""
        return None if self.counted is None else self.counted.cash - self.expected

    def require_of(self, person: str, *, is_owner: bool) -> None:
        """Raises NotYourShift for whoever is neither its cashier nor an owner."""
        if person != self.cashier and not is_owner:
            raise NotYourShift(shift_id=self.number)

    def took(self, amount: Money) -> Shift:
        """The shift after cash for a sale. Raises ShiftNotOpen."""
        self._require_open()
        return replace(self, taken=self.taken + amount, version=self.version + 1)

    def gave_back(self, amount: Money) -> Shift:
        """The shift after cash for a sale was handed back. Raises ShiftNotOpen."""
        self._require_open()
        return replace(self, returned=self.returned + amount, version=self.version + 1)

    def moved(self, direction: CashDirection, amount: Money) -> Shift:
        """The shift after cash without a sale. Raises ShiftNotOpen, and CashTooSmall where less is in the drawer."""
        self._require_open()
        if direction is CashDirection.IN:
            return replace(self, put_in=self.put_in + amount, version=self.version + 1)
        if amount > self.expected:
            raise CashTooSmall(cash_cents=self.expected.cents)
        return replace(self, taken_out=self.taken_out + amount, version=self.version + 1)

    def closed(self, counted: Counted) -> Shift:
        """The shift after its drawer was counted. Raises ShiftNotOpen."""
        self._require_open()
        if counted.cash.cents < 0:
            raise InvalidAmount("What is counted is never negative.")
        return replace(self, counted=counted, version=self.version + 1)

    def event(self, name: str, **facts: Fact) -> DomainEvent:
        """An event about the shift as it is now; its version is the sequence."""
        payload: dict[str, Fact] = {
            "shift_id": self.number,
            "state": self.state.value,
            "expected_cents": self.expected.cents,
            **facts,
        }
        return DomainEvent(name, "Shift", self.id, self.version, payload)

    def _require_open(self) -> None:
        if not self.is_open:
            raise ShiftNotOpen(shift_id=self.number)
