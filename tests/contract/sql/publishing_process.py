"""Commits and publishes until it is killed: `python -m tests.contract.sql.publishing_process URL NUMBER`."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from uuid import UUID

from penpay.application.shared.unit_of_work import ConstraintViolated, Transient
from penpay.domain.shared.errors import LostLicence
from tests.contract.sql.commands import Move, wallet
from tests.contract.sql.publishers import Press
from tests.contract.sql.world import World, opened


async def main(url: str, number: int) -> None:
    async with opened(url) as world:
        await asyncio.gather(_commit(world, number), _publish(world, number))


async def _commit(world: World, number: int) -> None:
    count = 0
    while True:
        count += 1
        await world.execute(Move(wallet(1), wallet(2), 1, f"{number}-{count}"))


async def _publish(world: World, number: int) -> None:
    press = Press(world, UUID(int=number))
    while True:
        try:
            await press.run()
        except (LostLicence, Transient, ConstraintViolated):
            world.clock.moment += timedelta(seconds=2)  # its clock runs fast, so that a dead one's lease soon lapses
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
