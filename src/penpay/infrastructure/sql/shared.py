"""Rows every context uses: idempotency keys and deliveries."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.shared.idempotency import IDEMPOTENCY_KEYS, IdempotencyRecord
from penpay.application.shared.unit_of_work import DELIVERIES, Delivery, keyed
from penpay.domain.shared.ids import EventId
from penpay.infrastructure.sql.lookups import Lookup
from penpay.infrastructure.sql.tables import deliveries, idempotency_keys
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import document, parsed

_k, _d = idempotency_keys.c, deliveries.c
_KEYS: Final = Lookup(select(idempotency_keys).order_by(_k.key_hash), _k.key_hash, locked=True)
_DELIVERIES: Final = Lookup(
    select(deliveries).order_by(_d.consumer, _d.event_id), _d.consumer, _d.event_id, locked=True
)


class IdempotencyRepository:
    """Answered requests by the hash of their key."""

    kind = IDEMPOTENCY_KEYS
    table = idempotency_keys
    key: tuple[str, ...] = ("key_hash",)
    mutable: tuple[str, ...] = ("field_digests", "status", "answer", "created_at", "expires_at")

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, IdempotencyRecord | None]:
        return await self.find_by_idempotency_key(connection, keys)

    async def find_by_idempotency_key(
        self, connection: AsyncConnection, keys: Collection[str]
    ) -> Mapping[str, IdempotencyRecord | None]:
        """The stored answers under these key hashes; None where nothing was answered yet."""
        rows = await _KEYS.rows(connection, keys)
        return keyed(map(_record, rows), lambda record: record.key_hash, keys)

    def row(self, value: IdempotencyRecord) -> Row:
        return (
            value.key_hash,
            value.caller,
            value.route,
            document(value.field_digests),
            value.status,
            value.answer,
            value.created_at,
            value.expires_at,
        )

    def identity(self, value: IdempotencyRecord) -> Row:
        return (value.key_hash,)


class OutboxRepository:
    """Deliveries by (consumer, event): what is owed to whom, until it is consumed."""

    kind = DELIVERIES
    table = deliveries
    key: tuple[str, ...] = ("consumer", "event_id")
    mutable: tuple[str, ...] = ("due_at", "lease_until", "fence", "attempts", "dead")

    async def lock(
        self, connection: AsyncConnection, keys: Collection[tuple[str, EventId]]
    ) -> Mapping[tuple[str, EventId], Delivery | None]:
        rows = await _DELIVERIES.rows(connection, keys)
        return keyed(map(_delivery, rows), lambda found: (found.consumer, found.event_id), keys)

    def row(self, value: Delivery) -> Row:
        return (
            value.consumer,
            value.event_id,
            value.key,
            value.sequence,
            value.due_at,
            value.lease_until,
            value.fence,
            value.attempts,
            value.dead,
        )

    def identity(self, value: Delivery) -> Row:
        return (value.consumer, value.event_id)


def _record(row: Any) -> IdempotencyRecord:
    key_hash, caller, route, field_digests, status, answer, created_at, expires_at = row
    return IdempotencyRecord(key_hash, caller, route, parsed(field_digests), status, answer, created_at, expires_at)


def _delivery(row: Any) -> Delivery:
    consumer, event_id, key, sequence, due_at, lease_until, fence, attempts, dead = row
    return Delivery(consumer, event_id, key, sequence, due_at, fence, attempts, lease_until, dead)
