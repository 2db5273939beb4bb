"""Shifts and cash movements over SQL: what commands lock and look up, and what people read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.collections.drawer import (
    CASH_MOVEMENTS,
    KNOWN_SHIFTS,
    OPEN_SHIFTS,
    SHIFTS_BY_NUMBER,
    SOLD_IN_SHIFTS,
    Sold,
)
from penpay.application.collections.queries import Page
from penpay.application.collections.shift_views import movement_view, shift_view
from penpay.application.collections.views import View
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.collections.reference import fold
from penpay.domain.collections.shift import (
    CashDirection,
    CashMovement,
    CashMovementId,
    CashPurpose,
    Counted,
    Shift,
    ShiftId,
    ShiftState,
)
from penpay.infrastructure.sql.collections_books import page, rows_of
from penpay.infrastructure.sql.collections_people import kes
from penpay.infrastructure.sql.collections_tables import cash_movements, pos_sales, till_shifts
from penpay.infrastructure.sql.engine import translating
from penpay.infrastructure.sql.snapshot import snapshot
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import among, among_ids, fetch, for_update

_s, _m = till_shifts.c, cash_movements.c


class ShiftRepository:
    """Open shifts by cashier, locked in id order."""

    kind = OPEN_SHIFTS
    table = till_shifts
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = (
        "open_by", "taken_cents", "returned_cents", "in_cents", "out_cents", "counted_cents", "mpesa_cents",
        "sales_count", "closed_at", "closed_by", "version",
    )  # fmt: skip

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, Shift | None]:
        wanted = among(_s.open_by, keys, connection.dialect)
        statement = select(till_shifts).where(wanted).order_by(_s.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(shift, rows), lambda found: found.cashier, keys)

    def row(self, value: Shift) -> Row:
        counted = value.counted
        return (
            value.id,
            value.number,
            fold(value.number),
            value.cashier,
            value.cashier if value.is_open else None,
            value.opened_at,
            value.opening_float.cents,
            value.taken.cents,
            value.returned.cents,
            value.put_in.cents,
            value.taken_out.cents,
            counted and counted.cash.cents,
            counted and counted.mpesa.cents,
            counted and counted.sales,
            counted and counted.at,
            counted and counted.by,
            value.version,
        )

    def identity(self, value: Shift) -> Row:
        return (value.id,)


def shift(row: Any) -> Shift:
    """A shift from its row."""
    counted = None
    if row.open_by is None:
        counted = Counted(
            cash=kes(row.counted_cents),
            mpesa=kes(row.mpesa_cents),
            sales=row.sales_count,
            by=row.closed_by,
            at=row.closed_at,
        )
    return Shift(
        id=ShiftId(row.id),
        number=row.shift_number,
        cashier=row.cashier,
        opened_at=row.opened_at,
        opening_float=kes(row.float_cents),
        taken=kes(row.taken_cents),
        returned=kes(row.returned_cents),
        put_in=kes(row.in_cents),
        taken_out=kes(row.out_cents),
        counted=counted,
        version=row.version,
    )


class ShiftsByNumber:
    """Shifts by folded number, unlocked."""

    index = SHIFTS_BY_NUMBER

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, Shift]:
        statement = select(till_shifts).where(among(_s.shift_number_folded, keys, connection.dialect))
        return {row.shift_number_folded: shift(row) for row in await fetch(connection, statement)}


class KnownShifts:
    """Shifts by id, unlocked."""

    index = KNOWN_SHIFTS

    async def find(self, connection: AsyncConnection, keys: Collection[ShiftId]) -> Mapping[ShiftId, Shift]:
        statement = select(till_shifts).where(among_ids(_s.id, keys, connection.dialect))
        return {found.id: found for found in map(shift, await fetch(connection, statement))}


class SoldInShifts:
    """What was sold in each shift so far."""

    index = SOLD_IN_SHIFTS

    async def find(self, connection: AsyncConnection, keys: Collection[ShiftId]) -> Mapping[ShiftId, Sold]:
        statement = _sold().where(among_ids(pos_sales.c.shift_id, keys, connection.dialect))
        return {ShiftId(row.shift_id): _told(row) for row in await fetch(connection, statement)}


def _sold() -> Select[Any]:
    """By shift; PostgreSQL sums BIGINT to NUMERIC."""
    sales = pos_sales.c
    return select(
        sales.shift_id, func.count().label("sales"), func.sum(sales.mpesa_cents).label("mpesa_cents")
    ).group_by(sales.shift_id)


def _told(row: Any) -> Sold:
    return Sold(int(row.sales), int(row.mpesa_cents))


class CashMovementAppender:
    """Cash that came or went without a sale."""

    kind = CASH_MOVEMENTS
    table = cash_movements

    def row(self, record: CashMovement) -> Row:
        return (
            record.id,
            record.shift_id,
            record.direction.value,
            record.purpose.value,
            record.amount.cents,
            record.reason,
            record.moved_at,
            record.moved_by,
        )


def _movement(row: Any) -> CashMovement:
    return CashMovement(
        id=CashMovementId(row.id),
        shift_id=row.shift_id and ShiftId(row.shift_id),
        direction=CashDirection(row.direction),
        purpose=CashPurpose(row.purpose),
        amount=kes(row.amount_cents),
        reason=row.reason,
        moved_at=row.moved_at,
        moved_by=row.moved_by,
    )


class SqlShifts:
    """`application.collections.queries.ShiftBooks` over SQL; nothing is locked."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def shift(self, number: str) -> View | None:
        statement = select(till_shifts).where(_s.shift_number_folded == fold(number))
        async with translating(), snapshot(self._engine) as connection:
            rows = await fetch(connection, statement)
            if not rows:
                return None
            found = shift(rows[0])
            sold = await fetch(connection, _sold().where(pos_sales.c.shift_id == found.id))
            moved = select(cash_movements).where(_m.shift_id == found.id).order_by(_m.moved_at, _m.id)
            movements = [movement_view(_movement(row), found.number) for row in await fetch(connection, moved)]
        told = _told(sold[0]) if sold else Sold(0, 0)
        return {**shift_view(found, told), "movements": movements}

    async def shifts(
        self, limit: int, *, state: ShiftState | None = None, cashier: str | None = None, after: str | None = None
    ) -> Page:
        statement = select(till_shifts)
        if state is not None:
            is_open = _s.open_by.is_not(None)
            statement = statement.where(is_open if state is ShiftState.OPEN else ~is_open)
        if cashier is not None:
            statement = statement.where(_s.cashier == cashier)
        if after is not None:
            cursor = till_shifts.alias("cursor")
            last = select(cursor.c.opened_at, cursor.c.id).where(cursor.c.shift_number == after).subquery("last")
            place = tuple_(_s.opened_at, _s.id)
            statement = statement.join(last, true()).where(place < tuple_(last.c.opened_at, last.c.id))
        rows = await rows_of(self._engine, statement.order_by(_s.opened_at.desc(), _s.id.desc()).limit(limit + 1))
        return page([shift_view(shift(row)) for row in rows], limit, "shift_id")

    async def cash_movements(self, limit: int, after: str | None = None) -> Page:
        statement = select(cash_movements, _s.shift_number).outerjoin(till_shifts, _s.id == _m.shift_id)
        if after is not None:
            cursor = cash_movements.alias("cursor")
            last = select(cursor.c.moved_at, cursor.c.id).where(cursor.c.id == _id(after)).subquery("last")
            place = tuple_(_m.moved_at, _m.id)
            statement = statement.join(last, true()).where(place < tuple_(last.c.moved_at, last.c.id))
        rows = await rows_of(self._engine, statement.order_by(_m.moved_at.desc(), _m.id.desc()).limit(limit + 1))
        return page([movement_view(_movement(row), row.shift_number) for row in rows], limit, "movement_id")


def _id(after: str) -> UUID | None:
    """The id that a page says the next one begins after; None, after which nothing comes, for any other text."""
    try:
        return UUID(after)
    except ValueError:
        return None
