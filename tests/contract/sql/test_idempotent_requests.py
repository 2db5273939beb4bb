"""A request sent again: one effect, and the first answer byte for byte."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penpay.application.shared import executor
from penpay.application.shared.idempotency import IdempotencyKey
from penpay.domain.shared.errors import Forbidden, IdempotencyConflict, InProgress, Overdrawn
from tests.contract.sql.commands import Crash, Knock, Move, wallet
from tests.contract.sql.world import World, opened

A, B = wallet(1), wallet(2)
SECRET = b"s" * 32


def key(text: str = "order-2026-0001", **fields: object) -> IdempotencyKey:
    return IdempotencyKey.of(SECRET, caller="u1", route="POST /moves", key=text, fields=fields or {"cents": 1})


async def requested(world: World, count: int, reference: str = "m") -> list[str]:
    """The same request from so many callers at once."""
    request = Move(A, B, 1, reference)
    answers: list[str] = await asyncio.gather(*(world.execute(request, idempotency=key()) for _ in range(count)))
    return answers


async def test_200_identical_requests_are_one(world: World) -> None:
    """One does the work; 199 get its answer, byte for byte."""
    await world.fund(A)
    before = await world.counts()
    answers = await requested(world, 200)

    assert ['{"reference":"m","left":99999}'] * 200 == answers
    assert 1 == await world.balance(B)
    after = await world.counts()
    assert (1, 1, 1) == (
        after["ledger_journals"] - before["ledger_journals"],
        after["audit_logs"] - before["audit_logs"],
        after["idempotency_keys"],
    )


async def test_a_repeat_after_a_restart_is_answered_from_the_database(url: str) -> None:
    """Another process, another day's memory: the same bytes."""
    async with opened(url) as world:
        await world.fund(A)
        (first,) = await requested(world, 1)
    async with opened(url) as world:
        await world.execute(Move(A, B, 5, "in between"))
        assert [first] * 3 == await requested(world, 3)
        assert 6 == await world.balance(B)


@pytest.mark.parametrize("callers", [1, 20])
async def test_twins_at_two_processes_are_one(url: str, callers: int) -> None:
    """Whoever commits second finds the answer of the first, be it alone in its batch or not."""
    async with opened(url) as one, opened(url) as other:
        await one.fund(A)
        for number in range(1, 11):
            request, again = Move(A, B, 1, f"m-{number}"), key(f"order-{number:08}")
            answers = await asyncio.gather(
                *(process.execute(request, idempotency=again) for process in (one, other) for _ in range(callers))
            )

            assert [f'{{"reference":"m-{number}","left":{100_000 - number}}}'] * 2 * callers == answers
        assert 10 == await one.balance(B)


async def test_another_body_under_the_key_is_refused_by_field(world: World) -> None:
    """The client learns which fields differ, and nothing is done."""
    await world.fund(A)
    await world.execute(Move(A, B, 1, "m"), idempotency=key(cents=1, to="b", note="x"))
    with pytest.raises(IdempotencyConflict) as refused:
        await world.execute(Move(A, B, 2, "n"), idempotency=key(cents=2, to="b"))

    assert {"fields": ["cents", "note"]} == refused.value.details
    assert 1 == await world.balance(B)


async def test_twins_with_two_bodies_in_one_batch_are_told_apart(world: World) -> None:
    """The first in the queue is done, the other is refused."""
    await world.fund(A)
    first: object
    second: object
    first, second = await asyncio.gather(
        world.execute(Move(A, B, 1, "m"), idempotency=key(cents=1)),
        world.execute(Move(A, B, 2, "n"), idempotency=key(cents=2)),
        return_exceptions=True,
    )

    assert '{"reference":"m","left":99999}' == first
    assert isinstance(second, IdempotencyConflict)
    assert 1 == await world.balance(B)


async def test_a_refused_request_may_be_corrected_under_its_key(world: World) -> None:
    """Refusals, audited or not, and faults store nothing: the key is still free."""
    await world.fund(A, cents=100)
    with pytest.raises(Overdrawn):
        await world.execute(Move(A, B, 101, "m"), idempotency=key(cents=101))
    with pytest.raises(Forbidden):
        await world.execute(Knock("mallory"), idempotency=key(door=1))
    with pytest.raises(RuntimeError):
        await world.execute(Crash(Move(A, B, 1, "c")), idempotency=key(cents=1))
    assert 0 == (await world.counts())["idempotency_keys"]

    assert '{"reference":"m","left":0}' == await world.execute(Move(A, B, 100, "m"), idempotency=key(cents=100))
    assert 1 == await world.one("SELECT count(*) FROM audit_logs WHERE action = 'refused'")


async def test_a_key_is_kept_for_a_day(world: World) -> None:
    """Until the last moment it replays; then it is a new request, which takes the row over."""
    await world.fund(A)
    (first,) = await requested(world, 1)
    world.clock.moment += timedelta(hours=24) - timedelta(microseconds=1)
    assert [first] == await requested(world, 1, "not done")

    world.clock.moment += timedelta(microseconds=1)
    assert ['{"reference":"n","left":99998}'] * 2 == await requested(world, 2, "n")
    assert (2, 1) == (await world.balance(B), (await world.counts())["idempotency_keys"])


async def test_what_is_kept_of_a_request_is_digests_and_the_answer(world: World) -> None:
    """The row names the caller and the route; of key and body it holds digests only."""
    await world.fund(A)
    await world.execute(Move(A, B, 1, "m"), idempotency=key("order-2026-0001", phone="+254712345678"))
    ((caller, route, digests, status, answer),) = await world.rows(
        "SELECT caller, route, field_digests, status, answer FROM idempotency_keys"
    )

    assert ("u1", "POST /moves", 200, '{"reference":"m","left":99999}') == (caller, route, status, answer)
    assert "712345678" not in digests
    assert '{"phone":"' == digests[:10]


async def test_a_twin_that_waits_too_long_is_told_that_the_first_is_in_progress(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request is held up and is still done once; who asks again later gets its answer."""
    monkeypatch.setattr(executor, "IN_PROGRESS_AFTER_SECONDS", 0.1)
    await world.fund(A)
    async with world.engine.connect() as somebody:
        await somebody.exec_driver_sql("UPDATE ledger_accounts SET version = version")
        first = asyncio.create_task(world.execute(Move(A, B, 1, "m"), idempotency=key()))
        await asyncio.sleep(0)
        with pytest.raises(InProgress):
            await requested(world, 1)
        await somebody.rollback()

    assert [await first] == await requested(world, 1)
    assert 1 == await world.balance(B)
