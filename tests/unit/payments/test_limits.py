"""What one deposit may be worth: the bounds themselves are allowed, one cent beyond is not."""

from __future__ import annotations

import pytest

from penpay.domain.payments.limits import DepositLimits
from penpay.domain.shared.errors import AmountOutOfRange
from penpay.domain.shared.locked_rate import DepositQuote
from penpay.domain.shared.money import Currency, Money

LIMITS = DepositLimits(
    smallest=Money(200, Currency.USD),
    largest=Money(100_000, Currency.USD),
    largest_charge=Money(25_000_000, Currency.KES),
)


def quote(usd_cents: int, kes_cents: int = 100) -> DepositQuote:
    kes = Money(kes_cents, Currency.KES)
    return DepositQuote(usd=Money(usd_cents, Currency.USD), kes_at_mid=kes, kes_priced=kes, kes_charged=kes)


@pytest.mark.parametrize(("usd", "kes"), [(200, 100), (100_000, 100), (200, 25_000_000)])
def test_the_bounds_are_allowed(usd: int, kes: int) -> None:
    """Inclusive on both sides."""
    LIMITS.check(quote(usd, kes))


@pytest.mark.parametrize("usd", [199, 100_001])
def test_too_few_or_too_many_dollars_are_refused_with_the_bounds(usd: int) -> None:
    """The refusal tells what would be allowed, in cents."""
    with pytest.raises(AmountOutOfRange) as refused:
        LIMITS.check(quote(usd))
    assert {"currency": "USD", "minimum_cents": 200, "maximum_cents": 100_000} == refused.value.details


def test_more_than_mpesa_moves_at_once_is_refused_with_that_bound() -> None:
    """A high rate can make an allowed number of dollars too many shillings."""
    with pytest.raises(AmountOutOfRange) as refused:
        LIMITS.check(quote(100_000, 25_000_001))
    assert {"currency": "KES", "maximum_cents": 25_000_000} == refused.value.details
