"""Events owed to consumers: how one is found, and what happens when consuming it fails.

The consumer's own command settles the delivery in the commit that does the work (`Executor.execute(delivery=…)`), under
the fence with which it was found free; it is dropped when somebody has claimed it since. A claim is a commit of its own
and raises the fence: who failed takes it, so that only one counts the failure and puts the delivery back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from penpay.application.shared.unit_of_work import DELIVERIES, Delivery, Find, Footprint, StoredEvent, Work
from penpay.domain.shared.errors import LostLicence
from penpay.domain.shared.ids import EventId

MAX_ATTEMPTS = 8
"""After so many failures a delivery is dead: it holds its successors, and people are told."""


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A delivery that nobody holds, with its event."""

    consumer: str
    stored: StoredEvent
    fence: int
    """As it was found; whoever claims the delivery raises it."""


class Outbox(Protocol):
    """Reading what is owed; nothing is locked."""

    async def due_deliveries(self, consumer: str, at: datetime, limit: int) -> Sequence[DueDelivery]:
        """The oldest delivery of each key that is due and not leased, longest due first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimDelivery:
    """Take the delivery of an event, and count a try at it."""

    consumer: str
    event_id: EventId


class ClaimDeliveryHandler:
    def __init__(self, lease: timedelta) -> None:
        self._lease = lease

    async def footprint(self, commands: Sequence[ClaimDelivery], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(DELIVERIES, *((command.consumer, command.event_id) for command in commands))

    def handle(self, command: ClaimDelivery, work: Work) -> Delivery:
        """The claimed delivery. Raises LostLicence when it is gone, not due, or held by another."""
        key = (command.consumer, command.event_id)
        owed = work.get(DELIVERIES, key)
        held = owed is not None and owed.lease_until is not None and owed.lease_until > work.now
        if owed is None or owed.dead or held or owed.due_at > work.now:
            raise LostLicence
        claimed = replace(owed, fence=owed.fence + 1, attempts=owed.attempts + 1, lease_until=work.now + self._lease)
        work.put(DELIVERIES, key, claimed)
        return claimed


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBackDelivery:
    """Consuming failed: try again later."""

    consumer: str
    event_id: EventId
    fence: int


class PutBackDeliveryHandler:
    async def footprint(self, commands: Sequence[PutBackDelivery], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(DELIVERIES, *((command.consumer, command.event_id) for command in commands))

    def handle(self, command: PutBackDelivery, work: Work) -> None:
        """Each time it waits twice as long. Raises LostLicence under an older fence."""
        key = (command.consumer, command.event_id)
        owed = claimed_delivery(work, command.consumer, command.event_id, command.fence)
        pause = timedelta(seconds=1 << min(owed.attempts, 8))
        work.put(DELIVERIES, key, replace(owed, lease_until=None, due_at=work.now + pause))


def claimed_delivery(work: Work, consumer: str, event_id: EventId, fence: int) -> Delivery:
    """The delivery held under this fence; raises LostLicence when another claim has come after it, or it is settled."""
    owed = work.get(DELIVERIES, (consumer, event_id))
    if owed is None or owed.fence != fence:
        raise LostLicence
    return owed
