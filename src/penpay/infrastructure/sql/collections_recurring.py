"""The rows of recurring invoices, which bills of them are due, and lists of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.collections.queries import Page
from penpay.application.collections.recurring import DueRecurring
from penpay.application.collections.rows import OCCURRENCES, RECURRING, RECURRING_CUSTOMERS
from penpay.application.collections.views import recurring_view
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.line import LineItem
from penpay.domain.collections.recurring import (
    Every,
    Occurrence,
    RecurringId,
    RecurringInvoice,
    RecurringState,
    Schedule,
)
from penpay.domain.collections.reference import fold
from penpay.infrastructure.sql.collections_books import page, rows_of
from penpay.infrastructure.sql.collections_people import kes
from penpay.infrastructure.sql.collections_recurring_tables import recurring_invoices, recurring_occurrences
from penpay.infrastructure.sql.collections_tables import customers
from penpay.infrastructure.sql.engine import looking
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import document, fetch, for_update, parsed

_r = recurring_invoices.c


class RecurringRepository:
    """Recurring invoices by number."""

    kind = RECURRING
    table = recurring_invoices
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("state", "next_occurrence", "due_at", "version")

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, RecurringInvoice | None]:
        statement = select(recurring_invoices).where(_r.recurring_number.in_(keys)).order_by(_r.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(_recurring, rows), lambda found: found.number, keys)

    def row(self, value: RecurringInvoice) -> Row:
        schedule = value.schedule
        return (
            value.id,
            value.number,
            value.customer_id,
            document({"items": [_told(item) for item in value.items]}),
            value.vat_included,
            value.due_days,
            value.memo,
            schedule.every.value,
            schedule.interval,
            schedule.starts_on.isoformat(),
            schedule.ends_on and schedule.ends_on.isoformat(),
            schedule.times,
            value.state.value,
            value.next,
            value.due_at,
            value.created_by,
            value.created_at,
            value.version,
        )

    def identity(self, value: RecurringInvoice) -> Row:
        return (value.id,)


def _told(item: LineItem) -> dict[str, object]:
    return {
        "description": item.description,
        "quantity_milli": item.quantity_milli,
        "unit_price_cents": item.unit_price.cents,
        "discount_cents": item.discount.cents,
        "vat_rate_bps": item.vat_rate_bps,
    }


def _item(told: Mapping[str, Any]) -> LineItem:
    return LineItem(
        description=told["description"],
        quantity_milli=told["quantity_milli"],
        unit_price=kes(told["unit_price_cents"]),
        discount=kes(told["discount_cents"]),
        vat_rate_bps=told["vat_rate_bps"],
    )


def _recurring(row: Any) -> RecurringInvoice:
    return RecurringInvoice(
        id=RecurringId(row.id),
        number=row.recurring_number,
        customer_id=CustomerId(row.customer_id),
        items=tuple(map(_item, parsed(row.items)["items"])),
        vat_included=row.vat_included,
        due_days=row.due_days,
        memo=row.memo,
        schedule=Schedule(
            every=Every(row.every),
            interval=row.every_count,
            starts_on=date.fromisoformat(row.starts_on),
            ends_on=row.ends_on and date.fromisoformat(row.ends_on),
            times=row.times,
        ),
        state=RecurringState(row.state),
        next=row.next_occurrence,
        created_by=row.created_by,
        created_at=row.created_at,
        version=row.version,
    )


class OccurrenceAppender:
    """Bills that were issued."""

    kind = OCCURRENCES
    table = recurring_occurrences

    def row(self, record: Occurrence) -> Row:
        return (record.recurring_id, record.occurrence, record.invoice_id)


class RecurringCustomers:
    """Whom a recurring invoice bills, by its number."""

    index = RECURRING_CUSTOMERS

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, CustomerId]:
        statement = select(_r.recurring_number, _r.customer_id).where(_r.recurring_number.in_(keys))
        return {row.recurring_number: CustomerId(row.customer_id) for row in await fetch(connection, statement)}


class SqlRecurring:
    """`application.collections.recurring.RecurringBooks` over SQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def due(self, at: datetime, limit: int) -> Sequence[DueRecurring]:
        statement = (
            select(_r.recurring_number, _r.next_occurrence).where(_r.due_at <= at).order_by(_r.due_at).limit(limit)
        )
        rows = await rows_of(looking(self._engine), statement)
        return [DueRecurring(row.recurring_number, row.next_occurrence) for row in rows]

    async def recurring(
        self,
        limit: int,
        *,
        customer_number: str | None = None,
        state: RecurringState | None = None,
        after: str | None = None,
    ) -> Page:
        statement = (
            select(recurring_invoices, customers.c.customer_number)
            .join(customers, customers.c.id == _r.customer_id)
            .order_by(_r.created_at.desc(), _r.id.desc())
            .limit(limit + 1)
        )
        if customer_number is not None:
            statement = statement.where(customers.c.customer_number_folded == fold(customer_number))
        if state is not None:
            statement = statement.where(_r.state == state.value)
        if after is not None:
            cursor = recurring_invoices.alias("cursor")
            named = cursor.c.recurring_number == after
            last = select(cursor.c.created_at, cursor.c.id).where(named).subquery("last")
            place = tuple_(_r.created_at, _r.id)
            statement = statement.join(last, place < tuple_(last.c.created_at, last.c.id))
        rows = await rows_of(self._engine, statement)
        return page([recurring_view(_recurring(row), row.customer_number) for row in rows], limit, "recurring_id")
