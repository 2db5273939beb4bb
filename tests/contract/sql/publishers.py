"""Publishers on a world's database, and a person with a database client and bad intentions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Table, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from penpay.application.shared.audit_chain import Anchor, ChainBreak, ChainReport
from penpay.application.shared.publishing import Lease
from penpay.infrastructure.security.checkpoint_keys import CheckpointKey, CheckpointPublicKey
from penpay.infrastructure.sql.audit_trail import SqlAuditTrail
from penpay.infrastructure.sql.publication import SqlPublication
from penpay.infrastructure.sql.tables import APPEND_ONLY
from tests.contract.sql.commands import Move, wallet
from tests.contract.sql.world import World

KEY = CheckpointKey(bytes(range(32)))
FIRST, SECOND = UUID(int=1), UUID(int=2)


class Press:
    """One process that publishes."""

    def __init__(self, world: World, holder: UUID = FIRST) -> None:
        self.publication = SqlPublication(world.engine)
        self._world = world
        self._holder = holder

    @property
    def now(self) -> datetime:
        return self._world.clock.now()

    async def claim(self) -> Lease:
        """Take the lease for five seconds."""
        return await self.publication.claim(self._holder, self.now, self.now + timedelta(seconds=5))

    async def run(self) -> int:
        """Publish everything that waits, and a checkpoint if one is due; how many batches."""
        lease = await self.claim()
        total = 0
        while stamped := await self.publication.stamp(lease, self.now):
            total += stamped
        await self.publication.checkpoint(lease, self.now, KEY)
        return total


async def move_some(world: World, count: int, *, start: int = 0) -> None:
    """Shillings go from hand to hand, a batch each, from a wallet that everybody pays from."""
    if not start:
        await world.fund(wallet(1))
    for number in range(start, start + count):
        await world.execute(Move(wallet(1), wallet(2 + number % 3), 1, f"m{number}"))


async def verified(world: World, *anchors: Anchor) -> ChainReport:
    """What an auditor is told, who has the public key."""
    return await SqlAuditTrail(world.engine).verify(CheckpointPublicKey(KEY.public_key), anchors)


async def broken(world: World, *anchors: Anchor) -> ChainBreak:
    """The first break, which there must be."""
    found = (await verified(world, *anchors)).broken
    assert found is not None
    return found


async def positions(world: World) -> list[tuple[int, UUID, int]]:
    """Position, aggregate and sequence of every event, in the order of positions."""
    return await world.rows(
        "SELECT p.position, e.aggregate_id, e.sequence FROM event_positions p"
        " JOIN domain_events e ON e.id = p.event_id ORDER BY p.position"
    )


def keep_their_order(found: Sequence[tuple[int, UUID, int]], last: int) -> bool:
    """Whether positions run from 1 to `last` and every aggregate's events keep their sequence."""
    heard: dict[UUID, int] = {}
    for _, aggregate, sequence in found:
        if sequence != heard.get(aggregate, 0) + 1:
            return False
        heard[aggregate] = sequence
    return [position for position, _, _ in found] == list(range(1, last + 1))


async def take_guards_away(engine: AsyncEngine) -> None:
    """Drop every trigger and key that is in the way, as whoever owns the database can."""
    async with engine.begin() as connection:
        for table in APPEND_ONLY:
            if engine.dialect.name != "postgresql":
                for change in ("update", "delete"):
                    await connection.execute(text(f"DROP TRIGGER {table.name}_no_{change}"))
            else:
                await connection.execute(text(f"ALTER TABLE {table.name} DISABLE TRIGGER ALL"))
        if engine.dialect.name == "postgresql":
            await connection.execute(text("ALTER TABLE command_batches DISABLE TRIGGER ALL"))


UNGUARDED = {"postgresql": "SET session_replication_role = replica", "mysql": "SET foreign_key_checks = 0"}


async def rows_of(world: World, table: Table) -> list[dict[str, Any]]:
    async with world.engine.connect() as connection:
        found = await connection.execute(select(table).order_by(*table.primary_key))
        return [dict(row) for row in found.mappings()]


async def run(world: World, *statements: Any) -> None:
    """Do what the database would refuse with its guards; on SQLite foreign keys hold only who asks for them."""
    vandal = create_async_engine(world.engine.url)
    try:
        async with vandal.begin() as connection:
            if vandal.dialect.name in UNGUARDED:
                await connection.execute(text(UNGUARDED[vandal.dialect.name]))
            for statement in statements:
                assert (await connection.execute(statement)).rowcount > 0, "nothing was planted"
    finally:
        await vandal.dispose()
