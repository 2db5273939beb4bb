"""Invoices, sales and their lines, credit notes and tenders, and which invoices are open."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, Final

from sqlalchemy import Select, and_, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.collections.rows import (
    ALL_OPEN_INVOICES,
    CREDIT_NOTES,
    INVOICE_LINES,
    INVOICES,
    KNOWN_SALES,
    OLDEST_INVOICES,
    SALE_LINES,
    SALES,
    TENDERS,
    TENDERS_OF_SALES,
    OpenInvoices,
)
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.collections.allocation import OpenInvoice, PaymentId, SaleId
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.invoice import CreditNote, Invoice, InvoiceId, InvoiceLine, InvoiceStatus
from penpay.domain.collections.line import Line
from penpay.domain.collections.point_of_sale import Sale, SaleLine, SaleStatus, Tender, TenderKind
from penpay.domain.collections.reference import fold
from penpay.domain.collections.shift import ShiftId
from penpay.infrastructure.sql import mysql
from penpay.infrastructure.sql.collections_people import kes
from penpay.infrastructure.sql.collections_tables import (
    credit_notes,
    customers,
    invoice_lines,
    invoices,
    pos_sale_lines,
    pos_sales,
    pos_tenders,
)
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import among_ids, fetch, for_update

_FEW: Final = 12
"""Open invoices looked at first; hardly ever does one payment pay more."""
_STATUSES: Final[Mapping[str, InvoiceStatus]] = {member.value: member for member in InvoiceStatus}


class InvoiceRepository:
    """Invoices by id, locked in id order."""

    kind = INVOICES
    table = invoices
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("status", "credited_cents", "balance", "is_open", "voided_at", "version")

    async def lock(
        self, connection: AsyncConnection, keys: Collection[InvoiceId]
    ) -> Mapping[InvoiceId, Invoice | None]:
        wanted = among_ids(invoices.c.id, keys, connection.dialect)
        statement = select(invoices).where(wanted).order_by(invoices.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(invoice, rows), lambda found: found.id, keys)

    def row(self, value: Invoice) -> Row:
        return (
            value.id,
            value.number,
            fold(value.number),
            value.customer_id,
            value.status.value,
            value.net.cents,
            value.vat.cents,
            value.total.cents,
            value.credited.cents,
            value.balance.cents,
            value.is_open,
            value.memo,
            value.issued_at,
            value.due_on.isoformat(),
            value.voided_at,
            value.version,
        )

    def identity(self, value: Invoice) -> Row:
        return (value.id,)


def invoice(row: Any) -> Invoice:
    """An invoice from its row."""
    return Invoice(
        id=InvoiceId(row.id),
        number=row.invoice_number,
        customer_id=CustomerId(row.customer_id),
        status=_STATUSES[row.status],
        net=kes(row.net_cents),
        vat=kes(row.vat_cents),
        credited=kes(row.credited_cents),
        balance=kes(row.balance),
        memo=row.memo,
        issued_at=row.issued_at,
        due_on=date.fromisoformat(row.due_on),
        voided_at=row.voided_at,
        version=row.version,
    )


class InvoiceLineAppender:
    """Lines of invoices."""

    kind = INVOICE_LINES
    table = invoice_lines

    def row(self, record: InvoiceLine) -> Row:
        return (record.invoice_id, *_line_row(record.line))


class SaleLineAppender:
    """Lines of sales."""

    kind = SALE_LINES
    table = pos_sale_lines

    def row(self, record: SaleLine) -> Row:
        cost = record.line.unit_cost
        return (record.sale_id, *_line_row(record.line), cost and cost.cents)


def _line_row(line: Line) -> Row:
    return (
        line.line_no,
        line.description,
        line.quantity_milli,
        line.unit_price.cents,
        line.discount.cents,
        line.vat_rate_bps,
        line.net.cents,
        line.vat.cents,
    )


class CreditNoteAppender:
    """Credit notes."""

    kind = CREDIT_NOTES
    table = credit_notes

    def row(self, record: CreditNote) -> Row:
        return (
            record.id,
            record.number,
            record.invoice_id,
            record.customer_id,
            record.net.cents,
            record.vat.cents,
            record.total.cents,
            record.reason,
            record.issued_at,
            record.issued_by,
        )


class OldestInvoices:
    """The first few open invoices of each customer, oldest first. Of a customer with thousands it reads a few."""

    index = OLDEST_INVOICES

    async def find(
        self, connection: AsyncConnection, keys: Collection[CustomerId]
    ) -> Mapping[CustomerId, OpenInvoices]:
        rows = await fetch(connection, _oldest(connection.dialect.name).where(_among(connection, keys)))
        return _by_customer(rows, _FEW)


class AllOpenInvoices:
    """All open invoices of each customer, oldest first."""

    index = ALL_OPEN_INVOICES

    async def find(
        self, connection: AsyncConnection, keys: Collection[CustomerId]
    ) -> Mapping[CustomerId, OpenInvoices]:
        statement = (
            select(*_COUNTS, invoices.c.id.label("invoice_id"), invoices.c.balance)
            .outerjoin(invoices, and_(invoices.c.customer_id == customers.c.id, invoices.c.is_open == true()))
            .where(_among(connection, keys))
            .order_by(customers.c.id, invoices.c.issued_at, invoices.c.invoice_number)
        )
        return _by_customer(await fetch(connection, statement), None)


_COUNTS: Final = (customers.c.id, customers.c.issued_count, customers.c.reopened_count)


def _among(connection: AsyncConnection, keys: Collection[CustomerId]) -> Any:
    return among_ids(customers.c.id, keys, connection.dialect)


def _oldest(engine: str) -> Select[Any]:
    """Each engine has its own way to take a few rows of each group without reading the others."""
    place = (invoices.c.issued_at, invoices.c.invoice_number)
    columns = (invoices.c.id.label("invoice_id"), invoices.c.balance, *place)
    mine = and_(invoices.c.customer_id == customers.c.id, invoices.c.is_open == true())
    if engine == "sqlite":
        other = invoices.alias("other")
        few = (
            select(other.c.id)
            .where(other.c.customer_id == customers.c.id, other.c.is_open == true())
            .order_by(other.c.issued_at, other.c.invoice_number)
            .limit(_FEW)
            .correlate(customers)
        )
        joined = customers.outerjoin(invoices, invoices.c.id.in_(few))
        return select(*_COUNTS, *columns).select_from(joined).order_by(customers.c.id, *place)
    if engine == mysql.NAME:  # MariaDB has neither LATERAL nor a limit in such a subquery
        number = func.row_number().over(partition_by=invoices.c.customer_id, order_by=place).label("place")
        owner = invoices.c.customer_id.label("owner")
        numbered = select(owner, *columns, number).where(invoices.c.is_open == true()).subquery("oldest")
        joined = customers.outerjoin(numbered, and_(numbered.c.owner == customers.c.id, numbered.c.place <= _FEW))
        return (
            select(*_COUNTS, numbered.c.invoice_id, numbered.c.balance)
            .select_from(joined)
            .order_by(customers.c.id, numbered.c.place)
        )
    oldest = select(*columns).where(mine).order_by(*place).limit(_FEW).lateral("oldest")
    return (
        select(*_COUNTS, oldest.c.invoice_id, oldest.c.balance)
        .select_from(customers.outerjoin(oldest, true()))
        .order_by(customers.c.id, oldest.c.issued_at, oldest.c.invoice_number)
    )


def _by_customer(rows: Collection[Any], limit: int | None) -> dict[CustomerId, OpenInvoices]:
    found: dict[CustomerId, list[OpenInvoice]] = {}
    counts = {}
    for row in rows:
        id_ = CustomerId(row.id)
        counts[id_] = (row.issued_count, row.reopened_count)
        mine = found.setdefault(id_, [])
        if row.invoice_id is not None:
            mine.append(OpenInvoice(InvoiceId(row.invoice_id), row.balance))
    return {
        id_: OpenInvoices(*counts[id_], tuple(mine), is_all=limit is None or len(mine) < limit)
        for id_, mine in found.items()
    }


class SaleRepository:
    """Sales by id, locked in id order."""

    kind = SALES
    table = pos_sales
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("status", "cash_cents", "mpesa_cents", "tenders", "due_at", "paid_at", "version")

    async def lock(self, connection: AsyncConnection, keys: Collection[SaleId]) -> Mapping[SaleId, Sale | None]:
        wanted = among_ids(pos_sales.c.id, keys, connection.dialect)
        statement = select(pos_sales).where(wanted).order_by(pos_sales.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(sale, rows), lambda found: found.id, keys)

    def row(self, value: Sale) -> Row:
        return (
            value.id,
            value.number,
            fold(value.number),
            value.customer_id,
            value.status.value,
            value.net.cents,
            value.vat.cents,
            value.total.cents,
            value.cost and value.cost.cents,
            value.cash.cents,
            value.mpesa.cents,
            value.tenders,
            value.expires_at,
            value.due_at,
            value.paid_at,
            value.created_at,
            value.created_by,
            value.version,
            value.shift_id,
        )

    def identity(self, value: Sale) -> Row:
        return (value.id,)


def sale(row: Any) -> Sale:
    """A sale from its row."""
    return Sale(
        id=SaleId(row.id),
        number=row.pos_number,
        customer_id=row.customer_id and CustomerId(row.customer_id),
        status=SaleStatus(row.status),
        net=kes(row.net_cents),
        vat=kes(row.vat_cents),
        cost=None if row.cost_cents is None else kes(row.cost_cents),
        cash=kes(row.cash_cents),
        mpesa=kes(row.mpesa_cents),
        tenders=row.tenders,
        expires_at=row.expires_at,
        paid_at=row.paid_at,
        created_at=row.created_at,
        created_by=row.created_by,
        shift_id=row.shift_id and ShiftId(row.shift_id),
        version=row.version,
    )


class KnownSales:
    """Sales, unlocked."""

    index = KNOWN_SALES

    async def find(self, connection: AsyncConnection, keys: Collection[SaleId]) -> Mapping[SaleId, Sale]:
        statement = select(pos_sales).where(among_ids(pos_sales.c.id, keys, connection.dialect))
        return {found.id: found for found in map(sale, await fetch(connection, statement))}


class TenderAppender:
    """What was taken for sales and given back."""

    kind = TENDERS
    table = pos_tenders

    def row(self, record: Tender) -> Row:
        return (
            record.sale_id,
            record.seq,
            record.kind.value,
            record.amount.cents,
            record.payment_id,
            record.taken_at,
            record.taken_by,
            record.shift_id,
        )


class TendersOfSales:
    """The tenders of each sale, oldest first."""

    index = TENDERS_OF_SALES

    async def find(self, connection: AsyncConnection, keys: Collection[SaleId]) -> Mapping[SaleId, tuple[Tender, ...]]:
        statement = (
            select(pos_tenders)
            .where(among_ids(pos_tenders.c.sale_id, keys, connection.dialect))
            .order_by(pos_tenders.c.sale_id, pos_tenders.c.seq)
        )
        found: dict[SaleId, tuple[Tender, ...]] = {}
        for one in map(tender, await fetch(connection, statement)):
            found[one.sale_id] = (*found.get(one.sale_id, ()), one)
        return found


def tender(row: Any) -> Tender:
    """A tender from its row."""
    return Tender(
        sale_id=SaleId(row.sale_id),
        seq=row.seq,
        kind=TenderKind(row.kind),
        amount=kes(row.amount_cents),
        payment_id=row.payment_id and PaymentId(row.payment_id),
        taken_at=row.taken_at,
        taken_by=row.taken_by,
        shift_id=row.shift_id and ShiftId(row.shift_id),
    )
