"""The reports of the ledger, on each engine: pages without a gap, balances at the end of a day, profit and loss."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.wallet.reports import LedgerRow, ProfitAndLoss
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.payments.transaction import TransactionStatus
from penpay.domain.shared.errors import AccountNotFound, InvalidRequest
from penpay.domain.shared.ids import TransactionId
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.nairobi import EAST_AFRICA
from penpay.domain.wallet.journal import credit, debit
from penpay.infrastructure.sql.ledger_reports import SqlLedgerReports
from penpay.infrastructure.sql.queries import SqlLedgerBooks
from tests.contract.queries.books import NOON, Ledger

FIRST_DAY, NEXT_DAY = date(2026, 1, 1), date(2026, 1, 2)
A_DAY = 24 * 60


def shillings(cents: int) -> Money:
    return Money(cents, Currency.KES)


@pytest.fixture
def reports(engine: AsyncEngine) -> SqlLedgerReports:
    return SqlLedgerReports(engine)


async def sell(ledger: Ledger, number: int, cents: int, cost: int) -> None:
    """One sale, a minute after what was posted last: revenue, and what it cost."""
    sale, sold, spent = TransactionId(UUID(int=number)), shillings(cents), shillings(cost)
    await ledger.post("sale", sale, debit("mpesa:collection", sold), credit("revenue:rounding", sold))
    await ledger.post("cost", sale, debit("expense:agent_commission", spent), credit("trust:bank", spent))


async def test_every_entry_stands_on_exactly_one_page(ledger: Ledger, reports: SqlLedgerReports) -> None:
    """Newest first, page after page, whether a page holds one journal or many; no journal is torn apart."""
    whole = (await reports.entries(None, 100, None)).rows
    assert 22 == len(whole)
    journals = list(dict.fromkeys(row.journal_id for row in whole))
    assert sorted(journals, reverse=True) == journals
    for limit in (1, 2, 3, 7):
        found: list[LedgerRow] = []
        before = None
        while True:
            page = await reports.entries(None, limit, before)
            found += page.rows
            before = page.next
            if before is None:
                break
        assert whole == found, limit


async def test_the_entries_of_one_account_carry_its_running_balance(ledger: Ledger, reports: SqlLedgerReports) -> None:
    """Page after page the balance of a row is that of the row before it and what moved."""
    rows: list[LedgerRow] = []
    before = None
    while True:
        page = await reports.entries("mpesa:collection", 1, before)
        rows += page.rows
        before = page.next
        if before is None:
            break
    assert [2, 1] == [row.account_sequence for row in rows]
    assert rows[0].balance == rows[1].balance + rows[0].amount


@pytest.mark.parametrize("account", [None, "mpesa:collection"])
@pytest.mark.parametrize("before", ["", "0", "x", "-1", "1.0", "٣"])
async def test_a_page_that_nobody_gave_is_refused(
    ledger: Ledger, reports: SqlLedgerReports, account: str | None, before: str
) -> None:
    """What is no position of a page is named as such."""
    with pytest.raises(InvalidRequest) as refused:
        await reports.entries(account, 10, before)
    assert ["before"] == refused.value.details["fields"]


async def test_an_account_of_the_chart_may_hold_nothing_and_another_is_refused(
    ledger: Ledger, reports: SqlLedgerReports
) -> None:
    """Before anything was posted to it, an account is empty; a code that is nowhere is refused."""
    (row,) = await reports.balances("suspense:KES")
    assert ("Suspense, KES", 0) == (row.name, row.balance.cents)
    assert [] == (await reports.entries("suspense:KES", 10, None)).rows
    with pytest.raises(AccountNotFound):
        await reports.balances("9999")
    with pytest.raises(AccountNotFound):
        await reports.entries("9999", 10, None)


async def test_the_trial_balance_of_a_day_is_what_its_end_left(ledger: Ledger, reports: SqlLedgerReports) -> None:
    """Wallets are one line a currency; debits and credits agree at the end of every day; before the first, nothing."""
    ledger.minutes = A_DAY
    await ledger.deposit(TransactionId(UUID(int=13)), TransactionStatus.COMPLETED, EvidenceState.CONFIRMED)

    first = await reports.trial_balance(FIRST_DAY)
    now = await reports.trial_balance(None)

    assert [] == await reports.trial_balance(date(2025, 12, 31))
    assert now == await reports.trial_balance(NEXT_DAY)
    held = {row.code: (row.debit_cents, row.credit_cents) for row in first}
    assert held["mpesa:collection"][0] > 0 == held["mpesa:collection"][1]
    assert {"wallet:*:KES", "wallet:*:USD"} <= held.keys()
    for rows in (first, now):
        for currency in Currency:
            own = [row for row in rows if row.balance.currency is currency]
            assert sum(row.debit_cents for row in own) == sum(row.credit_cents for row in own)


async def test_each_past_balance_is_that_of_the_ledgers_own_query(ledger: Ledger, reports: SqlLedgerReports) -> None:
    """Found by halving or by reading, a balance at the end of a day is the same, for each of twelve days."""
    for day in range(12):
        ledger.minutes = A_DAY * day
        for number in range(day % 4):
            await sell(ledger, 100 * day + number, 100 + day, 1 + number)
    for day in range(12):
        at = NOON.replace(day=1 + day)
        asked = at.astimezone(EAST_AFRICA).date()
        end_of_day = at.replace(hour=20, minute=59, second=59, microsecond=999_999)
        expected = {
            row.code: row.debit_cents - row.credit_cents
            for row in await SqlLedgerBooks(ledger.engine).trial_balance(end_of_day)
            if not row.code.startswith("wallet:")
        }
        found = {
            row.code: row.debit_cents - row.credit_cents
            for row in await reports.trial_balance(asked)
            if not row.code.startswith("wallet:")
        }
        assert expected == found, asked


async def test_profit_is_what_revenue_and_expenses_grew_by(ledger: Ledger, reports: SqlLedgerReports) -> None:
    """Sold and spent: 500 and 200 on the first of January, 300 and 100 on the second, 700 and 900 on the third."""
    for day, (sold, cost) in enumerate([(500, 200), (300, 100), (700, 900)]):
        ledger.minutes = A_DAY * day + 100
        await sell(ledger, 200 + day, sold, cost)

    async def of(first: int, last: int) -> ProfitAndLoss:
        return await reports.profit_and_loss(Currency.KES, date(2026, 1, first), date(2026, 1, last))

    second, third, both = await of(2, 2), await of(3, 3), await of(2, 3)

    assert (300, 100, 200) == (second.revenue_cents, second.expense_cents, second.profit_cents)
    assert (700, 900, -200) == (third.revenue_cents, third.expense_cents, third.profit_cents)
    assert (1_000, 1_000, 0) == (both.revenue_cents, both.expense_cents, both.profit_cents)
    with pytest.raises(InvalidRequest):
        await of(3, 2)
