"""Finding what is due: events owed, evidence to act on, callbacks not applied. Nothing here is locked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.payments.due import DueWebhook
from penpay.application.payments.rows import WebhookOutcome
from penpay.application.shared.outbox import DueDelivery
from penpay.application.shared.unit_of_work import StoredEvent
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.ids import DerivTransferId, MpesaRequestId
from penpay.infrastructure.sql.engine import reading
from penpay.infrastructure.sql.payments import WebhookRepository
from penpay.infrastructure.sql.tables import (
    deliveries,
    deriv_transfers,
    domain_events,
    mpesa_requests,
    webhook_logs,
)
from penpay.infrastructure.sql.unit_of_work import parsed


class SqlDue:
    """Set-based look-ups on connections of their own."""

    def __init__(self, engine: AsyncEngine, webhooks: WebhookRepository) -> None:
        self._engine = reading(engine)
        self._webhooks = webhooks

    async def due_deliveries(self, consumer: str, at: datetime, limit: int) -> Sequence[DueDelivery]:
        """The oldest delivery of each key that is due and not leased, longest due first."""
        older = deliveries.alias("older")
        before = exists().where(
            older.c.consumer == deliveries.c.consumer,
            older.c.key == deliveries.c.key,
            older.c.sequence < deliveries.c.sequence,
        )
        statement = (
            select(domain_events)
            .join(deliveries, deliveries.c.event_id == domain_events.c.id)
            .where(
                deliveries.c.consumer == consumer,
                deliveries.c.dead.is_(False),
                deliveries.c.due_at <= at,
                or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= at),
                ~before,
            )
            .order_by(deliveries.c.due_at)
            .limit(limit)
        )
        return [DueDelivery(consumer, stored_event(row)) for row in await self._rows(statement)]

    async def due_mpesa_requests(self, at: datetime, limit: int) -> Sequence[MpesaRequestId]:
        """Pushes somebody must send or ask about, longest due first."""
        return await self._due(mpesa_requests, at, limit)

    async def due_deriv_transfers(self, at: datetime, limit: int) -> Sequence[DerivTransferId]:
        """Transfers somebody must send or look for, longest due first."""
        return await self._due(deriv_transfers, at, limit)

    async def due_webhooks(self, at: datetime, limit: int) -> Sequence[DueWebhook]:
        """Callbacks that were stored and not applied, longest due first."""
        statement = (
            select(webhook_logs)
            .where(webhook_logs.c.due_at <= at, webhook_logs.c.outcome == WebhookOutcome.RECEIVED.value)
            .order_by(webhook_logs.c.due_at)
            .limit(limit)
        )
        found = map(self._webhooks.webhook, await self._rows(statement))
        return [
            DueWebhook(webhook_id=webhook.id, request_id=webhook.subject_id, body=webhook.body)
            for webhook in found
            if webhook.subject_id is not None
        ]

    async def _due(self, table: Table, at: datetime, limit: int) -> list[Any]:
        statement = (
            select(table.c.id)
            .where(table.c.due_at <= at, or_(table.c.lease_until.is_(None), table.c.lease_until <= at))
            .order_by(table.c.due_at)
            .limit(limit)
        )
        return [row.id for row in await self._rows(statement)]

    async def _rows(self, statement: Any) -> Sequence[Any]:
        async with self._engine.connect() as connection:
            return (await connection.execute(statement)).all()


def stored_event(row: Any) -> StoredEvent:
    """A domain event from its row."""
    event = DomainEvent(
        row.name, row.aggregate_type, row.aggregate_id, row.sequence, parsed(row.payload), row.schema_version
    )
    return StoredEvent(row.id, event, row.recorded_at)
