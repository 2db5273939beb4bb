"""Statements and balances in small and in large books: what `make bench` measures as `statements`.

The same questions are put to books of ten thousand and of a million payments, in which every customer has as many of
her own; a call must not take longer because others have paid too.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from bench.collections_books import OLD_CUSTOMER, load
from penpay.application.shared.ports import Clock
from penpay.domain.shared.nairobi import nairobi_day
from penpay.infrastructure.sql.collections_reports import SqlCollectionsReports
from penpay.infrastructure.sql.collections_statements import SqlStatements
from penpay.infrastructure.sql.engine import open_engine, reading
from penpay.infrastructure.sql.ledger_reports import SqlLedgerReports
from penpay.infrastructure.sql.migrations import upgrade
from penpay.infrastructure.system import SystemClock
from tests.servers.postgresql import PostgresqlServer

SIZES: Final = (10_000, 1_000_000)
CALLS: Final = 200
_WARM_UP: Final = 20
_STRIDE: Final = 7_919
"""Prime, so that customers are asked for who do not stand together."""
_STATEMENT: Final = timedelta(days=89)
_LIMIT: Final = 200

Ask = Callable[[int], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a call took in books of one size, in microseconds."""

    question: str
    payments: int
    p50_us: int
    p99_us: int


async def measured(server: PostgresqlServer, say: Callable[[str], None]) -> Sequence[Answered]:
    """Every question to books of each size, by turns, so that a machine that slows down slows down both.

    Ends the bench where an answer is not the one expected.
    """
    async with AsyncExitStack() as stack:
        books = {size: await stack.enter_async_context(_books(server, size, say)) for size in SIZES}
        found: list[Answered] = []
        for question in next(iter(books.values())):
            found += await _times(question, {size: asked[question] for size, asked in books.items()}, say)
        return found


@asynccontextmanager
async def _books(
    server: PostgresqlServer, payments: int, say: Callable[[str], None]
) -> AsyncIterator[Mapping[str, Ask]]:
    """Books with this many payments, and the questions to them."""
    clock = SystemClock()
    database = server.create_database()
    engine = open_engine(server.url(database))
    try:
        await upgrade(engine)
        begin = time.perf_counter()
        customers = load(server, database, payments)
        say(f"statements: {payments:,} payments loaded in {time.perf_counter() - begin:.0f} s")
        read = reading(engine)
        if payments == min(SIZES):  # larger books are written by the same statements
            await _require_sound(read, clock)
        statements = SqlStatements(read, name_of=lambda _: "", clock=clock)
        ledger = SqlLedgerReports(read)
        today = nairobi_day(clock.now())

        async def statement(number: str) -> object:
            answer = await statements.statement(number, today - _STATEMENT, today, limit=_LIMIT)
            if not answer.lines or answer.closing.cents:
                sys.exit(f"the statement of {number} is not the one expected")
            return answer

        yield {
            "statement": lambda n: statement(f"CUST-{n * _STRIDE % customers}"),
            "statement_long_past": lambda _: statement(OLD_CUSTOMER),
            "balance": lambda n: statements.balance(f"CUST-{n * _STRIDE % customers}"),
            "account_balance": lambda _: ledger.balances("1010"),
            "trial_balance_then": lambda _: ledger.trial_balance(today - _STATEMENT),
            "ledger_page": lambda _: ledger.entries("1010", 100, None),
        }
    finally:
        await engine.dispose()
        server.drop_database(database)


async def _require_sound(engine: AsyncEngine, clock: Clock) -> None:
    """End the bench when the books are not such as the commands leave them."""
    found = await SqlCollectionsReports(engine, clock=clock).verify()
    if found:
        sys.exit(f"the books do not hold: {found[0]}")


async def _times(question: str, books: Mapping[int, Ask], say: Callable[[str], None]) -> Sequence[Answered]:
    waited: dict[int, list[int]] = {size: [] for size in books}
    for number in range(_WARM_UP + CALLS):
        for size, ask in books.items():
            begin = time.perf_counter_ns()
            await ask(number)
            waited[size].append((time.perf_counter_ns() - begin) // 1_000)
    found = []
    for size, times in waited.items():
        kept = sorted(times[_WARM_UP:])
        found.append(Answered(question, size, round(statistics.median(kept)), kept[len(kept) * 99 // 100]))
        say(f"statements: {question} among {size:,} payments: {found[-1].p50_us:,} µs")
    return found
