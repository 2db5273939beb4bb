"""What a deposit costs, as tables with every cent in them.

M is U at the mid rate, P is U at the client's rate, each half-even to cents; T is what the phone is charged.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from penpay.domain.shared.errors import CurrencyMismatch, InvalidAmount
from penpay.domain.shared.locked_rate import DepositQuote, LockedRate, divide_half_even
from penpay.domain.shared.money import Currency, Money
from tests.support.ports import MORNING

KES, USD = Currency.KES, Currency.USD


def rate(mid: str, spread_bps: int) -> LockedRate:
    return LockedRate(
        base=USD,
        quote=KES,
        mid_e8=int(Decimal(mid).scaleb(8)),
        spread_bps=spread_bps,
        source="test",
        locked_at=MORNING,
        expires_at=MORNING + timedelta(minutes=5),
    )


def figures(quote: DepositQuote) -> str:
    """One line of the tables below: U, M, P, T and what is left over."""
    money = (quote.usd, quote.kes_at_mid, quote.kes_priced, quote.kes_charged, quote.spread, quote.rounding)
    assert [USD, KES, KES, KES, KES, KES] == [amount.currency for amount in money]
    return " | ".join(amount.decimal_text() for amount in money)


@pytest.mark.parametrize(
    ("mid", "spread_bps", "usd_cents", "expected"),
    [
        #                               U | M | P | T | P−M | T−P
        ("129.5", 150, 1_000, "10.00 | 1295.00 | 1314.42 | 1315.00 | 19.42 | 0.58"),  # P is 131442.5: to the even
        ("129.5", 150, 1, "0.01 | 1.30 | 1.31 | 2.00 | 0.01 | 0.69"),  # M is 129.5: to the even, up
        ("129.5", 0, 1_000, "10.00 | 1295.00 | 1295.00 | 1295.00 | 0.00 | 0.00"),
        ("129.5", 0, 1, "0.01 | 1.30 | 1.30 | 2.00 | 0.00 | 0.70"),  # 129.5 up to 130
        ("129.5", 0, 3, "0.03 | 3.88 | 3.88 | 4.00 | 0.00 | 0.12"),  # 388.5 down to 388
        ("129.5", 0, 5, "0.05 | 6.48 | 6.48 | 7.00 | 0.00 | 0.52"),  # 647.5 up to 648
        ("129.5", 200, 2_500, "25.00 | 3237.50 | 3302.25 | 3303.00 | 64.75 | 0.75"),
        ("100", 0, 100, "1.00 | 100.00 | 100.00 | 100.00 | 0.00 | 0.00"),
        ("100", 100, 100, "1.00 | 100.00 | 101.00 | 101.00 | 1.00 | 0.00"),
        ("100", 1, 100, "1.00 | 100.00 | 100.01 | 101.00 | 0.01 | 0.99"),  # one cent over is a whole shilling
        ("129.12345678", 175, 123_456, "1234.56 | 159410.65 | 162200.34 | 162201.00 | 2789.69 | 0.66"),
        ("130", 150, 100_000, "1000.00 | 130000.00 | 131950.00 | 131950.00 | 1950.00 | 0.00"),
        ("129.5", 9_999, 1_000, "10.00 | 1295.00 | 2589.87 | 2590.00 | 1294.87 | 0.13"),
        ("128.99999999", 0, 10**10, "100000000.00 | 12899999999.00 | 12899999999.00 | 12899999999.00 | 0.00 | 0.00"),
    ],
)
def test_so_many_dollars_shall_reach_deriv(mid: str, spread_bps: int, usd_cents: int, expected: str) -> None:
    """U is given: the phone pays P, rounded up to a whole shilling."""
    assert expected == figures(rate(mid, spread_bps).quote_deposit(Money(usd_cents, USD)))


@pytest.mark.parametrize(
    ("mid", "spread_bps", "shillings", "expected"),
    [
        #                               U | M | P | T | P−M | T−P
        ("129.5", 150, 1_315, "10.00 | 1295.00 | 1314.42 | 1315.00 | 19.42 | 0.58"),
        ("129.5", 150, 1_314, "9.99 | 1293.70 | 1313.11 | 1314.00 | 19.41 | 0.89"),  # M is 129370.5: to the even
        ("129.5", 150, 2, "0.01 | 1.30 | 1.31 | 2.00 | 0.01 | 0.69"),
        ("129.5", 0, 1_295, "10.00 | 1295.00 | 1295.00 | 1295.00 | 0.00 | 0.00"),
        ("129.5", 0, 1_296, "10.00 | 1295.00 | 1295.00 | 1296.00 | 0.00 | 1.00"),
        ("129.5", 150, 5_000, "38.03 | 4924.88 | 4998.76 | 5000.00 | 73.88 | 1.24"),
        ("129.5", 150, 250_000, "1901.97 | 246305.12 | 249999.69 | 250000.00 | 3694.57 | 0.31"),
        ("100", 0, 1, "0.01 | 1.00 | 1.00 | 1.00 | 0.00 | 0.00"),
        ("100", 100, 101, "1.00 | 100.00 | 101.00 | 101.00 | 1.00 | 0.00"),
        ("100", 100, 100, "0.99 | 99.00 | 99.99 | 100.00 | 0.99 | 0.01"),
        ("129.12345678", 175, 1_234, "9.39 | 1212.47 | 1233.69 | 1234.00 | 21.22 | 0.31"),
    ],
)
def test_so_many_shillings_shall_be_charged(mid: str, spread_bps: int, shillings: int, expected: str) -> None:
    """T is given and is charged exactly: it buys the largest U it pays for."""
    assert expected == figures(rate(mid, spread_bps).quote_deposit(Money(shillings * 100, KES)))


@pytest.mark.parametrize("amount", [Money(0, USD), Money(-1, USD), Money(0, KES), Money(-100, KES)])
def test_nothing_is_not_deposited(amount: Money) -> None:
    """Zero and less have no price."""
    with pytest.raises(InvalidAmount):
        rate("129.5", 150).quote_deposit(amount)


@pytest.mark.parametrize("cents", [1, 99, 101, 131_450])
def test_shillings_with_cents_cannot_be_charged(cents: int) -> None:
    """M-Pesa would refuse them, so we do before anybody is asked for a PIN."""
    with pytest.raises(InvalidAmount, match="whole shillings"):
        rate("129.5", 150).quote_deposit(Money(cents, KES))


@pytest.mark.parametrize(("mid", "spread_bps"), [("129.5", 150), ("100", 1), ("100.00000001", 0)])
def test_one_shilling_that_buys_no_cent_is_refused(mid: str, spread_bps: int) -> None:
    """Nobody is charged for nothing."""
    with pytest.raises(InvalidAmount):
        rate(mid, spread_bps).quote_deposit(Money(100, KES))


def test_a_price_too_large_to_hold_is_refused() -> None:
    """The bound on amounts holds for what is computed too."""
    with pytest.raises(InvalidAmount):
        rate("129.5", 150).quote_deposit(Money(10**15, USD))


def test_a_rate_is_between_two_currencies() -> None:
    """Dollars have no price in dollars."""
    with pytest.raises(CurrencyMismatch):
        replace(rate("129.5", 150), quote=USD)


@pytest.mark.parametrize("change", [{"mid_e8": 0}, {"mid_e8": -1}, {"spread_bps": -1}, {"spread_bps": 10_000}])
def test_a_rate_is_above_zero_and_its_spread_in_our_favour(change: dict[str, Any]) -> None:
    """A mid of nothing, or a spread that pays the customer, is no rate."""
    with pytest.raises(InvalidAmount):
        replace(rate("129.5", 150), **change)


def test_a_rate_ends_at_its_last_moment() -> None:
    """Valid a microsecond before, expired on the dot."""
    locked = rate("129.5", 150)

    assert not locked.is_expired(locked.expires_at - timedelta(microseconds=1))
    assert locked.is_expired(locked.expires_at)


def test_rates_are_shown_exactly() -> None:
    """A customer can check the price with a pocket calculator."""
    assert (Decimal("129.5"), Decimal("131.4425")) == (rate("129.5", 150).mid, rate("129.5", 150).deposit_rate)
    assert Decimal("131.3831172736500000") == rate("129.12345678", 175).deposit_rate


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"),
    [
        *((0, 1, 0), (7, 7, 1), (1, 3, 0), (2, 3, 1), (10, 4, 2), (14, 4, 4)),
        *((1, 2, 0), (3, 2, 2), (5, 2, 2), (7, 2, 4)),  # ties go to the even one
        *((-1, 2, 0), (-3, 2, -2), (-5, 2, -2), (-1, 3, 0), (-2, 3, -1)),
        (10**30 + 1, 2, 5 * 10**29),  # far beyond what a float could tell apart
        (10**30 + 3, 2, 5 * 10**29 + 2),
    ],
)
def test_the_nearest_integer_and_at_a_tie_the_even_one(numerator: int, denominator: int, quotient: int) -> None:
    """Neither side gains over many roundings, and no size of number is approximated."""
    assert quotient == divide_half_even(numerator, denominator)
