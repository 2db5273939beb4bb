"""Group commit on a real database: nothing is lost, and one caller's fault is never another's."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penpay.application.shared.unit_of_work import ConstraintViolated
from penpay.domain.shared.errors import (
    CommitUnresolved,
    DomainError,
    DuplicateJournal,
    Forbidden,
    Overdrawn,
    Overloaded,
)
from tests.contract.sql.commands import (
    UNENCODABLE,
    Crash,
    CrashEarly,
    Issue,
    Knock,
    Move,
    MoveUnprepared,
    Peek,
    RefuseLate,
    wallet,
)
from tests.contract.sql.world import World, opened

A, B, C = wallet(1), wallet(2), wallet(3)


def refused(results: list[object]) -> list[object]:
    return [result for result in results if isinstance(result, BaseException)]


async def test_a_thousand_moves_on_one_account_are_exact(world: World) -> None:
    """One account in every command: each caller sees the balance after its own move and nobody else's."""
    await world.fund(A, cents=1_000)
    results = await world.moved(A, B, 1_000)

    assert list(range(999, -1, -1)) == [result["left"] for result in results]
    assert (0, 1_000) == (await world.balance(A), await world.balance(B))
    await world.books_agree()


async def test_callers_who_wait_together_share_a_commit(world: World) -> None:
    """The hot account costs one update a batch, not one a payment."""
    await world.fund(A)
    before = world.executor.counters.batches
    await world.moved(A, B, 200)

    assert 1 == world.executor.counters.batches - before
    assert 0 == world.executor.queued


async def test_a_batch_has_an_upper_limit(url: str) -> None:
    """What does not fit goes with the next commit."""
    async with opened(url, batch_limit=10) as world:
        await world.fund(A)
        before = world.executor.counters.batches
        await world.moved(A, B, 25)

        assert 3 == world.executor.counters.batches - before
        assert 25 == await world.balance(B)


async def test_two_processes_lose_none_of_200_moves(url: str) -> None:
    """Two executors read, change and write one row a hundred times each, the first posting to it included."""
    async with opened(url, batch_limit=3) as one, opened(url, batch_limit=3) as other:
        await one.fund(A, cents=200)
        results = await asyncio.gather(
            one.moved(A, B, 100, prefix="one"),
            other.moved(A, B, 100, prefix="other"),
        )

        assert [] == refused([*results[0], *results[1]])
        assert list(range(200)) == sorted(result["left"] for half in results for result in half)
        assert (0, 200) == (await one.balance(A), await one.balance(B))
        await one.books_agree()


async def test_two_processes_cannot_spend_the_same_money(url: str) -> None:
    """A hundred shillings, two hundred attempts to take one each: a hundred succeed."""
    async with opened(url, batch_limit=7) as one, opened(url, batch_limit=7) as other:
        await one.fund(A, cents=100)
        results = await asyncio.gather(one.moved(A, B, 100, prefix="one"), other.moved(A, C, 100, prefix="other"))

        failures = refused([*results[0], *results[1]])
        assert ({Overdrawn}, 100) == ({type(failure) for failure in failures}, len(failures))
        assert (0, 100) == (await one.balance(A), await one.balance(B) + await one.balance(C))
        await one.books_agree()


async def test_two_processes_may_open_an_account_at_the_same_moment(url: str) -> None:
    """Both find no such account and insert it; the one that comes second reads again and adds to it."""
    async with opened(url) as one, opened(url) as other:
        for number in range(10, 30):
            holder = wallet(number)
            results = await asyncio.gather(
                one.together([Issue(holder, 1, f"one-{number}")]),
                other.together([Issue(holder, 2, f"other-{number}")]),
            )
            assert [] == refused([*results[0], *results[1]])
            assert 3 == await one.balance(holder)
        await one.books_agree()


async def test_a_refusal_leaves_no_row_and_its_neighbours_alone(world: World) -> None:
    """Refused at once or after everything was done: the commands before and after it are as if it had never been."""
    await world.fund(A, cents=100)
    before = await world.counts()
    results = await world.together(
        [
            Move(A, B, 10, "m-1"),
            RefuseLate(Move(A, C, 50, "late")),
            Move(A, B, 1_000, "too much"),
            Move(A, B, 90, "m-2"),
        ]
    )

    assert [90, 0] == [results[0]["left"], results[3]["left"]]
    assert [Overdrawn, Overdrawn] == [type(results[1]), type(results[2])]
    after = await world.counts()
    assert {"ledger_journals": 2, "ledger_entries": 4, "audit_logs": 2, "ledger_accounts": 1} == {
        table: after[table] - before[table]
        for table in ("ledger_journals", "ledger_entries", "audit_logs", "ledger_accounts")
    }
    assert (0, 100, 0) == (await world.balance(A), await world.balance(B), await world.balance(C))
    await world.books_agree()


async def test_refusals_alone_append_nothing(world: World) -> None:
    """A batch of refusals is not in the books, in the events or in the audit log."""
    before = await world.counts()
    results = await world.moved(A, B, 20)

    assert {Overdrawn} == {type(result) for result in results}
    after = await world.counts()
    assert {table: count for table, count in before.items() if table != "command_batches"} == {
        table: count for table, count in after.items() if table != "command_batches"
    }


async def test_an_audited_refusal_is_refused_and_kept(world: World) -> None:
    """The caller is told no, and who tried stays on record."""
    with pytest.raises(Forbidden):
        await world.execute(Knock("mallory"))

    assert [("mallory", "refused", "door", '{"attempts":1}')] == await world.rows(
        "SELECT actor, action, subject_type, facts FROM audit_logs"
    )


@pytest.mark.parametrize(
    ("poison", "failure"),
    [
        (Move(A, B, 1, "taken"), ConstraintViolated),
        (Move(A, B, 1, UNENCODABLE), Exception),
        (Crash(Move(A, B, 1, "crash")), RuntimeError),
        (CrashEarly(), RuntimeError),
    ],
    ids=["unique key", "not encodable", "handler raises", "footprint raises"],
)
async def test_a_poisoned_command_among_500_fails_alone(world: World, poison: object, failure: type[Exception]) -> None:
    """Whatever is wrong with one command, the 499 that share its commit get their answers."""
    await world.fund(A)
    await world.execute(Move(A, B, 1, "taken"))
    good = [Move(A, B, 1, f"m-{number}") for number in range(499)]
    results = await world.together([*good[:321], poison, *good[321:]])

    (fault,) = refused(results)
    assert fault is results[321]
    assert isinstance(fault, failure)
    assert not isinstance(fault, DomainError | asyncio.CancelledError)
    assert 500 == await world.balance(B)
    await world.books_agree()
    assert 1 == (await world.execute(Move(B, A, 499, "after")))["left"]


async def test_three_poisons_of_500_fail_and_nobody_else(world: World) -> None:
    """Isolation finds more than one."""
    await world.fund(A)
    await world.execute(Move(A, B, 1, "taken"))
    commands: list[object] = [Move(A, B, 1, f"m-{number}") for number in range(500)]
    for place in (0, 250, 499):
        commands[place] = Move(A, B, 1, "taken")
    results = await world.together(commands)

    assert [0, 250, 499] == [place for place, result in enumerate(results) if isinstance(result, BaseException)]
    assert 498 == await world.balance(B)
    await world.books_agree()


async def test_what_the_database_refused_is_not_told_in_detail(world: World) -> None:
    """The fault names the rule that was broken, never the row, which may hold what must not reach a log."""
    await world.fund(A)
    await world.execute(Move(A, B, 1, "secret-reference"))
    with pytest.raises(ConstraintViolated) as fault:
        await world.execute(Move(A, B, 1, "secret-reference"))
    assert "secret-reference" not in str(fault.value)


async def test_the_same_journal_twice_in_one_batch_is_a_refusal(world: World) -> None:
    """Seen in memory it is DuplicateJournal; only what another batch has written needs the unique key."""
    await world.fund(A)
    first, second = await world.together([Move(A, B, 1, "m"), Move(A, B, 1, "m")])

    assert {"reference": "m", "left": 99_999} == first
    assert isinstance(second, DuplicateJournal)
    assert 1 == await world.balance(B)


async def test_a_cancelled_caller_is_skipped(world: World) -> None:
    """Who has gone before the batch began has done nothing; the others are served."""
    await world.fund(A)
    futures = [world.executor.enqueue(Move(A, B, 1, f"m-{number}")) for number in range(5)]
    futures[2].cancel()
    results = await asyncio.gather(*futures, return_exceptions=True)

    assert [True if isinstance(r, dict) else type(r) for r in results] == [
        True,
        True,
        asyncio.CancelledError,
        True,
        True,
    ]
    assert 4 == await world.balance(B)


async def test_a_caller_who_leaves_during_the_commit_harms_nobody(world: World) -> None:
    """Her command may or may not be done, wholly; the others get their answers."""
    await world.fund(A)
    callers = [asyncio.create_task(world.execute(Move(A, B, 1, f"m-{number}"))) for number in range(5)]
    while world.executor.queued < 5:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    callers[2].cancel()
    results = await asyncio.gather(*callers, return_exceptions=True)

    assert [2] == [place for place, result in enumerate(results) if isinstance(result, asyncio.CancelledError)]
    assert await world.balance(B) in {4, 5}
    assert 100_000 == await world.balance(A) + await world.balance(B)
    await world.books_agree()


async def test_a_full_queue_refuses_new_requests_and_nothing_else(url: str) -> None:
    """A callback is never turned away, since nobody would send it again."""
    async with opened(url, queue_limit=3) as world:
        await world.fund(A)
        waiting = [world.executor.enqueue(Move(A, B, 1, f"m-{number}")) for number in range(3)]
        with pytest.raises(Overloaded):
            world.executor.enqueue(Move(A, B, 1, "one too many"))
        arriving = [world.executor.enqueue(Issue(C, 1, f"i-{number}")) for number in range(20)]
        results = await asyncio.gather(*waiting, *arriving)

        assert 23 == len(results)
        assert (3, 20) == (await world.balance(B), await world.balance(C))
        assert {"reference": "later", "left": 99_996} == await world.execute(Move(A, B, 1, "later"))


async def test_what_arrives_goes_before_what_is_asked(world: World) -> None:
    """The money that arrived while a request waited can be spent by it."""
    move = world.executor.enqueue(Move(A, B, 5, "m"))
    issue = world.executor.enqueue(Issue(A, 5, "i"))

    assert {"new": True, "balance": 5} == await issue
    assert {"reference": "m", "left": 0} == await move


async def test_a_command_that_needs_other_rows_gets_them_in_the_next_batch(world: World) -> None:
    """Its footprint names nothing: it comes back with the rows it missed, once for each."""
    await world.fund(A)
    unprepared, prepared = await world.together([MoveUnprepared(Move(A, B, 1, "u")), Move(A, C, 1, "p")])

    assert {"reference": "u", "left": 99_998} == unprepared
    assert {"reference": "p", "left": 99_999} == prepared
    assert (1, 1) == (await world.balance(B), await world.balance(C))
    assert world.executor.counters.not_locked >= 1
    await world.books_agree()


async def test_reading_in_a_batch_sees_what_was_done_before_it(world: World) -> None:
    """Commands in one batch follow one another as if each had been alone."""
    await world.fund(A, cents=100)
    results = await world.together([Peek(A), Move(A, B, 30, "m"), Peek(A), Peek(B), Peek(C)])

    assert [100, 70, 30, 0] == [result for result in results if isinstance(result, int)]


async def test_the_books_never_go_back_in_time(world: World) -> None:
    """The machine's clock is set back an hour: what is posted after it is not recorded before it."""
    await world.fund(A)
    await world.moved(A, B, 2, prefix="before")
    world.clock.moment -= timedelta(hours=1)
    await world.moved(A, B, 2, prefix="after")

    await world.books_agree()
    recorded = await world.one(
        "SELECT count(DISTINCT recorded_at) FROM ledger_journals WHERE kind = 'operator_payment'"
    )
    assert 1 == recorded


async def test_a_balance_as_of_a_moment_is_the_last_entry_by_then(world: World) -> None:
    """What somebody held at half past six is read from the entries."""
    await world.fund(A, cents=100)
    for minutes, cents in ((10, 1), (20, 2), (40, 4)):
        world.clock.moment = world.clock.moment.replace(minute=minutes)
        await world.execute(Move(A, B, cents, f"at-{minutes}"))
    rows = await world.rows(
        "SELECT e.balance_after_cents, j.recorded_at FROM ledger_entries e"
        " JOIN ledger_journals j ON j.id = e.journal_id JOIN ledger_accounts a ON a.id = e.account_id"
        " WHERE a.code = :code ORDER BY e.account_seq",
        code=A,
    )

    assert [(100, "00"), (99, "10"), (97, "20"), (93, "40")] == [(row[0], str(row[1])[14:16]) for row in rows]


async def test_who_waits_when_the_process_stops_is_told(url: str) -> None:
    """Commands that never ran are told so; one that is being run is told that its fate is unknown."""
    async with opened(url) as world:
        await world.fund(A)
        running = world.executor.enqueue(Move(A, B, 1, "running"))
        while world.executor.queued == 0:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting = world.executor.enqueue(Move(A, B, 1, "waiting"))
    results = await asyncio.gather(running, waiting, return_exceptions=True)

    assert isinstance(results[0], CommitUnresolved)
    assert isinstance(results[1], Overloaded)
