"""Somebody of a simulated business locks its books through a day, often the one that it is, and unlocks them soon."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from penpay.application.collections.period import DecideLock, ProposeLock
from penpay.domain.collections.period import PeriodLockId
from penpay.domain.shared.nairobi import nairobi_day
from penpay.simulation.collections.office import Office
from penpay.simulation.collections.tally import What

if TYPE_CHECKING:
    from penpay.bootstrap import System

_TRIES: Final = 6
"""So often is unlocking tried: who cannot work any more tries again."""


class Closing:
    """Whoever closes days."""

    def __init__(self, office: Office, chance: random.Random, bill: Callable[[str], Awaitable[None]]) -> None:
        self._office = office
        self._chance = chance
        self._bill = bill

    async def close_a_day(self, who: str) -> None:
        """Lock the books, try to bill somebody all the same, wait while others are refused, and unlock them."""
        now = await self._office.look(_now)
        if now is None:
            return
        day = nairobi_day(now) - timedelta(days=self._chance.choice((0, 0, 1, 30)))
        await self._lock(who, day)
        await self._bill(who)
        await asyncio.sleep(self._chance.randint(500, 4_000) / 1_000)
        for _ in range(_TRIES):
            if await self._lock(who, None):
                return

    async def _lock(self, who: str, through: date | None) -> bool:
        """One proposes it and another approves it; now and then whoever proposed it tries that, too."""
        wish = self._office.wish(who, What.LOCK)
        command = ProposeLock(through=through, reason=wish.by, by=wish.by)
        if not await self._office.ask(wish, command) or wish.answer is None:
            return False
        lock_id = PeriodLockId(UUID(str(wish.answer["lock_id"])))
        if self._chance.randrange(3) == 0:
            own = self._office.wish(who, What.LOCKED)
            own.by = wish.by
            if await self._office.ask(own, DecideLock(lock_id=lock_id, approve=True, by=own.by)):
                self._office.tally.found("K9: the books were locked by one person")
        approval = self._office.wish(who, What.LOCKED)
        return await self._office.ask(approval, DecideLock(lock_id=lock_id, approve=True, by=approval.by))


async def _now(system: System) -> datetime:
    return system.clock.now()
