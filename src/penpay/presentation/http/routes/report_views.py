"""Reports and statements as JSON-ready values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date

from penpay.application.collections.reports import AgeingPage, BookError, DailyCollection
from penpay.application.collections.statements import Ageing, CustomerBalance, Statement
from penpay.application.payments.views import moment
from penpay.application.wallet.balance_sheet import BalanceSheet
from penpay.application.wallet.reports import AccountRow, LedgerPage, ProfitAndLoss
from penpay.domain.shared.money import Currency
from penpay.domain.wallet.account import LedgerSide


def ledger_view(page: LedgerPage) -> dict[str, object]:
    entries = [
        {
            "journal_id": str(row.journal_id),
            "kind": row.kind,
            "reference": row.reference,
            "account_code": row.account_code,
            "name": row.account_name,
            "currency": row.amount.currency.value,
            "debit_cents": row.amount.cents if row.side is LedgerSide.DEBIT else 0,
            "credit_cents": row.amount.cents if row.side is LedgerSide.CREDIT else 0,
            "balance_cents": row.balance.cents,
            "happened_at": moment(row.happened_at),
            "recorded_at": moment(row.recorded_at),
        }
        for row in page.rows
    ]
    return {"entries": entries, "next": page.next}


def balances_view(rows: Sequence[AccountRow]) -> dict[str, object]:
    return {"accounts": _balances(rows)}


def _balances(rows: Sequence[AccountRow]) -> list[dict[str, object]]:
    return [{**_account(row), "balance_cents": row.balance.cents} for row in rows]


def _account(row: AccountRow) -> dict[str, object]:
    return {
        "account_code": row.code,
        "name": row.name,
        "type": row.type.value,
        "currency": row.balance.currency.value,
    }


def verify_view(errors: Sequence[BookError]) -> dict[str, object]:
    told = [
        {
            "check": error.check,
            "account": error.account,
            "subject": error.subject,
            "journal": error.journal,
            "difference_cents": error.difference.cents,
            "currency": error.difference.currency.value,
            "detail": error.detail,
        }
        for error in errors
    ]
    return {"isValid": not errors, "errors": told}


def trial_balance_view(rows: Sequence[AccountRow], day: date | None) -> dict[str, object]:
    """The accounts, and both sides of each currency."""
    debits: Counter[Currency] = Counter()
    credits_: Counter[Currency] = Counter()
    for row in rows:
        debits[row.balance.currency] += row.debit_cents
        credits_[row.balance.currency] += row.credit_cents
    return {
        "as_of": None if day is None else day.isoformat(),
        "accounts": [
            {**_account(row), "debit_cents": row.debit_cents, "credit_cents": row.credit_cents} for row in rows
        ],
        "totals": [
            {"currency": one.value, "debit_cents": debits[one], "credit_cents": credits_[one]} for one in sorted(debits)
        ],
        "balanced": debits == credits_,
    }


def balance_sheet_view(sheet: BalanceSheet) -> dict[str, object]:
    """The balance sheet, one part a currency."""
    return {
        "from": sheet.first.isoformat(),
        "as_of": sheet.as_of.isoformat(),
        "currencies": [
            {
                "currency": one.currency.value,
                "assets": _balances(one.assets),
                "liabilities": _balances(one.liabilities),
                "equity": _balances(one.equity),
                "asset_cents": one.asset_cents,
                "liability_cents": one.liability_cents,
                "earlier_result_cents": one.earlier_cents,
                "result_cents": one.result_cents,
                "equity_cents": one.equity_cents,
            }
            for one in sheet.currencies
        ],
        "balanced": sheet.is_balanced,
    }


def ageing_view(ageing: Ageing) -> dict[str, object]:
    return {
        "as_of": ageing.as_of.isoformat(),
        "current_cents": ageing.current.cents,
        "days_1_to_30_cents": ageing.days_1_to_30.cents,
        "days_31_to_60_cents": ageing.days_31_to_60.cents,
        "days_61_to_90_cents": ageing.days_61_to_90.cents,
        "over_90_days_cents": ageing.over_90_days.cents,
        "receivable_cents": ageing.receivable.cents,
        "unapplied_credit_cents": ageing.unapplied_credit.cents,
        "balance_cents": ageing.balance.cents,
    }


def ageing_page_view(page: AgeingPage) -> dict[str, object]:
    customers = [{"customer_id": one.customer_number, **ageing_view(one.ageing)} for one in page.customers]
    return {"customers": customers, "total": ageing_view(page.total), "next": page.next}


def daily_view(days: Sequence[DailyCollection]) -> dict[str, object]:
    told = [
        {
            "day": one.day.isoformat(),
            "count": one.count,
            "total_cents": one.total.cents,
            "sources": [{"source": source, "amount_cents": money.cents} for source, money in one.by_source.items()],
            "allocated_cents": one.allocated.cents,
            "suspense_cents": one.suspense.cents,
            "reversed_count": one.reversed_count,
            "reversed_cents": one.reversed.cents,
        }
        for one in days
    ]
    return {"days": told}


def profit_and_loss_view(report: ProfitAndLoss) -> dict[str, object]:
    return {
        "from": report.first.isoformat(),
        "to": report.last.isoformat(),
        "revenue": _balances(report.revenue),
        "expenses": _balances(report.expenses),
        "revenue_cents": report.revenue_cents,
        "expense_cents": report.expense_cents,
        "profit_cents": report.profit_cents,
    }


def statement_view(statement: Statement) -> dict[str, object]:
    lines = [
        {
            "at": moment(line.at),
            "kind": line.kind.value,
            "reference": line.reference,
            "about": line.about,
            "amount_cents": line.amount.cents,
            "balance_cents": line.balance.cents,
        }
        for line in statement.lines
    ]
    return {
        "customer_id": statement.customer_number,
        "name": statement.name,
        "from": statement.first.isoformat(),
        "to": statement.last.isoformat(),
        "currency": statement.opening.currency.value,
        "opening_cents": statement.opening.cents,
        "lines": lines,
        "closing_cents": statement.closing.cents,
        "next": statement.next,
        "ageing": ageing_view(statement.ageing),
    }


def customer_balance_view(found: CustomerBalance) -> dict[str, object]:
    return {
        "customer_id": found.customer_number,
        "currency": found.balance.currency.value,
        "receivable_cents": found.receivable.cents,
        "credit_cents": found.credit.cents,
        "balance_cents": found.balance.cents,
    }
