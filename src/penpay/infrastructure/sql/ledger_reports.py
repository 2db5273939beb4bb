"""`application.wallet.reports.LedgerReports` over SQL: what is read does not grow with the entries.

A page is found by its key, and a past balance by halving an account's sequence, which `recorded_at` follows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.wallet.reports import AccountRow, LedgerPage, LedgerRow, ProfitAndLoss
from penpay.domain.shared import nairobi
from penpay.domain.shared.errors import AccountNotFound, InvalidRequest
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import CHART, AccountType, LedgerSide
from penpay.infrastructure.sql.engine import translating
from penpay.infrastructure.sql.snapshot import snapshot
from penpay.infrastructure.sql.tables import ledger_accounts, ledger_entries, ledger_journals
from penpay.infrastructure.sql.unit_of_work import fetch

_a, _j, _e = ledger_accounts.c, ledger_journals.c, ledger_entries.c
_SEQUENCE: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


class SqlLedgerReports:
    """Reads on an engine of its own; nothing is locked."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def entries(self, account_code: str | None, limit: int, before: str | None) -> LedgerPage:
        async with translating(), snapshot(self._engine) as connection:
            if account_code is None:
                return await _page_of_journals(connection, limit, before)
            return await _page_of_account(connection, account_code, limit, before)

    async def balances(self, account_code: str | None) -> Sequence[AccountRow]:
        async with translating(), self._engine.connect() as connection:
            if account_code is None:
                single = map(_account_row, await _single(connection))
                return sorted([*single, *await _families(connection, None)], key=lambda row: row.code)
            row = await _account(connection, account_code)
        return [_unopened(account_code) if row is None else _account_row(row)]

    async def trial_balance(self, day: date | None) -> Sequence[AccountRow]:
        if day is None:
            return await self.balances(None)
        until = nairobi.day_bounds(day)[1]
        async with translating(), snapshot(self._engine) as connection:
            accounts = await _single(connection)
            then = await _balances_before(connection, accounts, until)
            single = [_account_row(row, cents=then[row.id]) for row in accounts if row.id in then]
            families = await _families(connection, until)
        return sorted([*single, *families], key=lambda row: row.code)

    async def profit_and_loss(self, currency: Currency, first: date, last: date) -> ProfitAndLoss:
        if last < first:
            reason = "must not lie before the first day"
            raise InvalidRequest(f"The last day {reason}.", fields=["to"], reasons={"to": reason})
        async with translating(), snapshot(self._engine) as connection:
            earning = (AccountType.REVENUE.value, AccountType.EXPENSE.value)
            accounts = await _single(connection, _a.type.in_(earning), _a.currency == currency.value)
            before = await _balances_before(connection, accounts, nairobi.day_bounds(first)[0])
            after = await _balances_before(connection, accounts, nairobi.day_bounds(last)[1])
        grown = [_account_row(row, cents=after.get(row.id, 0) - before.get(row.id, 0)) for row in accounts]
        return ProfitAndLoss(
            first,
            last,
            [row for row in grown if row.type is AccountType.REVENUE],
            [row for row in grown if row.type is AccountType.EXPENSE],
        )


_ENTRIES: Final = (
    select(
        _e.journal_id,
        _j.kind,
        _j.reference,
        _a.code,
        _a.name,
        _a.currency,
        _e.account_seq,
        _e.side,
        _e.amount_cents,
        _e.balance_after_cents,
        _j.happened_at,
        _j.recorded_at,
    )
    .select_from(ledger_entries)
    .join(ledger_journals, _j.id == _e.journal_id)
    .join(ledger_accounts, _a.id == _e.account_id)
)


async def _page_of_journals(connection: AsyncConnection, limit: int, before: str | None) -> LedgerPage:
    wanted = select(_j.id).order_by(_j.id.desc()).limit(limit + 1)
    if before is not None:
        try:
            wanted = wanted.where(_j.id < UUID(before))
        except ValueError:
            raise _no_page() from None
    ids = [row.id for row in await fetch(connection, wanted)]
    statement = _ENTRIES.where(_e.journal_id.in_(ids[:limit])).order_by(_j.id.desc(), _e.side.desc(), _a.code)
    rows = [_ledger_row(row) for row in await fetch(connection, statement)] if ids else []
    return LedgerPage(rows, str(ids[limit - 1]) if len(ids) > limit else None)


async def _page_of_account(connection: AsyncConnection, code: str, limit: int, before: str | None) -> LedgerPage:
    account = await _account(connection, code)
    if account is None:
        _unopened(code)
        return LedgerPage([], None)
    statement = _ENTRIES.where(_e.account_id == account.id).order_by(_e.account_seq.desc()).limit(limit + 1)
    if before is not None:
        if not _SEQUENCE.fullmatch(before):
            raise _no_page()
        statement = statement.where(_e.account_seq < int(before))
    rows = [_ledger_row(row) for row in await fetch(connection, statement)]
    return LedgerPage(rows[:limit], str(rows[limit - 1].account_sequence) if len(rows) > limit else None)


def _no_page() -> InvalidRequest:
    reason = "must be `next` of the page before"
    return InvalidRequest(f"before {reason}.", fields=["before"], reasons={"before": reason})


_ACCOUNTS: Final = select(
    _a.id, _a.code, _a.name, _a.type, _a.currency, _a.version, _a.balance_cents.label("cents")
).order_by(_a.code)


async def _account(connection: AsyncConnection, code: str) -> Any | None:
    """The account's row; None while nothing was posted to it."""
    return next(iter(await fetch(connection, _ACCOUNTS.where(_a.code == code))), None)


async def _single(connection: AsyncConnection, *conditions: ColumnElement[bool]) -> Sequence[Any]:
    """The accounts there is one of."""
    return await fetch(connection, _ACCOUNTS.where(_a.owner_id.is_(None), *conditions))


async def _families(connection: AsyncConnection, until: datetime | None) -> Sequence[AccountRow]:
    """The accounts that have an owner, all of one family and currency in one row; none opened after the moment."""
    held: ColumnElement[int] = _a.balance_cents
    if until is not None:
        held = (
            select(_e.balance_after_cents)
            .join(ledger_journals, _j.id == _e.journal_id)
            .where(_e.account_id == _a.id, _j.recorded_at < until)
            .order_by(_e.account_seq.desc())
            .limit(1)
            .scalar_subquery()
        )
    each: Select[Any] = select(_a.code, _a.name, _a.type, _a.currency, held.label("held")).where(
        _a.owner_id.is_not(None)
    )
    one = each.subquery().c
    columns = (func.min(one.code).label("code"), one.name, one.type, one.currency, func.sum(one.held).label("cents"))
    found = await fetch(connection, select(*columns).group_by(one.name, one.type, one.currency))
    return [_account_row(row, code=_family(row.code)) for row in found if row.cents is not None]


def _family(code: str) -> str:
    """`wallet:{owner}:KES` → `wallet:*:KES`."""
    family, _, rest = code.partition(":")
    return f"{family}:*:{rest.rpartition(':')[2]}"


async def _balances_before(connection: AsyncConnection, accounts: Sequence[Any], until: datetime) -> Mapping[UUID, int]:
    """What each account held when a moment came, by id; those that had no entry yet are left out.

    `recorded_at` never decreases along an account's sequence, so the last entry before the moment is found by
    halving: twenty rounds for a million entries, each round one statement for all accounts.
    """
    lowest = {row.id: 0 for row in accounts if row.version}  # known to be before the moment; 0 is no entry
    highest = {row.id: row.version + 1 for row in accounts if row.version}  # known not to be
    held: dict[UUID, int] = {}
    while True:
        middle = {id_: (low + highest[id_]) // 2 for id_, low in lowest.items() if highest[id_] - low > 1}
        if not middle:
            return {id_: held[id_] for id_, low in lowest.items() if low}
        places = or_(*(and_(_e.account_id == id_, _e.account_seq == sequence) for id_, sequence in middle.items()))
        statement = select(_e.account_id, _e.account_seq, _e.balance_after_cents, _j.recorded_at).join_from(
            ledger_entries, ledger_journals, _j.id == _e.journal_id
        )
        rows = {row.account_id: row for row in await fetch(connection, statement.where(places))}
        for id_, sequence in middle.items():
            row = rows.get(id_)
            if row is not None and row.recorded_at < until:
                lowest[id_], held[id_] = sequence, row.balance_after_cents
            else:
                highest[id_] = sequence


def _unopened(code: str) -> AccountRow:
    """An account of the chart that nothing was posted to yet. Raises AccountNotFound."""
    line = CHART.get(code)
    if line is None:
        raise AccountNotFound(account=code[:80])
    return AccountRow(code, line.name, line.type, Money.zero(line.currency))


def _account_row(row: Any, *, code: str | None = None, cents: int | None = None) -> AccountRow:
    held = int(row.cents) if cents is None else cents  # PostgreSQL sums BIGINT to NUMERIC
    return AccountRow(code or row.code, row.name, AccountType(row.type), Money(held, Currency(row.currency)))


def _ledger_row(row: Any) -> LedgerRow:
    currency = Currency(row.currency)
    return LedgerRow(
        journal_id=row.journal_id,
        kind=row.kind,
        reference=row.reference,
        account_code=row.code,
        account_name=row.name,
        account_sequence=row.account_seq,
        side=LedgerSide(row.side),
        amount=Money(row.amount_cents, currency),
        balance=Money(row.balance_after_cents, currency),
        happened_at=row.happened_at,
        recorded_at=row.recorded_at,
    )
