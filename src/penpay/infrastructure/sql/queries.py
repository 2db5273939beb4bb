"""The application's read queries over SQL: payments, balances, the trial balance and what is wrong with the books."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.payments.queries import TimelineEntry, TransactionPage
from penpay.application.payments.rows import Review
from penpay.application.wallet.postings import INCOMING_CREDIT
from penpay.application.wallet.queries import AccountBalance, Finding, TrialBalanceRow
from penpay.domain.payments.transaction import Transaction, TransactionStatus
from penpay.domain.shared.ids import TransactionId, UserId
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import AccountType, LedgerSide
from penpay.infrastructure.sql.engine import translating
from penpay.infrastructure.sql.ledger_checks import CHECKS
from penpay.infrastructure.sql.payments import transaction
from penpay.infrastructure.sql.payout_tables import reviews
from penpay.infrastructure.sql.reviews import review
from penpay.infrastructure.sql.snapshot import snapshot
from penpay.infrastructure.sql.tables import (
    domain_events,
    ledger_accounts,
    ledger_entries,
    ledger_journals,
    transactions,
)
from penpay.infrastructure.sql.types import Identifier
from penpay.infrastructure.sql.unit_of_work import fetch, parsed

_CREDITS_OVERLAP: Final = timedelta(days=1)
_NEWEST_FIRST: Final = (transactions.c.created_at.desc(), transactions.c.id.desc())


class SqlPaymentBooks:
    """`application.payments.queries.PaymentBooks` over SQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def transaction(self, user_id: UserId, transaction_id: TransactionId) -> Transaction | None:
        statement = select(transactions).where(transactions.c.id == transaction_id, transactions.c.user_id == user_id)
        return next(map(transaction, await _rows(self._engine, statement)), None)

    async def transactions(self, user_id: UserId, limit: int, before: TransactionId | None) -> TransactionPage:
        statement = select(transactions).where(transactions.c.user_id == user_id)
        if before is not None:
            cursor = transactions.alias("cursor")
            made = select(cursor.c.created_at).where(cursor.c.id == before, cursor.c.user_id == user_id)
            position = tuple_(made.scalar_subquery(), literal(before, Identifier))
            statement = statement.where(tuple_(transactions.c.created_at, transactions.c.id) < position)
        rows = await _rows(self._engine, statement.order_by(*_NEWEST_FIRST).limit(limit + 1))
        found = [transaction(row) for row in rows[:limit]]
        return TransactionPage(found, found[-1].id if len(rows) > limit else None)

    async def timeline(self, transaction_id: TransactionId) -> Sequence[TimelineEntry]:
        statement = (
            select(domain_events.c.recorded_at, domain_events.c.name, domain_events.c.payload)
            .where(domain_events.c.aggregate_id == transaction_id)
            .order_by(domain_events.c.sequence)
        )
        status: str = TransactionStatus.PENDING.value  # what every transaction begins as
        entries: list[TimelineEntry] = []
        for row in await _rows(self._engine, statement):
            status = parsed(row.payload).get("status", status)  # an event that moved nothing names none
            entries.append(TimelineEntry(row.recorded_at, row.name, status))
        return entries

    async def recent(self, limit: int) -> Sequence[Transaction]:
        rows = await _rows(self._engine, select(transactions).order_by(*_NEWEST_FIRST).limit(limit))
        return [transaction(row) for row in rows]

    async def reviews(self, limit: int) -> Sequence[Review]:
        waiting = select(reviews).where(reviews.c.resolved_at.is_(None))
        statement = waiting.order_by(reviews.c.opened_at, reviews.c.id).limit(limit)
        return [review(row) for row in await _rows(self._engine, statement)]


class SqlLedgerBooks:
    """`application.wallet.queries.LedgerBooks` over SQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def trial_balance(self, as_of: datetime | None = None) -> Sequence[TrialBalanceRow]:
        statement = _balances(as_of).add_columns(ledger_accounts.c.name, ledger_accounts.c.type)
        rows = await _rows(self._engine, statement.order_by(ledger_accounts.c.code))
        return [_trial_balance_row(row) for row in rows if row.cents is not None]

    async def balances(self, owner_id: UUID, as_of: datetime | None = None) -> Sequence[AccountBalance]:
        statement = _balances(as_of).where(ledger_accounts.c.owner_id == owner_id).order_by(ledger_accounts.c.code)
        return [_balance(row) for row in await _rows(self._engine, statement)]

    async def balance(self, code: str, as_of: datetime | None = None) -> AccountBalance | None:
        statement = _balances(as_of).where(ledger_accounts.c.code == code)
        return next(map(_balance, await _rows(self._engine, statement)), None)

    async def verify(self) -> Sequence[Finding]:
        findings: list[Finding] = []
        async with translating(), snapshot(self._engine) as connection:
            for check in CHECKS:
                rows = await fetch(connection, check.statement)
                findings.extend(check.finding(row) for row in rows)
        return sorted(findings, key=lambda found: (found.check, found.subject, found.currency))

    async def credits_complete_until(self) -> datetime | None:
        """Before when the books lack no credit on the agent account at Deriv; None while they are empty.

        A day before the last one booked: the stream may have missed one shortly before, and statements may have been
        out of reach since. The books' own beginning where none was booked yet.
        """
        newest = select(func.max(ledger_journals.c.happened_at)).where(ledger_journals.c.kind == INCOMING_CREDIT)
        oldest = select(func.min(ledger_journals.c.recorded_at))
        async with self._engine.connect() as connection:
            last: datetime | None = (await connection.execute(newest)).scalar_one()
            first: datetime | None = (await connection.execute(oldest)).scalar_one()
        return last - _CREDITS_OVERLAP if last else first


async def _rows(engine: AsyncEngine, statement: Select[Any]) -> Sequence[Any]:
    async with translating(), engine.connect() as connection:
        return await fetch(connection, statement)


def _balances(as_of: datetime | None) -> Select[Any]:
    """The balance of each account: as it stands, or as its last entry recorded by then left it (NULL without one)."""
    cents: ColumnElement[int] = ledger_accounts.c.balance_cents
    if as_of is not None:
        last = (
            select(ledger_entries.c.balance_after_cents)
            .join(ledger_journals, ledger_journals.c.id == ledger_entries.c.journal_id)
            .where(ledger_entries.c.account_id == ledger_accounts.c.id, ledger_journals.c.recorded_at <= as_of)
            .order_by(ledger_entries.c.account_seq.desc())
            .limit(1)
        )
        cents = last.scalar_subquery()
    return select(ledger_accounts.c.code, ledger_accounts.c.currency, cents.label("cents"))


def _balance(row: Any) -> AccountBalance:
    return AccountBalance(row.code, Money(row.cents or 0, Currency(row.currency)))


def _trial_balance_row(row: Any) -> TrialBalanceRow:
    type_ = AccountType(row.type)
    signed = row.cents if type_.normal_side is LedgerSide.DEBIT else -row.cents
    return TrialBalanceRow(row.code, row.name, type_, Currency(row.currency), max(signed, 0), max(-signed, 0))
