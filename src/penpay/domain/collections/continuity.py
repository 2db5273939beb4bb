"""Whether the balances M-Pesa tells with each receipt go on from each other: a jump is a receipt we do not have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from penpay.domain.shared.money import Currency, Money

_MOST_TRIED: Final = 12
"""Outflows of one second of which every choice is tried; it doubles with each."""


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

    M-Pesa tells whole seconds, so receipts of one second, and what left in it, are put into the order in which they go
    on from each other, where there is one. `preceding` is the last receipt before the span, from which its first must
    go on.
    """
    walk = _Walk(preceding, sorted(outflows, key=lambda one: one.at))
    by_time = sorted(points, key=lambda point: (point.at, point.balance.cents, point.receipt))
    for _, together in groupby(by_time, key=lambda point: point.at):
        waiting = list(together)
        while waiting:
            waiting.remove(walk.step(waiting))
    ordered = walk.ordered
    return Continuity(
        receipts=len(ordered),
        opening=ordered[0].before if ordered else None,
        closing=ordered[-1].balance if ordered else None,
        gaps=tuple(walk.gaps),
    )


class _Walk:
    """From receipt to receipt, with what left and has not been met yet."""

    def __init__(self, preceding: BalancePoint | None, outflows: Sequence[Outflow]) -> None:
        self._last: BalancePoint | None = None
        self._left = list(outflows)
        self._unsure: list[Outflow] = []
        """What left in the second of the receipt that the walk began at: before it, or after."""
        self.ordered: list[BalancePoint] = []
        self.gaps: list[Gap] = []
        if preceding is not None:
            self._begin(preceding)

    def step(self, waiting: Sequence[BalancePoint]) -> BalancePoint:
        """Go on to the one of these, all of one second, that goes on from the last; to the first where none does."""
        at, last = waiting[0].at, self._last
        if last is None:
            self._begin(waiting[0])
            self.ordered.append(waiting[0])
            return waiting[0]
        surely = [one for one in self._left if one.at < at]
        now = [one for one in self._left if one.at == at]
        expected = last.balance - sum_of(one.amount for one in surely)
        for point in waiting:
            met = _adding_up([*now, *self._unsure], expected - point.before)
            if met is not None:
                return self._go(point, met)
        point = waiting[0]
        missing = point.before - expected + sum_of(one.amount for one in now)
        self.gaps.append(Gap(after=last.receipt, before=point.receipt, missing=missing))
        return self._go(point, now)

    def _begin(self, point: BalancePoint) -> None:
        """What left before is in its balance."""
        self._last = point
        self._unsure = [one for one in self._left if one.at == point.at]
        self._left = [one for one in self._left if one.at > point.at]

    def _go(self, point: BalancePoint, met: Sequence[Outflow]) -> BalancePoint:
        gone = {id(one) for one in met}
        self._left = [one for one in self._left if one.at >= point.at and id(one) not in gone]
        self._unsure = [one for one in self._unsure if one.at == point.at and id(one) not in gone]
        self._last = point
        self.ordered.append(point)
        return point


def _adding_up(outflows: Sequence[Outflow], wanted: Money) -> list[Outflow] | None:
    """Some of these that add up to the amount, the fewest chosen first; None where none do."""
    sums: dict[int, list[Outflow]] = {0: []}
    for one in outflows[:_MOST_TRIED]:
        for cents, chosen in list(sums.items()):
            sums.setdefault(cents + one.amount.cents, [*chosen, one])
    return sums.get(wanted.cents)


def sum_of(amounts: Iterable[Money]) -> Money:
    """The sum of shillings; nothing is zero."""
    return sum(amounts, start=Money.zero(Currency.KES))
