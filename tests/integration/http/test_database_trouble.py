"""A database that is away, or takes commands and does not commit: callers and load balancers are told which."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Never, cast

from penpay.application.payments.fx import EnterRate, EnterRateHandler
from penpay.application.shared.executor import Executor, Lane
from penpay.application.shared.unit_of_work import UnitOfWork
from penpay.domain.shared.errors import CommitUnresolved
from penpay.domain.shared.ids import BatchId
from penpay.domain.shared.money import Currency
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.queries import SqlPaymentBooks
from penpay.infrastructure.system import UuidV7
from tests.integration.http.stage import Stage, read
from tests.support.ports import HandClock, SeededRandom

COMMAND = EnterRate(
    base=Currency.USD, quote=Currency.KES, mid_e8=12_950_000_000, source="test", entered_by="maker", valid_from=None
)


class Silent:
    """A database that takes a batch and never says what became of it."""

    def unit_of_work(self) -> UnitOfWork:
        return cast("UnitOfWork", self)

    async def __aenter__(self) -> Never:
        await asyncio.Event().wait()
        raise AssertionError

    async def __aexit__(self, *_: object) -> None:
        return

    async def abandon(self, batch_id: BatchId, at: datetime) -> bool:
        raise AssertionError(f"{batch_id} was never sent at {at}")


async def test_a_process_that_cannot_commit_is_not_healthy(stage: Stage) -> None:
    """The database answers to readers, and the batch at work does not end: the load balancer is told."""
    clock, random = HandClock(), SeededRandom()
    executor = Executor(
        database=Silent(),
        clock=clock,
        ids=UuidV7(clock, random),
        random=random,
        handlers={EnterRate: (EnterRateHandler(), Lane.REQUEST)},
        subscriptions={},
        on_events=lambda _: None,
    )
    running = asyncio.create_task(executor.run())
    waiting = executor.enqueue(COMMAND)
    await asyncio.sleep(0)
    async with stage.client(None, executor=executor) as client:
        await asyncio.sleep(0)
        clock.moment += timedelta(seconds=11)
        answer = await client.get("/healthz")
    running.cancel()
    await asyncio.wait({running, waiting})

    assert isinstance(waiting.exception(), CommitUnresolved)
    assert (503, "not committing", 1) == (answer.status_code, read(answer)["database"], read(answer)["queued"])


async def test_a_reader_is_told_to_come_again_when_the_database_is_away(stage: Stage) -> None:
    """Nobody listens at the database's address: 503 with a time to wait, not a fault of ours."""
    away = open_engine("postgresql+asyncpg://penpay@127.0.0.1:1/penpay")
    async with stage.client(payment_books=SqlPaymentBooks(away)) as client:
        answer = await client.get("/api/v1/transactions")

    assert (503, "overloaded", "1") == (answer.status_code, read(answer)["code"], answer.headers["retry-after"])
