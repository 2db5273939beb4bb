"""The publisher: gives events their positions, seals the audit trail and signs its checkpoints, off the commit path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from penpay.application.shared.audit_chain import CheckpointSigner
from penpay.application.shared.ports import Clock
from penpay.application.shared.publishing import Lease, Publication

PUBLISHER: Final = "publisher"
_LEASE: Final = timedelta(seconds=5)
"""A chunk takes milliseconds. After the holder's death nobody publishes for as long."""
_GATHER_MS: Final = 200
"""How long commits are gathered before they are published in one transaction."""


class Publisher:
    """Publishes in chunks while it holds the lease; of several processes one does."""

    def __init__(self, *, publication: Publication, signer: CheckpointSigner, clock: Clock, holder: UUID) -> None:
        self._publication = publication
        self._signer = signer
        self._clock = clock
        self._holder = holder
        self._lease: Lease | None = None
        self._is_publishing = False

    async def look(self, limit: int) -> Sequence[str]:  # noqa: ARG002  (there is one thing to do, or none)
        """The one thing there is to do, if it is due and not being done; whoever has done it looks again."""
        if self._is_publishing:
            return []
        return [PUBLISHER] if await self._publication.is_due(self._clock.now()) else []

    async def handle(self, _: str) -> None:
        """Publish what waits, a chunk of it, and sign a checkpoint if one is due.

        Raises LostLicence while another process holds the lease; what is left is found by the next look.
        """
        self._is_publishing = True
        try:
            await self._clock.sleep(_GATHER_MS)
            await self._publish(self._clock.now())
        finally:
            self._is_publishing = False

    async def _publish(self, now: datetime) -> None:
        if self._lease is None or self._lease.until <= now:
            self._lease = await self._publication.claim(self._holder, now, now + _LEASE)
        held, self._lease = replace(self._lease, until=now + _LEASE), None  # claimed anew after whatever goes wrong
        stamped = await self._publication.stamp(held, now)
        signed = await self._publication.checkpoint(held, now, self._signer)
        if stamped or signed:  # only then was the lease renewed
            self._lease = held
