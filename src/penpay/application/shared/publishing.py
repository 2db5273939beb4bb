"""Giving committed batches their place: events a gapless position, the audit trail its next seals.

Ids are taken before the commit, so a batch may become visible after one with a greater id, and whoever remembers the
last id he saw loses it. Each batch therefore says itself that it waits, and nothing here remembers how far it has come.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from penpay.application.shared.audit_chain import CheckpointSigner
from penpay.application.shared.unit_of_work import StoredEvent
from penpay.domain.shared.ids import BatchId, EventId


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one holder to publish, until a moment. Whoever takes it over gets a greater fence."""

    holder: UUID
    fence: int
    until: datetime


class PendingEvent(NamedTuple):
    """What the order of events depends on."""

    id: EventId
    aggregate_id: UUID
    sequence: int


@dataclass(frozen=True, slots=True)
class PendingBatch:
    """A committed batch without its place: its events and the hashes of its audit rows, each in their order."""

    id: BatchId
    events: tuple[PendingEvent, ...]
    row_hashes: tuple[str, ...]


class PositionedEvent(NamedTuple):
    """An event and its place among all events."""

    position: int
    stored: StoredEvent


class Publication(Protocol):
    """Where positions and seals are kept. Everything that writes raises LostLicence unless the lease is still held."""

    async def is_due(self, at: datetime) -> bool:
        """Whether a batch waits, or a checkpoint is due."""
        ...

    async def claim(self, holder: UUID, at: datetime, until: datetime) -> Lease:
        """Take the lease under a new fence; raises LostLicence while somebody else holds it."""
        ...

    async def stamp(self, lease: Lease, at: datetime) -> int:
        """Give batches that wait their positions and seals, and renew the lease to `lease.until`, in one commit.

        Returns how many batches they were: not necessarily all, and 0 only when none waits.
        """
        ...

    async def checkpoint(self, lease: Lease, at: datetime, signer: CheckpointSigner) -> bool:
        """Sign the chain as it stands if that is due; whether it was."""
        ...


class EventLog(Protocol):
    """Events in the order of their positions: whoever remembers the last one he read loses none and sees none twice."""

    async def after(self, position: int, limit: int) -> Sequence[PositionedEvent]:
        """The events that follow a position; 0 is before the first."""
        ...


def in_causal_order(batches: Sequence[PendingBatch]) -> list[PendingBatch]:
    """The batches so that every aggregate's events keep their sequence; by id where that leaves a choice.

    Ids alone do not do: the clocks of two processes differ, and a batch may wait for a lock with its id taken.
    """
    by_id = sorted(batches, key=lambda batch: batch.id)
    home = {(event.aggregate_id, event.sequence): n for n, batch in enumerate(by_id) for event in batch.events}
    followers: list[set[int]] = [set() for _ in by_id]
    waits_for = [0] * len(by_id)
    for n, batch in enumerate(by_id):
        for event in batch.events:
            before = home.get((event.aggregate_id, event.sequence - 1), n)
            if before != n and n not in followers[before]:
                followers[before].add(n)
                waits_for[n] += 1
    ready = [n for n, count in enumerate(waits_for) if not count]  # ascending, which is a heap
    ordered: list[int] = []
    while ready:
        n = heapq.heappop(ready)
        ordered.append(n)
        for follower in followers[n]:
            waits_for[follower] -= 1
            if not waits_for[follower]:
                heapq.heappush(ready, follower)
    # Row locks make a circle impossible; were there one, its batches must not hold up all others for ever.
    ordered += sorted(set(range(len(by_id))) - set(ordered))
    return [by_id[n] for n in ordered]
