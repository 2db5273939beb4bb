"""The balance sheet on each engine: it balances to the cent on every day, and its result is profit and loss's."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.wallet.balance_sheet import balance_sheet
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.ids import TransactionId
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.journal import credit, debit
from penpay.infrastructure.sql.ledger_reports import SqlLedgerReports
from tests.contract.queries.books import Ledger

FIRST_DAY, A_DAY = date(2026, 1, 1), 24 * 60


def shillings(cents: int) -> Money:
    return Money(cents, Currency.KES)


@pytest.fixture
def reports(engine: AsyncEngine) -> SqlLedgerReports:
    return SqlLedgerReports(engine)


async def trade(ledger: Ledger, day: int, sold: int, spent: int) -> None:
    """On one day something is sold and something spent, after what was posted last."""
    ledger.minutes = max(ledger.minutes, A_DAY * day)
    id_ = TransactionId(UUID(int=1_000 + day))
    sale, cost = shillings(sold), shillings(spent)
    await ledger.post("sale", id_, debit("mpesa:collection", sale), credit("revenue:rounding", sale))
    await ledger.post("cost", id_, debit("expense:agent_commission", cost), credit("trust:bank", cost))


async def test_a_balance_sheet_balances_in_each_currency_on_each_day(ledger: Ledger, reports: SqlLedgerReports) -> None:
    """Shillings and dollars apart; accounts below zero are shown so; before the first day there is nothing."""
    for day in range(5):
        await trade(ledger, day, 1_000 + day, 400 * day + 1)

    assert () == tuple((await balance_sheet(reports, date(2025, 12, 31))).currencies)
    for day in range(6):
        sheet = await balance_sheet(reports, FIRST_DAY + timedelta(days=day))
        assert [Currency.KES, Currency.USD] == [one.currency for one in sheet.currencies]
        for one in sheet.currencies:
            assert one.asset_cents == one.liability_cents + one.equity_cents
        assert sheet.is_balanced
        assert min(row.balance.cents for row in sheet.currencies[0].assets) < 0


async def test_the_result_of_the_period_is_that_of_profit_and_loss(ledger: Ledger, reports: SqlLedgerReports) -> None:
    """Whatever day it begins on; what came before is told apart, and both together never change."""
    for day in range(5):
        await trade(ledger, day, 1_000 + day, 400 * day + 1)
    last = FIRST_DAY + timedelta(days=4)

    whole = (await balance_sheet(reports, last)).currencies[0]
    for day in range(5):
        first = FIRST_DAY + timedelta(days=day)
        shown = (await balance_sheet(reports, last, first)).currencies[0]
        assert (await reports.profit_and_loss(Currency.KES, first, last)).profit_cents == shown.result_cents
        assert whole.earlier_cents + whole.result_cents == shown.earlier_cents + shown.result_cents
        assert whole.equity_cents == shown.equity_cents
    assert 0 == whole.earlier_cents, "the period begins with the year"


async def test_a_period_that_begins_after_its_end_is_refused(ledger: Ledger, reports: SqlLedgerReports) -> None:
    """The first day is named."""
    with pytest.raises(InvalidRequest) as refused:
        await balance_sheet(reports, FIRST_DAY, FIRST_DAY + timedelta(days=1))
    assert ["from"] == refused.value.details["fields"]
