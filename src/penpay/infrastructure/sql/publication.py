"""Positions, seals and checkpoints over SQL.

What is to be written is worked out on a reading connection, off the commit path. The writing transaction is short: it
holds the lease first, so that between the reading and its commit nobody else can have published.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.shared.audit_chain import (
    GENESIS,
    ChainHead,
    CheckpointSigner,
    checkpoint_message,
    is_checkpoint_due,
    next_seal,
)
from penpay.application.shared.publishing import Lease, PendingBatch, PositionedEvent, in_causal_order
from penpay.application.shared.unit_of_work import Transient
from penpay.infrastructure.sql import leases
from penpay.infrastructure.sql.bulk import BulkWriter
from penpay.infrastructure.sql.due import stored_event
from penpay.infrastructure.sql.engine import looking, reading, translating
from penpay.infrastructure.sql.pending import pending_batches
from penpay.infrastructure.sql.tables import (
    audit_checkpoints,
    audit_seals,
    command_batches,
    domain_events,
    event_positions,
)
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import among_ids, fetch

LEASE: Final = "publisher"
_p, _s, _c, _b = event_positions.c, audit_seals.c, audit_checkpoints.c, command_batches.c

# Looked at again and again, so each is put together once.
_HEAD: Final = select(_s.position, _s.seal).order_by(_s.position.desc()).limit(1)
_LAST_CHECKPOINT: Final = select(_c.position, _c.made_at, _c.rows_count).order_by(_c.position.desc()).limit(1)
_WAITING: Final = select(_b.batch_id).where(_b.pending_rows.is_not(None))
_DUE: Final = select(
    _WAITING.exists().label("waits"),
    select(func.max(_s.position)).scalar_subquery().label("head"),
    _LAST_CHECKPOINT.with_only_columns(_c.position).scalar_subquery().label("checked"),
    _LAST_CHECKPOINT.with_only_columns(_c.made_at).scalar_subquery().label("made_at"),
)


class SqlPublication:
    """`application.shared.publishing.Publication` over SQL; one object a process.

    Its methods raise Transient and ConstraintViolated, as a unit of work does: nothing was written then.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._read = reading(engine)
        self._look = looking(engine)
        self._positions = BulkWriter(event_positions, engine.dialect, key=("position",))
        self._seals = BulkWriter(audit_seals, engine.dialect, key=("position",))

    async def is_due(self, at: datetime) -> bool:
        async with translating(), self._look.connect() as connection:
            row = (await connection.execute(_DUE)).one()
        last = None if row.checked is None else (row.checked, row.made_at)
        return bool(row.waits) or is_checkpoint_due(row.head or 0, last, at)

    async def claim(self, holder: UUID, at: datetime, until: datetime) -> Lease:
        async with translating():
            async with self._read.connect() as connection:  # first, so that whoever waits does not lock a thing
                fence = await leases.seen(connection, LEASE, holder, at)
            lease = Lease(holder, (fence or 0) + 1, until)
            async with self._engine.begin() as connection:
                await leases.claim(connection, LEASE, fence, lease, at)
        return lease

    async def stamp(self, lease: Lease, at: datetime) -> int:
        async with translating():
            async with self._read.connect() as connection:
                batches = in_causal_order(await pending_batches(connection))
                last = await _last_position(connection)
                head = await _head(connection)
            if batches:
                await self._place(lease, at, batches, _positions(batches, last), _seals(batches, head))
        return len(batches)

    async def _place(
        self,
        lease: Lease,
        at: datetime,
        batches: Sequence[PendingBatch],
        positions: Sequence[Row],
        seals: Sequence[Row],
    ) -> None:
        ids = [batch.id for batch in batches]
        waiting = (among_ids(_b.batch_id, ids, self._engine.dialect), _b.pending_rows.is_not(None))
        async with self._engine.begin() as connection:
            await leases.hold(connection, LEASE, lease, at)
            # First, since an earlier try of ours whose answer was lost may have been committed in the meantime.
            placed = await connection.execute(update(command_batches).where(*waiting).values(pending_rows=None))
            if placed.rowcount != len(ids):
                raise Transient("a batch has its place already")
            await self._positions.insert(connection, positions)
            await self._seals.insert(connection, seals)

    async def checkpoint(self, lease: Lease, at: datetime, signer: CheckpointSigner) -> bool:
        async with translating():
            async with self._read.connect() as connection:
                if not await _checkpoint_due(connection, at):
                    return False
                position, seal = await _head(connection)
                rows_count = await _rows_count(connection)
            head = ChainHead(position, seal, rows_count)
            row = {
                "position": position,
                "seal": seal,
                "rows_count": rows_count,
                "made_at": at,
                "key_id": signer.key_id,
                "signature": signer.sign(checkpoint_message(head, at, signer.key_id)),
            }
            async with self._engine.begin() as connection:
                await leases.hold(connection, LEASE, lease, at)
                if not await _checkpoint_due(connection, at):  # as above
                    return False
                await connection.execute(insert(audit_checkpoints), row)
        return True


class SqlEventLog:
    """`application.shared.publishing.EventLog` over SQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def after(self, position: int, limit: int) -> Sequence[PositionedEvent]:
        statement = (
            select(_p.position, *domain_events.c)
            .join(domain_events, domain_events.c.id == _p.event_id)
            .where(_p.position > position)
            .order_by(_p.position)
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            return [PositionedEvent(row.position, stored_event(row)) for row in await fetch(connection, statement)]


def _positions(batches: Sequence[PendingBatch], last: int) -> list[Row]:
    events = (event.id for batch in batches for event in batch.events)
    return list(enumerate(events, last + 1))


def _seals(batches: Sequence[PendingBatch], head: tuple[int, str]) -> list[Row]:
    position, seal = head
    rows: list[Row] = []
    for batch in batches:
        position += 1
        seal = next_seal(seal, position, batch.id, batch.row_hashes)
        rows.append((position, batch.id, len(batch.row_hashes), seal))
    return rows


async def _last_position(connection: AsyncConnection) -> int:
    found: int | None = (await connection.execute(select(func.max(_p.position)))).scalar_one()
    return found or 0


async def _head(connection: AsyncConnection) -> tuple[int, str]:
    """The last seal and its position."""
    row = (await connection.execute(_HEAD)).one_or_none()
    return (0, GENESIS) if row is None else (row.position, row.seal)


async def _last_checkpoint(connection: AsyncConnection) -> Any:
    return (await connection.execute(_LAST_CHECKPOINT)).one_or_none()


async def _checkpoint_due(connection: AsyncConnection, at: datetime) -> bool:
    head, _ = await _head(connection)
    last = await _last_checkpoint(connection)
    return is_checkpoint_due(head, None if last is None else (last.position, last.made_at), at)


async def _rows_count(connection: AsyncConnection) -> int:
    """The audit rows sealed so far: those of the last checkpoint, and what was sealed since."""
    last = await _last_checkpoint(connection)
    since, before = (0, 0) if last is None else (last.position, last.rows_count)
    newer = select(func.coalesce(func.sum(_s.rows_count), literal(0))).where(_s.position > since)
    return before + int((await connection.execute(newer)).scalar_one())
