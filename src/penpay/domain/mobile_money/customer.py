"""A customer of the operator: a subscriber, an agent or a merchant, with one account and the rules for using it.

    ACTIVE ──▶ SUSPENDED | FROZEN | DORMANT ──▶ ACTIVE          any of them, when empty ──▶ CLOSED

Suspended and closed customers move nothing; frozen and dormant ones may still receive. One payment prompt at a time: a
second one is refused while the first is open, as the real operator locks the SIM.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from penpay.domain.mobile_money.errors import (
    BalanceLeft,
    CustomerNotActive,
    IllegalStatus,
    InvalidPassword,
    InvalidPin,
    SubscriberBusy,
)
from penpay.domain.mobile_money.policy import KycTier, OperatorPolicy
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import LoginLocked
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

CustomerId = NewType("CustomerId", UUID)

EAST_AFRICA: Final = timezone(timedelta(hours=3), "EAT")
"""Kenya keeps no summer time, so a fixed offset is exact (daraja.md §6.9)."""
_PASSWORD_LETTERS: Final = range(6, 129)


class CustomerType(StrEnum):
    AGENT = "AGENT"
    MERCHANT = "MERCHANT"
    SUBSCRIBER = "SUBSCRIBER"


class CustomerStatus(StrEnum):
    ACTIVE = "ACTIVE"
    DORMANT = "DORMANT"
    """Long unused: may receive, and pays again once customer care has woken it."""
    SUSPENDED = "SUSPENDED"
    """Moves nothing, and may not log in."""
    FROZEN = "FROZEN"
    """May receive and look, but not pay: by order of a court, or while something is looked into."""
    CLOSED = "CLOSED"
    """Final."""

    @property
    def may_receive(self) -> bool:
        return self in {CustomerStatus.ACTIVE, CustomerStatus.DORMANT, CustomerStatus.FROZEN}

    @property
    def may_log_in(self) -> bool:
        return self not in {CustomerStatus.SUSPENDED, CustomerStatus.CLOSED}


class Bar(StrEnum):
    """What stands between a customer and a payment that she may otherwise make."""

    NOT_ACTIVE = "NOT_ACTIVE"
    PIN_LOCKED = "PIN_LOCKED"
    ABOVE_MAXIMUM = "ABOVE_MAXIMUM"
    ABOVE_DAILY_LIMIT = "ABOVE_DAILY_LIMIT"
    REPEATED = "REPEATED"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"


def today(at: datetime) -> date:
    """The day in Nairobi."""
    return at.astimezone(EAST_AFRICA).date()


def check_pin(pin: str) -> str:
    """Return the PIN if it is four ASCII digits; raises InvalidPin."""
    if re.fullmatch(r"[0-9]{4}", pin, re.ASCII) is None:
        raise InvalidPin
    return pin


def check_password(password: str) -> str:
    """Return the password if it has 6 to 128 characters; raises InvalidPassword."""
    if len(password) not in _PASSWORD_LETTERS or "\x00" in password:
        raise InvalidPassword
    return password


def wallet_of(kind: CustomerType, customer: CustomerId) -> str:
    """The ledger code of a customer's one account: a wallet, a float or a merchant's takings."""
    return f"{_FAMILY[kind]}:{customer}:{Currency.KES.value}"


_FAMILY: Final[Mapping[CustomerType, str]] = {kind: kind.value.lower() for kind in CustomerType}


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A password and how often it was missed. Customers and administrators log in alike."""

    password_hash: str
    wrong_passwords: int = 0
    """Since the last right one."""
    locked_until: datetime | None = None

    def require_open(self, now: datetime) -> None:
        """Raises LoginLocked after too many wrong passwords, until their time is over."""
        if self.locked_until is not None and now < self.locked_until:
            raise LoginLocked

    def missed(self, policy: OperatorPolicy, now: datetime) -> Login:
        """One more wrong password; the last one that is forgiven locks the login for a while."""
        wrong = self.wrong_passwords + 1
        if wrong < policy.password_attempts:
            return replace(self, wrong_passwords=wrong)
        return replace(self, wrong_passwords=0, locked_until=now + policy.password_lock)

    def passed(self) -> Login:
        return replace(self, wrong_passwords=0, locked_until=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPayment:
    """What the repeat rule and the daily limit remember: the newest payment, and the sum of its day."""

    short_code: str | None
    """None for a payment to anything but a merchant's number."""
    amount: Money
    at: datetime
    day_total: Money
    """Everything paid on the East African day of `at`, this payment included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    id: CustomerId
    type: CustomerType
    name: str
    """As messages and name checks show it; empty when it was never told."""
    created_at: datetime
    email: Email | None = None
    phone: PhoneNumber | None = None
    login: Login | None = None
    """None for one who cannot log in, such as a wallet opened with a SIM."""
    pin_hash: str | None = None
    tier: KycTier = KycTier.BASIC
    is_super_agent: bool = False
    status: CustomerStatus = CustomerStatus.ACTIVE
    status_reason: str | None = None
    wrong_pins: int = 0
    """Wrong PINs since the last right one."""
    pin_locked: bool = False
    open_push_id: UUID | None = None
    last_payment: LastPayment | None = None
    version: int = 0

    @property
    def wallet(self) -> str:
        """The ledger code of the customer's account."""
        return wallet_of(self.type, self.id)

    # -- the person

    def changed(self, **facts: object) -> Customer:
        """The customer with other facts, one version on."""
        return replace(self, **facts, version=self.version + 1)  # type: ignore[arg-type]  # names are checked by replace

    def moved_to(self, status: CustomerStatus, reason: str, *, balance: Money) -> Customer:
        """Another status. Raises IllegalStatus (from CLOSED, or to what it is), and BalanceLeft for closing."""
        if self.status is CustomerStatus.CLOSED or status is self.status:
            raise IllegalStatus(status=self.status.value)
        if status is CustomerStatus.CLOSED and balance.cents:
            raise BalanceLeft
        return self.changed(status=status, status_reason=reason)

    # -- the PIN

    def with_pin(self, pin_hash: str) -> Customer:
        """A new PIN; a lock is taken off."""
        return self.changed(pin_hash=pin_hash, wrong_pins=0, pin_locked=False)

    def enter_wrong_pin(self, policy: OperatorPolicy) -> Customer:
        """One more wrong PIN; the last one that is forgiven locks it."""
        wrong = self.wrong_pins + 1
        return self.changed(wrong_pins=wrong, pin_locked=self.pin_locked or wrong >= policy.pin_attempts)

    # -- payment prompts

    def open_prompt(self, push_id: UUID) -> Customer:
        """The phone is taken by this push; raises SubscriberBusy while another one is open."""
        if self.open_push_id is not None:
            raise SubscriberBusy
        return self.changed(open_push_id=push_id)

    def close_prompt(self) -> Customer:
        return self.changed(open_push_id=None)

    # -- paying and receiving

    def bar_to(  # one rule a line
        self,
        amount: Money,
        *,
        fee: Money,
        balance: Money,
        policy: OperatorPolicy,
        at: datetime,
        short_code: str | None = None,
    ) -> Bar | None:
        """The first rule that forbids paying this amount and its fee, or None. `balance` is what the account holds."""
        limits = policy.limits_of(self.tier)
        if self.status is not CustomerStatus.ACTIVE:
            return Bar.NOT_ACTIVE
        if self.pin_locked:
            return Bar.PIN_LOCKED
        if limits.transaction is not None and amount > limits.transaction:
            return Bar.ABOVE_MAXIMUM
        if limits.day is not None and self.paid_on_day_of(at) + amount > limits.day:
            return Bar.ABOVE_DAILY_LIMIT
        if self._repeats(amount, short_code, policy, at):
            return Bar.REPEATED
        return Bar.INSUFFICIENT_FUNDS if amount + fee > balance else None

    def paid(self, amount: Money, at: datetime, short_code: str | None = None) -> Customer:
        """A payment was made: the day's total grows and wrong PINs are forgotten."""
        total = self.paid_on_day_of(at) + amount
        last = LastPayment(short_code=short_code, amount=amount, at=at, day_total=total)
        return replace(self, wrong_pins=0, last_payment=last, version=self.version + 1)

    def require_receiving(self) -> None:
        """Raises CustomerNotActive for an account that nothing may be paid into."""
        if not self.status.may_receive:
            raise CustomerNotActive

    def paid_on_day_of(self, at: datetime) -> Money:
        """What was paid on that day in Nairobi."""
        last = self.last_payment
        if last is None or today(last.at) != today(at):
            return Money.zero(Currency.KES)
        return last.day_total

    def left_today(self, policy: OperatorPolicy, at: datetime) -> Money | None:
        """What may still be paid today; None without a daily limit."""
        day = policy.limits_of(self.tier).day
        return None if day is None else day - self.paid_on_day_of(at)

    def _repeats(self, amount: Money, short_code: str | None, policy: OperatorPolicy, at: datetime) -> bool:
        last = self.last_payment
        return (
            last is not None
            and short_code is not None
            and (last.amount, last.short_code) == (amount, short_code)
            and at - last.at < policy.repeat_window
        )
