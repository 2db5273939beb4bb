"""A subscriber of the operator: her wallet, her PIN and the rules for paying out of it.

    ACTIVE ──(as many wrong PINs in a row as the policy allows)──▶ PIN_LOCKED

One payment prompt at a time: a second one is refused while the first is open, as the real operator locks the SIM.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import NewType
from uuid import UUID

from penpay.domain.mobile_money.errors import InvalidPin, SubscriberBusy
from penpay.domain.mobile_money.policy import PayerPolicy
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

SubscriberId = NewType("SubscriberId", UUID)

EAST_AFRICA = timezone(timedelta(hours=3), "EAT")
"""Kenya keeps no summer time, so a fixed offset is exact (daraja.md §6.9)."""


def check_pin(pin: str) -> str:
    """Return the PIN if it is four ASCII digits; raises InvalidPin."""
    if re.fullmatch(r"[0-9]{4}", pin, re.ASCII) is None:
        raise InvalidPin
    return pin


def wallet_of(subscriber: SubscriberId) -> str:
    """The ledger code of a subscriber's wallet."""
    return f"subscriber:{subscriber}:{Currency.KES.value}"


class CustomerStatus(StrEnum):
    ACTIVE = "ACTIVE"
    PIN_LOCKED = "PIN_LOCKED"
    """Nothing moves, not even with the right PIN."""


class Bar(StrEnum):
    """What stands between a subscriber and a payment she has confirmed with the right PIN."""

    PIN_LOCKED = "PIN_LOCKED"
    ABOVE_MAXIMUM = "ABOVE_MAXIMUM"
    ABOVE_DAILY_LIMIT = "ABOVE_DAILY_LIMIT"
    REPEATED = "REPEATED"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPayment:
    """What the repeat rule and the daily limit remember: the newest payment, and the sum of its day."""

    short_code: str
    amount: Money
    at: datetime
    day_total: Money
    """Everything paid on the East African day of `at`, this payment included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    id: SubscriberId
    phone: PhoneNumber
    pin_hash: str
    status: CustomerStatus = CustomerStatus.ACTIVE
    wrong_pins: int = 0
    """Wrong PINs since the last right one."""
    open_push_id: UUID | None = None
    last_payment: LastPayment | None = None
    version: int = 0

    @property
    def wallet(self) -> str:
        """The ledger code of her wallet."""
        return wallet_of(self.id)

    def open_prompt(self, push_id: UUID) -> Subscriber:
        """Her phone is taken by this push; raises SubscriberBusy while another one is open."""
        if self.open_push_id is not None:
            raise SubscriberBusy
        return replace(self, open_push_id=push_id, version=self.version + 1)

    def close_prompt(self) -> Subscriber:
        return replace(self, open_push_id=None, version=self.version + 1)

    def enter_wrong_pin(self, policy: PayerPolicy) -> Subscriber:
        """One more wrong PIN; the last one that is forgiven locks the wallet."""
        wrong = self.wrong_pins + 1
        status = CustomerStatus.PIN_LOCKED if wrong >= policy.pin_attempts else self.status
        return replace(self, wrong_pins=wrong, status=status, version=self.version + 1)

    def bar_to(
        self, amount: Money, short_code: str, *, balance: Money, policy: PayerPolicy, at: datetime
    ) -> Bar | None:
        """The first rule that forbids this payment, or None. `balance` is what the wallet holds now."""
        if self.status is CustomerStatus.PIN_LOCKED:
            return Bar.PIN_LOCKED
        if amount > policy.max_transaction:
            return Bar.ABOVE_MAXIMUM
        if self.paid_on_day_of(at) + amount > policy.max_daily:
            return Bar.ABOVE_DAILY_LIMIT
        if self._repeats(amount, short_code, policy, at):
            return Bar.REPEATED
        return Bar.INSUFFICIENT_FUNDS if amount > balance else None

    def paid(self, amount: Money, short_code: str, at: datetime) -> Subscriber:
        """She has paid: the day's total grows and her wrong PINs are forgotten."""
        total = self.paid_on_day_of(at) + amount
        last = LastPayment(short_code=short_code, amount=amount, at=at, day_total=total)
        return replace(self, wrong_pins=0, last_payment=last, version=self.version + 1)

    def paid_on_day_of(self, at: datetime) -> Money:
        """What she has paid on that day in Nairobi."""
        last = self.last_payment
        if last is None or last.at.astimezone(EAST_AFRICA).date() != at.astimezone(EAST_AFRICA).date():
            return Money.zero(Currency.KES)
        return last.day_total

    def _repeats(self, amount: Money, short_code: str, policy: PayerPolicy, at: datetime) -> bool:
        last = self.last_payment
        return (
            last is not None
            and (last.amount, last.short_code) == (amount, short_code)
            and at - last.at < timedelta(seconds=policy.repeat_window_seconds)
        )
