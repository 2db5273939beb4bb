"""One process's worth of executor on a real database, and what an auditor would ask of its tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.shared.executor import ClaimedDelivery, Executor
from penpay.application.shared.idempotency import IdempotencyKey
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.ledger import EntryAppender, JournalRepository, WalletRepository
from penpay.infrastructure.sql.shared import IdempotencyRepository, OutboxRepository
from penpay.infrastructure.sql.unit_of_work import Schema, SqlDatabase
from penpay.infrastructure.system import SystemRandom, UuidV7
from tests.contract.sql.commands import Issue, Move, handlers
from tests.support.ports import HandClock

SUBSCRIPTIONS: Mapping[str, tuple[str, ...]] = {"BalanceChanged": ("statements",)}
TABLES = (
    *("command_batches", "idempotency_keys", "domain_events", "deliveries", "audit_logs"),
    *("ledger_accounts", "ledger_journals", "ledger_entries"),
)


def schema() -> Schema:
    """The repositories of the core, in the order in which they are locked and written."""
    return Schema(
        repositories=(
            IdempotencyRepository(),
            OutboxRepository(),
            WalletRepository(),
            JournalRepository(),
        ),
        finders=(),
        appenders=(EntryAppender(),),
    )


class World:
    """An executor that serves, and its database."""

    def __init__(self, executor: Executor, engine: AsyncEngine, clock: HandClock, woken: list[frozenset[str]]) -> None:
        self.executor = executor
        self.engine = engine
        self.clock = clock
        self.woken = woken
        """The consumers told, a commit at a time."""

    async def execute(
        self, command: object, *, idempotency: IdempotencyKey | None = None, delivery: ClaimedDelivery | None = None
    ) -> Any:
        return await self.executor.execute(command, idempotency=idempotency, delivery=delivery)

    async def together(self, commands: Sequence[object]) -> list[Any]:
        """Queue all at once, so that they share a batch; results and errors in the order of the commands."""
        futures = [self.executor.enqueue(command) for command in commands]
        return await asyncio.gather(*futures, return_exceptions=True)

    async def fund(self, *holders: str, cents: int = 100_000) -> None:
        for holder in holders:
            await self.execute(Issue(holder, cents, f"fund-{holder[-16:]}"))

    async def moved(self, payer: str, payee: str, count: int, *, cents: int = 1, prefix: str = "m") -> list[Any]:
        """So many single moves at once."""
        return await self.together([Move(payer, payee, cents, f"{prefix}-{number}") for number in range(count)])

    async def rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        async with self.engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(statement), values)]

    async def one(self, statement: str, **values: object) -> Any:
        """The single figure a statement asks for."""
        ((value,),) = await self.rows(statement, **values)
        return value

    async def change(self, statement: str, **values: object) -> int:
        """Run SQL of the test's own; the number of rows it touched."""
        async with self.engine.begin() as connection:
            return (await connection.execute(text(statement), values)).rowcount

    async def balance(self, code: str) -> int:
        found = await self.rows("SELECT balance_cents FROM ledger_accounts WHERE code = :code", code=code)
        return found[0][0] if found else 0

    async def counts(self) -> dict[str, int]:
        """How many rows each table holds."""
        return {table: await self.one(f"SELECT count(*) FROM {table}") for table in TABLES}

    async def books_agree(self) -> None:
        """Every currency and journal balances; each account is the sum of its entries, counted without a gap."""
        signed = "CASE WHEN e.side = 'DEBIT' THEN e.amount_cents ELSE -e.amount_cents END"
        unbalanced = await self.rows(
            f"SELECT e.journal_id, a.currency, sum({signed}) FROM ledger_entries e"
            " JOIN ledger_accounts a ON a.id = e.account_id"
            f" GROUP BY e.journal_id, a.currency HAVING sum({signed}) <> 0"
        )
        assert [] == unbalanced
        entries: dict[Any, list[tuple[Any, ...]]] = {}
        for row in await self.rows(
            "SELECT e.account_id, e.account_seq, e.side, e.amount_cents, e.balance_after_cents, j.recorded_at"
            " FROM ledger_entries e JOIN ledger_journals j ON j.id = e.journal_id ORDER BY e.account_id, e.account_seq"
        ):
            entries.setdefault(row[0], []).append(row)
        for account_id, type_, balance, version in await self.rows(
            "SELECT id, type, balance_cents, version FROM ledger_accounts"
        ):
            normal = "DEBIT" if type_ in {"ASSET", "EXPENSE"} else "CREDIT"
            running, moments = 0, []
            for number, (_, seq, side, amount, after, recorded_at) in enumerate(entries[account_id], 1):
                running += amount if side == normal else -amount
                moments.append(recorded_at)
                assert (number, running) == (seq, after)
            assert sorted(moments) == moments
            assert (running, len(moments)) == (balance, version)


@asynccontextmanager
async def opened(
    url: str,
    *,
    batch_limit: int = 1_000,
    queue_limit: int = 10_000,
    database: Callable[[AsyncEngine, Schema], SqlDatabase] = SqlDatabase,
    subscriptions: Mapping[str, tuple[str, ...]] = SUBSCRIPTIONS,
) -> AsyncIterator[World]:
    """A world on a database whose schema exists; several on one database are several processes."""
    hand = HandClock()
    random = SystemRandom()
    engine = open_engine(url)
    woken: list[frozenset[str]] = []
    executor = Executor(
        database=database(engine, schema()),
        clock=hand,
        ids=UuidV7(hand, random),
        random=random,
        handlers=handlers(),
        subscriptions=subscriptions,
        on_events=woken.append,
        batch_limit=batch_limit,
        queue_limit=queue_limit,
    )
    serving = asyncio.create_task(executor.run())
    try:
        yield World(executor, engine, hand, woken)
    finally:
        serving.cancel()
        await asyncio.wait([serving])
        await engine.dispose()
    assert serving.cancelled(), serving.exception()
