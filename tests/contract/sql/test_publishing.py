"""Events get gapless positions, whoever publishes and whatever becomes of him."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert, select

from penpay.application.shared.publishing import PositionedEvent
from penpay.application.shared.unit_of_work import ConstraintViolated, Transient
from penpay.domain.shared.errors import LostLicence
from penpay.infrastructure.sql import pending
from penpay.infrastructure.sql.publication import SqlEventLog, SqlPublication
from penpay.infrastructure.sql.tables import command_batches, domain_events
from penpay.workers.publisher import Publisher
from tests.contract.sql.commands import Move, wallet
from tests.contract.sql.publishers import KEY, SECOND, Press, keep_their_order, move_some, positions, verified
from tests.contract.sql.world import World, opened

WAITING = "SELECT count(*) FROM command_batches WHERE pending_rows IS NOT NULL"
EVENTS = "SELECT count(*) FROM domain_events"


async def test_every_event_gets_the_next_position(world: World) -> None:
    """What is committed is found, positioned from 1 on, and waits no more; a repeat finds nothing."""
    await move_some(world, 5)
    assert 6 == await world.one(WAITING)

    assert 6 == await Press(world).run()

    assert keep_their_order(await positions(world), await world.one(EVENTS))
    assert (0, 0) == (await world.one(WAITING), await Press(world).run())
    await move_some(world, 5, start=5)
    await Press(world).run()
    assert keep_their_order(await positions(world), await world.one(EVENTS))


async def test_readers_resume_where_they_stopped(world: World) -> None:
    """Pages after the last position hold every event once, each with what it told."""
    await move_some(world, 7)
    await Press(world).run()
    log = SqlEventLog(world.engine)

    seen: list[PositionedEvent] = []
    last = 0
    while page := await log.after(last, 4):
        seen += page
        last = page[-1].position

    assert list(range(1, await world.one(EVENTS) + 1)) == [found.position for found in seen]
    assert {"BalanceChanged"} == {found.stored.event.name for found in seen}
    assert [] == list(await log.after(last, 4))


async def test_a_batch_with_an_older_id_that_commits_later_is_not_lost(world: World) -> None:
    """The sequence gap: ids are taken before the commit, so a smaller one may show up after its successors."""
    await move_some(world, 2)
    await Press(world).run()
    before = await world.one(EVENTS)
    late, follower, account = UUID(int=5), UUID(int=9), UUID(int=77)
    await commit_by_hand(world, follower, [(UUID(int=10), account, 2)])
    await commit_by_hand(world, late, [(UUID(int=6), account, 1), (UUID(int=7), UUID(int=78), 1)])

    assert 2 == await Press(world).run()

    found = await positions(world)
    assert keep_their_order(found, before + 3)
    assert (await verified(world)).broken is None


async def test_events_keep_their_sequence_against_the_order_of_batches(world: World) -> None:
    """Clocks differ: the batch with the greater id was committed first, and its events come first."""
    account, other = UUID(int=77), UUID(int=78)
    await commit_by_hand(world, UUID(int=0x900), [(UUID(int=0x901), account, 1), (UUID(int=0x902), account, 2)])
    await commit_by_hand(world, UUID(int=0x100), [(UUID(int=0x101), account, 3), (UUID(int=0x102), other, 1)])

    await Press(world).run()

    found = await SqlEventLog(world.engine).after(0, 9)
    assert [(1, account, 1), (2, account, 2), (3, account, 3), (4, other, 1)] == [
        (position, stored.event.aggregate_id, stored.event.sequence) for position, stored in found
    ]


async def test_a_backlog_is_worked_off_in_chunks_that_keep_the_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two batches a chunk, and ids that run against the sequence, nobody's events are turned round."""
    monkeypatch.setattr(pending, "_BATCHES", 2)
    monkeypatch.setattr(pending, "_PAGE", 3)
    account = UUID(int=77)
    for sequence in range(1, 10):
        base = 0x1000 - sequence * 0x10
        await commit_by_hand(world, UUID(int=base), [(UUID(int=base + 1), account, sequence)])
    await move_some(world, 9)

    assert 19 == await Press(world).run()

    assert keep_their_order(await positions(world), await world.one(EVENTS))


async def test_two_publishers_at_once_make_no_gap_and_no_pair(url: str) -> None:
    """Two processes that commit and publish against each other leave positions from 1 on, and an intact chain."""
    async with opened(url) as one, opened(url) as two:
        await one.fund(wallet(1), wallet(2))

        async def publish(world: World, holder: UUID) -> None:
            press = Press(world, holder)
            for _ in range(15):
                try:
                    await press.run()
                except (LostLicence, Transient, ConstraintViolated):
                    world.clock.moment += timedelta(seconds=4)  # impatient: the other one's lease soon seems to lapse
                await asyncio.sleep(0)

        async def commit(world: World, payer: int) -> None:
            for number in range(15):
                await world.execute(Move(wallet(payer), wallet(3), 1, f"{payer}-{number}"))

        await asyncio.gather(publish(one, UUID(int=1)), publish(two, SECOND), commit(one, 1), commit(two, 2))
        one.clock.moment += timedelta(hours=1)
        await Press(one, UUID(int=3)).run()

        assert keep_their_order(await positions(one), await one.one(EVENTS))
        assert 32 == await one.one("SELECT max(position) FROM audit_seals")
        assert None is (await verified(one)).broken


async def test_only_one_holds_the_lease_until_it_lapses(world: World) -> None:
    """A second process is refused for five seconds, and then takes over under a greater fence."""
    first = await Press(world).claim()
    with pytest.raises(LostLicence):
        await Press(world, SECOND).claim()

    world.clock.moment += timedelta(seconds=5)
    second = await Press(world, SECOND).claim()

    assert (first.fence + 1, SECOND) == (second.fence, second.holder)
    with pytest.raises(LostLicence):
        await Press(world).claim()


async def test_a_zombie_cannot_write(world: World) -> None:
    """Stopped for an hour, with the next one at work since: what it still wants to write is refused."""
    await move_some(world, 3)
    zombie, press = await Press(world).claim(), Press(world)
    asleep_since = press.now
    world.clock.moment += timedelta(hours=1)
    await Press(world, SECOND).claim()

    with pytest.raises(LostLicence):  # by its own clock nothing has happened
        await press.publication.stamp(zombie, asleep_since)
    with pytest.raises(LostLicence):
        await press.publication.stamp(zombie, press.now)
    assert [] == await positions(world)
    assert 4 == await world.one(WAITING)

    second = Press(world, SECOND)
    await second.publication.stamp(await second.claim(), world.clock.now())
    with pytest.raises(LostLicence):  # a checkpoint is due, and not his to sign
        await press.publication.checkpoint(zombie, asleep_since, KEY)
    assert 0 == await world.one("SELECT count(*) FROM audit_checkpoints")
    assert keep_their_order(await positions(world), await world.one(EVENTS))


async def test_whoever_has_lost_the_lease_between_reading_and_writing_writes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause comes at the worst moment: everything is read, and another publishes it first."""
    await move_some(world, 3)
    slow = Press(world)
    lease = await slow.claim()
    place = slow.publication._place

    async def after_another(*arguments: object) -> None:
        world.clock.moment += timedelta(seconds=5)
        await Press(world, SECOND).run()
        await place(*arguments)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(slow.publication, "_place", after_another)
    with pytest.raises(LostLicence):
        await slow.publication.stamp(lease, slow.now)

    assert keep_their_order(await positions(world), await world.one(EVENTS))


async def test_a_publisher_that_dies_in_the_middle_leaves_nothing_half(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off between its statements and its commit, it has done nothing, and the next one does all of it."""
    await move_some(world, 3)
    press = Press(world)
    lease = await press.claim()

    async def die(*_: object) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(press.publication._seals, "insert", die)
    with pytest.raises(Transient):
        await press.publication.stamp(lease, press.now)
    assert [] == await positions(world)

    await Press(world).run()
    assert keep_their_order(await positions(world), await world.one(EVENTS))


async def test_the_worker_publishes_and_signs_and_then_has_nothing_to_do(world: World) -> None:
    """Woken once it does what is due; while another process holds the lease it stays out of the way."""
    await move_some(world, 2)
    publication = SqlPublication(world.engine)
    worker, other = (
        Publisher(publication=publication, signer=KEY, clock=world.clock, holder=holder)
        for holder in (UUID(int=1), SECOND)
    )
    (item,) = await worker.look(1)
    await worker.handle(item)
    assert ([], 1) == (await worker.look(1), await world.one("SELECT count(*) FROM audit_checkpoints"))

    await move_some(world, 1, start=2)
    with pytest.raises(LostLicence):
        await other.handle(item)
    await worker.handle(item)
    assert keep_their_order(await positions(world), await world.one(EVENTS))
    assert 1 == await world.one("SELECT fence FROM leases")


async def test_checkpoints_come_with_time_and_with_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at first; then one a quarter of an hour, or sooner after many batches; none when nothing was sealed."""
    count = "SELECT count(*) FROM audit_checkpoints"
    await move_some(world, 2)
    await Press(world).run()
    assert 1 == await world.one(count)

    world.clock.moment += timedelta(minutes=15)
    assert (0, 1) == (await Press(world).run(), await world.one(count))
    await move_some(world, 1, start=2)
    await Press(world).run()
    assert 2 == await world.one(count)

    await move_some(world, 3, start=3)
    await Press(world).run()
    assert 2 == await world.one(count)
    monkeypatch.setattr("penpay.application.shared.audit_chain.CHECKPOINT_BATCHES", 3)
    assert await SqlPublication(world.engine).is_due(world.clock.now())
    await Press(world).run()
    assert 3 == await world.one(count)
    assert 3 == (await verified(world)).checkpoints


async def test_events_that_somebody_wrote_past_the_executor_are_positioned_too(world: World) -> None:
    """A batch whose number of rows is wrong, or whose event has an older id than itself, holds nobody up."""
    account = UUID(int=77)
    await commit_by_hand(world, UUID(int=9), [(UUID(int=3), account, 1), (UUID(int=10), account, 2)])
    await world.change("UPDATE command_batches SET pending_rows = 5")

    await Press(world).run()

    assert keep_their_order(await positions(world), 2)


async def commit_by_hand(world: World, batch: UUID, events: list[tuple[UUID, UUID, int]]) -> None:
    """A batch as another process would have committed it, with ids of its own clock."""
    now = world.clock.now()
    rows = [
        {
            "id": event,
            "name": "Happened",
            "schema_version": 1,
            "aggregate_type": "Thing",
            "aggregate_id": aggregate,
            "sequence": sequence,
            "payload": "{}",
            "recorded_at": now,
            "batch_id": batch,
        }
        for event, aggregate, sequence in events
    ]
    async with world.engine.begin() as connection:
        head = {"batch_id": batch, "state": "COMMITTED", "recorded_at": now, "pending_rows": len(events)}
        await connection.execute(insert(command_batches), head)
        await connection.execute(insert(domain_events), rows)


async def test_an_abandoned_batch_has_no_place(world: World) -> None:
    """There is nothing in it to publish."""
    await move_some(world, 1)
    assert await world.executor._database.abandon(UUID(int=4), world.clock.now())  # type: ignore[arg-type]  # a NewType

    assert 2 == await Press(world).run()

    async with world.engine.connect() as connection:
        states = (await connection.execute(select(command_batches.c.state))).scalars().all()
    assert ["ABANDONED", "COMMITTED", "COMMITTED"] == sorted(states)
