"""The balance sheet: what there is, what is owed, and what remains to the owner, with the result of a period apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from penpay.application.wallet.reports import AccountRow
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Currency
from penpay.domain.wallet.account import AccountType


@dataclass(frozen=True, slots=True)
class CurrencySheet:
    """One currency of a balance sheet; currencies are never added up. Each row is on its normal side."""

    currency: Currency
    assets: Sequence[AccountRow]
    liabilities: Sequence[AccountRow]
    equity: Sequence[AccountRow]
    """What the owner put in and took out."""
    earlier_cents: int
    """Revenue less expenses of all that came before the period."""
    result_cents: int
    """Revenue less expenses of the period; below zero for a loss."""

    @property
    def asset_cents(self) -> int:
        return _sum(self.assets)

    @property
    def liability_cents(self) -> int:
        return _sum(self.liabilities)

    @property
    def equity_cents(self) -> int:
        """All that remains to the owner, the results too."""
        return _sum(self.equity) + self.earlier_cents + self.result_cents

    @property
    def is_balanced(self) -> bool:
        return self.asset_cents == self.liability_cents + self.equity_cents


@dataclass(frozen=True, slots=True)
class BalanceSheet:
    """All currencies, as a day left them; the period of the result ends with that day."""

    first: date
    """The first day of the period."""
    as_of: date
    currencies: Sequence[CurrencySheet]

    @property
    def is_balanced(self) -> bool:
        return all(one.is_balanced for one in self.currencies)


class TrialBalances(Protocol):
    """What a balance sheet is made from."""

    async def trial_balance(self, day: date | None) -> Sequence[AccountRow]:
        """Every account by code as it was at the end of a day."""
        ...


async def balance_sheet(ledger: TrialBalances, as_of: date, first: date | None = None) -> BalanceSheet:
    """The balance sheet as a day left it. The period of the result begins with the year unless `first` says otherwise.

    Raises InvalidRequest when the first day of the period lies after the last.
    """
    begin = first or as_of.replace(month=1, day=1)
    if begin > as_of:
        reason = "must not lie after the day it is about"
        raise InvalidRequest(f"The first day {reason}.", fields=["from"], reasons={"from": reason})
    earlier = await ledger.trial_balance(begin - timedelta(days=1))
    return sheet_of(begin, as_of, earlier, await ledger.trial_balance(as_of))


def sheet_of(first: date, as_of: date, earlier: Sequence[AccountRow], now: Sequence[AccountRow]) -> BalanceSheet:
    """The balance sheet of two trial balances: before the period, and at its end."""
    currencies = sorted({row.balance.currency for row in now})
    return BalanceSheet(first, as_of, [_of_currency(one, earlier, now) for one in currencies])


def _of_currency(currency: Currency, earlier: Sequence[AccountRow], now: Sequence[AccountRow]) -> CurrencySheet:
    own = [row for row in now if row.balance.currency is currency]
    before = _result([row for row in earlier if row.balance.currency is currency])
    return CurrencySheet(
        currency=currency,
        assets=_of_type(own, AccountType.ASSET),
        liabilities=_of_type(own, AccountType.LIABILITY),
        equity=_of_type(own, AccountType.EQUITY),
        earlier_cents=before,
        result_cents=_result(own) - before,
    )


def _of_type(rows: Sequence[AccountRow], type_: AccountType) -> list[AccountRow]:
    return [row for row in rows if row.type is type_]


def _result(rows: Sequence[AccountRow]) -> int:
    return _sum(_of_type(rows, AccountType.REVENUE)) - _sum(_of_type(rows, AccountType.EXPENSE))


def _sum(rows: Sequence[AccountRow]) -> int:
    return sum(row.balance.cents for row in rows)
