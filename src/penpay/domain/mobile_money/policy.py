"""The operator's rules as figures: minima, limits a tier, PINs, and above what two people must agree.

With `OPEN` every call of the original interface completes in one request. Figures of a country come from a dated file
(`penpay/data`), never from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from penpay.domain.shared.money import Currency, Money


class KycTier(StrEnum):
    """How well a customer is known; it decides the limits."""

    BASIC = "BASIC"
    MEDIUM = "MEDIUM"
    FULL = "FULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one account may do; None: no limit. Limits bind the payer, and the balance the receiving customer."""

    transaction: Money | None = None
    day: Money | None = None
    """Paid out in one day of East Africa Time."""
    balance: Money | None = None


_NONE: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPolicy:
    limits: Mapping[KycTier, Limits] = field(default_factory=dict)
    """Agents' floats and merchants' takings have none."""
    smallest_deposit: Money = Money(10_00, Currency.KES)
    smallest_withdrawal: Money = Money(1_00, Currency.KES)
    smallest_transfer: Money = Money(10_00, Currency.KES)
    smallest_payout: Money = Money(10_00, Currency.KES)
    """What a merchant can pay a customer through Daraja."""
    largest_payout: Money | None = None
    """None: no limit."""
    pin_required: bool = False
    """Whether moving money needs the PIN on every route, the original ones included."""
    pin_attempts: int = 3
    """Wrong PINs in a row that lock it."""
    password_attempts: int = 5
    """Wrong passwords in a row that lock the login for `password_lock`."""
    password_lock: timedelta = timedelta(minutes=15)
    repeat_window: timedelta = timedelta(0)
    """The same amount to the same merchant's number again within this time is refused."""
    approval_above: Money | None = None
    """Above it float, charges, reversals and changes of status need a second administrator; None: never."""
    low_float: Money = Money(1_000_00, Currency.KES)
    """An agent whose float falls below is told."""
    code_lives: timedelta = timedelta(minutes=10)
    """How long a cash-out code can be used."""

    def limits_of(self, tier: KycTier) -> Limits:
        return self.limits.get(tier, _NONE)

    def needs_approval(self, amount: Money) -> bool:
        return self.approval_above is not None and amount > self.approval_above


OPEN: Final = OperatorPolicy()
