"""The rows of reminders, where customers are told, and which invoices have come to a level."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.collections.reminding import (
    OPT_OUTS,
    POLICY,
    REMINDED,
    REMINDER_POLICIES,
    REMINDERS,
    DueReminder,
    RemindOf,
)
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.collections.customer import Contact, CustomerId
from penpay.domain.collections.invoice import InvoiceId
from penpay.domain.collections.reference import fold
from penpay.domain.collections.reminder import LATE_DAYS, OptOut, Reminder, ReminderKey, ReminderPolicy
from penpay.domain.shared.delivery import Channel, NotificationState
from penpay.infrastructure.sql.collections_books import rows_of
from penpay.infrastructure.sql.collections_people import CustomerRepository
from penpay.infrastructure.sql.collections_tables import customers, invoices
from penpay.infrastructure.sql.engine import looking
from penpay.infrastructure.sql.reminder_tables import invoice_reminders, reminder_opt_outs, reminder_policies
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import among_ids, document, fetch, for_update, parsed

_m, _i, _c = invoice_reminders.c, invoices.c, customers.c
_KEY = (_m.invoice_id, _m.level_days, _m.channel)


class ReminderPolicyRepository:
    """The one policy there is."""

    kind = REMINDER_POLICIES
    table = reminder_policies
    key: tuple[str, ...] = ("name",)
    mutable: tuple[str, ...] = ("is_on", "levels", "since_day", "changed_by", "changed_at", "version")

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, ReminderPolicy | None]:
        statement = select(reminder_policies).where(reminder_policies.c.name.in_(keys))
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(_policy, rows), lambda _: POLICY, keys)

    def row(self, value: ReminderPolicy) -> Row:
        levels = document({"levels": list(value.levels)})
        since = value.since.isoformat()
        return (POLICY, value.is_on, levels, since, value.changed_by, value.changed_at, value.version)

    def identity(self, value: ReminderPolicy) -> Row:  # noqa: ARG002  (Repository)
        return (POLICY,)


def _policy(row: Any) -> ReminderPolicy:
    return ReminderPolicy(
        is_on=row.is_on,
        levels=tuple(parsed(row.levels)["levels"]),
        since=date.fromisoformat(row.since_day),
        changed_by=row.changed_by,
        changed_at=row.changed_at,
        version=row.version,
    )


class OptOutRepository:
    """Customers who are not to be reminded."""

    kind = OPT_OUTS
    table = reminder_opt_outs
    key: tuple[str, ...] = ("customer_id",)
    mutable: tuple[str, ...] = ()

    async def lock(
        self, connection: AsyncConnection, keys: Collection[CustomerId]
    ) -> Mapping[CustomerId, OptOut | None]:
        o = reminder_opt_outs.c
        statement = select(reminder_opt_outs).where(o.customer_id.in_(keys)).order_by(o.customer_id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        found = [
            OptOut(customer_id=CustomerId(row.customer_id), by=row.opted_by, at=row.opted_at, version=row.version)
            for row in rows
        ]
        return keyed(found, lambda one: one.customer_id, keys)

    def row(self, value: OptOut) -> Row:
        return (value.customer_id, value.by, value.at, value.version)

    def identity(self, value: OptOut) -> Row:
        return (value.customer_id,)


class ReminderRepository:
    """Reminders by invoice, level and channel."""

    kind = REMINDERS
    table = invoice_reminders
    key: tuple[str, ...] = ("invoice_id", "level_days", "channel")
    mutable: tuple[str, ...] = (
        *("state", "due_at", "lease_until", "fence", "attempts", "code", "provider_id", "sent_at", "version"),
    )

    async def lock(
        self, connection: AsyncConnection, keys: Collection[ReminderKey]
    ) -> Mapping[ReminderKey, Reminder | None]:
        asked = {key.invoice_id for key in keys}
        statement = select(invoice_reminders).where(among_ids(_m.invoice_id, asked, connection.dialect)).order_by(*_KEY)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        found = keyed(map(_reminder, rows), lambda one: one.key, keys)
        return {key: found[key] for key in keys}

    def row(self, value: Reminder) -> Row:
        return (
            value.key.invoice_id,
            value.key.level,
            value.key.channel.value,
            value.customer_id,
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

    def identity(self, value: Reminder) -> Row:
        return (value.key.invoice_id, value.key.level, value.key.channel.value)


def _reminder(row: Any) -> Reminder:
    return Reminder(
        key=ReminderKey(InvoiceId(row.invoice_id), row.level_days, Channel(row.channel)),
        customer_id=CustomerId(row.customer_id),
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


class RemindedContacts:
    """Where each customer is told."""

    index = REMINDED

    def __init__(self, people: CustomerRepository) -> None:
        self._people = people

    async def find(self, connection: AsyncConnection, keys: Collection[CustomerId]) -> Mapping[CustomerId, Contact]:
        rows = await fetch(connection, select(customers).where(_c.id.in_(keys)))
        return {CustomerId(row.id): self._people.contact(row) for row in rows}


class SqlReminders:
    """`application.collections.reminding.ReminderBooks` over SQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def policy(self) -> ReminderPolicy | None:
        rows = await rows_of(self._engine, select(reminder_policies).where(reminder_policies.c.name == POLICY))
        return next(map(_policy, rows), None)

    async def to_write(self, today: date, limit: int) -> Sequence[RemindOf]:
        policy = await self.policy()
        if policy is None or not policy.is_on:
            return []
        spans = []
        for level, following in zip(policy.levels, [*policy.levels[1:], None], strict=True):
            newest = today - timedelta(days=level)
            oldest = max(newest - timedelta(days=LATE_DAYS), policy.since - timedelta(days=level))
            if following is not None:
                oldest = max(oldest, today - timedelta(days=following - 1))
            told = (
                select(_m.invoice_id).where(_m.invoice_id == _i.id, _m.level_days == level).correlate(invoices).exists()
            )
            spans.append(and_(_i.due_on >= oldest.isoformat(), _i.due_on <= newest.isoformat(), ~told))
        out = select(reminder_opt_outs.c.customer_id).where(reminder_opt_outs.c.customer_id == _i.customer_id)
        statement = (
            select(_i.id, _i.customer_id, _i.due_on)
            .join(customers, _c.id == _i.customer_id)
            .where(_i.is_open == true(), _c.credit_cents < _i.balance, or_(*spans), ~out.correlate(invoices).exists())
            .order_by(_i.due_on, _i.id)
            .limit(limit)
        )
        found = [
            (row, policy.level_of(date.fromisoformat(row.due_on), today))
            for row in await rows_of(looking(self._engine), statement)
        ]
        return [
            RemindOf(invoice_id=InvoiceId(row.id), customer_id=CustomerId(row.customer_id), level=level)
            for row, level in found
            if level is not None
        ]

    async def due(self, at: datetime, limit: int, channels: Collection[Channel]) -> Sequence[DueReminder]:
        statement = (
            select(*_KEY, _m.customer_id)
            .where(
                _m.due_at <= at,
                or_(_m.lease_until.is_(None), _m.lease_until <= at),
                _m.channel.in_([channel.value for channel in channels]),
            )
            .order_by(_m.due_at)
            .limit(limit)
        )
        return [
            DueReminder(
                ReminderKey(InvoiceId(row.invoice_id), row.level_days, Channel(row.channel)),
                CustomerId(row.customer_id),
            )
            for row in await rows_of(looking(self._engine), statement)
        ]

    async def of_invoice(self, number: str) -> Sequence[Reminder]:
        statement = (
            select(invoice_reminders)
            .join(invoices, _i.id == _m.invoice_id)
            .where(_i.invoice_number_folded == fold(number))
            .order_by(_m.created_at, *_KEY)
        )
        return [_reminder(row) for row in await rows_of(self._engine, statement)]
