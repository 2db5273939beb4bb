"""Replaying history over SQL: events into transactions, entries into balances, and positions along the events.

Everything is read in the order of its subject's id, a range of ids at a time: a row without history falls into some
range, and so does a history without a row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import fields
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Table, and_, func, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.shared.replaying import Difference, Replay
from penpay.domain.payments.transaction import AGGREGATE, BrokenHistory, Transaction, rebuilt
from penpay.domain.shared.events import DomainEvent
from penpay.domain.wallet.account import AccountType, LedgerSide
from penpay.infrastructure.sql.due import stored_event
from penpay.infrastructure.sql.payments import transaction
from penpay.infrastructure.sql.snapshot import snapshot
from penpay.infrastructure.sql.tables import (
    command_batches,
    domain_events,
    event_positions,
    ledger_accounts,
    ledger_entries,
    ledger_journals,
    transactions,
)
from penpay.infrastructure.sql.unit_of_work import fetch

_SUBJECTS: Final = 500
_PAGE: Final = 5_000
_NOTHING: Final = "nothing"
_e, _p, _b, _a = domain_events.c, event_positions.c, command_batches.c, ledger_accounts.c
_l = ledger_entries.c


class SqlHistory:
    """`application.shared.replaying.History` over SQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def check(self) -> Replay:
        async with snapshot(self._engine) as connection:
            check = _Check(connection)
            await check.fold_events()
            await check.fold_entries()
            await check.follow_positions()
            return Replay(check.transactions, check.events, check.accounts, check.entries, check.differences)


class _Check:
    """One comparison of everything."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.transactions = self.events = self.accounts = self.entries = 0
        self.differences: list[Difference] = []

    async def fold_events(self) -> None:
        async for rows, within in self._ranges(transactions, _e.aggregate_id):
            history: defaultdict[UUID, list[DomainEvent]] = defaultdict(list)
            told = select(domain_events).where(within, _e.aggregate_type == AGGREGATE)
            async for row in self._pages(told, (_e.aggregate_id, _e.sequence)):
                self.events += 1
                try:
                    history[row.aggregate_id].append(stored_event(row).event)
                except ValueError:
                    history[row.aggregate_id].append(DomainEvent(row.name, AGGREGATE, row.aggregate_id, 0, {}))
            kept = {row.id: row for row in rows}
            self.transactions += len(kept)
            for subject in sorted(kept.keys() | history.keys()):
                self._transaction(subject, kept.get(subject), history.get(subject, []))

    def _transaction(self, subject: UUID, row: Any, history: Sequence[DomainEvent]) -> None:
        try:
            replayed = rebuilt(history)
        except BrokenHistory as broken:
            self._differ("transaction", subject, "events", _NOTHING if row is None else row.status, str(broken))
            return
        if row is None:
            self._differ("transaction", subject, "row", _NOTHING, replayed.status.value)
            return
        try:
            kept = transaction(row)
        except ValueError as unreadable:
            self._differ("transaction", subject, "row", str(unreadable), replayed.status.value)
            return
        for field in fields(Transaction):
            was, is_ = getattr(kept, field.name), getattr(replayed, field.name)
            if was != is_:
                self._differ("transaction", subject, field.name, was, is_)

    async def fold_entries(self) -> None:
        async for rows, within in self._ranges(ledger_accounts, _l.account_id):
            kept = {row.id: _Balance(row) for row in rows}
            self.accounts += len(kept)
            entries = (
                select(ledger_entries, ledger_journals.c.recorded_at)
                .outerjoin(ledger_journals, ledger_journals.c.id == _l.journal_id)
                .where(within)
            )
            async for entry in self._pages(entries, (_l.account_id, _l.account_seq)):
                self.entries += 1
                account = kept.get(entry.account_id)
                if account is None:
                    self._differ("account", entry.account_id, "row", _NOTHING, f"entry {entry.account_seq}")
                else:
                    self.differences.extend(account.post(entry))
            for account in kept.values():
                self.differences.extend(account.compare())

    async def follow_positions(self) -> None:
        """They have no gap and keep each aggregate's order; an event lacks one only while its batch waits."""
        counted = select(func.count(), func.max(_p.position))
        count, last = (await self._connection.execute(counted)).one()
        if count != (last or 0):
            self._differ("event_positions", "all", "position", f"{count} up to {last}", "no gap")
        without = (
            select(_e.id)
            .outerjoin(event_positions, _p.event_id == _e.id)
            .outerjoin(command_batches, _b.batch_id == _e.batch_id)
            .where(_p.position.is_(None), _b.pending_rows.is_(None))
        )
        for row in await fetch(self._connection, without.order_by(_e.id)):
            self._differ("event", row.id, "position", _NOTHING, "a position")
        before, place = domain_events.alias("before"), event_positions.alias("place")
        turned = (
            select(_e.id, _p.position, place.c.position.label("earlier"))
            .join(event_positions, _p.event_id == _e.id)
            .join(before, and_(before.c.aggregate_id == _e.aggregate_id, before.c.sequence == _e.sequence - 1))
            .join(place, place.c.event_id == before.c.id)
            .where(place.c.position > _p.position)
        )
        for row in await fetch(self._connection, turned.order_by(_p.position)):
            self._differ("event", row.id, "position", row.position, f"after {row.earlier}")

    async def _ranges(self, table: Table, of: ColumnElement[Any]) -> AsyncIterator[tuple[Sequence[Any], Any]]:
        """The rows of a table, some at a time, and the condition that its history's subject `of` is in their range."""
        last: UUID | None = None
        while True:
            after = true() if last is None else table.c.id > last
            rows = await fetch(self._connection, select(table).where(after).order_by(table.c.id).limit(_SUBJECTS))
            lower = true() if last is None else of > last
            if len(rows) < _SUBJECTS:
                yield rows, lower
                return
            last = rows[-1].id
            yield rows, and_(lower, of <= last)

    async def _pages(self, statement: Any, key: tuple[Any, Any]) -> AsyncIterator[Any]:
        """The rows of a statement in the order of their key, a page at a time."""
        last: tuple[Any, Any] | None = None
        while True:
            page = statement if last is None else statement.where(tuple_(*key) > tuple_(*last, types=_types(key)))
            rows = await fetch(self._connection, page.order_by(*key).limit(_PAGE))
            for row in rows:
                yield row
            if len(rows) < _PAGE:
                return
            last = (getattr(rows[-1], key[0].name), getattr(rows[-1], key[1].name))

    def _differ(self, subject_type: str, subject: object, field: str, kept: object, replayed: object) -> None:
        self.differences.append(Difference(subject_type, str(subject), field, str(kept), str(replayed)))


class _Balance:
    """An account as its entries build it, beside the row it must come to."""

    def __init__(self, row: Any) -> None:
        self._row = row
        self._grows = AccountType(row.type).normal_side
        self._cents = 0
        self._count = 0
        self._recorded_at: Any = None
        self._went_wrong = False

    def post(self, entry: Any) -> list[Difference]:
        """Add one entry. What it says itself of the account must be true after it; told of the first that is wrong."""
        self._count += 1
        self._cents += entry.amount_cents if LedgerSide(entry.side) is self._grows else -entry.amount_cents
        self._recorded_at = entry.recorded_at
        if self._went_wrong:
            return []
        name = f"entry {entry.account_seq}"
        found = [
            *self._different(f"{name}, its number", entry.account_seq, self._count),
            *self._different(f"{name}, balance_after_cents", entry.balance_after_cents, self._cents),
        ]
        self._went_wrong = bool(found)
        return found

    def compare(self) -> list[Difference]:
        row = self._row
        found = [
            *self._different("balance_cents", row.balance_cents, self._cents),
            *self._different("version", row.version, self._count),
        ]
        if self._count:
            found += self._different("last_recorded_at", row.last_recorded_at, self._recorded_at)
        return found

    def _different(self, field: str, kept: object, replayed: object) -> list[Difference]:
        if kept == replayed:
            return []
        return [Difference("account", self._row.code, field, str(kept), str(replayed))]


def _types(key: tuple[Any, Any]) -> list[Any]:
    return [column.type for column in key]
