"""The read queries of Collections over SQL: customers, invoices and sales."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.collections.queries import InvoiceFilter, Page
from penpay.application.collections.views import (
    View,
    allocation_view,
    credit_note_view,
    customer_view,
    invoice_view,
    sale_view,
)
from penpay.domain.collections.allocation import SaleId
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.invoice import CreditNote, CreditNoteId, InvoiceId, InvoiceStatus
from penpay.domain.collections.line import Line
from penpay.domain.collections.reference import fold
from penpay.domain.shared.nairobi import nairobi_day
from penpay.infrastructure.sql.collections_billing import invoice, sale, tender
from penpay.infrastructure.sql.collections_money import allocation
from penpay.infrastructure.sql.collections_people import CustomerRepository, kes
from penpay.infrastructure.sql.collections_tables import (
    credit_notes,
    customers,
    invoice_lines,
    invoices,
    payment_allocations,
    payments,
    pos_sale_lines,
    pos_sales,
    pos_tenders,
)
from penpay.infrastructure.sql.engine import looking, translating
from penpay.infrastructure.sql.unit_of_work import fetch

_NUMBER: Final = customers.c.customer_number


class SqlBilling:
    """What is billed and sold, and to whom."""

    def __init__(self, engine: AsyncEngine, people: CustomerRepository) -> None:
        self._engine = engine
        self._people = people

    async def customer(self, number: str) -> View | None:
        rows = await rows_of(self._engine, select(customers).where(customers.c.customer_number_folded == fold(number)))
        return next((customer_view(self._people.opened(row)) for row in rows), None)

    async def customers(self, limit: int, after: str | None = None) -> Page:
        statement = select(customers).order_by(customers.c.created_at, customers.c.id).limit(limit + 1)
        if after is not None:
            last = (
                select(customers.c.created_at, customers.c.id)
                .where(customers.c.customer_number == after)
                .subquery("last")
            )
            place = tuple_(customers.c.created_at, customers.c.id)
            statement = statement.join(last, true()).where(place > tuple_(last.c.created_at, last.c.id))
        rows = await rows_of(self._engine, statement)
        return page([customer_view(self._people.opened(row)) for row in rows], limit, "customer_id")

    async def invoice(self, number: str, *, now: datetime) -> View | None:
        statement = (
            select(invoices, _NUMBER)
            .join(customers, customers.c.id == invoices.c.customer_id)
            .where(invoices.c.invoice_number_folded == fold(number))
        )
        async with translating(), self._engine.connect() as connection:
            rows = await fetch(connection, statement)
            if not rows:
                return None
            found = invoice(rows[0])
            lines = await _lines(connection, invoice_lines, "invoice_id", found.id)
            view = invoice_view(found, rows[0].customer_number, nairobi_day(now), lines)
            view["allocations"] = await _allocations(connection, found.id)
            view["credit_notes"] = await _credit_notes(connection, found.id, found.number)
        return view

    async def invoices(
        self,
        which: InvoiceFilter,
        limit: int,
        *,
        now: datetime,
        customer_number: str | None = None,
        after: str | None = None,
    ) -> Page:
        today = nairobi_day(now)
        is_owed = which in {InvoiceFilter.OUTSTANDING, InvoiceFilter.OVERDUE}
        statement = select(invoices, _NUMBER).join(customers, customers.c.id == invoices.c.customer_id)
        if is_owed:
            statement = statement.where(invoices.c.is_open == true())
            if which is InvoiceFilter.OVERDUE:
                statement = statement.where(invoices.c.due_on < today.isoformat())
        elif which is not InvoiceFilter.ALL:
            statement = statement.where(invoices.c.status == InvoiceStatus(which.value.upper()).value)
        if customer_number is not None:
            statement = statement.where(customers.c.customer_number_folded == fold(customer_number))
        place = (invoices.c.due_on, invoices.c.id) if is_owed else (invoices.c.issued_at, invoices.c.id)
        if after is not None:
            cursor = invoices.alias("cursor")
            columns = [cursor.c[column.name] for column in place]
            last = select(*columns).where(cursor.c.invoice_number == after).subquery("last")
            there = tuple_(*(last.c[column.name] for column in place))
            statement = statement.join(last, true())
            statement = statement.where(tuple_(*place) > there if is_owed else tuple_(*place) < there)
        order = place if is_owed else tuple(column.desc() for column in place)
        rows = await rows_of(self._engine, statement.order_by(*order).limit(limit + 1))
        return page([invoice_view(invoice(row), row.customer_number, today) for row in rows], limit, "invoice_id")

    async def sale(self, number: str) -> View | None:
        statement = _sales().where(pos_sales.c.pos_number_folded == fold(number))
        async with translating(), self._engine.connect() as connection:
            rows = await fetch(connection, statement)
            if not rows:
                return None
            found = sale(rows[0])
            lines = await _lines(connection, pos_sale_lines, "sale_id", found.id)
            taken = select(pos_tenders).where(pos_tenders.c.sale_id == found.id).order_by(pos_tenders.c.seq)
            tenders = [tender(row) for row in await fetch(connection, taken)]
        return sale_view(found, rows[0].customer_number, lines, tenders)

    async def sales(self, limit: int, *, status: str | None = None, after: str | None = None) -> Page:
        statement = _sales()
        if status is not None:
            statement = statement.where(pos_sales.c.status == status)
        if after is not None:
            cursor = pos_sales.alias("cursor")
            last = select(cursor.c.created_at, cursor.c.id).where(cursor.c.pos_number == after).subquery("last")
            place = tuple_(pos_sales.c.created_at, pos_sales.c.id)
            statement = statement.join(last, true()).where(place < tuple_(last.c.created_at, last.c.id))
        order = (pos_sales.c.created_at.desc(), pos_sales.c.id.desc())
        rows = await rows_of(self._engine, statement.order_by(*order).limit(limit + 1))
        return page([sale_view(sale(row), row.customer_number) for row in rows], limit, "pos_id")

    async def due_sales(self, at: datetime, limit: int) -> Sequence[SaleId]:
        """Sales whose time is over, longest due first."""
        due = select(pos_sales.c.id).where(pos_sales.c.due_at <= at).order_by(pos_sales.c.due_at).limit(limit)
        return [SaleId(row.id) for row in await rows_of(looking(self._engine), due)]


def _sales() -> Select[Any]:
    return select(pos_sales, _NUMBER).outerjoin(customers, customers.c.id == pos_sales.c.customer_id)


def page(views: list[View], limit: int, key: str) -> Page:
    """The first `limit` of one more, and where the next page begins."""
    shown = views[:limit]
    return Page(shown, str(shown[-1][key]) if len(views) > limit else None)


async def rows_of(engine: AsyncEngine, statement: Select[Any]) -> Sequence[Any]:
    """All rows of a statement, on a connection of its own."""
    async with translating(), engine.connect() as connection:
        return await fetch(connection, statement)


async def _lines(connection: AsyncConnection, table: Any, owner: str, id_: UUID) -> list[Line]:
    statement = select(table).where(table.c[owner] == id_).order_by(table.c.line_no)
    return [
        Line(
            line_no=row.line_no,
            description=row.description,
            quantity_milli=row.quantity_milli,
            unit_price=kes(row.unit_price_cents),
            discount=kes(row.discount_cents),
            vat_rate_bps=row.vat_rate_bps,
            net=kes(row.net_cents),
            vat=kes(row.vat_cents),
        )
        for row in await fetch(connection, statement)
    ]


async def _allocations(connection: AsyncConnection, invoice_id: InvoiceId) -> list[View]:
    """All rows about an invoice, reversed ones too, each with the receipt it came from."""
    statement = (
        select(payment_allocations, payments.c.mpesa_receipt_number)
        .outerjoin(payments, payments.c.id == payment_allocations.c.payment_id)
        .where(payment_allocations.c.invoice_id == invoice_id)
        .order_by(payment_allocations.c.created_at, payment_allocations.c.id)
    )
    return [
        {**allocation_view(allocation(row), None, None), "mpesa_receipt_number": row.mpesa_receipt_number}
        for row in await fetch(connection, statement)
    ]


async def _credit_notes(connection: AsyncConnection, invoice_id: InvoiceId, number: str) -> list[View]:
    statement = select(credit_notes).where(credit_notes.c.invoice_id == invoice_id).order_by(credit_notes.c.issued_at)
    return [
        credit_note_view(
            CreditNote(
                id=CreditNoteId(row.id),
                number=row.credit_note_number,
                invoice_id=InvoiceId(row.invoice_id),
                customer_id=CustomerId(row.customer_id),
                net=kes(row.net_cents),
                vat=kes(row.vat_cents),
                reason=row.reason,
                issued_at=row.issued_at,
                issued_by=row.issued_by,
            ),
            number,
        )
        for row in await fetch(connection, statement)
    ]
