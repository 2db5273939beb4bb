"""Following the balances M-Pesa tells: what is missing between two receipts, to the cent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from penpay.domain.collections.continuity import BalancePoint, Gap, Outflow, follow
from penpay.domain.shared.money import Currency, Money

NOON = datetime(2026, 2, 3, 9, 0, tzinfo=UTC)


def kes(shillings: int) -> Money:
    return Money(shillings * 100, Currency.KES)


def point(receipt: str, second: int, amount: int, balance: int) -> BalancePoint:
    return BalancePoint(receipt=receipt, at=NOON + timedelta(seconds=second), amount=kes(amount), balance=kes(balance))


def test_balances_that_go_on_from_each_other_have_no_gap() -> None:
    """1,000 before; 50, 100 and 25 came."""
    seen = follow([point("C", 9, 25, 1_175), point("A", 0, 50, 1_050), point("B", 5, 100, 1_150)])

    assert (3, kes(1_000), kes(1_175), ()) == (seen.receipts, seen.opening, seen.closing, seen.gaps)


def test_a_receipt_that_is_missing_is_named_by_its_neighbours_and_its_amount() -> None:
    """Between A and C the balance rose by 125, of which C tells 25."""
    seen = follow([point("A", 0, 50, 1_050), point("C", 9, 25, 1_175)])

    assert (Gap(after="A", before="C", missing=kes(100)),) == seen.gaps


def test_receipts_of_one_second_are_put_into_the_order_that_goes_on() -> None:
    """Their times cannot tell, and a payout of 500 in the same second puts the higher balance first."""
    seen = follow(
        [point("A", 0, 50, 1_050), point("C", 5, 10, 660), point("B", 5, 100, 1_150)],
        [Outflow(at=NOON + timedelta(seconds=6), amount=kes(0))],
    )

    assert (Gap(after="B", before="C", missing=kes(-500)),) == seen.gaps


def test_money_known_to_have_left_is_no_gap() -> None:
    """A refund of 300 between the two, another after them."""
    left = [Outflow(at=NOON + timedelta(seconds=at), amount=kes(300)) for at in (3, 60)]
    seen = follow([point("A", 0, 50, 1_050), point("B", 5, 100, 850)], left)

    assert () == seen.gaps


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_receipts_have_no_gap(count: int) -> None:
    """Nothing, or one alone."""
    seen = follow([point("A", 0, 50, 1_050)][:count])

    assert (count, ()) == (seen.receipts, seen.gaps)
    assert (None if not count else kes(1_000)) == seen.opening
