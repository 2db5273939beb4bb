"""Whether the balances M-Pesa tells with each receipt go on from each other: a jump is a receipt we do not have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise

from penpay.domain.shared.money import Currency, Money


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancePoint:
    """One receipt and the balance of our account right after it."""

    receipt: str
    at: datetime
    amount: Money
    balance: Money

    @property
    def before(self) -> Money:
        return self.balance - self.amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Outflow:
    """Money of ours that is known to have left the account."""

    at: datetime
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Between two receipts that we have, the balance moved by what none of them tells."""

    after: str
    """The receipt before the gap."""
    before: str
    """The receipt after the gap."""
    missing: Money
    """Above zero: came and is not in the books. Below zero: left without our knowing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuity:
    """What following the balances through a span of time has shown."""

    receipts: int
    opening: Money | None
    """Before the first receipt; None without receipts."""
    closing: Money | None
    gaps: tuple[Gap, ...]


def follow(
    points: Iterable[BalancePoint], outflows: Sequence[Outflow] = (), *, preceding: BalancePoint | None = None
) -> Continuity:
    """Follow the balances from receipt to receipt: each must be the one before it plus the amount, less what left.

    Receipts tell whole seconds, so those of one second are put into the order in which they go on from each other,
    where there is one. `preceding` is the last receipt before the span, from which its first must go on.
    """
    ordered = _in_order(points, outflows, preceding)
    gaps = []
    for earlier, later in pairwise(ordered if preceding is None else [preceding, *ordered]):
        missing = later.before - earlier.balance + _left(outflows, earlier.at, later.at)
        if missing.cents != 0:
            gaps.append(Gap(after=earlier.receipt, before=later.receipt, missing=missing))
    return Continuity(
        receipts=len(ordered),
        opening=ordered[0].before if ordered else None,
        closing=ordered[-1].balance if ordered else None,
        gaps=tuple(gaps),
    )


def _left(outflows: Sequence[Outflow], after: datetime, until: datetime) -> Money:
    """What left after one receipt and no later than the next; nothing between two receipts of one second."""
    return sum_of(one.amount for one in outflows if after < one.at <= until)


def sum_of(amounts: Iterable[Money]) -> Money:
    """The sum of shillings; nothing is zero."""
    return sum(amounts, start=Money.zero(Currency.KES))


def _in_order(
    points: Iterable[BalancePoint], outflows: Sequence[Outflow], preceding: BalancePoint | None
) -> list[BalancePoint]:
    ordered: list[BalancePoint] = []
    last = preceding
    by_time = sorted(points, key=lambda point: (point.at, point.balance.cents, point.receipt))
    for at, together in groupby(by_time, key=lambda point: point.at):
        waiting = list(together)
        while waiting:
            chosen = waiting[0]
            if last is not None:
                expected = last.balance - _left(outflows, last.at, at)
                chosen = next((point for point in waiting if point.before == expected), chosen)
            waiting.remove(chosen)
            ordered.append(chosen)
            last = chosen
    return ordered
