"""The whole path of a command, from a thousand concurrent single callers: what `make bench` measures as `postings`.

Each command inserts a transaction, posts a journal with two entries, and with it come one event, its delivery, an
audit row and an idempotency row, all in the executor's commit. `hot` debits one account in every journal; `spread`
draws both accounts from thousands.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.payments.rows import TRANSACTIONS
from penpay.application.shared.executor import Executor, Lane
from penpay.application.shared.idempotency import IdempotencyKey
from penpay.application.shared.ports import Clock, Ids
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import ledger
from penpay.domain.payments.transaction import create_transaction
from penpay.domain.shared.ids import LedgerAccountId, TransactionId, UserId
from penpay.domain.shared.locked_rate import LockedRate
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import AccountType, LedgerAccount, opened, wallet_code
from penpay.domain.wallet.journal import credit, debit
from penpay.infrastructure.sql.bulk import BulkWriter
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.ledger import EntryAppender, JournalRepository, WalletRepository
from penpay.infrastructure.sql.migrations import upgrade
from penpay.infrastructure.sql.payments import TransactionRepository
from penpay.infrastructure.sql.shared import IdempotencyRepository, OutboxRepository
from penpay.infrastructure.sql.tables import ledger_accounts, users
from penpay.infrastructure.sql.unit_of_work import Schema, SqlDatabase
from penpay.infrastructure.system import SystemClock, SystemRandom, UuidV7

Variant = Literal["spread", "hot"]

CALLERS: Final = 1_000
OWNERS: Final = 10_000
WARM_UP_SECONDS: Final = 1
MEASURED_SECONDS: Final = 8
HOT_ACCOUNT: Final = "mpesa:collection"
SECRET: Final = b"the key of the digests in a bench"
AMOUNT: Final = Money(500_000, Currency.KES)


@dataclass(frozen=True, slots=True)
class Post:
    """One payment: a transaction of this user, and money from one account to another."""

    user_id: UserId
    debit: str
    credit: str


class PostHandler:
    """The shortest use case that writes one row of everything."""

    def __init__(self, rate: LockedRate) -> None:
        self._rate = rate
        self._quote = rate.quote_deposit(AMOUNT)

    async def footprint(self, commands: Sequence[Post], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        codes = [code for command in commands for code in (command.debit, command.credit)]
        return Footprint().add(ledger.ACCOUNTS, *codes)

    def handle(self, command: Post, work: Work) -> dict[str, str]:
        transaction_id = TransactionId(work.ids.new())
        name = str(transaction_id)
        # The deposit's own event is left out: the path that is measured has one event, the ledger's.
        transaction, _ = create_transaction(
            transaction_id=transaction_id,
            user_id=command.user_id,
            amount=AMOUNT,
            deriv_login_id="CR90000001",
            rate=self._rate,
            quote=self._quote,
            at=work.now,
        )
        work.add(TRANSACTIONS, transaction_id, transaction)
        lines = [debit(command.debit, AMOUNT), credit(command.credit, AMOUNT)]
        ledger.post(work, "bench", name, lines, happened_at=work.now, transaction_id=transaction_id)
        work.audit("bench", "post", "transaction", name, amount_cents=AMOUNT.cents)
        return {"id": name}


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to."""

    per_second: float
    p50_ms: float
    p99_ms: float


class Postings:
    """An executor on a migrated database with its accounts, ready to be called."""

    def __init__(self, executor: Executor, owners: Sequence[UserId], positions: Sequence[str]) -> None:
        self._executor = executor
        self._owners = owners
        self._positions = positions
        self._chance = random.Random(1)  # noqa: S311  (a bench is to be repeatable)
        self._asked = 0

    async def round(self, variant: Variant) -> Round:
        """Measure for a while, after a warm-up, with every caller sending its next command when it has its answer."""
        begin = time.perf_counter() + WARM_UP_SECONDS
        end = begin + MEASURED_SECONDS
        waited: list[float] = []
        await asyncio.gather(*(self._caller(variant, begin, end, waited) for _ in range(CALLERS)))
        waited.sort()
        return Round(
            per_second=len(waited) / MEASURED_SECONDS,
            p50_ms=waited[len(waited) // 2] * 1000,
            p99_ms=waited[len(waited) * 99 // 100] * 1000,
        )

    async def _caller(self, variant: Variant, begin: float, end: float, waited: list[float]) -> None:
        while True:
            asked = time.perf_counter()
            if asked >= end:
                return
            await self._ask(variant)
            answered = time.perf_counter()
            if begin <= answered < end:
                waited.append(answered - asked)

    async def _ask(self, variant: Variant) -> None:
        self._asked += 1
        user = self._chance.choice(self._owners)
        source = HOT_ACCOUNT if variant == "hot" else self._chance.choice(self._positions)
        command = Post(user, source, wallet_code(user, Currency.KES))
        fields = {"amount_cents": AMOUNT.cents, "currency": "KES"}
        key = IdempotencyKey.of(SECRET, caller="bench", route="post", key=f"key-{self._asked:012d}", fields=fields)
        await self._executor.execute(command, idempotency=key)


@asynccontextmanager
async def prepared(url: str) -> AsyncIterator[Postings]:
    """Migrate the empty database at `url`, seed it, and run an executor on it for the block."""
    clock, chance = SystemClock(), SystemRandom()
    ids = UuidV7(clock, chance)
    engine = open_engine(url)
    try:
        await upgrade(engine)
        owners = [UserId(ids.new()) for _ in range(OWNERS)]
        positions = [f"position:{number}" for number in range(OWNERS)]
        async with engine.begin() as connection:
            await _seed(connection, owners, positions, clock, ids)
        schema = Schema(
            repositories=[
                IdempotencyRepository(),
                TransactionRepository(),
                OutboxRepository(),
                WalletRepository(),
                JournalRepository(),
            ],
            finders=[],
            appenders=[EntryAppender()],
        )
        executor = Executor(
            database=SqlDatabase(engine, schema),
            clock=clock,
            ids=ids,
            random=chance,
            handlers={Post: (PostHandler(_rate(clock)), Lane.REQUEST)},
            subscriptions={"BalanceChanged": ("bench",)},
            on_events=lambda _: None,
        )
        running = asyncio.create_task(executor.run())
        try:
            yield Postings(executor, owners, positions)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
    finally:
        await engine.dispose()


def _rate(clock: Clock) -> LockedRate:
    now = clock.now()
    return LockedRate(
        base=Currency.USD,
        quote=Currency.KES,
        mid_e8=12_950_000_000,
        spread_bps=150,
        source="bench",
        locked_at=now,
        expires_at=now + timedelta(hours=1),
    )


async def _seed(
    connection: AsyncConnection, owners: Sequence[UserId], positions: Sequence[str], clock: Clock, ids: Ids
) -> None:
    """Users with a wallet each, the hot account, and as many accounts of our own that tell nobody of their balance."""
    now = clock.now()
    people = [
        {"id": user, "status": "ACTIVE", "email_sealed": b"", "email_index": str(user), "created_at": now}
        for user in owners
    ]
    await connection.execute(insert(users), people)
    codes = [HOT_ACCOUNT, *(wallet_code(user, Currency.KES) for user in owners)]
    accounts = [opened(code, LedgerAccountId(ids.new()), now) for code in codes]
    accounts += [
        LedgerAccount(
            id=LedgerAccountId(ids.new()),
            code=code,
            name="Position",
            type=AccountType.ASSET,
            currency=Currency.KES,
            owner_id=None,
            may_go_negative=True,
            balance_cents=0,
            version=0,
            last_recorded_at=now,
        )
        for code in positions
    ]
    repository = WalletRepository()
    writer = BulkWriter(ledger_accounts, connection.dialect, key=repository.key, mutable=repository.mutable)
    await writer.insert(connection, [repository.row(account) for account in accounts])
