"""What whoever watches is told over a real socket: from now on or from where she was, and nothing of a person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from sqlalchemy import insert, select

from penpay.application.collections.checking import RecordBalanceCheck
from penpay.application.shared import live
from penpay.domain.collections.continuity import BalancePoint, follow
from penpay.domain.identity.staff import StaffRole
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.tables import domain_events, event_positions
from penpay.presentation.http.app import bind, create_app
from penpay.presentation.http.routes import events
from penpay.presentation.http.serving import serving
from tests.contract.office.stage import CASHIER, OWNER, PASSWORD, SHOP, Office
from tests.integration.http.stage import read
from tests.integration.http.watching import Watcher


@asynccontextmanager
async def served(office: Office) -> AsyncIterator[str]:
    """The office on a socket, with the worker that looks for news."""
    feed = office.system.live_feed

    async def looking() -> None:
        while True:
            for head in await feed.look(1):
                await feed.handle(head)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(looking())
    try:
        async with serving(bind(create_app(), office.system), "127.0.0.1", 0) as port:
            yield f"http://127.0.0.1:{port}"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def publish(
    office: Office, payloads: Sequence[dict[str, Any]], *, start: int = 1, name: str = "SalePaid"
) -> None:
    """One event with each payload, at the positions from `start` on."""
    numbered = list(enumerate(payloads, start))
    async with office.system.engine.begin() as connection:
        await connection.execute(
            insert(domain_events),
            [
                {"id": UUID(int=n), "name": name, "schema_version": 1, "aggregate_type": "Sale",
                 "aggregate_id": UUID(int=n), "sequence": 1, "payload": orjson.dumps(payload).decode(),
                 "recorded_at": office.clock.now(), "batch_id": UUID(int=n)}
                for n, payload in numbered
            ],
        )  # fmt: skip
        rows = [{"position": n, "event_id": UUID(int=n)} for n, _ in numbered]
        await connection.execute(insert(event_positions), rows)


async def watcher(office: Office, base_url: str) -> Watcher:
    return Watcher(base_url, {"Authorization": f"Bearer {await office.token()}"})


async def test_news_is_told_as_it_happens_and_says_nothing_of_a_person(office: Office) -> None:
    """A receipt, an amount, numbers and a status; a phone, were it ever in an event, is not passed on."""
    await publish(office, [{"amount_cents": 1}])
    async with served(office) as url:
        watching = await watcher(office, url)
        async with watching.connected() as messages:
            ready = await anext(messages)
            payload = {"pos_id": "POS-001", "amount_cents": 5_000, "status": "PAID", "phone": "+254712345678", "x": 1}
            await publish(office, [payload], start=2)
            told = await anext(messages)

    assert ("1", "ready", {"position": 1}) == (ready.id, ready.name, ready.data)
    assert ("2", "SalePaid") == (told.id, told.name)
    assert {"at", "pos_id", "amount_cents", "status"} == set(told.data)


async def test_a_gap_between_mpesas_balances_is_told(office: Office) -> None:
    """The check of a day that ended with a gap: which number and day, its two neighbours, and how much is missing."""
    await publish(office, [{"amount_cents": 1}])
    ten, fifty = Money(1_000, Currency.KES), Money(5_000, Currency.KES)
    at = office.clock.now()
    points = [
        BalancePoint(receipt="QA1", at=at, amount=ten, balance=ten),
        BalancePoint(receipt="QA2", at=at + timedelta(minutes=1), amount=ten, balance=fifty),
    ]
    async with served(office) as url:
        watching = await watcher(office, url)
        async with watching.connected() as messages:
            await anext(messages)
            day, number = date(2026, 2, 3), "600600"
            found = RecordBalanceCheck(short_code=number, day=day, continuity=follow(points, []), by="test")
            await office.system.executor.execute(found)
            async with office.system.engine.begin() as connection:
                (event_id,) = (
                    await connection.execute(
                        select(domain_events.c.id).where(domain_events.c.name == "BalanceGapFound")
                    )
                ).one()
                await connection.execute(insert(event_positions), [{"position": 2, "event_id": event_id}])
            told = await anext(messages)

    assert "BalanceGapFound" == told.name
    facts = {"short_code": number, "day": "2026-02-03", "gaps": 1, "first_after": "QA1", "first_before": "QA2"}
    assert {**facts, "missing_cents": 3_000, "first_missing_cents": 3_000} == {
        name: value for name, value in told.data.items() if name != "at"
    }


async def test_cut_off_anywhere_nothing_is_lost_and_nothing_comes_twice(office: Office) -> None:
    """However often the connection goes while events pour in, each is told once and in order."""
    total = 300
    async with served(office) as url:
        watching = await watcher(office, url)
        async with watching.connected() as messages:
            await anext(messages)

        async def pour() -> None:
            for first in range(1, total, 20):
                await publish(office, [{"amount_cents": n} for n in range(first, first + 20)], start=first)
                await asyncio.sleep(0.01)

        pouring = asyncio.create_task(pour())
        cut = 0
        while len(watching.told) < total:
            cut += 1
            async with watching.connected() as messages:
                async for _ in messages:
                    if len(watching.told) >= min(total, cut * 19):
                        break
        await pouring

    assert cut >= 10
    assert [{"amount_cents": n} for n in range(1, total + 1)] == [
        {"amount_cents": one.data["amount_cents"]} for one in watching.told
    ]


async def test_other_events_move_the_place_to_resume_from(office: Office) -> None:
    """What is not for her costs her nothing when she comes again."""
    async with served(office) as url:
        watching = await watcher(office, url)
        async with watching.connected() as messages:
            await anext(messages)
            await publish(office, [{}] * 5, name="TransactionCreated")
            await publish(office, [{"amount_cents": 6}], start=6)
            await anext(messages)
            await publish(office, [{}] * 5, name="TransactionCreated", start=7)
            reading = asyncio.ensure_future(anext(messages))
            while watching.last_id != "11":
                await asyncio.sleep(0.01)
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    assert ["6"] == [one.id for one in watching.told]


async def test_a_position_that_does_not_exist_yet_is_told_as_a_reset(office: Office) -> None:
    """After a database was restored from a backup, whoever was ahead of it reads everything again."""
    await publish(office, [{}])
    async with served(office) as url:
        watching = await watcher(office, url)
        watching.last_id = "999"
        async with watching.connected() as messages:
            reset = await anext(messages)
            await publish(office, [{"amount_cents": 2}], start=2)
            told = await anext(messages)

    assert ("reset", "1", "2") == (reset.name, reset.id, told.id)


async def test_the_first_connection_may_name_its_place(office: Office) -> None:
    """A page that cannot set the header names it in the address; the header goes before."""
    await publish(office, [{"amount_cents": n} for n in (1, 2, 3)])
    async with served(office) as url:
        watching = await watcher(office, url)
        async with watching.connected("/api/events?after=1") as messages:
            first = [(await anext(messages)).id for _ in range(3)]
        watching.last_id = "2"
        async with watching.connected("/api/events?after=1") as messages:
            second = [(await anext(messages)).id for _ in range(2)]

    assert (["1", "2", "3"], ["2", "3"]) == (first, second)


async def test_silence_is_broken_by_heartbeats(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no proxy takes the connection for dead, and a dead one is noticed."""
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 1)
    async with served(office) as url:
        watching = await watcher(office, url)
        async with watching.connected() as messages:
            await anext(messages)
            reading = asyncio.ensure_future(anext(messages))
            while watching.comments < 2:
                await asyncio.sleep(0.01)
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    assert 0 == len(watching.told)


async def test_whoever_is_dismissed_watches_no_longer_than_a_heartbeat(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Her stream ends, and she cannot open another."""
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 1)
    cashier = await office.hire(CASHIER, StaffRole.CASHIER)
    async with served(office) as url:
        token = await office.token(CASHIER)
        watching = Watcher(url, {"Authorization": f"Bearer {token}"})
        async with watching.connected() as messages:
            await anext(messages)
            await office.access.change(cashier.id, by=None, disabled=True)
            rest = [one async for one in messages]
        async with httpx.AsyncClient(base_url=url) as client:
            again = await client.get("/api/events", headers=watching.headers)

    assert ([], 401) == (rest, again.status_code)


async def test_a_reader_that_does_not_read_holds_up_nobody_and_no_memory(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it stands still the other is told everything at once; when it reads again it is given all of it."""
    monkeypatch.setattr(live, "_SHARED", 200)
    total = 1_200
    async with served(office) as url:
        slow, fast = await watcher(office, url), await watcher(office, url)
        async with slow.connected() as standing, fast.connected() as messages:
            await anext(standing)
            await anext(messages)
            for first in range(1, total, 300):
                wide = [{"amount_cents": n, "customer_id": "C" * 600} for n in range(first, first + 300)]
                await publish(office, wide, start=first)
            while len(fast.told) < total:
                await anext(messages)
            shared = len(office.system.live_feed._shared)
            while len(slow.told) < total:
                await anext(standing)

    assert shared <= 200
    assert list(range(1, total + 1)) == [one.data["amount_cents"] for one in slow.told]


async def test_only_the_staff_may_watch(office: Office) -> None:
    """A stranger is refused, a browser's cookie is enough, and a place that is none is named."""
    async with served(office) as url, httpx.AsyncClient(base_url=url) as browser:
        stranger = await browser.get("/api/events")
        await browser.post("/api/staff/login", json={"email": OWNER.address, "password": PASSWORD})
        async with browser.stream("GET", "/api/events") as stream:
            status = stream.status_code
        wrong = [await browser.get("/api/events", headers={"Last-Event-ID": text}) for text in ("-1", "x", "9" * 19)]

    assert (401, 200) == (stranger.status_code, status)
    assert [(400, "invalid_request")] * 3 == [(one.status_code, read(one)["code"]) for one in wrong]
    assert SHOP not in stranger.text


async def test_a_watcher_who_has_gone_is_not_counted(office: Office) -> None:
    """Places become free again, also when the connection was cut."""
    async with served(office) as url:
        watching = await watcher(office, url)
        for _ in range(3):
            async with watching.connected() as messages:
                await anext(messages)
        for _ in range(500):
            if not office.system.live_feed._watchers:
                break
            await asyncio.sleep(0.01)

    assert 0 == office.system.live_feed._watchers
