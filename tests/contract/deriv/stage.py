"""A Deriv simulator on loopback, the adapter connected to it, and what the tests look at."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sqlalchemy.ext.asyncio import create_async_engine

from penpay.domain.deriv.gateway import IncomingCredit, TransferAnswer, TransferOutcome, TransferToClient
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.deriv.connection import Transport, websocket_connect
from penpay.infrastructure.deriv.gateway import DerivTimings, DerivWsGateway
from penpay.sandbox.deriv.book import Account, AgentTerms, Book
from penpay.sandbox.deriv.faults import CallFault, FaultPlan, FaultRule, PushFault
from penpay.sandbox.deriv.limits import RateLimits
from penpay.sandbox.deriv.mail import Mailbox
from penpay.sandbox.deriv.server import DerivSimulator

AGENT = "CR90000062"
CLIENT = "CR90000063"
OTHER_CLIENT = "CR90000064"
TOKEN = "a1-agentTokenOfTheStage"
SCOPES = "read trading_information payments"
AGENT_CENTS = 1_000_000
CONFIRMED = TransferOutcome.CONFIRMED
FAILED = TransferOutcome.FAILED
NOT_SENT = TransferOutcome.NOT_SENT
UNKNOWN = TransferOutcome.UNKNOWN
PLENTY = RateLimits(
    general_per_minute=100_000, general_per_hour=100_000, outcome_per_minute=100_000, outcome_per_hour=100_000
)


class HastyClock:
    """Real dates, but waits and durations run fifty times as fast."""

    FACTOR = 50

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() * self.FACTOR // 1_000_000

    async def sleep(self, milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1_000 / self.FACTOR)


class Seeded:
    """A Random that repeats itself from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, limit: int) -> int:
        return self._random.randrange(limit)

    def token_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)


class Tasks:
    """Starts tasks and, at the end, makes sure that none broke."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.append(task)
        return task

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert [] == [outcome for outcome in outcomes if isinstance(outcome, Exception)]


class Wire:
    """A socket that keeps what went over it."""

    def __init__(self, inner: Transport, sent: list[str]) -> None:
        self._inner = inner
        self._sent = sent

    async def send(self, text: str) -> None:
        self._sent.append(text)
        await self._inner.send(text)

    async def recv(self) -> str | bytes:
        return await self._inner.recv()

    async def close(self) -> None:
        await self._inner.close()


class Stage:
    """One simulator with an agent and two clients, and one gateway."""

    def __init__(
        self,
        running: tuple[DerivSimulator, Book, FaultPlan, int],
        tasks: Tasks,
        answer_within_ms: int,
    ) -> None:
        self.simulator, self.book, self.faults, self.port = running
        self.tasks = tasks
        self.clock = HastyClock()
        self.started = datetime.now(UTC) - timedelta(seconds=1)
        self.sent: list[str] = []
        self.credits: list[IncomingCredit] = []
        self.door = asyncio.Event()
        self.door.set()
        self.connects = 0
        self.answer_within_ms = answer_within_ms
        self.gateway = self.make_gateway()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def make_gateway(self, token: str = TOKEN, login_id: str = AGENT) -> DerivWsGateway:
        return DerivWsGateway(
            connect=self._connect,
            token=token,
            login_id=login_id,
            clock=self.clock,
            random=Seeded(2),
            spawn=self.tasks.spawn,
            on_credit=self._take,
            credits_since=self.started,
            timings=DerivTimings(
                answer_within_ms=self.answer_within_ms,
                pong_within_ms=max(200, self.answer_within_ms // 2),
                sweep_every_ms=50_000,
            ),
        )

    async def open(self) -> Self:
        self.tasks.spawn(self.gateway.run(), "gateway")
        await asyncio.wait_for(self.gateway.wait_ready(), 5)
        return self

    async def _connect(self) -> Transport:
        await self.door.wait()
        self.connects += 1
        return Wire(await websocket_connect(self.url, 1089)(), self.sent)

    async def _take(self, credit: IncomingCredit) -> None:
        self.credits.append(credit)

    def fault(self, fault: CallFault | PushFault, **when: Any) -> None:
        self.faults.add(FaultRule(fault=fault, **when))

    async def transfer(self, cents: int = 10_55, reference: str = "PX-1", to: str = CLIENT) -> TransferAnswer:
        return await self.gateway.transfer_to_client(
            TransferToClient(reference=reference, login_id=to, amount=Money(cents, Currency.USD))
        )

    async def look_up(self, *references: str) -> dict[str, list[tuple[str, int]]]:
        """Recipient and cents of every row found, by reference."""
        found = await self.gateway.find_transfers(references, since=self.started)
        return {name: [(row.login_id, row.amount.cents) for row in rows] for name, rows in found.items()}

    def calls(self, name: str) -> list[dict[str, object]]:
        """What the gateway sent, by call."""
        return [frame for frame in map(json.loads, self.sent) if name in frame]


async def eventually(condition: Callable[[], bool], within_s: int = 5) -> None:
    """Wait until something is so; fails the test if it does not become so."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def simulator_on(
    database: Path, tasks: Tasks, *, repeat_guard_ms: int, limits: RateLimits, idle_close_ms: int
) -> AsyncIterator[tuple[DerivSimulator, Book, FaultPlan, int]]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{database}")
    clock = HastyClock()
    faults = FaultPlan(Seeded(1))
    book = Book(engine, clock=clock)
    simulator = DerivSimulator(
        book=book,
        mailbox=Mailbox(book, random=Seeded(4)),
        clock=clock,
        random=Seeded(3),
        spawn=tasks.spawn,
        faults=faults,
        limits=limits,
        repeat_guard_ms=repeat_guard_ms,
        idle_close_ms=idle_close_ms,
    )
    await book.create()
    await seed(book)
    try:
        async with simulator.serve("127.0.0.1", 0) as port:
            yield simulator, book, faults, port
    finally:
        await engine.dispose()


async def seed(book: Book) -> None:
    """An agent with USD 10,000 and two clients with USD 500 each."""
    agent = Account(
        login_id=AGENT,
        first_name="User One",
        last_name="Agent",
        email="agent@example.test",
        agent=AgentTerms(name="User One Agent", min_cents=1),
    )
    await book.open_account(agent, balance_cents=AGENT_CENTS, token=TOKEN, scopes=SCOPES)
    for login_id in (CLIENT, OTHER_CLIENT):
        client = Account(login_id=login_id, first_name="User Two", last_name="Client", email="client@example.test")
        await book.open_account(client, balance_cents=50_000, token=f"token-of-{login_id}", scopes=SCOPES)


@asynccontextmanager
async def stage(
    database: Path,
    *,
    repeat_guard_ms: int = 0,
    limits: RateLimits = PLENTY,
    idle_close_ms: int = 120_000,
    answer_within_ms: int = 500,
) -> AsyncIterator[Stage]:
    """Raise the stage and clear it away; the gateway is made but not started."""
    tasks = Tasks()
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(
            simulator_on(database, tasks, repeat_guard_ms=repeat_guard_ms, limits=limits, idle_close_ms=idle_close_ms)
        )
        stack.push_async_callback(tasks.stop)
        yield Stage(running, tasks, answer_within_ms)
