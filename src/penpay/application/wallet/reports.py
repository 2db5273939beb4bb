"""The reports of the whole ledger: its entries, the balances of its accounts, the trial balance and profit and loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from penpay.domain.shared.ids import JournalId
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import AccountType, LedgerSide


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One entry, with the journal it belongs to and what it left on its account."""

    journal_id: JournalId
    kind: str
    reference: str
    account_code: str
    account_name: str
    account_sequence: int
    side: LedgerSide
    amount: Money
    balance: Money
    """Positive on the account's normal side."""
    happened_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """Some entries, newest journal first; the entries of one journal stand together."""

    rows: Sequence[LedgerRow]
    next: str | None
    """Where the following, older page begins (`before`); None on the last one."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account, or all accounts of one family together (`wallet:*:KES`), with its balance on its normal side."""

    code: str
    name: str
    type: AccountType
    balance: Money

    @property
    def debit_cents(self) -> int:
        """What stands on the debit side of a trial balance."""
        return max(self._signed, 0)

    @property
    def credit_cents(self) -> int:
        """What stands on the credit side of a trial balance."""
        return max(-self._signed, 0)

    @property
    def _signed(self) -> int:
        return self.balance.cents if self.type.normal_side is LedgerSide.DEBIT else -self.balance.cents


@dataclass(frozen=True, slots=True)
class ProfitAndLoss:
    """What came in and what it cost over some days, both of them included."""

    first: date
    last: date
    revenue: Sequence[AccountRow]
    expenses: Sequence[AccountRow]

    @property
    def revenue_cents(self) -> int:
        return sum(row.balance.cents for row in self.revenue)

    @property
    def expense_cents(self) -> int:
        return sum(row.balance.cents for row in self.expenses)

    @property
    def profit_cents(self) -> int:
        """Negative for a loss."""
        return self.revenue_cents - self.expense_cents


class LedgerReports(Protocol):
    """Reports over the ledger. A day is one in Nairobi, and means all that was recorded until it ended."""

    async def entries(self, account_code: str | None, limit: int, before: str | None) -> LedgerPage:
        """The newest entries: of one account, up to `limit`; or of all, those of up to `limit` journals.

        `before` is `next` of the page before. Raises AccountNotFound for a code that is not in the chart, and
        InvalidRequest for a `before` that no page gave.
        """
        ...

    async def balances(self, account_code: str | None) -> Sequence[AccountRow]:
        """Every account by code, or the one asked for, which may hold nothing yet. Raises AccountNotFound as above."""
        ...

    async def trial_balance(self, day: date | None) -> Sequence[AccountRow]:
        """Every account by code, as it is now or as it was at the end of a day; the two sides agree per currency."""
        ...

    async def profit_and_loss(self, currency: Currency, first: date, last: date) -> ProfitAndLoss:
        """What revenue and expense accounts have grown by between two days, both included.

        Raises InvalidRequest when the last day lies before the first.
        """
        ...
