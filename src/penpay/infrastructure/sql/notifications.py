"""Rows of messages to users, and where each user is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Integer, Select, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.payments.notifying import CONTACTS, NOTIFICATIONS, Contact, DueNotification
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.payments.notification import Notification, NotificationKey
from penpay.domain.payments.transaction import TransactionStatus
from penpay.domain.shared.delivery import Channel, NotificationState
from penpay.domain.shared.ids import TransactionId, UserId
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.engine import looking, translating
from penpay.infrastructure.sql.identity import contact
from penpay.infrastructure.sql.notification_tables import notifications
from penpay.infrastructure.sql.tables import user_phone_verification, users
from penpay.infrastructure.sql.types import Moment, Row
from penpay.infrastructure.sql.unit_of_work import among_ids, fetch, for_update

_n = notifications.c
_KEY: Final = (_n.transaction_id, _n.sequence, _n.channel)
_AT: Final = bindparam("at", type_=Moment)
_DUE: Final = (
    select(*_KEY, _n.user_id)
    .where(
        _n.due_at <= _AT,
        or_(_n.lease_until.is_(None), _n.lease_until <= _AT),
        _n.channel.in_(bindparam("channels", expanding=True)),
    )
    .order_by(_n.due_at)
    .limit(bindparam("limit", type_=Integer))
)


class NotificationRepository:
    """Messages by transaction, version and channel."""

    kind = NOTIFICATIONS
    table = notifications
    key: tuple[str, ...] = ("transaction_id", "sequence", "channel")
    mutable: tuple[str, ...] = (
        "state",
        "due_at",
        "lease_until",
        "fence",
        "attempts",
        "code",
        "provider_id",
        "sent_at",
        "version",
    )

    async def lock(
        self, connection: AsyncConnection, keys: Collection[NotificationKey]
    ) -> Mapping[NotificationKey, Notification | None]:
        asked = {key.transaction_id for key in keys}
        statement = select(notifications).where(among_ids(_n.transaction_id, asked, connection.dialect)).order_by(*_KEY)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        found = keyed(map(_notification, rows), lambda one: one.key, keys)
        return {key: found[key] for key in keys}

    def row(self, value: Notification) -> Row:
        return (
            value.key.transaction_id,
            value.key.sequence,
            value.key.channel.value,
            value.user_id,
            value.status.value,
            value.title,
            value.text,
            value.state.value,
            value.due_at,
            value.lease_until,
            value.fence,
            value.attempts,
            value.code,
            value.provider_id,
            value.created_at,
            value.sent_at,
            value.version,
        )

    def identity(self, value: Notification) -> Row:
        return (value.key.transaction_id, value.key.sequence, value.key.channel.value)


class Contacts:
    """Where each user is told."""

    index = CONTACTS

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    async def find(self, connection: AsyncConnection, keys: Collection[UserId]) -> Mapping[UserId, Contact]:
        statement = (
            select(users.c.id, users.c.email_sealed, user_phone_verification.c.phone_sealed)
            .join(user_phone_verification, user_phone_verification.c.user_id == users.c.id)
            .where(among_ids(users.c.id, keys, connection.dialect))
        )
        return {row.id: contact(row, self._cipher) for row in await fetch(connection, statement)}


class SqlNotificationBooks:
    """`application.payments.notifying.NotificationBooks` over SQL."""

    def __init__(self, engine: AsyncEngine, cipher: FieldCipher) -> None:
        self._engine = looking(engine)
        self._contacts = Contacts(cipher)

    async def due(self, at: datetime, limit: int, channels: Collection[Channel]) -> Sequence[DueNotification]:
        asked = {"at": at, "limit": limit, "channels": sorted(channels)}
        async with translating(), self._engine.connect() as connection:
            rows = (await connection.execute(_DUE, asked)).all()
        return [
            DueNotification(
                NotificationKey(row.transaction_id, row.sequence, Channel(row.channel)), UserId(row.user_id)
            )
            for row in rows
        ]

    async def newest(self, limit: int, *, state: NotificationState | None = None) -> Sequence[Notification]:
        statement = select(notifications).order_by(_n.created_at.desc(), *_KEY).limit(limit)
        if state is not None:
            statement = statement.where(_n.state == state.value)
        return await self._found(statement)

    async def of_transaction(self, transaction_id: TransactionId) -> Sequence[Notification]:
        return await self._found(select(notifications).where(_n.transaction_id == transaction_id).order_by(*_KEY))

    async def contact(self, user_id: UserId) -> Contact | None:
        async with translating(), self._engine.connect() as connection:
            return (await self._contacts.find(connection, [user_id])).get(user_id)

    async def _found(self, statement: Select[Any]) -> Sequence[Notification]:
        async with translating(), self._engine.connect() as connection:
            return [_notification(row) for row in await fetch(connection, statement)]


def _notification(row: Any) -> Notification:
    return Notification(
        key=NotificationKey(row.transaction_id, row.sequence, Channel(row.channel)),
        user_id=row.user_id,
        status=TransactionStatus(row.status),
        title=row.title,
        text=row.text,
        state=NotificationState(row.state),
        due_at=row.due_at,
        lease_until=row.lease_until,
        fence=row.fence,
        attempts=row.attempts,
        code=row.code,
        provider_id=row.provider_id,
        created_at=row.created_at,
        sent_at=row.sent_at,
        version=row.version,
    )
