"""Amounts: what is read, what is refused, and that no cent is made or lost."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest

from penpay.domain.shared.errors import CurrencyMismatch, InvalidAmount, UnknownCurrency
from penpay.domain.shared.money import MAX_CENTS, Currency, Money

KES, USD = Currency.KES, Currency.USD


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("0", 0),
        ("0.01", 1),
        ("0.1", 10),
        ("0.10", 10),
        ("1", 100),
        ("1.05", 105),
        ("5000", 500_000),
        ("5000.0", 500_000),
        ("5000.00", 500_000),
        ("5000.5", 500_050),
        ("249999.99", 24_999_999),
        ("10000000000000", MAX_CENTS),
        ("10000000000000.00", MAX_CENTS),
    ],
)
def test_a_plain_decimal_is_read_to_the_cent(text: str, cents: int) -> None:
    """Providers write one amount in several ways; each is the same number of cents."""
    assert Money(cents, KES) == Money.from_decimal_text(text, KES)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ".", "1.", ".5", "1..0", "1.2.3"),
        *("-1", "+1", "-0", "- 1", "0-1"),
        *("1e3", "1E3", "1e-2", "0x10", "1_000", "NaN", "Infinity", "-Infinity"),
        *("1,000", "1 000", "1'000", "1,00", "KES 100", "100/-"),
        *(" 100 ", " 100", "100 ", "100\n", "\t100", "100\x00"),
        *("0.001", "10.005", "100.000", "1.0000000000000001"),
        *("00", "007", "01.00"),
        "\uff11\uff10\uff10",  # full-width 100
        "\u0661\u0660\u0660",  # Arabic-Indic 100
        "1\u200b00",  # a blank nobody sees
        "10000000000000.01",
        "999999999999999",
        "9007199254740993",  # 2**53 + 1
        "9" * 400,
    ],
)
def test_whatever_else_is_written_is_refused(text: str) -> None:
    """Nothing is guessed: a sign, an exponent, a separator, a third decimal or another script is no amount."""
    with pytest.raises(InvalidAmount):
        Money.from_decimal_text(text, KES)


@pytest.mark.parametrize("cents", [1.0, 100.5, "100", True, None])
def test_only_an_integer_is_a_number_of_cents(cents: Any) -> None:
    """A fraction, a text or a truth value never becomes money."""
    with pytest.raises(InvalidAmount):
        Money(cents, KES)


@pytest.mark.parametrize("cents", [MAX_CENTS, -MAX_CENTS])
def test_the_largest_amount_is_still_one(cents: int) -> None:
    """Ten trillion is inside the bound, on either side of zero."""
    assert cents == Money(cents, KES).cents


@pytest.mark.parametrize("cents", [MAX_CENTS + 1, -MAX_CENTS - 1, 2**63, 10**30])
def test_an_amount_beyond_the_bound_is_refused(cents: int) -> None:
    """What could overflow a column never comes into being, by parsing or by adding."""
    with pytest.raises(InvalidAmount):
        Money(cents, KES)
    with pytest.raises(InvalidAmount):
        Money(MAX_CENTS, KES) + Money(1, KES)


@pytest.mark.parametrize(
    ("cents", "weights", "shares"),
    [
        (100, [1], [100]),
        (100, [1, 1], [50, 50]),
        (101, [1, 1], [51, 50]),
        (100, [1, 1, 1], [34, 33, 33]),
        (200, [1, 1, 1], [67, 67, 66]),
        (1, [1, 1, 1], [1, 0, 0]),
        (0, [1, 2], [0, 0]),
        (1000, [16, 84], [160, 840]),
        (1001, [16, 84], [160, 841]),
        (999, [0, 1, 0], [0, 999, 0]),
        (10, [3, 3, 1], [4, 4, 2]),
        (-101, [1, 1], [-50, -51]),
        (MAX_CENTS, [1, 2], [333_333_333_333_333, 666_666_666_666_667]),
    ],
)
def test_a_split_gives_every_cent_to_somebody(cents: int, weights: list[int], shares: list[int]) -> None:
    """Spare cents go to the largest remainders, earlier shares first, and the sum is the whole."""
    found = Money(cents, USD).split(weights)

    assert [Money(share, USD) for share in shares] == list(found)
    assert cents == sum(share.cents for share in found)


@pytest.mark.parametrize("weights", [[], [0], [0, 0], [-1], [2, -1], [3, -1, 1]])
def test_a_split_needs_somebody_to_give_to(weights: list[int]) -> None:
    """No weights, only zeros, or a negative one: nobody can be paid by these."""
    with pytest.raises(InvalidAmount):
        Money(100, KES).split(weights)


def test_sums_and_differences_are_exact() -> None:
    """Ten cents and twenty cents are thirty cents."""
    assert Money(30, KES) == Money(10, KES) + Money(20, KES)
    assert Money(-10, KES) == Money(10, KES) - Money(20, KES)
    assert Money(-10, KES) == -Money(10, KES)


def test_amounts_of_one_currency_are_ordered() -> None:
    """All four comparisons, on both sides of equality."""
    less, more = Money(1, KES), Money(2, KES)

    assert (True, True, False, False) == (less < more, less <= more, less > more, less >= more)
    assert (False, False, True, True) == (more < less, more <= less, more > less, more >= less)
    assert (False, True, False, True) == (less < less, less <= less, less > less, less >= less)  # noqa: PLR0124 -- equality is the point


@pytest.mark.parametrize(
    "combine",
    [operator.add, operator.sub, operator.lt, operator.le, operator.gt, operator.ge],
    ids=lambda f: f.__name__,
)
def test_currencies_never_mix(combine: Callable[[Money, Money], object]) -> None:
    """A hundred shillings and a hundred dollars have no sum, no difference and no order."""
    with pytest.raises(CurrencyMismatch):
        combine(Money(100, KES), Money(100, USD))


def test_amounts_of_two_currencies_are_simply_not_equal() -> None:
    """Looking an amount up in a list must not raise."""
    assert Money(100, KES) != Money(100, USD)


@pytest.mark.parametrize("operation", [operator.truediv, operator.floordiv, operator.mul, operator.mod])
def test_money_is_neither_divided_nor_multiplied(operation: Callable[[Any, Any], object]) -> None:
    """Only `split` divides, because only it says where the spare cent goes."""
    with pytest.raises(TypeError):
        operation(Money(100, KES), 3)


@pytest.mark.parametrize("cents", [0, -1])
def test_what_moves_is_above_zero(cents: int) -> None:
    """Zero and less are differences, not payments."""
    with pytest.raises(InvalidAmount):
        Money(cents, KES).require_positive()
    assert Money(1, KES) == Money(1, KES).require_positive()


def test_whole_shillings_are_told_apart_and_never_cut_off() -> None:
    """M-Pesa takes whole shillings; cents are refused, not dropped."""
    assert (True, 5000) == (Money(500_000, KES).is_whole(), Money(500_000, KES).whole_units())
    assert not Money(500_001, KES).is_whole()
    with pytest.raises(InvalidAmount):
        Money(500_001, KES).whole_units()


@pytest.mark.parametrize(
    ("money", "plain", "shown"),
    [
        (Money(0, KES), "0.00", "KES 0.00"),
        (Money(5, USD), "0.05", "USD 0.05"),
        (Money(-5, USD), "-0.05", "USD -0.05"),
        (Money(-1005, KES), "-10.05", "KES -10.05"),
        (Money(123_456_789, KES), "1234567.89", "KES 1,234,567.89"),
    ],
)
def test_an_amount_is_written_exactly(money: Money, plain: str, shown: str) -> None:
    """Plainly for machines, grouped for people."""
    assert plain == money.decimal_text()
    assert shown == str(money)


def test_a_currency_is_known_by_its_exact_code() -> None:
    """KES and USD, as ISO writes them."""
    assert (KES, USD) == (Currency.parse("KES"), Currency.parse("USD"))


@pytest.mark.parametrize("code", ["", "kes", "KES ", "Ksh", "EUR", "US$", "KESUSD" * 50])
def test_another_currency_is_refused_and_quoted_briefly(code: str) -> None:
    """The refusal repeats no more than eight characters of what a stranger sent."""
    with pytest.raises(UnknownCurrency) as refused:
        Currency.parse(code)
    assert code[:8] == refused.value.details["currency"]
