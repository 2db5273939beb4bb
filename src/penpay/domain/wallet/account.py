"""Ledger accounts: what each holds, which side increases it, and the chart that says which may exist.

Mirrors of accounts kept elsewhere (M-Pesa, Deriv, a bank) may go negative, because what happened there must always
be bookable here and a difference must show. What belongs to a customer never may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from penpay.domain.shared.errors import AccountNotFound, CurrencyMismatch, Overdrawn
from penpay.domain.shared.ids import LedgerAccountId
from penpay.domain.shared.money import Currency, Money


class LedgerSide(StrEnum):
    DEBIT = "DEBIT"
    CREDIT = "CREDIT"

    @property
    def opposite(self) -> LedgerSide:
        return LedgerSide.CREDIT if self is LedgerSide.DEBIT else LedgerSide.DEBIT


class AccountType(StrEnum):
    ASSET = "ASSET"
    LIABILITY = "LIABILITY"
    EQUITY = "EQUITY"
    REVENUE = "REVENUE"
    EXPENSE = "EXPENSE"

    @property
    def normal_side(self) -> LedgerSide:
        """The side on which this type of account grows."""
        return _DEBIT if self is _ASSET or self is _EXPENSE else _CREDIT


# Looked up through its class, a member of an enumeration costs as much as a call.
_DEBIT, _CREDIT = LedgerSide.DEBIT, LedgerSide.CREDIT
_ASSET, _LIABILITY, _EXPENSE = AccountType.ASSET, AccountType.LIABILITY, AccountType.EXPENSE
_KES, _USD = Currency.KES, Currency.USD


class LedgerAccount(NamedTuple):
    """One account. `balance_cents` is positive on the normal side; `version` is the number of entries posted so far."""

    id: LedgerAccountId
    code: str
    name: str
    type: AccountType
    currency: Currency
    owner_id: UUID | None
    may_go_negative: bool
    balance_cents: int
    version: int
    last_recorded_at: datetime
    """`recorded_at` of the newest entry (of the opening, before the first); it never decreases."""

    @property
    def balance(self) -> Money:
        return Money(self.balance_cents, self.currency)

    def posted(self, side: LedgerSide, amount: Money, recorded_at: datetime) -> LedgerAccount:
        """The account after one more entry. Raises Overdrawn when it would fall below zero and must not."""
        if amount.currency is not self.currency:
            raise CurrencyMismatch(account=self.code)
        grows = side is self.type.normal_side
        balance = self.balance_cents + (amount.cents if grows else -amount.cents)
        if balance < 0 and not grows and not self.may_go_negative:
            raise Overdrawn(account=self.code)
        return LedgerAccount(  # spelt out: `_replace` takes three times as long, and this is the hottest line there is
            self.id,
            self.code,
            self.name,
            self.type,
            self.currency,
            self.owner_id,
            self.may_go_negative,
            balance,
            self.version + 1,
            recorded_at,
        )


@dataclass(frozen=True, slots=True)
class ChartLine:
    """What the chart says of one account, or of a family of accounts that share a prefix."""

    name: str
    type: AccountType
    currency: Currency
    may_go_negative: bool = False


CHART: Final[Mapping[str, ChartLine]] = {
    "mpesa:collection": ChartLine("M-Pesa collection account", _ASSET, _KES, may_go_negative=True),
    "mpesa:utility": ChartLine("M-Pesa utility account", _ASSET, _KES, may_go_negative=True),
    "mpesa:payout_in_flight": ChartLine("M-Pesa payouts in flight", _LIABILITY, _KES),
    "mpesa:charges_paid": ChartLine("M-Pesa charges not taken yet", _ASSET, _KES, may_go_negative=True),
    "deriv:agent": ChartLine("Deriv payment-agent account", _ASSET, _USD, may_go_negative=True),
    "deriv:in_flight": ChartLine("Deriv transfers in flight", _LIABILITY, _USD),
    "fx:KES": ChartLine("Exchange position in KES", _ASSET, _KES, may_go_negative=True),
    "fx:USD": ChartLine("Exchange position in USD", _ASSET, _USD, may_go_negative=True),
    "revenue:fx_spread": ChartLine("Exchange margin", AccountType.REVENUE, _KES),
    "revenue:rounding": ChartLine("Rounding to whole shillings", AccountType.REVENUE, _KES),
    "suspense:KES": ChartLine("Suspense, KES", _LIABILITY, _KES),
    "suspense:USD": ChartLine("Suspense, USD", _LIABILITY, _USD),
    "expense:mpesa_charges": ChartLine("Fees of M-Pesa payouts", AccountType.EXPENSE, _KES),
    "receivable:recovery:KES": ChartLine("Paid twice, to be recovered, KES", _ASSET, _KES),
    "equity:owner:KES": ChartLine("Owner's equity, KES", AccountType.EQUITY, _KES),
    "equity:owner:USD": ChartLine("Owner's equity, USD", AccountType.EQUITY, _USD),
    "trust:unevidenced": ChartLine("Float issued, bank deposit not yet matched", _ASSET, _KES),
    "trust:bank": ChartLine("Customers' money at the trust bank", _ASSET, _KES, may_go_negative=True),
    "operator:bank": ChartLine("Earnings swept to the operator's own bank", _ASSET, _KES),
    "revenue:mobile_money_fees": ChartLine("Fees of mobile money, without excise", AccountType.REVENUE, _KES),
    "excise:payable": ChartLine("Excise owed to the tax authority", _LIABILITY, _KES),
    "expense:agent_commission": ChartLine("Commission of agents", AccountType.EXPENSE, _KES),
    "charges:unsettled": ChartLine("Charges of merchants, not settled yet", _LIABILITY, _KES),
    "1000": ChartLine("Cash", _ASSET, _KES, may_go_negative=True),
    "1005": ChartLine("Cash drawers", _ASSET, _KES, may_go_negative=True),
    "1010": ChartLine("M-Pesa Cash", _ASSET, _KES, may_go_negative=True),
    "1020": ChartLine("Bank", _ASSET, _KES, may_go_negative=True),
    "1200": ChartLine("Accounts Receivable", _ASSET, _KES),
    "1250": ChartLine("Recoveries", _ASSET, _KES),
    "1260": ChartLine("Outflows not explained yet", _ASSET, _KES),
    "1300": ChartLine("Inventory", _ASSET, _KES, may_go_negative=True),
    "2100": ChartLine("Customer Credit", _LIABILITY, _KES),
    "2200": ChartLine("VAT Payable", _LIABILITY, _KES),
    "2300": ChartLine("Suspense of Collections", _LIABILITY, _KES),
    "2350": ChartLine("Part payments of sales", _LIABILITY, _KES),
    "2400": ChartLine("Refunds in flight", _LIABILITY, _KES),
    "3100": ChartLine("Owner's Drawings", AccountType.EQUITY, _KES, may_go_negative=True),
    "4000": ChartLine("Sales Revenue", AccountType.REVENUE, _KES),
    "5000": ChartLine("Cost of Goods Sold", _EXPENSE, _KES),
    "5100": ChartLine("M-Pesa Charges", _EXPENSE, _KES),
    "5200": ChartLine("Cash over and short", _EXPENSE, _KES, may_go_negative=True),
    "5300": ChartLine("Other Expenses", _EXPENSE, _KES),
}
"""Accounts there is one of."""

FAMILIES: Final[Mapping[str, Mapping[str, ChartLine]]] = {
    "wallet": {
        "KES": ChartLine("Customer wallet, KES", _LIABILITY, _KES),
        "USD": ChartLine("Customer wallet, USD", _LIABILITY, _USD),
    },
    "agent": {"KES": ChartLine("Agent's float", _LIABILITY, _KES)},
    "commission": {"KES": ChartLine("Commission owed to an agent", _LIABILITY, _KES)},
    "subscriber": {"KES": ChartLine("Subscriber's M-Pesa wallet", _LIABILITY, _KES)},
    "merchant": {"KES": ChartLine("Merchant's M-Pesa account", _LIABILITY, _KES)},
    "working": {"KES": ChartLine("Merchant's Working account", _LIABILITY, _KES)},
    "charges_paid": {"KES": ChartLine("Merchant's Charges Paid account", _LIABILITY, _KES, may_go_negative=True)},
}
"""Accounts there is one of per owner and currency: `wallet:{owner}:{currency}`."""


def wallet_code(owner: UUID, currency: Currency) -> str:
    """The code of a customer's wallet."""
    return f"wallet:{owner}:{currency.value}"


def owner_of(code: str) -> UUID | None:
    """The owner named in the code of a family account, None for an account there is one of."""
    parts = code.split(":")
    return UUID(parts[1]) if len(parts) == 3 and parts[0] in FAMILIES else None  # noqa: PLR2004  (family:owner:currency)


def opened(code: str, account_id: LedgerAccountId, at: datetime) -> LedgerAccount:
    """A new, empty account as the chart describes it; raises AccountNotFound for a code the chart does not know."""
    line = CHART.get(code)
    if line is None:
        family, _, rest = code.partition(":")
        line = FAMILIES.get(family, {}).get(rest.rpartition(":")[2])
    if line is None:
        raise AccountNotFound(account=code)
    return LedgerAccount(
        id=account_id,
        code=code,
        name=line.name,
        type=line.type,
        currency=line.currency,
        owner_id=owner_of(code),
        may_go_negative=line.may_go_negative,
        balance_cents=0,
        version=0,
        last_recorded_at=at,
    )
