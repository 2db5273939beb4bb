"""What may be posted at all: balanced in every currency, nothing negative, something moved."""

from __future__ import annotations

import pytest

from penpay.domain.shared.errors import InvalidAmount, Unbalanced
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.journal import Line, checked, credit, debit, mirrored
from tests.unit.wallet.books import kes, usd


def test_balanced_lines_are_kept_as_they_are() -> None:
    """Order and amounts are the caller's."""
    lines = [debit("a", kes("100")), credit("b", kes("99.99")), credit("c", kes("0.01"))]

    assert tuple(lines) == checked(lines)


def test_lines_of_nothing_are_left_out() -> None:
    """A conversion without a spread has no line for it."""
    lines = [debit("a", kes("1")), credit("spread", kes("0")), debit("rounding", kes("0")), credit("b", kes("1"))]

    assert (lines[0], lines[3]) == checked(lines)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [debit("a", kes("0")), credit("b", kes("0"))],
        [debit("a", kes("1"))],
        [credit("a", kes("1"))],
        [debit("a", kes("1")), debit("b", kes("1"))],
        [debit("a", kes("1")), credit("b", kes("1.01"))],
        [debit("a", kes("1")), credit("b", kes("0.99"))],
        [debit("a", usd("1")), credit("b", kes("1"))],  # equal figures, two currencies
        [debit("a", kes("1")), credit("b", kes("1")), debit("c", usd("1"))],
        [debit("a", kes("2")), credit("b", kes("1")), debit("c", usd("1")), credit("d", usd("2"))],  # sums to zero
    ],
)
def test_each_currency_balances_by_itself(lines: list[Line]) -> None:
    """Debits equal credits in shillings and in dollars, and a journal of nothing is none."""
    with pytest.raises(Unbalanced):
        checked(lines)


@pytest.mark.parametrize("cents", [-1, -100])
def test_a_line_is_never_negative(cents: int) -> None:
    """A negative debit is a credit in disguise."""
    amount = Money(cents, Currency.KES)

    with pytest.raises(InvalidAmount) as refused:
        checked([debit("a", amount), credit("b", amount)])
    assert {"account": "a"} == refused.value.details


def test_a_mirror_swaps_the_sides_and_nothing_else() -> None:
    """What was debited is credited, to the cent; mirrored twice it is the original."""
    lines = (debit("a", kes("5")), credit("b", kes("5")), debit("c", usd("1")), credit("d", usd("1")))

    assert (credit("a", kes("5")), debit("b", kes("5")), credit("c", usd("1")), debit("d", usd("1"))) == mirrored(lines)
    assert lines == mirrored(mirrored(lines))
