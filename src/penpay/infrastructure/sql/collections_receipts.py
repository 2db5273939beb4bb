"""The read queries of Collections over SQL: payments, what waits in suspense, and refunds."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Subquery, Table, and_, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.collections.queries import Page
from penpay.application.collections.suggestions import Possibility, ranked
from penpay.application.collections.views import View, allocation_view, payment_view, refund_view
from penpay.domain.collections.allocation import RefundId
from penpay.domain.collections.payment import PaymentStatus
from penpay.domain.collections.point_of_sale import SaleStatus
from penpay.domain.collections.reference import Referent, fold
from penpay.domain.collections.refund import Refund, RefundState
from penpay.domain.shared.nairobi import day_bounds, nairobi_day
from penpay.infrastructure.sql.collections_books import SqlBilling, page, rows_of
from penpay.infrastructure.sql.collections_money import PaymentRepository, RefundRepository, allocation, payment
from penpay.infrastructure.sql.collections_people import CustomerRepository
from penpay.infrastructure.sql.collections_tables import (
    collections_refunds,
    customers,
    invoices,
    payment_allocations,
    payments,
    pos_sales,
)
from penpay.infrastructure.sql.engine import translating
from penpay.infrastructure.sql.unit_of_work import fetch

_NUMBER: Final = customers.c.customer_number
_ID_LETTERS: Final = 36
_WAITING: Final = (PaymentStatus.SUSPENSE.value, PaymentStatus.PARTIALLY_ALLOCATED.value)
_SUGGESTED: Final = 5
_LOOKED_AT: Final = 50
"""Open invoices or sales of one amount that are compared with a payment."""


class SqlCollectionsBooks(SqlBilling):
    """`application.collections.queries.CollectionsBooks` and `DueSales` over SQL."""

    def __init__(
        self, engine: AsyncEngine, people: CustomerRepository, receipts: PaymentRepository, refunds: RefundRepository
    ) -> None:
        super().__init__(engine, people)
        self._receipts = receipts
        self._refunds = refunds

    async def payment(self, receipt: str) -> View | None:
        known = payments.c.mpesa_receipt_number == receipt
        if len(receipt) == _ID_LETTERS:
            try:
                known = payments.c.id == UUID(receipt)
            except ValueError:
                return None
        async with translating(), self._engine.connect() as connection:
            rows = await fetch(connection, _payments().where(known))
            if not rows:
                return None
            view = self._view(rows[0])
            view["allocations"] = await _allocations(connection, rows[0].id)
        return view

    async def payments(
        self,
        limit: int,
        *,
        customer_number: str | None = None,
        status: str | None = None,
        after: str | None = None,
    ) -> Page:
        statement = _payments()
        if customer_number is not None:
            statement = statement.where(customers.c.customer_number_folded == fold(customer_number))
        if status is not None:
            statement = statement.where(payments.c.status == status)
        place = tuple_(payments.c.paid_at, payments.c.id)
        if after is not None:
            last = _place_of(payments, "paid_at", after)
            statement = statement.join(last, true()).where(place < tuple_(last.c.paid_at, last.c.id))
        order = (payments.c.paid_at.desc(), payments.c.id.desc())
        rows = await rows_of(self._engine, statement.order_by(*order).limit(limit + 1))
        return page([self._view(row) for row in rows], limit, "payment_id")

    async def suspense(self, limit: int, *, customer_number: str | None = None, after: str | None = None) -> Page:
        statement = _payments().where(payments.c.status.in_(_WAITING)).order_by(payments.c.paid_at, payments.c.id)
        if customer_number is not None:
            statement = statement.where(customers.c.customer_number_folded == fold(customer_number))
        if after is not None:
            last = _place_of(payments, "paid_at", after)
            place = tuple_(payments.c.paid_at, payments.c.id)
            statement = statement.join(last, true()).where(place > tuple_(last.c.paid_at, last.c.id))
        async with translating(), self._engine.connect() as connection:
            rows = await fetch(connection, statement.limit(limit + 1))
            views = [
                {**self._view(row), "suggestions": await self._suggestions(connection, row)} for row in rows[:limit]
            ]
        return Page(views, str(rows[limit - 1].id) if len(rows) > limit else None)

    async def refund(self, refund_id: RefundId) -> Refund | None:
        statement = select(collections_refunds).where(collections_refunds.c.id == refund_id)
        return next(map(self._refunds.refund, await rows_of(self._engine, statement)), None)

    async def refunds(self, limit: int, *, state: RefundState | None = None, after: str | None = None) -> Page:
        statement = (
            select(collections_refunds, payments.c.mpesa_receipt_number, _NUMBER)
            .outerjoin(payments, payments.c.id == collections_refunds.c.payment_id)
            .outerjoin(customers, customers.c.id == collections_refunds.c.customer_id)
            .order_by(collections_refunds.c.proposed_at.desc(), collections_refunds.c.id.desc())
            .limit(limit + 1)
        )
        if state is not None:
            statement = statement.where(collections_refunds.c.state == state.value)
        if after is not None:
            last = _place_of(collections_refunds, "proposed_at", after)
            place = tuple_(collections_refunds.c.proposed_at, collections_refunds.c.id)
            statement = statement.join(last, true()).where(place < tuple_(last.c.proposed_at, last.c.id))
        rows = await rows_of(self._engine, statement)
        views = [refund_view(self._refunds.refund(row), row.mpesa_receipt_number, row.customer_number) for row in rows]
        return page(views, limit, "refund_id")

    async def paid_today(
        self, *, now: datetime, payer_hash: str | None = None, customer_number: str | None = None
    ) -> int:
        begin, end = day_bounds(nairobi_day(now))
        whose: list[ColumnElement[bool]] = []
        if payer_hash is not None:
            whose.append(payments.c.payer_index == self._receipts.payer_digest(payer_hash))
        if customer_number is not None:
            folded = customers.c.customer_number_folded == fold(customer_number)
            owner = select(customers.c.id).where(folded).scalar_subquery()
            whose.append(payments.c.customer_id == owner)
        if not whose:
            return 0
        paid = select(func.coalesce(func.sum(payments.c.amount_cents), 0).label("cents")).where(
            or_(*whose), payments.c.paid_at >= begin, payments.c.paid_at < end
        )
        return int((await rows_of(self._engine, paid))[0].cents)

    def _view(self, row: Any) -> View:
        return payment_view(payment(row), row.customer_number, self._receipts.payer(row))

    async def _suggestions(self, connection: AsyncConnection, row: Any) -> list[View]:
        found = [self._possibility(one) for one in await _possibilities(connection, row)]
        name = self._receipts.payer(row).name
        return [
            {
                "kind": one.referent.value,
                "reference": one.number,
                "customer_id": one.customer_number,
                "open_cents": one.open_cents,
                "hints": [hint.value for hint in one.hints],
            }
            for one in ranked(payment(row), name, found)[:_SUGGESTED]
        ]

    def _possibility(self, found: tuple[Referent, str, int, bool, Any]) -> Possibility:
        referent, number, cents, is_payers, row = found
        return Possibility(
            referent=referent,
            number=number,
            customer_number=row.customer_number,
            open_cents=cents,
            customer_name=self._people.contact(row).name if row.name_sealed is not None else "",
            is_payers=is_payers,
        )


_PEOPLE: Final = (
    customers.c.customer_number,
    customers.c.name_sealed,
    customers.c.phone_sealed,
    customers.c.email_sealed,
    customers.c.msisdn_index,
)


def _place_of(table: Table, moment: str, id_: str) -> Subquery:
    """Where a row stands in a list by a moment and its id."""
    cursor = table.alias("cursor")
    return select(cursor.c[moment], cursor.c.id).where(cursor.c.id == UUID(id_)).subquery("last")


def _payments() -> Select[Any]:
    return select(payments, _NUMBER).outerjoin(customers, customers.c.id == payments.c.customer_id)


async def _possibilities(connection: AsyncConnection, row: Any) -> list[tuple[Referent, str, int, bool, Any]]:
    """What a payment in suspense may be for: open things of its amount, and what the payer owes."""
    index, cents = row.payer_index, row.suspense_cents
    by_payer = and_(customers.c.msisdn_index.is_not(None), customers.c.msisdn_index == index)
    bills = (
        select(customers.c.id, *_PEOPLE, invoices.c.invoice_number, invoices.c.balance)
        .join(invoices, invoices.c.customer_id == customers.c.id)
        .where(invoices.c.is_open == true(), or_(invoices.c.balance == cents, by_payer))
        .order_by(invoices.c.issued_at)
        .limit(_LOOKED_AT)
    )
    to_pay = pos_sales.c.total_cents - pos_sales.c.cash_cents - pos_sales.c.mpesa_cents
    sales = (
        select(customers.c.id, *_PEOPLE, pos_sales.c.pos_number, to_pay.label("to_pay"))
        .select_from(pos_sales.outerjoin(customers, customers.c.id == pos_sales.c.customer_id))
        .where(pos_sales.c.status == SaleStatus.PENDING.value, to_pay == cents)
        .order_by(pos_sales.c.created_at)
        .limit(_LOOKED_AT)
    )
    people = select(customers.c.id, *_PEOPLE, customers.c.receivable_cents).where(by_payer).limit(_LOOKED_AT)
    owed = await fetch(connection, bills)
    waiting = await fetch(connection, sales)
    payers = [] if index is None else await fetch(connection, people)
    return [
        *((Referent.INVOICE, one.invoice_number, one.balance, _is_payers(one, index), one) for one in owed),
        *((Referent.SALE, one.pos_number, one.to_pay, _is_payers(one, index), one) for one in waiting),
        *((Referent.CUSTOMER, one.customer_number, one.receivable_cents, True, one) for one in payers),
    ]


def _is_payers(row: Any, index: str | None) -> bool:
    return index is not None and row.msisdn_index == index


async def _allocations(connection: AsyncConnection, payment_id: UUID) -> list[View]:
    statement = (
        select(payment_allocations, invoices.c.invoice_number, pos_sales.c.pos_number, _NUMBER)
        .outerjoin(invoices, invoices.c.id == payment_allocations.c.invoice_id)
        .outerjoin(pos_sales, pos_sales.c.id == payment_allocations.c.pos_sale_id)
        .outerjoin(customers, customers.c.id == payment_allocations.c.customer_id)
        .where(payment_allocations.c.payment_id == payment_id)
        .order_by(payment_allocations.c.created_at, payment_allocations.c.id)
    )
    return [
        {**allocation_view(allocation(row), row.invoice_number, row.pos_number), "customer_id": row.customer_number}
        for row in await fetch(connection, statement)
    ]
