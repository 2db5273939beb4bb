"""What is owed to consumers: written with the event, taken in under a fence, once."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from penpay.application.shared.executor import ClaimedDelivery
from penpay.domain.shared.errors import Forbidden, LostLicence, Overdrawn
from penpay.infrastructure.sql.tables import deliveries
from tests.contract.sql.commands import Crash, Hear, Issue, Knock, Move, wallet
from tests.contract.sql.world import World, opened

A, B = wallet(1), wallet(2)


async def claimed(world: World, *, fence: int = 1) -> ClaimedDelivery:
    """The one delivery there is, claimed as a worker does: fence + 1."""
    await world.change("UPDATE deliveries SET fence = fence + 1, attempts = attempts + 1")
    async with world.engine.connect() as connection:
        ((consumer, event_id),) = await connection.execute(select(deliveries.c.consumer, deliveries.c.event_id))
    return ClaimedDelivery(consumer, event_id, fence)


async def owed(world: World) -> list[tuple[Any, ...]]:
    return await world.rows("SELECT consumer, sequence, fence, attempts FROM deliveries ORDER BY sequence")


async def heard(world: World) -> int:
    return int(await world.one("SELECT count(*) FROM audit_logs WHERE action = 'heard'"))


async def test_an_event_owes_one_delivery_to_each_subscriber(url: str) -> None:
    """Two consumers, one event: two rows, each once, keyed by the aggregate in the order of its events."""
    async with opened(url, subscriptions={"BalanceChanged": ("statements", "alerts")}) as world:
        await world.execute(Issue(A, 100, "i-1"))
        await world.execute(Issue(A, 50, "i-2"))

        account = await world.one("SELECT id FROM ledger_accounts WHERE code = :code", code=A)
        assert [
            ("alerts", account, 1, 0, 0),
            ("alerts", account, 2, 0, 0),
            ("statements", account, 1, 0, 0),
            ("statements", account, 2, 0, 0),
        ] == await world.rows(
            "SELECT d.consumer, d.key, d.sequence, d.fence, d.attempts FROM deliveries d"
            " JOIN domain_events e ON e.id = d.event_id AND e.aggregate_id = d.key AND e.sequence = d.sequence"
            " ORDER BY d.consumer, d.sequence"
        )
        assert [frozenset({"statements", "alerts"})] * 2 == world.woken


async def test_an_event_nobody_subscribed_to_owes_nothing(url: str) -> None:
    """It is recorded all the same, and nobody is woken."""
    async with opened(url, subscriptions={}) as world:
        await world.execute(Issue(A, 100, "i-1"))

        assert [] == await owed(world)
        assert 1 == (await world.counts())["domain_events"]
        assert [] == world.woken


async def test_a_refused_command_owes_nothing(world: World) -> None:
    """Its events are forgotten with it, and nobody is woken for them."""
    with pytest.raises(Overdrawn):
        await world.execute(Move(A, B, 1, "m"))

    assert [] == await owed(world)
    assert [] == world.woken


async def test_a_consumer_settles_its_delivery_in_the_commit_of_its_effect(world: World) -> None:
    """Afterwards nothing is owed, and a repeat has no licence any more."""
    await world.execute(Issue(A, 100, "i-1"))
    delivery = await claimed(world)
    await world.execute(Hear("statements"), delivery=delivery)

    assert ([], 1) == (await owed(world), await heard(world))
    with pytest.raises(LostLicence):
        await world.execute(Hear("statements"), delivery=delivery)
    assert 1 == await heard(world)


@pytest.mark.parametrize("fence", [0, 2])
async def test_another_fence_is_no_licence(world: World, fence: int) -> None:
    """Who was overtaken by another worker changes nothing, neither its own effect nor the other's delivery."""
    await world.execute(Issue(A, 100, "i-1"))
    delivery = await claimed(world, fence=fence)
    with pytest.raises(LostLicence):
        await world.execute(Hear("statements"), delivery=delivery)

    assert ([("statements", 1, 1, 1)], 0) == (await owed(world), await heard(world))


async def test_what_was_given_up_is_not_consumed_any_more(world: World) -> None:
    """Who found it before people were told changes nothing."""
    await world.execute(Issue(A, 100, "i-1"))
    delivery = await claimed(world)
    await world.change("UPDATE deliveries SET dead = TRUE")
    with pytest.raises(LostLicence):
        await world.execute(Hear("statements"), delivery=delivery)

    assert ([("statements", 1, 1, 1)], 0) == (await owed(world), await heard(world))


async def test_of_two_workers_with_one_licence_one_succeeds(world: World) -> None:
    """The same claim used twice in one batch counts once."""
    await world.execute(Issue(A, 100, "i-1"))
    delivery = await claimed(world)
    futures = [world.executor.enqueue(Hear("statements"), delivery=delivery) for _ in range(2)]

    assert await futures[0] is None
    with pytest.raises(LostLicence):
        await futures[1]
    assert 1 == await heard(world)


async def test_an_unsuccessful_consumer_is_still_owed(world: World) -> None:
    """A refusal or a bug takes the settlement back too."""
    await world.fund(B)
    await world.change("DELETE FROM deliveries")
    await world.execute(Issue(A, 100, "i-1"))
    delivery = await claimed(world)
    with pytest.raises(Overdrawn):
        await world.execute(Move(A, B, 101, "m"), delivery=delivery)
    with pytest.raises(RuntimeError):
        await world.execute(Crash(Move(A, B, 1, "m")), delivery=delivery)

    assert [("statements", 1, 1, 1)] == await owed(world)


async def test_an_audited_refusal_settles_its_delivery(world: World) -> None:
    """It commits: what was decided about the event is decided."""
    await world.execute(Issue(A, 100, "i-1"))
    with pytest.raises(Forbidden):
        await world.execute(Knock("mallory"), delivery=await claimed(world))

    assert [] == await owed(world)
