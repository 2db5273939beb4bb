"""Leases: of several processes one may do a thing, and one that has lost its lease cannot write any more.

The fence grows with every claim. Whoever writes under a lease says so in the same transaction, by `hold`, which locks
the lease's row: a claim by somebody else either comes before it, and it is refused, or waits until it has committed.
So it does no harm when the clocks of two processes differ, or when one of them was stopped for an hour.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.shared.publishing import Lease
from penpay.domain.shared.errors import LostLicence
from penpay.infrastructure.sql.tables import leases

_l = leases.c


async def seen(connection: AsyncConnection, name: str, holder: UUID, at: datetime) -> int | None:
    """The fence under which a lease can be claimed, None for one that was never held. Raises LostLicence if held."""
    row = (await connection.execute(select(leases).where(_l.name == name))).one_or_none()
    if row is None:
        return None
    if row.holder != holder and row.lease_until > at:
        raise LostLicence
    fence: int = row.fence
    return fence


async def claim(connection: AsyncConnection, name: str, fence: int | None, lease: Lease, at: datetime) -> None:
    """Take a lease that was seen under this fence. Raises LostLicence when somebody was faster."""
    values = {"holder": lease.holder, "fence": lease.fence, "lease_until": lease.until}
    if fence is None:
        try:
            await connection.execute(insert(leases), {"name": name, **values})
        except IntegrityError:  # two made the lease's first row at once
            raise LostLicence from None
        return
    free = or_(_l.holder == lease.holder, _l.lease_until <= at)
    taken = await connection.execute(update(leases).where(_l.name == name, _l.fence == fence, free).values(values))
    if taken.rowcount != 1:
        raise LostLicence


async def hold(connection: AsyncConnection, name: str, lease: Lease, at: datetime) -> None:
    """Renew a lease to `lease.until`, and keep it from everybody else until this transaction ends.

    Raises LostLicence when it has lapsed, or when another claim has come after it.
    """
    mine = (_l.name == name, _l.holder == lease.holder, _l.fence == lease.fence, _l.lease_until > at)
    held = await connection.execute(update(leases).where(*mine).values(lease_until=lease.until))
    if held.rowcount != 1:
        raise LostLicence
