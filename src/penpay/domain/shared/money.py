"""Money: an integer number of cents and its currency, with no division and no float."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from penpay.domain.shared.errors import CurrencyMismatch, InvalidAmount, UnknownCurrency

MAX_CENTS = 10**15
"""Ten trillion shillings: far above any real amount and far below what a BIGINT column overflows at."""

_DECIMAL_TEXT = re.compile(r"(?P<whole>0|[1-9][0-9]{0,14})(?:\.(?P<cents>[0-9]{1,2}))?", re.ASCII)


class Currency(StrEnum):
    """ISO 4217 codes of the currencies in this release; both have two minor digits."""

    KES = "KES"
    USD = "USD"

    @classmethod
    def parse(cls, code: str) -> Currency:
        """Return the currency of an exact upper-case ISO code; raises UnknownCurrency."""
        try:
            return cls(code)
        except ValueError:
            raise UnknownCurrency(currency=str(code)[:8]) from None


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in integer cents. May be negative as a difference; what moves is checked by `require_positive`.

    `==` between currencies is plain inequality; `+`, `-` and comparisons raise CurrencyMismatch.
    """

    cents: int
    currency: Currency

    def __post_init__(self) -> None:
        if type(self.cents) is not int:
            raise InvalidAmount("An amount is an integer number of cents.")
        if not -MAX_CENTS <= self.cents <= MAX_CENTS:
            raise InvalidAmount("The amount is too large.")

    @classmethod
    def zero(cls, currency: Currency) -> Money:
        return cls(0, currency)

    @classmethod
    def from_decimal_text(cls, text: str, currency: Currency) -> Money:
        """Parse a provider's plain decimal such as "5000", "5000.0" or "5000.00" exactly.

        Signs, exponents, separators, blanks, non-ASCII digits and third decimals raise InvalidAmount.
        """
        match = _DECIMAL_TEXT.fullmatch(text)
        if match is None:
            raise InvalidAmount("The amount is not a plain decimal with at most two places.")
        return cls(int(match["whole"]) * 100 + int((match["cents"] or "").ljust(2, "0")), currency)

    def require_positive(self) -> Money:
        """Return this amount if it is above zero; raises InvalidAmount."""
        if self.cents <= 0:
            raise InvalidAmount("The amount must be above zero.")
        return self

    def is_whole(self) -> bool:
        """Whether the amount has no cents, as M-Pesa requires of shillings."""
        return self.cents % 100 == 0

    def whole_units(self) -> int:
        """The amount in whole shillings or dollars; raises InvalidAmount if it has cents, so nothing is dropped."""
        units, cents = divmod(self.cents, 100)
        if cents:
            raise InvalidAmount("The amount is not a whole number of units.")
        return units

    def split(self, weights: Sequence[int]) -> tuple[Money, ...]:
        """Divide into shares proportional to `weights` whose sum is exactly this amount.

        Spare cents go to the largest remainders, earlier shares first. Raises InvalidAmount without a positive weight.
        """
        total = sum(weights)
        if total <= 0 or min(weights) < 0:
            raise InvalidAmount("Weights must be non-negative and not all zero.")
        shares = [divmod(self.cents * weight, total) for weight in weights]
        spare = self.cents - sum(share for share, _ in shares)
        by_remainder = sorted(range(len(weights)), key=lambda i: (-shares[i][1], i))
        lucky = set(by_remainder[:spare])
        return tuple(Money(share + (i in lucky), self.currency) for i, (share, _) in enumerate(shares))

    def _same(self, other: Money) -> None:
        if self.currency is not other.currency:
            raise CurrencyMismatch(left=self.currency.value, right=other.currency.value)

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.cents + other.cents, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.cents - other.cents, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.cents, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.cents < other.cents

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.cents <= other.cents

    def __gt__(self, other: Money) -> bool:
        return other < self

    def __ge__(self, other: Money) -> bool:
        return other <= self

    def decimal_text(self) -> str:
        """The exact amount as plain decimal text, e.g. "-10.05"."""
        units, cents = divmod(abs(self.cents), 100)
        return f"{'-' if self.cents < 0 else ''}{units}.{cents:02d}"

    def __str__(self) -> str:
        units, cents = divmod(abs(self.cents), 100)
        return f"{self.currency.value} {'-' if self.cents < 0 else ''}{units:,}.{cents:02d}"
