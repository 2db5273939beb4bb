"""Watching what is published: in order, without a gap or a repeat, however far behind a watcher is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.shared import live
from penpay.application.shared.live import LiveFeed
from penpay.domain.shared.errors import Overloaded
from penpay.infrastructure.sql.live import SqlLiveLog
from penpay.infrastructure.sql.tables import domain_events, event_positions
from tests.contract.office.stage import Office

NAMES = ("SalePaid", "InvoiceIssued")


async def publish(engine: AsyncEngine, names: Sequence[str], *, start: int = 1) -> None:
    """One event of each name, at the positions from `start` on."""
    numbered = list(enumerate(names, start))
    at = datetime(2026, 2, 3, tzinfo=UTC)
    async with engine.begin() as connection:
        await connection.execute(
            insert(domain_events),
            [
                {"id": UUID(int=n), "name": name, "schema_version": 1, "aggregate_type": "Test",
                 "aggregate_id": UUID(int=n), "sequence": 1, "payload": "{}", "recorded_at": at,
                 "batch_id": UUID(int=n)}
                for n, name in numbered
            ],
        )  # fmt: skip
        await connection.execute(
            insert(event_positions), [{"position": n, "event_id": UUID(int=n)} for n, _ in numbered]
        )


async def caught_up(feed: LiveFeed) -> None:
    """What the worker does when it is woken."""
    for head in await feed.look(1):
        await feed.handle(head)


async def taken(feed: LiveFeed, after: int) -> tuple[list[int], int]:
    """The positions a watcher is given until there is no more, and from where it goes on."""
    positions: list[int] = []
    while (page := await feed.page(after)).until > after:
        positions += [one.position for one in page.events]
        after = page.until
    return positions, after


def feed_of(office: Office) -> LiveFeed:
    return LiveFeed(SqlLiveLog(office.system.engine), NAMES)


async def test_a_watcher_is_given_what_is_meant_for_it_in_order(office: Office) -> None:
    """Other events are passed over, and so is what was published before it came, unless it asks."""
    feed, engine = feed_of(office), office.system.engine
    await publish(engine, ["SalePaid", "TransactionCreated"])
    head = await feed.join()
    await publish(engine, ["InvoiceIssued", "BalanceChanged", "SalePaid", "BalanceChanged"], start=3)
    await caught_up(feed)

    assert 2 == head
    assert ([3, 5], 6) == await taken(feed, head)
    assert ([1, 3, 5], 6) == await taken(feed, 0)
    assert ([], 6) == await taken(feed, 6)


@pytest.mark.parametrize("start", [0, 1, 149, 150, 151, 1_100, 1_249, 1_250])
async def test_whoever_is_far_behind_reads_page_by_page(
    office: Office, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any position every later event is given once, whether it is still shared or must be read again."""
    monkeypatch.setattr(live, "_SHARED", 150)
    feed, engine = feed_of(office), office.system.engine
    await feed.join()
    for first in range(1, 1_250, 125):
        await publish(engine, ["SalePaid"] * 125, start=first)
        await caught_up(feed)

    assert (list(range(start + 1, 1_251)), 1_250) == await taken(feed, start)


async def test_more_at_once_than_is_shared_is_read_by_each(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst neither fills the memory nor is lost, and what follows it is shared again."""
    monkeypatch.setattr(live, "_SHARED", 50)
    feed, engine = feed_of(office), office.system.engine
    await feed.join()
    await publish(engine, ["SalePaid"] * 51)
    await caught_up(feed)
    await publish(engine, ["InvoiceIssued"] * 3, start=52)
    await caught_up(feed)

    assert (list(range(1, 55)), 54) == await taken(feed, 0)


async def test_those_who_wait_are_woken_together(office: Office) -> None:
    """Ten watchers see one event, read once."""
    feed, engine = feed_of(office), office.system.engine
    heads = [await feed.join() for _ in range(10)]
    waiting = [asyncio.create_task(feed.wait_beyond(head)) for head in heads]
    await publish(engine, ["SalePaid"])
    await caught_up(feed)
    await asyncio.wait_for(asyncio.gather(*waiting), 5)

    assert [([1], 1)] * 10 == [await taken(feed, head) for head in heads]


async def test_nothing_is_read_while_nobody_watches(office: Office) -> None:
    """The first who comes again begins where the events are then, and misses nothing from there on."""
    feed, engine = feed_of(office), office.system.engine
    await feed.join()
    await publish(engine, ["SalePaid"])
    await caught_up(feed)
    feed.leave()
    await publish(engine, ["SalePaid"] * 2, start=2)
    unseen = await feed.look(1)
    head = await feed.join()
    await publish(engine, ["SalePaid"], start=4)
    await caught_up(feed)

    assert ([], 3) == (unseen, head)
    assert ([4], 4) == await taken(feed, head)
    assert ([2, 3, 4], 4) == await taken(feed, 1)


async def test_watchers_are_limited(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is told to come again; a place that is left is free."""
    monkeypatch.setattr(live, "_MOST_WATCHERS", 2)
    feed = feed_of(office)
    await feed.join()
    await feed.join()
    with pytest.raises(Overloaded):
        await feed.join()
    feed.leave()

    assert 0 == await feed.join()
