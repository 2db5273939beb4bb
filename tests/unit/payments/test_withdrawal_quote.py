"""What a withdrawal brings, figure by figure, and what may be withdrawn."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penpay.domain.payments.limits import WithdrawalLimits
from penpay.domain.shared.errors import AmountOutOfRange, CurrencyMismatch, InvalidAmount
from penpay.domain.shared.locked_rate import BASIS_POINTS, RATE_SCALE, LockedRate
from penpay.domain.shared.money import Currency, Money
from tests.support.ports import MORNING

LIMITS = WithdrawalLimits(
    smallest=Money(500, Currency.USD),
    largest=Money(100_000, Currency.USD),
    smallest_payout=Money(1_000, Currency.KES),
    largest_payout=Money(25_000_000, Currency.KES),
)


def rate(mid_e8: int = 12_950_000_000, spread_bps: int = 200) -> LockedRate:
    return LockedRate(
        base=Currency.USD,
        quote=Currency.KES,
        mid_e8=mid_e8,
        spread_bps=spread_bps,
        source="test",
        locked_at=MORNING,
        expires_at=MORNING + timedelta(minutes=15),
    )


@pytest.mark.parametrize(
    ("asked", "u", "m", "p", "t"),
    [
        # asked      U      M          P          T
        ("USD 1000", 1_000, 129_500, 126_910, 126_900),
        ("USD 500", 500, 64_750, 63_455, 63_400),
        ("USD 1", 1, 130, 127, 100),
        ("KES 126900", 1_000, 129_500, 126_910, 126_900),
        ("KES 126901", None, None, None, None),
        ("KES 100", 1, 130, 127, 100),
    ],
)
def test_each_figure_of_a_quote(asked: str, u: int | None, m: int | None, p: int | None, t: int | None) -> None:
    """U × mid and U × (mid less 2 %) are rounded to cents, and whole shillings down are paid."""
    currency, cents = asked.split()
    amount = Money(int(cents), Currency(currency))
    if u is None:
        with pytest.raises(InvalidAmount):
            rate().quote_withdrawal(amount)
        return
    quote = rate().quote_withdrawal(amount)

    assert (u, m, p, t) == (quote.usd.cents, quote.kes_at_mid.cents, quote.kes_priced.cents, quote.kes_paid.cents)


@given(
    cents=st.integers(500, 10**7),
    mid_e8=st.integers(10**9, 10**12),
    spread_bps=st.integers(0, 2_000),
)
def test_nobody_is_paid_more_than_it_is_worth(cents: int, mid_e8: int, spread_bps: int) -> None:
    """T ≤ P ≤ M, T is whole, and what is kept for whole shillings is less than one of them."""
    quote = rate(mid_e8, spread_bps).quote_withdrawal(Money(cents, Currency.USD))

    assert quote.kes_paid <= quote.kes_priced <= quote.kes_at_mid
    assert quote.kes_paid.is_whole()
    assert 0 <= quote.rounding.cents < 100
    assert quote.kes == quote.kes_paid


@given(shillings=st.integers(1, 10**6), mid_e8=st.integers(10**9, 10**12), spread_bps=st.integers(0, 2_000))
def test_shillings_asked_for_cost_the_fewest_cents_that_are_worth_them(
    shillings: int, mid_e8: int, spread_bps: int
) -> None:
    """One cent less would not be worth it; the shillings are paid exactly."""
    quote = rate(mid_e8, spread_bps).quote_withdrawal(Money(shillings * 100, Currency.KES))
    client, one = mid_e8 * (BASIS_POINTS - spread_bps), RATE_SCALE * BASIS_POINTS

    assert shillings * 100 == quote.kes_paid.cents
    assert quote.usd.cents * client >= quote.kes_paid.cents * one
    assert (quote.usd.cents - 1) * client < quote.kes_paid.cents * one


def test_another_currency_has_no_price() -> None:
    """A rate prices its own pair only."""
    backwards = LockedRate(
        base=Currency.KES, quote=Currency.USD, mid_e8=1, spread_bps=0, source="t", locked_at=MORNING, expires_at=MORNING
    )
    with pytest.raises((CurrencyMismatch, InvalidAmount)):
        backwards.quote_withdrawal(Money(1, Currency.KES))


@pytest.mark.parametrize(("cents", "fits"), [(499, False), (500, True), (100_000, True), (100_001, False)])
def test_the_limits_are_inclusive(cents: int, *, fits: bool) -> None:
    """USD 5.00 and USD 1,000.00 may be withdrawn, a cent beyond may not."""
    quote = rate().quote_withdrawal(Money(cents, Currency.USD))
    if fits:
        LIMITS.check(quote)
        return
    with pytest.raises(AmountOutOfRange):
        LIMITS.check(quote)


def test_m_pesa_s_own_limits_count_too() -> None:
    """USD 1,000.00 at a rate of 300 would be more than M-Pesa pays at once."""
    with pytest.raises(AmountOutOfRange):
        LIMITS.check(rate(mid_e8=30_000_000_000).quote_withdrawal(Money(100_000, Currency.USD)))
