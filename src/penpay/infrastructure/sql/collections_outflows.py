"""The rows of money that left the PayBill account, and what the books know of such money by its receipt."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.collections.queries import Page
from penpay.application.collections.rows import OUR_OUTFLOWS, OUTFLOWS, REVERSED_UNDER, TOLD_REVERSALS, OurOutflow
from penpay.application.collections.settling import OUTFLOW_ACCOUNTS
from penpay.application.collections.views import outflow_view
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.collections.outflow import Outflow, OutflowId, OutflowReason, OutflowUse
from penpay.domain.collections.refund import RefundState
from penpay.domain.payments.evidence import EvidenceState, Purpose
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.collections_books import page, rows_of
from penpay.infrastructure.sql.collections_outflow_tables import collections_outflows
from penpay.infrastructure.sql.collections_tables import collections_refunds
from penpay.infrastructure.sql.payout_tables import mpesa_disbursements
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import fetch, for_update

_o = collections_outflows.c


def _kes(cents: int) -> Money:
    return Money(cents, Currency.KES)


def _told_of(outflow: UUID) -> str:
    return f"collections_outflows.told:{outflow}"


class OutflowRepository:
    """Outflows by receipt. What the statement says of one may name a person, so it is sealed."""

    kind = OUTFLOWS
    table = collections_outflows
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = (
        "left_at",
        "outflow_use",
        "reason",
        "linked_receipt",
        "reversal_of",
        "explained_by",
        "explained_at",
        "version",
    )

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, Outflow | None]:
        statement = select(collections_outflows).where(_o.mpesa_receipt_number.in_(keys)).order_by(_o.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(self.outflow, rows), lambda found: found.receipt, keys)

    def outflow(self, row: Any) -> Outflow:
        """An outflow from its row."""
        return Outflow(
            id=OutflowId(row.id),
            receipt=row.mpesa_receipt_number,
            amount=_kes(row.amount_cents),
            at=row.left_at,
            use=OutflowUse(row.outflow_use),
            reason=row.reason and OutflowReason(row.reason),
            linked_receipt=row.linked_receipt,
            told=self._cipher.open(row.told_sealed, _told_of(row.id)).decode(),
            recorded_by=row.recorded_by,
            recorded_at=row.recorded_at,
            explained_by=row.explained_by,
            explained_at=row.explained_at,
            version=row.version,
        )

    def row(self, value: Outflow) -> Row:
        return (
            value.id,
            value.receipt,
            value.amount.cents,
            value.at,
            value.use.value,
            value.reason and value.reason.value,
            value.linked_receipt,
            value.reversal_of,
            self._cipher.seal(value.told.encode(), _told_of(value.id)),
            value.recorded_by,
            value.recorded_at,
            value.explained_by,
            value.explained_at,
            value.version,
        )

    def identity(self, value: Outflow) -> Row:
        return (value.id,)


class OurOutflows:
    """Money that we have sent away ourselves, by receipt."""

    index = OUR_OUTFLOWS

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, OurOutflow]:
        r, d = collections_refunds.c, mpesa_disbursements.c
        refunds = select(r.receipt, r.amount_cents).where(r.receipt.in_(keys), r.state == RefundState.PAID.value)
        payouts = select(d.receipt, d.amount_cents).where(
            d.receipt.in_(keys),
            d.state == EvidenceState.CONFIRMED.value,
            d.purpose != Purpose.COLLECTIONS_REFUND.value,
        )
        found = {
            row.receipt: OurOutflow(OutflowUse.PAYOUT, _kes(row.amount_cents))
            for row in await fetch(connection, payouts)
        }
        for row in await fetch(connection, refunds):
            found[row.receipt] = OurOutflow(OutflowUse.REFUND, _kes(row.amount_cents))
        return found


class ReversedUnder:
    """The receipt under which M-Pesa has taken a payment back, by the payment's."""

    index = REVERSED_UNDER

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, str]:
        statement = select(_o.reversal_of, _o.mpesa_receipt_number).where(_o.reversal_of.in_(keys))
        return {row.reversal_of: row.mpesa_receipt_number for row in await fetch(connection, statement)}


class ToldReversals:
    """The receipt of an outflow that is said to have taken a payment back, by the payment's."""

    index = TOLD_REVERSALS

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, str]:
        statement = (
            select(_o.linked_receipt, _o.mpesa_receipt_number)
            .where(_o.linked_receipt.in_(keys), _o.outflow_use.in_([use.value for use in OUTFLOW_ACCOUNTS]))
            .order_by(_o.left_at.desc(), _o.id.desc())
        )
        return {row.linked_receipt: row.mpesa_receipt_number for row in await fetch(connection, statement)}


class SqlOutflows:
    """`application.collections.queries.OutflowBooks` over SQL."""

    def __init__(self, engine: AsyncEngine, outflows: OutflowRepository) -> None:
        self._engine = engine
        self._outflows = outflows

    async def outflows(self, limit: int, *, use: OutflowUse | None = None, after: str | None = None) -> Page:
        statement = select(collections_outflows).order_by(_o.left_at.desc(), _o.id.desc()).limit(limit + 1)
        if use is not None:
            statement = statement.where(_o.outflow_use == use.value)
        if after is not None:
            cursor = collections_outflows.alias("cursor")
            named = cursor.c.mpesa_receipt_number == after
            last = select(cursor.c.left_at, cursor.c.id).where(named).subquery("last")
            place = tuple_(_o.left_at, _o.id)
            statement = statement.join(last, true()).where(place < tuple_(last.c.left_at, last.c.id))
        rows = await rows_of(self._engine, statement)
        return page([outflow_view(self._outflows.outflow(row)) for row in rows], limit, "mpesa_receipt_number")
