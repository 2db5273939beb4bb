"""Published events for those who watch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.shared.publishing import PositionedEvent
from penpay.infrastructure.sql.due import stored_event
from penpay.infrastructure.sql.engine import looking, translating
from penpay.infrastructure.sql.tables import domain_events, event_positions
from penpay.infrastructure.sql.unit_of_work import fetch

_p = event_positions.c
_HEAD: Final = select(func.coalesce(func.max(_p.position), 0))


class SqlLiveLog:
    """`application.shared.live.LiveLog` over SQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = looking(engine)

    async def head(self) -> int:
        async with translating(), self._engine.connect() as connection:
            found: int = (await connection.execute(_HEAD)).scalar_one()
        return found

    async def between(self, after: int, until: int, names: Collection[str], limit: int) -> Sequence[PositionedEvent]:
        statement = (
            select(_p.position, *domain_events.c)
            .join(domain_events, domain_events.c.id == _p.event_id)
            .where(_p.position > after, _p.position <= until, domain_events.c.name.in_(sorted(names)))
            .order_by(_p.position)
            .limit(limit)
        )
        async with translating(), self._engine.connect() as connection:
            return [PositionedEvent(row.position, stored_event(row)) for row in await fetch(connection, statement)]
