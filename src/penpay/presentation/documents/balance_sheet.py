"""The balance sheet for a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penpay.application.wallet.balance_sheet import BalanceSheet, CurrencySheet
from penpay.application.wallet.reports import AccountRow
from penpay.domain.shared.money import Money
from penpay.presentation.documents.spreadsheet import as_csv, text

_COLUMNS = ("currency", "section", "code", "account", "amount")


def balance_sheet_csv(sheet: BalanceSheet) -> str:
    """One row an account, with a total under each section; shillings or dollars with two places."""
    return as_csv(_COLUMNS, [row for one in sheet.currencies for row in _rows(one)])


def _rows(one: CurrencySheet) -> Iterator[tuple[str, ...]]:
    for section, code, name, cents in lines_of(one):
        yield one.currency.value, section, text(code), text(name), Money(cents, one.currency).decimal_text()


def lines_of(one: CurrencySheet) -> Iterator[tuple[str, str, str, int]]:
    """Section, code, name and cents of every line that people see; a total has no code."""
    yield from _section("Assets", one.assets)
    yield "Assets", "", "Assets", one.asset_cents
    yield from _section("Liabilities", one.liabilities)
    yield "Liabilities", "", "Liabilities", one.liability_cents
    yield from _section("Equity", one.equity)
    yield "Equity", "", "Result of earlier periods", one.earlier_cents
    yield "Equity", "", "Result of the period", one.result_cents
    yield "Equity", "", "Equity", one.equity_cents
    yield "", "", "Liabilities and equity", one.liability_cents + one.equity_cents


def _section(name: str, rows: Sequence[AccountRow]) -> Iterator[tuple[str, str, str, int]]:
    for row in rows:
        yield name, row.code, row.name, row.balance.cents
