"""The lock of the books over SQL, and the wishes that moved it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.collections.period import BOOKS, BOOKS_LOCK, PERIOD_LOCKS
from penpay.application.collections.period_views import lock_view
from penpay.application.collections.queries import Page
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.collections.period import BooksLock, LockState, PeriodLock, PeriodLockId
from penpay.infrastructure.sql.collections_books import page, rows_of
from penpay.infrastructure.sql.collections_tables import books_lock, period_locks
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import among, among_ids, fetch, for_update

_b, _p = books_lock.c, period_locks.c


class BooksLockRepository:
    """The lock in force, one row."""

    kind = BOOKS_LOCK
    table = books_lock
    key: tuple[str, ...] = ("name",)
    mutable: tuple[str, ...] = ("locked_through", "version")

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, BooksLock | None]:
        statement = select(books_lock).where(among(_b.name, keys, connection.dialect)).order_by(_b.name)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return {**dict.fromkeys(keys), **{row.name: _standing(row) for row in rows}}

    def row(self, value: BooksLock) -> Row:
        return (BOOKS, _text(value.through), value.version)

    def identity(self, value: BooksLock) -> Row:  # noqa: ARG002  (there is one)
        return (BOOKS,)


def _standing(row: Any) -> BooksLock:
    return BooksLock(through=_day(row.locked_through), version=row.version)


class PeriodLockRepository:
    """Wishes to lock the books by id, locked in id order."""

    kind = PERIOD_LOCKS
    table = period_locks
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("state", "decided_by", "decided_at", "version")

    async def lock(
        self, connection: AsyncConnection, keys: Collection[PeriodLockId]
    ) -> Mapping[PeriodLockId, PeriodLock | None]:
        statement = select(period_locks).where(among_ids(_p.id, keys, connection.dialect)).order_by(_p.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(_lock, rows), lambda found: found.id, keys)

    def row(self, value: PeriodLock) -> Row:
        return (
            value.id,
            _text(value.through),
            value.reason,
            value.state.value,
            value.proposed_by,
            value.proposed_at,
            value.decided_by,
            value.decided_at,
            value.version,
        )

    def identity(self, value: PeriodLock) -> Row:
        return (value.id,)


def _lock(row: Any) -> PeriodLock:
    return PeriodLock(
        id=PeriodLockId(row.id),
        through=_day(row.locked_through),
        reason=row.reason,
        state=LockState(row.state),
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        version=row.version,
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


class SqlPeriods:
    """`application.collections.queries.PeriodBooks` over SQL; nothing is locked."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def locked_through(self) -> date | None:
        rows = await rows_of(self._engine, select(books_lock).where(_b.name == BOOKS))
        return _standing(rows[0]).through if rows else None

    async def locks(self, limit: int, *, state: LockState | None = None, after: UUID | None = None) -> Page:
        statement = select(period_locks)
        if state is not None:
            statement = statement.where(_p.state == state.value)
        if after is not None:
            cursor = period_locks.alias("cursor")
            last = select(cursor.c.proposed_at, cursor.c.id).where(cursor.c.id == after).subquery("last")
            place = tuple_(_p.proposed_at, _p.id)
            statement = statement.join(last, true()).where(place < tuple_(last.c.proposed_at, last.c.id))
        order = (_p.proposed_at.desc(), _p.id.desc())
        rows = await rows_of(self._engine, statement.order_by(*order).limit(limit + 1))
        return page([lock_view(_lock(row)) for row in rows], limit, "lock_id")
