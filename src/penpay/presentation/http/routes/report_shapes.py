"""The JSON of reports and statements, as it is documented; amounts in cents, days in Nairobi."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from penpay.application.collections.statements import LineKind
from penpay.domain.shared.money import Currency
from penpay.domain.wallet.account import AccountType


class LedgerEntryBody(BaseModel):
    """One entry of the ledger; what it moved stands on one side, zero on the other."""

    journal_id: str
    kind: str = Field(description="What happened.")
    reference: str = Field(description="Which one: a receipt, or an id.")
    account_code: str
    name: str
    currency: Currency
    debit_cents: int
    credit_cents: int
    balance_cents: int = Field(description="What it left on the account, positive on the account's normal side.")
    happened_at: str
    recorded_at: str


class LedgerReportBody(BaseModel):
    """`ledger`: entries, newest journal first."""

    entries: list[LedgerEntryBody]
    next: str | None = Field(description="Give it as `before` for the following page; null on the last.")


class AccountBalanceBody(BaseModel):
    """One account, or all of one family together."""

    account_code: str
    name: str
    type: AccountType
    currency: Currency
    balance_cents: int


class BalanceReportBody(BaseModel):
    """`balance`: accounts by code, positive on the normal side."""

    accounts: list[AccountBalanceBody]


class BookErrorBody(BaseModel):
    """One thing that must hold and does not."""

    check: str
    account: str = Field(description="The account whose figure it is; empty where it is a journal's.")
    subject: str = Field(description="The customer, invoice, payment, sale or account concerned.")
    journal: str = Field(description="The journal concerned; empty where it is no single one.")
    difference_cents: int = Field(description="What is, less what should be.")
    currency: Currency
    detail: str


class VerifyReportBody(BaseModel):
    """`verify`: whether the books hold."""

    model_config = ConfigDict(populate_by_name=True)

    is_valid: bool = Field(alias="isValid")
    errors: list[BookErrorBody]


class TrialBalanceRowBody(BaseModel):
    """One account; its balance stands on one side, zero on the other."""

    account_code: str
    name: str
    type: AccountType
    currency: Currency
    debit_cents: int
    credit_cents: int


class TrialBalanceTotalBody(BaseModel):
    """Both sides of one currency."""

    currency: Currency
    debit_cents: int
    credit_cents: int


class TrialBalanceReportBody(BaseModel):
    """`trial-balance`: now, or as a day left it."""

    as_of: str | None
    accounts: list[TrialBalanceRowBody]
    totals: list[TrialBalanceTotalBody]
    balanced: bool


class CurrencySheetBody(BaseModel):
    """One currency of a balance sheet; accounts are positive on their normal side."""

    currency: Currency
    assets: list[AccountBalanceBody]
    liabilities: list[AccountBalanceBody]
    equity: list[AccountBalanceBody] = Field(description="What the owner put in and took out.")
    asset_cents: int
    liability_cents: int
    earlier_result_cents: int = Field(description="Revenue less expenses of all that came before the period.")
    result_cents: int = Field(description="Revenue less expenses of the period; below zero for a loss.")
    equity_cents: int = Field(description="What remains to the owner, the results too: assets less liabilities.")


class BalanceSheetReportBody(BaseModel):
    """`balance-sheet`: as a day left it."""

    model_config = ConfigDict(populate_by_name=True)

    first: str = Field(alias="from", description="The first day of the period whose result is told apart.")
    as_of: str
    currencies: list[CurrencySheetBody]
    balanced: bool = Field(description="Whether assets are liabilities and equity in each currency.")


class AgeingBody(BaseModel):
    """What is owed by how many days it has been due, and the credit held against it."""

    as_of: str
    current_cents: int = Field(description="Due today or later.")
    days_1_to_30_cents: int
    days_31_to_60_cents: int
    days_61_to_90_cents: int
    over_90_days_cents: int
    receivable_cents: int = Field(description="All of these.")
    unapplied_credit_cents: int
    balance_cents: int = Field(description="Receivable less unapplied credit.")


class CustomerAgeingBody(AgeingBody):
    """One customer's."""

    customer_id: str


class AgingReportBody(BaseModel):
    """`aging`: who owes or is owed, by customer number."""

    customers: list[CustomerAgeingBody]
    total: AgeingBody
    next: str | None = Field(description="Give it as `after` for the following page; null on the last.")


class SourceTotalBody(BaseModel):
    """What came in one way."""

    source: str
    amount_cents: int


class DayBody(BaseModel):
    """The payments of one day, by the moment they were paid."""

    day: str
    count: int
    total_cents: int
    sources: list[SourceTotalBody]
    allocated_cents: int
    suspense_cents: int = Field(description="Of the total, what nobody has been found for yet.")
    reversed_count: int
    reversed_cents: int = Field(description="Not in the total.")


class DailyReportBody(BaseModel):
    """`daily`: what was collected on each day on which something was."""

    days: list[DayBody]


class ProfitAndLossReportBody(BaseModel):
    """`pnl`: revenue and expenses of some days, in KES."""

    model_config = ConfigDict(populate_by_name=True)

    first_day: str = Field(alias="from")
    last_day: str = Field(alias="to")
    revenue: list[AccountBalanceBody]
    expenses: list[AccountBalanceBody]
    revenue_cents: int
    expense_cents: int
    profit_cents: int = Field(description="Below zero for a loss.")


class StatementLineBody(BaseModel):
    """What moved the balance, and what it left."""

    at: str
    kind: LineKind
    reference: str
    about: str
    amount_cents: int = Field(description="Above zero where the customer owes more by it.")
    balance_cents: int


class StatementBody(BaseModel):
    """A customer's balance over some days; below zero it is money held for her."""

    model_config = ConfigDict(populate_by_name=True)

    customer_id: str
    name: str
    first_day: str = Field(alias="from")
    last_day: str = Field(alias="to")
    currency: Currency
    opening_cents: int = Field(description="Before the first of these lines.")
    lines: list[StatementLineBody]
    closing_cents: int = Field(description="At the end of the last day.")
    next: str | None = Field(description="Give it as `after` for the following page; null on the last.")
    ageing: AgeingBody = Field(description="Of all that is open now.")


class CustomerBalanceBody(BaseModel):
    """What a customer owes now."""

    customer_id: str
    currency: Currency
    receivable_cents: int
    credit_cents: int
    balance_cents: int
