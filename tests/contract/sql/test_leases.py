"""Leases by themselves: who may claim, who may still write, and what happens between the two."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from penpay.application.shared.publishing import Lease
from penpay.domain.shared.errors import LostLicence
from penpay.infrastructure.sql import leases
from tests.contract.sql.publishers import FIRST, SECOND
from tests.contract.sql.world import World
from tests.support.ports import MORNING

NAME = "anything"
LEASE = timedelta(seconds=5)
LATER, MUCH_LATER = MORNING + LEASE, MORNING + 2 * LEASE
MINE = Lease(FIRST, 1, LATER)


async def claim(world: World, lease: Lease, fence: int | None) -> None:
    """Take the lease as five seconds before its end."""
    async with world.engine.begin() as connection:
        await leases.claim(connection, NAME, fence, lease, lease.until - LEASE)


async def test_a_lease_that_lapsed_is_not_held_though_nobody_took_it(world: World) -> None:
    """To the moment: a microsecond before its end it is, at its end it is not."""
    await claim(world, MINE, None)
    async with world.engine.begin() as connection:
        await leases.hold(connection, NAME, MINE, LATER - timedelta(microseconds=1))
        with pytest.raises(LostLicence):
            await leases.hold(connection, NAME, MINE, LATER)


async def test_holding_renews(world: World) -> None:
    """Whoever writes has it for longer, and others see that."""
    await claim(world, MINE, None)
    async with world.engine.begin() as connection:
        await leases.hold(connection, NAME, replace(MINE, until=MUCH_LATER), MORNING)
    async with world.engine.begin() as connection:
        with pytest.raises(LostLicence):
            await leases.seen(connection, NAME, SECOND, LATER)
        assert 1 == await leases.seen(connection, NAME, SECOND, MUCH_LATER)
        assert 1 == await leases.seen(connection, NAME, FIRST, MORNING)


async def test_its_own_older_fence_is_no_licence(world: World) -> None:
    """A process that claimed anew after an answer was lost does not write under what it had before."""
    await claim(world, MINE, None)
    await claim(world, replace(MINE, fence=2), 1)
    async with world.engine.begin() as connection:
        with pytest.raises(LostLicence):
            await leases.hold(connection, NAME, MINE, MORNING)


async def test_a_fence_is_given_once(world: World) -> None:
    """Whoever saw the lease before another had it and let it lapse cannot take it under that other's fence."""
    await claim(world, MINE, None)
    await claim(world, Lease(SECOND, 2, MUCH_LATER), 1)
    with pytest.raises(LostLicence):
        await claim(world, Lease(FIRST, 2, MUCH_LATER + LEASE), 1)
    with pytest.raises(LostLicence):
        await claim(world, Lease(FIRST, 3, LATER + LEASE / 2), 2)

    assert [(2,)] == await world.rows("SELECT fence FROM leases")
