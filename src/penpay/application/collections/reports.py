"""The reports of Collections: who owes what for how long, what was collected day by day, and whether the books hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from penpay.application.collections.statements import Ageing
from penpay.domain.shared.money import Money


@dataclass(frozen=True, slots=True)
class CustomerAgeing:
    """One customer with open invoices or unapplied credit."""

    customer_number: str
    ageing: Ageing


@dataclass(frozen=True, slots=True)
class AgeingPage:
    """Some customers by number, and the sums over all customers."""

    customers: Sequence[CustomerAgeing]
    next: str | None
    """Where the following page begins (`after`); None on the last one."""
    total: Ageing


@dataclass(frozen=True, slots=True)
class DailyCollection:
    """The payments of one day in Nairobi, by the moment they were paid; reversed ones apart."""

    day: date
    count: int
    total: Money
    by_source: Mapping[str, Money]
    """What arrived each way: C2B, STK, PULL, STATEMENT; ways on which nothing came are left out."""
    allocated: Money
    suspense: Money
    """Of the total, what nobody has been found for yet."""
    reversed_count: int
    reversed: Money
    """Not in the total."""


@dataclass(frozen=True, slots=True)
class BookError:
    """One thing that must hold and does not."""

    check: str
    account: str
    """The ledger account, or the table of Collections, whose figure is not what it should be."""
    subject: str
    """The customer, invoice, payment, sale or account concerned, by its number."""
    journal: str
    """The journal concerned; "" where it is no single one."""
    detail: str
    difference: Money
    """What is, less what should be; zero where that is not known."""


class CollectionsReports(Protocol):
    """Reports over all customers, each as of one moment."""

    async def ageing(self, limit: int, after: str | None) -> AgeingPage:
        """Up to `limit` customers who owe or are owed, by number, those after the number given; and all together."""
        ...

    async def daily(self, first: date, last: date) -> Sequence[DailyCollection]:
        """Each day on which something was paid, both days included.

        Raises InvalidRequest for a last day before the first, and for more than 366 days.
        """
        ...

    async def verify(self) -> Sequence[BookError]:
        """Everything that does not hold, customer by customer and in total, and messages that wait to be applied.

        Empty when the books are right.
        """
        ...
