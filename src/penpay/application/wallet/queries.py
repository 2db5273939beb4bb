"""Reading the ledger: balances now and then, the trial balance, and whether the books are sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import AccountType


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """What an account holds, positive on its normal side."""

    code: str
    balance: Money


@dataclass(frozen=True, slots=True)
class TrialBalanceRow:
    """One account of the trial balance; the balance stands on one side, zero on the other."""

    code: str
    name: str
    type: AccountType
    currency: Currency
    debit_cents: int
    credit_cents: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing in the books that must not be. `difference_cents` is what is, less what should be, where that fits."""

    check: str
    subject: str
    """The journal, account code or transaction concerned."""
    detail: str
    difference_cents: int
    currency: str


class LedgerBooks(Protocol):
    """Questions about the ledger."""

    async def trial_balance(self, as_of: datetime | None = None) -> Sequence[TrialBalanceRow]:
        """Every account with its balance, by code: as it is, or as it was after all that was recorded up to a moment.

        Accounts opened later are left out. Per currency the two sides are equal, at any moment.
        """
        ...

    async def balances(self, owner_id: UUID, as_of: datetime | None = None) -> Sequence[AccountBalance]:
        """The owner's accounts by code: as they are, or as they were after all that was recorded up to a moment."""
        ...

    async def balance(self, code: str, as_of: datetime | None = None) -> AccountBalance | None:
        """One account, likewise; None when it was never opened."""
        ...

    async def verify(self) -> Sequence[Finding]:
        """Everything wrong with the books, by check and subject, as of one moment; empty when they are sound."""
        ...
