"""Finding the batches that wait for their place, with what decides their order. Nothing here is locked.

`domain_events` has no index by batch, which every commit would have to pay for. It needs none: an id is greater than
any its process made before, so a batch's events follow the batch's own id in the primary key, and the batch says how
many rows it has. So a walk from the smallest batch on ends as soon as it has met them all.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.shared.publishing import PendingBatch, PendingEvent
from penpay.domain.shared.ids import BatchId
from penpay.infrastructure.sql.tables import audit_logs, command_batches, domain_events
from penpay.infrastructure.sql.unit_of_work import among_ids, fetch

_BATCHES: Final = 500
_ROWS: Final = 5_000
"""At most so many batches at a time, and no further one once they have so many rows."""
_PAGE: Final = 2_000
_KEYS: Final = 1_000
"""Keys in one statement."""

_b, _e, _a = command_batches.c, domain_events.c, audit_logs.c
_WAITING: Final = _b.pending_rows.is_not(None)
_log = logging.getLogger(__name__)


async def pending_batches(connection: AsyncConnection) -> list[PendingBatch]:
    """Some of the batches that wait: none whose events follow those of a batch that waits and is left out."""
    counts, are_all = await _smallest(connection)
    found = await _read(connection, counts)
    # A batch whose event follows another's was committed after it, so among all that wait at once none is missed.
    while not are_all and (missing := await _before(connection, found)):
        found |= await _read(connection, missing)
    return list(found.values())


async def _smallest(connection: AsyncConnection) -> tuple[dict[BatchId, int], bool]:
    """The waiting batches with the smallest ids and their numbers of rows, and whether there are no others."""
    statement = select(_b.batch_id, _b.pending_rows).where(_WAITING).order_by(_b.batch_id).limit(_BATCHES)
    rows = await fetch(connection, statement)
    counts: dict[BatchId, int] = {}
    together = 0
    for batch_id, count in rows:
        together += count
        if counts and together > _ROWS:
            return counts, False
        counts[batch_id] = count
    return counts, len(rows) < _BATCHES


async def _read(connection: AsyncConnection, counts: Mapping[BatchId, int]) -> dict[BatchId, PendingBatch]:
    hashes = await _row_hashes(connection, counts)
    expected = sum(counts.values()) - sum(map(len, hashes.values()))
    events = await _events(connection, counts, expected)
    return {
        batch_id: PendingBatch(batch_id, tuple(sorted(events[batch_id])), tuple(hashes[batch_id]))
        for batch_id in counts
    }


async def _row_hashes(connection: AsyncConnection, batches: Collection[BatchId]) -> Mapping[BatchId, list[str]]:
    found: defaultdict[BatchId, list[str]] = defaultdict(list)
    if batches:
        statement = select(_a.batch_id, _a.row_hash).where(among_ids(_a.batch_id, batches, connection.dialect))
        for batch_id, row_hash in await fetch(connection, statement.order_by(_a.batch_id, _a.ordinal)):
            found[batch_id].append(row_hash)
    return found


async def _events(
    connection: AsyncConnection, batches: Collection[BatchId], expected: int
) -> Mapping[BatchId, list[PendingEvent]]:
    """The events of these batches."""
    found: defaultdict[BatchId, list[PendingEvent]] = defaultdict(list)
    if expected <= 0:
        return found
    first: UUID = min(batches)
    cursor = first
    while expected > 0:
        rows = await fetch(connection, _columns().where(_e.id > cursor).order_by(_e.id).limit(_PAGE))
        expected -= _collect(rows, batches, found)
        if len(rows) < _PAGE:
            break
        cursor = rows[-1].id
    if expected > 0:
        # Somebody has written past the executor. The rest of the table is read, and publishing goes on with what
        # there is: `penpay audit verify` and `penpay events replay` say what is wrong.
        _log.error("%d events or audit rows of %d batches are not where they belong", expected, len(batches))
        earlier = _columns().where(_e.id <= first, _e.batch_id.in_(list(batches))).order_by(_e.id)
        _collect(await fetch(connection, earlier), batches, found)
    return found


def _collect(
    rows: Collection[Any], batches: Collection[BatchId], found: defaultdict[BatchId, list[PendingEvent]]
) -> int:
    count = 0
    for event_id, batch_id, aggregate_id, sequence in rows:
        if batch_id in batches:
            found[batch_id].append(PendingEvent(event_id, aggregate_id, sequence))
            count += 1
    return count


async def _before(connection: AsyncConnection, found: Mapping[BatchId, PendingBatch]) -> dict[BatchId, int]:
    """The waiting batches, not among those found, that hold the event right before one of theirs."""
    events = [event for batch in found.values() for event in batch.events]
    known = {(event.aggregate_id, event.sequence) for event in events}
    before = sorted({(event.aggregate_id, event.sequence - 1) for event in events} - known)
    missing: dict[BatchId, int] = {}
    for start in range(0, len(before), _KEYS):
        statement = (
            select(_b.batch_id, _b.pending_rows)
            .join(domain_events, _e.batch_id == _b.batch_id)
            .where(tuple_(_e.aggregate_id, _e.sequence).in_(before[start : start + _KEYS]), _WAITING)
        )
        missing |= {row.batch_id: row.pending_rows for row in await fetch(connection, statement)}
    return missing


def _columns() -> Select[Any]:
    return select(_e.id, _e.batch_id, _e.aggregate_id, _e.sequence)
