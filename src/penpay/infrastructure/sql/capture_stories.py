"""What a person asks about captured payments: the last messages, the whole story of one receipt, where M-Pesa posts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.collections.capturing import CONFIRMATION, VALIDATION, read
from penpay.application.collections.registering import C2bRegistration
from penpay.application.collections.till_pushing import TILL_SOURCE
from penpay.domain.collections.errors import PaymentNotFound
from penpay.domain.collections.payment import Payer, Payment
from penpay.infrastructure.security.field_cipher import UnopenableField
from penpay.infrastructure.sql.capture import C2bRegistrationRepository
from penpay.infrastructure.sql.capture_tables import c2b_registrations
from penpay.infrastructure.sql.collections_money import PaymentRepository, payment
from penpay.infrastructure.sql.collections_tables import customers, invoices, payment_allocations, payments, pos_sales
from penpay.infrastructure.sql.engine import reading, translating
from penpay.infrastructure.sql.payments import WebhookRepository
from penpay.infrastructure.sql.tables import (
    audit_logs,
    domain_events,
    ledger_accounts,
    ledger_entries,
    ledger_journals,
    webhook_logs,
)
from penpay.infrastructure.sql.unit_of_work import parsed

_SOURCES: Final = (CONFIRMATION, VALIDATION, TILL_SOURCE)
_Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMessage:
    """One message, as far as it can be read. Who paid is not shown."""

    id: str
    source: str
    outcome: str
    received_at: datetime
    remote_address: str
    receipt: str | None = None
    amount_cents: int | None = None
    bill_reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentStory:
    """All that is known of one payment, oldest first in each part."""

    payment: Payment
    payer: Payer
    customer_number: str | None
    messages: Sequence[ShownMessage]
    allocations: Sequence[_Row]
    entries: Sequence[_Row]
    events: Sequence[_Row]
    audit: Sequence[_Row]


class SqlStories:
    """Reads, and locks nothing."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        webhooks: WebhookRepository,
        payments_: PaymentRepository,
        registrations: C2bRegistrationRepository,
    ) -> None:
        self._engine = reading(engine)
        self._webhooks = webhooks
        self._payments = payments_
        self._registrations = registrations

    async def messages(self, limit: int) -> Sequence[ShownMessage]:
        """The last messages about payments, newest first."""
        w = webhook_logs.c
        statement = select(webhook_logs).where(w.source.in_(_SOURCES)).order_by(w.created_at.desc()).limit(limit)
        return [self._message(row) for row in await self._rows(statement)]

    async def registrations(self, limit: int) -> Sequence[C2bRegistration]:
        """The last attempts to register our addresses, newest first."""
        statement = select(c2b_registrations).order_by(c2b_registrations.c.asked_at.desc()).limit(limit)
        return [self._registrations.registration(row) for row in await self._rows(statement)]

    async def story(self, receipt: str) -> PaymentStory:
        """The whole story of a receipt; raises PaymentNotFound."""
        statement = select(payments, customers.c.customer_number).outerjoin(
            customers, customers.c.id == payments.c.customer_id
        )
        rows = await self._rows(statement.where(payments.c.mpesa_receipt_number == receipt))
        if not rows:
            raise PaymentNotFound
        row = rows[0]
        payer = self._payments.payer(row)
        own = webhook_logs.c.id == row.webhook_id
        return PaymentStory(
            payment=payment(row, payer),
            payer=payer,
            customer_number=row.customer_number,
            messages=[self._message(one) for one in await self._rows(select(webhook_logs).where(own))],
            allocations=_mapped(await self._rows(_allocations(row.id))),
            entries=_mapped(await self._rows(_entries(row.id))),
            events=[
                {"at": one.recorded_at, "name": one.name, "payload": parsed(one.payload)}
                for one in await self._rows(
                    select(domain_events)
                    .where(domain_events.c.aggregate_id == row.id)
                    .order_by(domain_events.c.sequence)
                )
            ],
            audit=[one | {"facts": parsed(one["facts"])} for one in _mapped(await self._rows(_audit(str(row.id))))],
        )

    def _message(self, row: Any) -> ShownMessage:
        try:
            told = None if row.source == TILL_SOURCE else read(self._webhooks.body(row))
        except UnopenableField:
            told = None
        return ShownMessage(
            id=str(row.id),
            source=row.source,
            outcome=row.outcome,
            received_at=row.created_at,
            remote_address=row.remote_address,
            receipt=None if told is None else told.receipt,
            amount_cents=None if told is None else told.amount.cents,
            bill_reference=None if told is None else told.bill_reference,
        )

    async def _rows(self, statement: Select[Any]) -> Sequence[Any]:
        async with translating(), self._engine.connect() as connection:
            rows: Sequence[Any] = (await connection.execute(statement)).all()
            return rows


def _mapped(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in rows]  # noqa: SLF001  (SQLAlchemy's documented name)


def _allocations(payment_id: Any) -> Select[Any]:
    a = payment_allocations.c
    return (
        select(
            a.created_at,
            a.target,
            a.amount_cents,
            a.reverses_id.is_not(None).label("reverses"),
            invoices.c.invoice_number,
            pos_sales.c.pos_number,
            a.created_by,
        )
        .outerjoin(invoices, invoices.c.id == a.invoice_id)
        .outerjoin(pos_sales, pos_sales.c.id == a.pos_sale_id)
        .where(a.payment_id == payment_id)
        .order_by(a.created_at, a.id)
    )


def _entries(payment_id: Any) -> Select[Any]:
    a, j, e = payment_allocations.c, ledger_journals.c, ledger_entries.c
    journals = select(a.journal_id).where(a.payment_id == payment_id).distinct()
    return (
        select(
            j.recorded_at,
            j.kind,
            ledger_accounts.c.code,
            ledger_accounts.c.name,
            e.side,
            e.amount_cents,
        )
        .select_from(ledger_entries)
        .join(ledger_journals, j.id == e.journal_id)
        .join(ledger_accounts, ledger_accounts.c.id == e.account_id)
        .where(j.id.in_(journals))
        .order_by(j.recorded_at, j.id, e.side.desc(), ledger_accounts.c.code)
    )


def _audit(subject_id: str) -> Select[Any]:
    a = audit_logs.c
    return (
        select(a.recorded_at, a.actor, a.action, a.facts)
        .where(a.subject_type == "payment", a.subject_id == subject_id)
        .order_by(a.recorded_at, a.ordinal)
    )
