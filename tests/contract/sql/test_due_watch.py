"""One question tells which queues have something due: never less than a look would find."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from penpay.domain.payments.evidence import EvidenceState
from penpay.infrastructure.sql import due
from penpay.infrastructure.sql.due import Queue, SqlDue
from tests.contract.sql.commands import Issue, wallet
from tests.contract.sql.rows import Rows, opened
from tests.contract.sql.world import opened as committing
from tests.support.ports import MORNING

SECOND = timedelta(seconds=1)


@pytest.fixture
async def rows(url: str) -> AsyncIterator[Rows]:
    async with opened(url) as found:
        yield found


def test_every_queue_is_watched() -> None:
    """One that was forgotten would be worked on by whoever wrote into it, and after a crash by nobody."""
    assert set(Queue) == set(due._STIRS)


async def test_in_books_without_work_nothing_stirs(rows: Rows) -> None:
    """Nobody looks, for the cost of one question."""
    assert [] == list(await rows.system._due.stirring(MORNING))


async def test_what_is_due_stirs_from_its_moment_on(rows: Rows) -> None:
    """A second before, nobody is woken for it."""
    await rows.debit(EvidenceState.INTENDED, due_at=MORNING)
    found = rows.system._due

    assert Queue.DERIV_WITHDRAWALS not in await found.stirring(MORNING - SECOND)
    assert Queue.DERIV_WITHDRAWALS in await found.stirring(MORNING)
    assert len(await found.due_deriv_withdrawals(MORNING, 10)) == 1


async def test_what_is_over_does_not_stir(rows: Rows) -> None:
    """A confirmed debit waits for nothing."""
    await rows.debit(EvidenceState.CONFIRMED, provider_id="467480000001", due_at=None)

    assert Queue.DERIV_WITHDRAWALS not in await rows.system._due.stirring(MORNING + SECOND)


async def test_an_event_that_is_owed_stirs_until_it_is_given_up(url: str) -> None:
    """A consumer that failed for good is not looked for again, half-second by half-second."""
    async with committing(url) as world:
        found = SqlDue(world.engine, webhooks=None)  # type: ignore[arg-type]  # no message is read here
        await world.execute(Issue(wallet(1), 100, "i-1"))
        at = world.clock.now()

        assert [Queue.DELIVERIES] == list(await found.stirring(at))

        await world.change("UPDATE deliveries SET dead = true")
        assert [] == list(await found.stirring(at))
