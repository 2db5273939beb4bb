"""Finding what is due: events owed, evidence to act on, callbacks not applied. Nothing here is locked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, Table, bindparam, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.payments.callbacks import STK_SOURCE
from penpay.application.payments.due import DueWebhook
from penpay.application.payments.results import PAYOUT_SOURCE, STATUS_SOURCE, TIMEOUT_SOURCE
from penpay.application.shared.outbox import DueDelivery
from penpay.application.shared.unit_of_work import StoredEvent
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.domain.collections.refund import RefundState
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.ids import DerivTransferId, DerivWithdrawalId, MpesaDisbursementId, MpesaRequestId
from penpay.infrastructure.security.field_cipher import UnopenableField
from penpay.infrastructure.sql.capture_tables import till_pushes
from penpay.infrastructure.sql.collections_recurring_tables import recurring_invoices
from penpay.infrastructure.sql.collections_tables import collections_refunds, pos_sales
from penpay.infrastructure.sql.engine import looking, translating
from penpay.infrastructure.sql.lookups import Question
from penpay.infrastructure.sql.notification_tables import notifications
from penpay.infrastructure.sql.payments import WebhookRepository
from penpay.infrastructure.sql.payout_tables import deriv_withdrawals, mpesa_disbursements
from penpay.infrastructure.sql.reminder_tables import invoice_reminders
from penpay.infrastructure.sql.tables import (
    deliveries,
    deriv_transfers,
    domain_events,
    mpesa_requests,
    webhook_logs,
)
from penpay.infrastructure.sql.types import Moment
from penpay.infrastructure.sql.unit_of_work import parsed

_AT: Final = bindparam("at", type_=Moment)
_LIMIT: Final = bindparam("limit", type_=Integer)


def _deliveries() -> Select[Any]:
    older = deliveries.alias("older")
    before = exists().where(
        older.c.consumer == deliveries.c.consumer,
        older.c.key == deliveries.c.key,
        older.c.sequence < deliveries.c.sequence,
    )
    return (
        select(domain_events, deliveries.c.fence)
        .join(deliveries, deliveries.c.event_id == domain_events.c.id)
        .where(
            deliveries.c.consumer == bindparam("consumer"),
            deliveries.c.dead.is_(False),
            deliveries.c.due_at <= _AT,
            or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= _AT),
            ~before,
        )
        .order_by(deliveries.c.due_at)
        .limit(_LIMIT)
    )


def _evidence(table: Table) -> Select[Any]:
    return (
        select(table.c.id)
        .where(table.c.due_at <= _AT, or_(table.c.lease_until.is_(None), table.c.lease_until <= _AT))
        .order_by(table.c.due_at)
        .limit(_LIMIT)
    )


_DELIVERIES: Final = Question(_deliveries())
_MPESA_REQUESTS: Final = Question(_evidence(mpesa_requests))
# By age and not by `due_at`: who was told to come back later keeps its place before those that came since.
_transfers = _evidence(deriv_transfers).order_by(None).order_by(deriv_transfers.c.created_at, deriv_transfers.c.id)
_DERIV_TRANSFERS: Final = Question(_transfers)
_SENT_TRANSFERS: Final = Question(_transfers.where(deriv_transfers.c.state != EvidenceState.INTENDED.value))
_DERIV_WITHDRAWALS: Final = Question(_evidence(deriv_withdrawals))
_MPESA_DISBURSEMENTS: Final = Question(_evidence(mpesa_disbursements))
_REFUNDS: Final = Question(
    select(collections_refunds.c.id)
    .where(
        collections_refunds.c.state == RefundState.APPROVED.value,
        ~exists().where(mpesa_disbursements.c.open_outflow_of == collections_refunds.c.id),
    )
    .order_by(collections_refunds.c.proposed_at)
    .limit(_LIMIT)
)
_WEBHOOKS: Final = Question(
    select(webhook_logs)
    .where(
        webhook_logs.c.due_at <= _AT,
        webhook_logs.c.outcome == WebhookOutcome.RECEIVED.value,
        or_(*(webhook_logs.c.source == one for one in (STK_SOURCE, PAYOUT_SOURCE, STATUS_SOURCE, TIMEOUT_SOURCE))),
    )
    .order_by(webhook_logs.c.due_at)
    .limit(_LIMIT)
)


class Queue(StrEnum):
    """Where workers look for what is due, by the table that holds it."""

    DELIVERIES = "deliveries"
    MPESA_REQUESTS = "mpesa_requests"
    DERIV_TRANSFERS = "deriv_transfers"
    DERIV_WITHDRAWALS = "deriv_withdrawals"
    MPESA_DISBURSEMENTS = "mpesa_disbursements"
    REFUNDS = "collections_refunds"
    WEBHOOKS = "webhook_logs"
    TILL_PUSHES = "till_pushes"
    SALES = "pos_sales"
    RECURRING = "recurring_invoices"
    NOTIFICATIONS = "notifications"
    REMINDERS = "invoice_reminders"


def _stirs() -> dict[Queue, ColumnElement[bool]]:
    """What makes each queue worth a look: never less than the look itself would find, and often more."""
    timed = (
        mpesa_requests,
        deriv_transfers,
        deriv_withdrawals,
        mpesa_disbursements,
        webhook_logs,
        till_pushes,
        pos_sales,
        recurring_invoices,
        notifications,
        invoice_reminders,
    )
    return {
        Queue.DELIVERIES: exists().where(deliveries.c.due_at <= _AT, deliveries.c.dead.is_(False)),
        Queue.REFUNDS: exists().where(collections_refunds.c.state == RefundState.APPROVED.value),
        **{Queue(table.name): exists().where(table.c.due_at <= _AT) for table in timed},
    }


def _columns(stirs: Mapping[Queue, ColumnElement[bool]]) -> Sequence[ColumnElement[Any]]:
    return [found.label(queue) for queue, found in stirs.items()]


_STIRS: Final = _stirs()
_STIRRING: Final = Question(select(*_columns(_STIRS)))


class SqlDue:
    """Set-based look-ups on connections of their own."""

    def __init__(self, engine: AsyncEngine, webhooks: WebhookRepository) -> None:
        self._engine = looking(engine)
        self._webhooks = webhooks

    async def stirring(self, at: datetime) -> Sequence[Queue]:
        """The queues in which something is due, as one statement: whose workers should look."""
        (row,) = await self._rows(_STIRRING, at=at)
        return [queue for queue, stirs in zip(_STIRS, row, strict=True) if stirs]

    async def due_deliveries(self, consumer: str, at: datetime, limit: int) -> Sequence[DueDelivery]:
        """The oldest delivery of each key that is due and not leased, longest due first."""
        rows = await self._rows(_DELIVERIES, at=at, limit=limit, consumer=consumer)
        return [DueDelivery(consumer, stored_event(row), row.fence) for row in rows]

    async def due_mpesa_requests(self, at: datetime, limit: int) -> Sequence[MpesaRequestId]:
        """Pushes somebody must send or ask about, longest due first."""
        return [row.id for row in await self._rows(_MPESA_REQUESTS, at=at, limit=limit)]

    async def due_deriv_transfers(self, at: datetime, limit: int, *, unsent: bool) -> Sequence[DerivTransferId]:
        """Transfers somebody must send (only if `unsent`) or look for, the oldest first."""
        statement = _DERIV_TRANSFERS if unsent else _SENT_TRANSFERS
        return [row.id for row in await self._rows(statement, at=at, limit=limit)]

    async def due_deriv_withdrawals(self, at: datetime, limit: int) -> Sequence[DerivWithdrawalId]:
        """Withdrawals somebody must act on, longest due first."""
        return [row.id for row in await self._rows(_DERIV_WITHDRAWALS, at=at, limit=limit)]

    async def due_mpesa_disbursements(self, at: datetime, limit: int) -> Sequence[MpesaDisbursementId]:
        """Payouts somebody must send or ask about, longest due first."""
        return [row.id for row in await self._rows(_MPESA_DISBURSEMENTS, at=at, limit=limit)]

    async def due_refunds(self, limit: int) -> Sequence[UUID]:
        """Refunds that two persons agreed to and nobody has begun to pay out, longest waiting first."""
        return [row.id for row in await self._rows(_REFUNDS, limit=limit)]

    async def due_webhooks(self, at: datetime, limit: int) -> Sequence[DueWebhook]:
        """Callbacks, Results and answers that were stored and not applied, longest due first."""
        rows = await self._rows(_WEBHOOKS, at=at, limit=limit)
        return [
            DueWebhook(webhook_id=row.id, source=row.source, subject_id=row.subject_id, body=self._body(row))
            for row in rows
            if row.subject_id is not None
        ]

    def _body(self, row: Any) -> bytes | None:
        """What one row holds must not keep the others from being applied."""
        try:
            return self._webhooks.body(row)
        except UnopenableField:
            return None

    async def _rows(self, question: Question, **values: Any) -> Sequence[Any]:
        async with translating(), self._engine.connect() as connection:
            return await question.rows(connection, **values)


def stored_event(row: Any) -> StoredEvent:
    """A domain event from its row."""
    event = DomainEvent(
        row.name, row.aggregate_type, row.aggregate_id, row.sequence, parsed(row.payload), row.schema_version
    )
    return StoredEvent(row.id, event, row.recorded_at)
