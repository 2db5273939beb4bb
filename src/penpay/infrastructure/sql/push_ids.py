"""Which other push may own a CheckoutRequestID, among those for deposits and those from the till."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Select, Table, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.payments.policy import IDS_ANSWERED_FOR
from penpay.application.shared.ports import Clock
from penpay.application.shared.push_ids import OTHER_OWNERS
from penpay.domain.payments.evidence import EvidenceState
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.sql.capture_tables import till_pushes
from penpay.infrastructure.sql.evidence import RequestsByCheckout
from penpay.infrastructure.sql.tables import mpesa_requests
from penpay.infrastructure.sql.till_pushes import TillPushesByCheckout
from penpay.infrastructure.sql.unit_of_work import fetch

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class OtherOwners:
    """For each push, and an id named for it, another that was sent and goes by that id, or whose own is not certain."""

    index = OTHER_OWNERS

    def __init__(self, index: BlindIndex, clock: Clock) -> None:
        self._clock = clock
        self._named = (RequestsByCheckout(index), TillPushesByCheckout(index))

    async def find(
        self, connection: AsyncConnection, keys: Collection[tuple[UUID, str]]
    ) -> Mapping[tuple[UUID, str], UUID]:
        since_ms = (self._clock.now() - IDS_ANSWERED_FOR - _EPOCH) // timedelta(milliseconds=1)
        since = UUID(int=since_ms << 80)
        # The doubtful first: one whose answer is recorded between the looks is then found by its id.
        doubtful: list[UUID] = []
        for table in (mpesa_requests, till_pushes):
            doubtful += [row.id for row in await fetch(connection, _unidentified(table, since))]
        owners = {key: other for key in keys for other in doubtful if other != key[0]}
        for named in self._named:
            going_by = await named.find(connection, {heard_id for _, heard_id in keys})
            owners |= {key: other for key in keys if (other := going_by.get(key[1])) not in {None, key[0]}}
        return owners


def _unidentified(table: Table, since: UUID) -> Select[UUID]:
    """Two of the pushes that were sent and whose CheckoutRequestID is not certain: one at least is another's.

    Ids grow with time, so those of the last days are one range of the primary key. A push that was refused by the
    answer to our own call, or never sent, has no id: it has failed, and nobody has asked or will ask about it, and
    nothing has told that it was paid all the same.
    """
    pushes = table.c
    return (
        select(pushes.id)
        .where(
            pushes.id >= since,
            pushes.merchant_request_id.is_(None),
            pushes.sent_at.is_not(None),
            pushes.state != EvidenceState.INTENDED.value,
            or_(
                pushes.state != EvidenceState.FAILED.value,
                pushes.due_at.is_not(None),
                pushes.attempts > 0,
                pushes.verified_at.is_not(None),
            ),
        )
        .order_by(pushes.id.desc())
        .limit(2)
    )
