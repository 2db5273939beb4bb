"""What payments and credit are used for now: allocations that count, with the versions that prove a look fresh."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.collections.rows import (
    HELD_BY_CREDIT,
    HELD_BY_ID,
    HELD_BY_INVOICE,
    HELD_BY_PAYMENT,
    HELD_BY_REFUND,
    HELD_BY_SALE,
    HELD_UNVERIFIED,
    Held,
)
from penpay.domain.collections.allocation import Allocation, AllocationId, RefundId, SaleId, Target
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.invoice import InvoiceId
from penpay.domain.collections.payment import Verification
from penpay.infrastructure.sql.collections_money import allocation, known_by
from penpay.infrastructure.sql.collections_tables import customers, invoices, payment_allocations, payments, pos_sales
from penpay.infrastructure.sql.unit_of_work import among_ids, fetch


def counts() -> ColumnElement[bool]:
    """Whether an allocation counts: it reverses none, and none reverses it."""
    other = payment_allocations.alias("reversing")
    reversing = select(other.c.id).where(other.c.reverses_id == payment_allocations.c.id)
    return and_(payment_allocations.c.reverses_id.is_(None), ~reversing.exists())


_OWNER: Final = (customers.c.id.label("owner_id"), customers.c.version.label("owner_version"))
_WITH_OWNER: Final = payment_allocations.outerjoin(customers, customers.c.id == payment_allocations.c.customer_id)


def _held(rows: Sequence[Any], key: str) -> dict[Any, Held]:
    """Rows of allocations, or of nothing, each with what holds it and whose it is."""
    found: dict[Any, tuple[int, list[Allocation], dict[CustomerId, int]]] = {}
    for row in rows:
        _, held, owners = found.setdefault(getattr(row, key), (row.holder_version, [], {}))
        if row.id is not None:
            held.append(allocation(row))
        if row.owner_id is not None:
            owners[CustomerId(row.owner_id)] = row.owner_version
    return {key: Held(version, tuple(held), tuple(owners.items())) for key, (version, held, owners) in found.items()}


class HeldByPayment:
    """What counts of each payment."""

    index = HELD_BY_PAYMENT

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, Held]:
        statement = (
            select(
                payments.c.id.label("holder"),
                payments.c.mpesa_receipt_number.label("receipt"),
                payments.c.version.label("holder_version"),
                payment_allocations,
                *_OWNER,
            )
            .select_from(
                payments.outerjoin(_WITH_OWNER, and_(payment_allocations.c.payment_id == payments.c.id, counts()))
            )
            .where(known_by(connection, keys))
            .order_by(payment_allocations.c.created_at, payment_allocations.c.id)
        )
        rows = await fetch(connection, statement)
        names = {row.holder: row.receipt for row in rows}
        held = _held(rows, "holder")
        return {names[id_] if names[id_] in keys else str(id_): one for id_, one in held.items()}


class HeldByInvoice:
    """What pays each invoice."""

    index = HELD_BY_INVOICE

    async def find(self, connection: AsyncConnection, keys: Collection[InvoiceId]) -> Mapping[InvoiceId, Held]:
        statement = (
            select(
                invoices.c.id.label("holder"), invoices.c.version.label("holder_version"), payment_allocations, *_OWNER
            )
            .select_from(
                invoices.outerjoin(_WITH_OWNER, and_(payment_allocations.c.invoice_id == invoices.c.id, counts()))
            )
            .where(among_ids(invoices.c.id, keys, connection.dialect))
            .order_by(payment_allocations.c.created_at, payment_allocations.c.id)
        )
        return _held(await fetch(connection, statement), "holder")


class HeldBySale:
    """What was paid by M-Pesa for each sale."""

    index = HELD_BY_SALE

    async def find(self, connection: AsyncConnection, keys: Collection[SaleId]) -> Mapping[SaleId, Held]:
        paying = and_(payment_allocations.c.pos_sale_id == pos_sales.c.id, counts())
        statement = (
            select(
                pos_sales.c.id.label("holder"),
                pos_sales.c.version.label("holder_version"),
                payment_allocations,
                *_OWNER,
            )
            .select_from(pos_sales.outerjoin(_WITH_OWNER, paying))
            .where(among_ids(pos_sales.c.id, keys, connection.dialect))
            .order_by(payment_allocations.c.created_at, payment_allocations.c.id)
        )
        return _held(await fetch(connection, statement), "holder")


class HeldByCredit:
    """What each customer's credit was applied to."""

    index = HELD_BY_CREDIT

    async def find(self, connection: AsyncConnection, keys: Collection[CustomerId]) -> Mapping[CustomerId, Held]:
        applied = and_(
            payment_allocations.c.customer_id == customers.c.id,
            payment_allocations.c.payment_id.is_(None),
            payment_allocations.c.target == Target.INVOICE.value,
            counts(),
        )
        statement = (
            select(
                customers.c.id.label("holder"),
                customers.c.version.label("holder_version"),
                payment_allocations,
                *_OWNER,
            )
            .select_from(customers.outerjoin(payment_allocations, applied))
            .where(among_ids(customers.c.id, keys, connection.dialect))
            .order_by(payment_allocations.c.created_at, payment_allocations.c.id)
        )
        return _held(await fetch(connection, statement), "holder")


class HeldById:
    """Single allocations that count."""

    index = HELD_BY_ID

    async def find(self, connection: AsyncConnection, keys: Collection[AllocationId]) -> Mapping[AllocationId, Held]:
        statement = (
            select(
                payment_allocations.c.id.label("holder"),
                payments.c.version.label("holder_version"),
                payment_allocations,
                *_OWNER,
            )
            .select_from(_WITH_OWNER.outerjoin(payments, payments.c.id == payment_allocations.c.payment_id))
            .where(among_ids(payment_allocations.c.id, keys, connection.dialect), counts())
        )
        return _held(await fetch(connection, statement), "holder")


class HeldUnverified:
    """What unverified payments brought each customer."""

    index = HELD_UNVERIFIED

    async def find(self, connection: AsyncConnection, keys: Collection[CustomerId]) -> Mapping[CustomerId, Held]:
        brought = payment_allocations.join(payments, payments.c.id == payment_allocations.c.payment_id)
        unverified = and_(
            payment_allocations.c.customer_id == customers.c.id,
            payments.c.verification == Verification.UNVERIFIED.value,
            counts(),
        )
        statement = (
            select(
                customers.c.id.label("holder"),
                customers.c.version.label("holder_version"),
                payment_allocations,
                *_OWNER,
            )
            .select_from(customers.outerjoin(brought, unverified))
            .where(among_ids(customers.c.id, keys, connection.dialect))
            .order_by(payment_allocations.c.created_at, payment_allocations.c.id)
        )
        return _held(await fetch(connection, statement), "holder")


class HeldByRefund:
    """The allocation by which each refund holds its money."""

    index = HELD_BY_REFUND

    async def find(self, connection: AsyncConnection, keys: Collection[RefundId]) -> Mapping[RefundId, Allocation]:
        wanted = among_ids(payment_allocations.c.refund_id, keys, connection.dialect)
        rows = await fetch(connection, select(payment_allocations).where(wanted, counts()))
        return {RefundId(row.refund_id): allocation(row) for row in rows}
