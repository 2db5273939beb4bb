"""What holds for every amount, every split and every rate."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from penpay.domain.shared.errors import InvalidAmount
from penpay.domain.shared.locked_rate import DepositQuote, LockedRate, divide_half_even
from penpay.domain.shared.money import MAX_CENTS, Currency, Money
from tests.support.ports import MORNING

KES, USD = Currency.KES, Currency.USD
HALF = Fraction(1, 2)

cents = st.integers(0, MAX_CENTS)
dollars = st.builds(Money, st.integers(1, 10**9), st.just(USD))
shillings = st.builds(Money, st.integers(1, 10**9).map(lambda whole: whole * 100), st.just(KES))
rates = st.builds(
    LockedRate,
    base=st.just(USD),
    quote=st.just(KES),
    mid_e8=st.integers(10**8, 10**12),  # from 1 to 10,000 shillings a dollar
    spread_bps=st.integers(0, 2_000),
    source=st.just("test"),
    locked_at=st.just(MORNING),
    expires_at=st.just(MORNING + timedelta(minutes=5)),
)


def mid(rate: LockedRate) -> Fraction:
    return Fraction(rate.mid_e8, 10**8)


def client(rate: LockedRate) -> Fraction:
    return mid(rate) * Fraction(10_000 + rate.spread_bps, 10_000)


def adds_up(quote: DepositQuote, rate: LockedRate) -> None:
    """What is true of a quote whichever amount was given."""
    assert quote.kes_charged == quote.kes_at_mid + quote.spread + quote.rounding
    assert abs(quote.usd.cents * mid(rate) - quote.kes_at_mid.cents) <= HALF
    assert abs(quote.usd.cents * client(rate) - quote.kes_priced.cents) <= HALF
    assert quote.kes_charged >= quote.kes_priced >= quote.kes_at_mid
    assert quote.kes_charged.is_whole()
    assert quote.usd.cents > 0


@given(cents=cents)
def test_what_is_written_is_read_back(cents: int) -> None:
    """Every amount survives being written and parsed, in every length a provider writes it in."""
    for currency in Currency:
        money = Money(cents, currency)
        plain = money.decimal_text()
        assert money == Money.from_decimal_text(plain, currency)
        assert Decimal(cents) == Decimal(plain) * 100
        if plain.endswith("0"):
            assert money == Money.from_decimal_text(plain[:-1], currency)
        if plain.endswith(".00"):
            assert money == Money.from_decimal_text(plain[:-3], currency)


@given(text=st.text(max_size=30) | st.from_regex(r"[-+]?[0-9]*[.,]?[0-9]*([eE][0-9]+)?", fullmatch=True))
def test_a_text_is_an_exact_amount_or_refused(text: str) -> None:
    """Nothing is rounded, cut off or guessed, and nothing but InvalidAmount is raised."""
    try:
        money = Money.from_decimal_text(text, KES)
    except InvalidAmount:
        return
    assert text.isascii()
    assert Decimal(text) * 100 == money.cents
    assert 0 <= money.cents <= MAX_CENTS


@given(cents=st.integers(-MAX_CENTS, MAX_CENTS), weights=st.lists(st.integers(0, 10**6), min_size=1, max_size=12))
def test_a_split_is_whole_and_fair(cents: int, weights: list[int]) -> None:
    """The shares sum to the amount, each is within a cent of its due, and no weight gets nothing."""
    assume(sum(weights) > 0)
    shares = Money(cents, KES).split(weights)

    assert cents == sum(share.cents for share in shares)
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share.cents - Fraction(cents * weight, sum(weights))) < 1
        assert weight > 0 or share.cents == 0


@given(numerator=st.integers(-(10**30), 10**30), denominator=st.integers(1, 10**15))
def test_half_even_is_the_nearest_and_at_a_tie_even(numerator: int, denominator: int) -> None:
    """Against exact fractions, whose rounding is Python's own."""
    assert round(Fraction(numerator, denominator)) == divide_half_even(numerator, denominator)


@given(rate=rates, usd=dollars)
def test_dollars_given_are_dollars_bought(rate: LockedRate, usd: Money) -> None:
    """U is what was asked for, and T is the price rounded up by less than a shilling."""
    quote = rate.quote_deposit(usd)

    adds_up(quote, rate)
    assert usd == quote.usd
    assert 0 <= quote.rounding.cents < 100


@given(rate=rates, kes=shillings)
def test_shillings_given_are_charged_to_the_shilling(rate: LockedRate, kes: Money) -> None:
    """T is what was given and never another amount, and one cent more of U would not be paid for."""
    try:
        quote = rate.quote_deposit(kes)
    except InvalidAmount:
        assert client(rate) > kes.cents
        return

    adds_up(quote, rate)
    assert kes == quote.kes_charged
    assert quote.usd.cents * client(rate) <= kes.cents < (quote.usd.cents + 1) * client(rate)


@given(rate=rates, kes=shillings)
def test_a_conversion_never_makes_money(rate: LockedRate, kes: Money) -> None:
    """What is bought, priced at mid, is worth no more than what was charged; so is buying it again at that price."""
    assume(kes.cents >= client(rate))
    quote = rate.quote_deposit(kes)

    assert quote.usd.cents * mid(rate) <= quote.kes_charged.cents
    assert quote.spread.cents >= 0
    assert quote.rounding.cents >= 0
    again = rate.quote_deposit(quote.usd)
    assert again.kes_charged <= quote.kes_charged


@given(rate=rates, parts=st.lists(st.integers(1, 10**4), min_size=2, max_size=50))
def test_many_small_deposits_buy_no_more_than_one_large(rate: LockedRate, parts: list[int]) -> None:
    """Cutting a deposit up gains nothing: each part is rounded down."""
    quotes = [rate.quote_deposit(Money(part * 10**6, KES)) for part in parts]
    whole = rate.quote_deposit(Money(sum(parts) * 10**6, KES))

    assert sum(quote.usd.cents for quote in quotes) <= whole.usd.cents
    assert whole.kes_charged.cents == sum(quote.kes_charged.cents for quote in quotes)


@given(rate=rates, kes=st.integers(1, 10**9).filter(lambda cents: cents % 100))
def test_a_fraction_of_a_shilling_is_never_charged(rate: LockedRate, kes: int) -> None:
    """Whatever the rate, cents of a shilling are refused."""
    with pytest.raises(InvalidAmount):
        rate.quote_deposit(Money(kes, KES))
