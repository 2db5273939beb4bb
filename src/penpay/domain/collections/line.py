"""What is billed: lines with quantity, price, discount and VAT, each rounded by itself; totals are sums of lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from penpay.domain.collections.errors import InvalidLine
from penpay.domain.shared.errors import InvalidAmount
from penpay.domain.shared.locked_rate import BASIS_POINTS, divide_half_even
from penpay.domain.shared.money import Currency, Money

MILLI: Final = 1_000
"""Quantities are integers of thousandths: 1,500 is one and a half."""
_LONGEST_DESCRIPTION: Final = 200
_LARGEST_QUANTITY: Final = 10**9
_MOST_LINES: Final = 200
KES: Final = Currency.KES
ZERO: Final = Money.zero(KES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line. `net` and `vat` are cents of KES, each rounded half to even; a tie goes to the even cent."""

    line_no: int
    description: str
    quantity_milli: int
    unit_price: Money
    discount: Money
    vat_rate_bps: int
    net: Money
    vat: Money
    unit_cost: Money | None = None
    """What one costs the business; None where that is not known."""

    @property
    def cost(self) -> Money | None:
        """What all of the line costs the business, half-even to cents."""
        if self.unit_cost is None:
            return None
        return Money(divide_half_even(self.quantity_milli * self.unit_cost.cents, MILLI), KES)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineItem:
    """What a caller says of a line, before it is priced."""

    description: str
    quantity_milli: int = MILLI
    unit_price: Money
    discount: Money = ZERO
    """Taken off the whole line, before VAT is split out or added."""
    vat_rate_bps: int = 0
    """1600 is 16 %."""
    unit_cost: Money | None = None

    def priced(self, line_no: int, *, vat_included: bool) -> Line:
        """The line with its sums. Raises InvalidLine.

        `vat_included`: whether price and discount contain VAT, which is split out then, or VAT comes on top.
        """
        amounts = (self.unit_price, self.discount, self.unit_cost or ZERO)
        if any(amount.currency is not KES or amount.cents < 0 for amount in amounts):
            raise InvalidLine("Prices, discounts and costs are in KES and not negative.", line=line_no)
        if not self.description.strip() or len(self.description) > _LONGEST_DESCRIPTION:
            raise InvalidLine(f"A description has 1 to {_LONGEST_DESCRIPTION} characters.", line=line_no)
        if not 0 < self.quantity_milli <= _LARGEST_QUANTITY or not 0 <= self.vat_rate_bps <= BASIS_POINTS:
            raise InvalidLine("A quantity is above zero, and a VAT rate between 0 and 100 %.", line=line_no)
        price = divide_half_even(self.quantity_milli * self.unit_price.cents, MILLI) - self.discount.cents
        if price < 0:
            raise InvalidLine("The discount is above the price.", line=line_no)
        taxed = BASIS_POINTS + self.vat_rate_bps if vat_included else BASIS_POINTS
        vat = divide_half_even(price * self.vat_rate_bps, taxed)
        return Line(
            line_no=line_no,
            description=self.description,
            quantity_milli=self.quantity_milli,
            unit_price=self.unit_price,
            discount=self.discount,
            vat_rate_bps=self.vat_rate_bps,
            net=Money(price - vat if vat_included else price, KES),
            vat=Money(vat, KES),
            unit_cost=self.unit_cost,
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of lines."""

    net: Money
    vat: Money
    cost: Money | None
    """None unless every line has a cost."""

    @property
    def total(self) -> Money:
        return self.net + self.vat


def priced(items: Sequence[LineItem], *, vat_included: bool) -> tuple[Line, ...]:
    """The lines, numbered from 1. Raises InvalidLine, also for none or too many, and InvalidAmount for no money."""
    if not 1 <= len(items) <= _MOST_LINES:
        raise InvalidLine(f"There are 1 to {_MOST_LINES} lines.")
    lines = tuple(item.priced(number, vat_included=vat_included) for number, item in enumerate(items, 1))
    if totals(lines).total.cents <= 0:
        raise InvalidAmount("The total must be above zero.")
    return lines


def totals(lines: Sequence[Line]) -> Totals:
    """The sums of lines."""
    costs = [line.cost for line in lines]
    known = [cost.cents for cost in costs if cost is not None]
    return Totals(
        net=Money(sum(line.net.cents for line in lines), KES),
        vat=Money(sum(line.vat.cents for line in lines), KES),
        cost=Money(sum(known), KES) if len(known) == len(costs) else None,
    )
