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


def left(second: int, amount: int) -> Outflow:
    return Outflow(at=NOON + timedelta(seconds=second), amount=kes(amount))


def test_what_left_in_the_second_of_a_receipt_left_before_it_or_after_it() -> None:
    """M-Pesa takes its charge in the second of the payment, after it; a payout of that second was before it."""
    points = [point("A", 0, 50, 1_050), point("B", 5, 100, 850), point("C", 9, 25, 845)]

    assert () == follow(points, [left(5, 300), left(5, 30)]).gaps


def test_a_known_outflow_that_the_balance_does_not_show_is_a_gap() -> None:
    """30 are said to have left between two receipts that go on from each other: 30 must have come beside."""
    points = [point("A", 0, 50, 1_050), point("B", 5, 100, 1_150), point("C", 9, 25, 1_175)]

    assert (Gap(after="B", before="C", missing=kes(30)),) == follow(points, [left(7, 30)]).gaps
    assert (Gap(after="B", before="C", missing=kes(30)),) == follow(points, [left(5, 30)]).gaps


def test_what_left_in_the_second_in_which_the_span_begins_may_be_in_its_balance() -> None:
    """The day before ended with a receipt and a charge of one second: nobody can tell which was first."""
    preceding = point("A", 0, 50, 1_050)

    assert () == follow([point("B", 5, 100, 1_150)], [left(0, 20)], preceding=preceding).gaps
    assert () == follow([point("B", 5, 100, 1_130)], [left(0, 20)], preceding=preceding).gaps
