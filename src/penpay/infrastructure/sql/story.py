"""The whole story of one transaction over SQL: what happened, what was tried outside, what was booked, what came in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.payments.queries import Story, StoryLine
from penpay.domain.shared.ids import TransactionId, UserId
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.engine import reading, translating
from penpay.infrastructure.sql.notification_tables import notifications
from penpay.infrastructure.sql.payments import transaction
from penpay.infrastructure.sql.payout_tables import deriv_withdrawals, mpesa_disbursements, reviews
from penpay.infrastructure.sql.tables import (
    audit_logs,
    deriv_transfers,
    domain_events,
    ledger_accounts,
    ledger_entries,
    ledger_journals,
    mpesa_requests,
    transactions,
    webhook_logs,
)
from penpay.infrastructure.sql.unit_of_work import fetch, parsed

_EVIDENCE: Final[tuple[Table, ...]] = (mpesa_requests, deriv_transfers, deriv_withdrawals, mpesa_disbursements)
_NAMED: Final = ("reference", "account_reference", "originator_conversation_id", "provider_id", "receipt", "code")
"""What identifies an external call, and the last thing learned of it."""
_UNTOLD: Final = frozenset({"status", "at", "user_id"})


class SqlStories:
    """`application.payments.queries.Stories` over SQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = reading(engine)

    async def story(self, transaction_id: TransactionId, of: UserId | None = None) -> Story | None:
        statement = select(transactions).where(transactions.c.id == transaction_id)
        if of is not None:
            statement = statement.where(transactions.c.user_id == of)
        async with translating(), self._engine.connect() as connection:
            row = next(iter(await fetch(connection, statement)), None)
            if row is None:
                return None
            lines = await _events(connection, transaction_id)
            evidence, ids = await _evidence(connection, transaction_id)
            lines += [*evidence, *await _journals(connection, transaction_id), *await _callbacks(connection, ids)]
            lines += await _messages(connection, transaction_id)
            if of is None:
                lines += await _reviews(connection, transaction_id)
                lines += await _audit(connection, {transaction_id, *ids})
        return Story(transaction(row), sorted(lines, key=lambda line: line.at))


async def _events(connection: AsyncConnection, subject: UUID) -> list[StoryLine]:
    e = domain_events.c
    statement = select(e.recorded_at, e.name, e.payload).where(e.aggregate_id == subject).order_by(e.sequence)
    lines = []
    for row in await fetch(connection, statement):
        told = parsed(row.payload)
        facts = {name: value for name, value in told.items() if name not in _UNTOLD and value is not None}
        shown = {} if row.name == "TransactionCreated" else facts
        lines.append(StoryLine(row.recorded_at, "event", f"{row.name} {told.get('status', '')}{_facts(shown)}"))
    return lines


async def _evidence(connection: AsyncConnection, subject: UUID) -> tuple[list[StoryLine], set[UUID]]:
    lines, ids = [], set()
    for table in _EVIDENCE:
        for row in await fetch(connection, select(table).where(table.c.subject_id == subject).order_by(table.c.id)):
            ids.add(row.id)
            money = Money(row.amount_cents, Currency(row.currency))
            found = {name: getattr(row, name) for name in _NAMED if getattr(row, name, None)}
            times = {name: getattr(row, name).isoformat() for name in ("sent_at", "decided_at") if getattr(row, name)}
            text = f"{table.name.removesuffix('s')} {row.purpose} {money} {row.state}{_facts({**found, **times})}"
            lines.append(StoryLine(row.created_at, "evidence", text))
    return lines, ids


async def _journals(connection: AsyncConnection, subject: UUID) -> list[StoryLine]:
    statement = (
        select(
            ledger_journals.c.id,
            ledger_journals.c.kind,
            ledger_journals.c.recorded_at,
            ledger_entries.c.side,
            ledger_entries.c.amount_cents,
            ledger_accounts.c.code,
            ledger_accounts.c.currency,
        )
        .join(ledger_entries, ledger_entries.c.journal_id == ledger_journals.c.id)
        .join(ledger_accounts, ledger_accounts.c.id == ledger_entries.c.account_id)
        .where(ledger_journals.c.transaction_id == subject)
        .order_by(ledger_journals.c.id, ledger_accounts.c.code)
    )
    journals: defaultdict[UUID, list[Any]] = defaultdict(list)
    for row in await fetch(connection, statement):
        journals[row.id].append(row)
    return [StoryLine(rows[0].recorded_at, "journal", f"{rows[0].kind}: {_sides(rows)}") for rows in journals.values()]


def _sides(rows: Sequence[Any]) -> str:
    return "; ".join(
        f"{row.side} {'wallet:' + row.currency if row.code.startswith('wallet:') else row.code} "
        f"{Money(row.amount_cents, Currency(row.currency))}"
        for row in sorted(rows, key=lambda row: (row.side != "DEBIT", row.code))
    )


async def _callbacks(connection: AsyncConnection, subjects: Collection[UUID]) -> list[StoryLine]:
    w = webhook_logs.c
    statement = select(w.created_at, w.source, w.outcome, w.remote_address).where(w.subject_id.in_(subjects))
    return [
        StoryLine(row.created_at, "callback", f"{row.source} from {row.remote_address}: {row.outcome}")
        for row in await fetch(connection, statement.order_by(w.id))
    ]


async def _messages(connection: AsyncConnection, subject: UUID) -> list[StoryLine]:
    n = notifications.c
    statement = select(notifications).where(n.transaction_id == subject).order_by(n.sequence, n.channel)
    return [
        StoryLine(row.sent_at or row.created_at, "message", f"{row.channel} {row.state}: {row.text}")
        for row in await fetch(connection, statement)
    ]


async def _reviews(connection: AsyncConnection, subject: UUID) -> list[StoryLine]:
    statement = select(reviews).where(reviews.c.transaction_id == subject).order_by(reviews.c.id)
    return [
        StoryLine(
            row.opened_at,
            "review",
            f"{row.reason} {Money(row.amount_cents, Currency(row.currency))} "
            f"{'open' if row.resolved_at is None else f'resolved: {row.decision}'} ({row.id})",
        )
        for row in await fetch(connection, statement)
    ]


async def _audit(connection: AsyncConnection, subjects: Collection[UUID]) -> list[StoryLine]:
    a = audit_logs.c
    statement = (
        select(a.recorded_at, a.actor, a.action, a.facts)
        .where(a.subject_id.in_(sorted(map(str, subjects))))
        .order_by(a.recorded_at, a.batch_id, a.ordinal)
    )
    return [
        StoryLine(row.recorded_at, "audit", f"{row.actor} {row.action}{_facts(parsed(row.facts))}")
        for row in await fetch(connection, statement)
    ]


def _facts(facts: dict[str, Any]) -> str:
    told = ", ".join(f"{name}={value}" for name, value in facts.items() if value is not None)
    return f" ({told})" if told else ""
