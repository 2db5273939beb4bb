"""The exchange rate fixed for one transaction, and the one place where amounts are converted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from penpay.domain.shared.errors import CurrencyMismatch, InvalidAmount
from penpay.domain.shared.money import Currency, Money

RATE_SCALE = 10**8
"""Rates are integers of 10⁻⁸: 12,950,000,000 is 129.5 KES for one USD."""
BASIS_POINTS = 10**4


def divide_half_even(numerator: int, denominator: int) -> int:
    """The integer nearest to numerator/denominator; a tie goes to the even one. `denominator` is above zero."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositQuote:
    """What a deposit costs: the payer is charged T, of which M buys U at the mid rate and the rest is revenue."""

    usd: Money
    """U: what reaches the Deriv account."""
    kes_at_mid: Money
    """M = U × mid, half-even to cents."""
    kes_priced: Money
    """P = U × client rate, half-even to cents."""
    kes_charged: Money
    """T: whole shillings on the phone, never below P."""

    @property
    def spread(self) -> Money:
        """P − M, our margin."""
        return self.kes_priced - self.kes_at_mid

    @property
    def rounding(self) -> Money:
        """T − P, gained by charging whole shillings."""
        return self.kes_charged - self.kes_priced

    @property
    def kes(self) -> Money:
        """T: what M-Pesa moves."""
        return self.kes_charged


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalQuote:
    """What a withdrawal brings: U leaves Deriv and is worth M at the mid rate; T is paid, the rest is revenue."""

    usd: Money
    """U: what leaves the Deriv account."""
    kes_at_mid: Money
    """M = U × mid, half-even to cents."""
    kes_priced: Money
    """P = U × client rate, half-even to cents."""
    kes_paid: Money
    """T: whole shillings to the phone, never above P."""

    @property
    def spread(self) -> Money:
        """M − P, our margin."""
        return self.kes_at_mid - self.kes_priced

    @property
    def rounding(self) -> Money:
        """P − T, gained by paying whole shillings."""
        return self.kes_priced - self.kes_paid

    @property
    def kes(self) -> Money:
        """T: what M-Pesa moves."""
        return self.kes_paid


Quote = DepositQuote | WithdrawalQuote


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedRate:
    """`mid_e8`/10⁸ of `quote` for one `base`, with a spread in our favour, valid until `expires_at` (UTC)."""

    base: Currency
    quote: Currency
    mid_e8: int
    spread_bps: int
    source: str
    locked_at: datetime
    expires_at: datetime

    def __post_init__(self) -> None:
        if self.mid_e8 <= 0 or not 0 <= self.spread_bps < BASIS_POINTS:
            raise InvalidAmount("A rate is above zero and its spread is between 0 and 100 %.")
        if self.base is self.quote:
            raise CurrencyMismatch("A rate is between two currencies.")

    @property
    def mid(self) -> Decimal:
        """The mid rate as an exact decimal."""
        return Decimal(self.mid_e8).scaleb(-8)

    @property
    def deposit_rate(self) -> Decimal:
        """What a depositor pays for one unit of `base`, as an exact decimal: the mid rate plus the spread."""
        return Decimal(self.mid_e8 * (BASIS_POINTS + self.spread_bps)).scaleb(-12)

    @property
    def withdrawal_rate(self) -> Decimal:
        """What one unit of `base` brings somebody who withdraws, as an exact decimal: the mid rate less the spread."""
        return Decimal(self.mid_e8 * (BASIS_POINTS - self.spread_bps)).scaleb(-12)

    def is_expired(self, at: datetime) -> bool:
        return at >= self.expires_at

    def quote_deposit(self, amount: Money) -> DepositQuote:
        """Price a deposit given either what must reach Deriv (base) or what is charged to the phone (quote).

        In base: T is P rounded up to whole units. In quote: the amount must be whole units, is charged exactly, and
        buys the largest U it pays for. Raises InvalidAmount when the amount is not positive, not whole where it must
        be, or buys nothing.
        """
        amount.require_positive()
        client_e12 = self.mid_e8 * (BASIS_POINTS + self.spread_bps)
        one = RATE_SCALE * BASIS_POINTS
        if amount.currency is self.base:
            base_cents = amount.cents
            priced = divide_half_even(base_cents * client_e12, one)
            charged = -(-priced // 100) * 100
        elif amount.currency is self.quote:
            if not amount.is_whole():
                raise InvalidAmount("M-Pesa moves whole shillings only.")
            base_cents = amount.cents * one // client_e12
            priced = divide_half_even(base_cents * client_e12, one)
            charged = amount.cents
        else:
            raise CurrencyMismatch
        return DepositQuote(
            usd=Money(base_cents, self.base).require_positive(),
            kes_at_mid=Money(divide_half_even(base_cents * self.mid_e8, RATE_SCALE), self.quote),
            kes_priced=Money(priced, self.quote),
            kes_charged=Money(charged, self.quote).require_positive(),
        )

    def quote_withdrawal(self, amount: Money) -> WithdrawalQuote:
        """Price a withdrawal given either what leaves Deriv (base) or what the phone is paid (quote).

        In base: T is P rounded down to whole units. In quote: the amount must be whole units, is paid exactly, and
        costs the smallest U that is worth it. Raises InvalidAmount when the amount is not positive, not whole where it
        must be, or worth less than one unit.
        """
        amount.require_positive()
        client_e12 = self.mid_e8 * (BASIS_POINTS - self.spread_bps)
        one = RATE_SCALE * BASIS_POINTS
        if amount.currency is self.base:
            base_cents = amount.cents
            priced = divide_half_even(base_cents * client_e12, one)
            paid = priced // 100 * 100
        elif amount.currency is self.quote:
            if not amount.is_whole():
                raise InvalidAmount("M-Pesa moves whole shillings only.")
            base_cents = -(-amount.cents * one // client_e12)
            priced = divide_half_even(base_cents * client_e12, one)
            paid = amount.cents
        else:
            raise CurrencyMismatch
        return WithdrawalQuote(
            usd=Money(base_cents, self.base).require_positive(),
            kes_at_mid=Money(divide_half_even(base_cents * self.mid_e8, RATE_SCALE), self.quote),
            kes_priced=Money(priced, self.quote),
            kes_paid=Money(paid, self.quote).require_positive(),
        )
