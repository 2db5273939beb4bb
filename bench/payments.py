"""Whole deposits and withdrawals through the sandbox: what `make bench` measures as `deposits` and `withdrawals`.

PenPay is `penpay serve` on PostgreSQL, one process. M-Pesa, Deriv and the people who use them are another one, this
one: a handset enters its PIN by itself, and whoever is mailed a code hands it over. As many transactions as `IN_FLIGHT`
are open at any time; how many come to their end is counted in PenPay's own database, and so is the time from a
callback to the call of Deriv that follows it. Deriv's limits on calls are lifted in the simulator; the real one allows
a few calls a minute. Afterwards nothing may be left open, nothing be with people, and every book agree.

Usage: python -m bench.payments [SECONDS]
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop
from sqlalchemy import func, select

from bench.asking import Api
from bench.payments_world import (
    PIN_LOG2_COST,
    Somebody,
    compare,
    environment_of,
    fill_books,
    fill_sandbox,
    people_of_the_bench,
)
from bench.serving import served
from penpay.bootstrap import Sandbox, real_ports
from penpay.config import load_settings
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.payments.transaction import TERMINAL, TransactionStatus
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.migrations import upgrade
from penpay.infrastructure.sql.payout_tables import mpesa_disbursements
from penpay.infrastructure.sql.tables import deriv_transfers, mpesa_requests, transactions, webhook_logs
from penpay.infrastructure.system import at_once
from penpay.presentation.http.serving import serving as served_here
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.deriv.limits import RateLimits
from penpay.sandbox.deriv.mail import Mail
from tests.servers import postgresql
from tests.servers.process import free_port

IN_FLIGHT: Final = 128
MEASURED_SECONDS: Final = 60
WARM_UP_SECONDS: Final = 10
"""Until as many end as begin."""
WANTED_PER_SECOND: Final = 200
WANTED_CALL_P99_MS: Final = 250
_LOOK_SECONDS: Final = 0.1
_DRAIN_SECONDS: Final = 60
_AT_ONCE: Final = 100
_SERVES: Final = re.compile(r"serves http://127\.0\.0\.1:(\d+)")
_LIFTED: Final = RateLimits(
    general_per_minute=10**9, general_per_hour=10**9, outcome_per_minute=10**9, outcome_per_hour=10**9
)
_OVER: Final = sorted({*TERMINAL, TransactionStatus.IN_REVIEW})


@dataclass(frozen=True, slots=True)
class Flow:
    """What one kind of transaction came to while it was measured."""

    kind: str
    per_second: int
    p50_ms: int
    p99_ms: int
    """From the request to the end."""
    call_p99_ms: int | None
    """From a deposit's callback to the call of Deriv that follows."""
    seconds: int


class Payments:
    """A PenPay that serves, with people who deposit or withdraw."""

    def __init__(self, api: Api, sandbox: Sandbox, url: str, people: Sequence[Somebody]) -> None:
        self._api = api
        self._sandbox = sandbox
        self._engine = open_engine(url)
        self._people: Iterator[tuple[int, Somebody]] = ((round_, one) for round_ in count() for one in people)
        self._open = 0
        self._created = 0
        self._by_login: dict[str, tuple[Somebody, str]] = {}

    async def measured(self, kind: str, seconds: int) -> Flow:
        """Keep transactions of this kind open for so long after a warm-up, then let all end.

        Exits when one does not end well.
        """
        began, self._created = datetime.now(UTC), 0
        codes = asyncio.create_task(self._hand_over_codes()) if kind == "withdrawal" else None
        until = time.perf_counter() + WARM_UP_SECONDS + seconds
        while time.perf_counter() < until:
            self._open = self._created - await self._ended(kind, began)
            await asyncio.gather(*(self._ask(kind) for _ in range(min(_AT_ONCE, IN_FLIGHT - self._open))))
            await asyncio.sleep(_LOOK_SECONDS)
        measured_until = datetime.now(UTC)
        drained_until = time.perf_counter() + _DRAIN_SECONDS
        while await self._ended(kind, began) < self._created and time.perf_counter() < drained_until:  # noqa: ASYNC110  (the database gives no sign)
            await asyncio.sleep(_LOOK_SECONDS)
        if codes is not None:
            codes.cancel()
        return await self._flow(kind, began, measured_until, seconds)

    async def close(self) -> None:
        await self._engine.dispose()

    async def _ask(self, kind: str) -> None:
        round_, one = next(self._people)
        self._created += 1
        answer = await self._api.post(
            f"/api/v1/{kind}s",
            # Deriv takes the same amount to the same account soon again for a slip.
            {
                "amount_cents": 500 + round_ % 400,
                "currency": "USD",
                "deriv_login_id": one.login_id,
                "idempotency_key": f"{kind}-{round_:06}-{secrets.token_hex(8)}",
            },
            one.api_key,
        )
        if answer.status != HTTPStatus.ACCEPTED:
            sys.exit(f"A {kind} was refused: {answer.body!r}")
        if kind == "withdrawal":
            self._by_login[one.login_id] = (one, str(orjson.loads(answer.body)["id"]))

    async def _hand_over_codes(self) -> None:
        """Whoever was mailed a code and asked for it gives it to PenPay; nobody waits for another one's answer."""
        given: set[str] = set()
        async with asyncio.TaskGroup() as handing_over:
            while True:
                for mail in await self._sandbox.deriv_mailbox.mails(2 * IN_FLIGHT):
                    if mail.is_used or mail.code in given or mail.login_id not in self._by_login:
                        continue
                    given.add(mail.code)
                    handing_over.create_task(self._confirm(mail))
                await asyncio.sleep(_LOOK_SECONDS)

    async def _confirm(self, mail: Mail) -> None:
        one, transaction_id = self._by_login[mail.login_id]
        answer = await self._api.post(
            f"/api/v1/withdrawals/{transaction_id}/confirm", {"verification_code": mail.code}, one.api_key
        )
        if answer.status != HTTPStatus.ACCEPTED:
            sys.exit(f"A code was refused: {answer.body!r}")

    async def _ended(self, kind: str, since: datetime) -> int:
        t = transactions.c
        over = select(func.count()).where(t.type == kind.upper(), t.created_at >= since, t.status.in_(_OVER))
        async with self._engine.connect() as connection:
            return int((await connection.execute(over)).scalar_one())

    async def _flow(self, kind: str, began: datetime, until: datetime, seconds: int) -> Flow:
        t = transactions.c
        mine = select(t.status, t.created_at, t.updated_at).where(t.type == kind.upper(), t.created_at >= began)
        async with self._engine.connect() as connection:
            rows = list(await connection.execute(mine))
            calls = _milliseconds(await connection.execute(_CALLS)) if kind == "deposit" else []
            doubtful = select(func.count()).where(mpesa_disbursements.c.state == EvidenceState.UNKNOWN)
            unknown = (await connection.execute(doubtful)).scalar_one()
        bad = [row.status for row in rows if row.status != TransactionStatus.COMPLETED]
        if bad or unknown:
            sys.exit(f"Of {len(rows)} {kind}s these did not complete: {sorted(bad)}; payouts in doubt: {unknown}")
        waited = sorted((row.updated_at - row.created_at) // timedelta(milliseconds=1) for row in rows)
        warm = until - timedelta(seconds=seconds)
        done = sum(warm <= row.updated_at <= until for row in rows)
        return Flow(
            kind=kind,
            per_second=round(done / seconds),
            p50_ms=waited[len(waited) // 2],
            p99_ms=waited[len(waited) * 99 // 100],
            call_p99_ms=calls[len(calls) * 99 // 100] if calls else None,
            seconds=seconds,
        )


_CALLS: Final = (
    select(webhook_logs.c.created_at.label("began"), deriv_transfers.c.sent_at.label("ended"))
    .join(mpesa_requests, mpesa_requests.c.id == webhook_logs.c.subject_id)
    .join(deriv_transfers, deriv_transfers.c.subject_id == mpesa_requests.c.subject_id)
)
"""From each callback to the licence to call Deriv."""


def _milliseconds(rows: Any) -> list[int]:
    return sorted((row.ended - row.began) // timedelta(milliseconds=1) for row in rows)


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[Payments]:
    """PenPay on the empty database at this address, and everything else in this process; the books are read at the end.

    Exits unless nothing is wrong in them and the providers hold what they say.
    """
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        daraja, deriv = free_port(), free_port()
        environment = environment_of(url, folder, daraja, deriv)
        settings = load_settings(environment)
        engine = open_engine(url)
        await upgrade(engine)
        await engine.dispose()
        people = people_of_the_bench()
        async with AsyncExitStack() as closing:
            sandbox = Sandbox(
                settings,
                replace(real_ports(), aside=at_once),  # a PIN so cheap to compare is compared where it is
                switches=DarajaSwitches(),
                deriv_url=f"sqlite+aiosqlite:///{folder / 'deriv.db'}",
                deriv_limits=_LIFTED,
                pin_log2_cost=PIN_LOG2_COST,
            )
            closing.push_async_callback(sandbox.stop)
            await sandbox.start()
            await fill_sandbox(sandbox, settings, people)
            await fill_books(settings, people)
            await closing.enter_async_context(served_here(sandbox.create_app(), "127.0.0.1", daraja))
            await closing.enter_async_context(sandbox.deriv.serve("127.0.0.1", deriv))
            program = served(environment, "serve", told=_SERVES)
            port = await asyncio.to_thread(program.__enter__)
            closing.push_async_callback(asyncio.to_thread, program.__exit__, None, None, None)
            api = Api(port)
            closing.callback(api.close)
            payments = Payments(api, sandbox, url, people)
            closing.push_async_callback(payments.close)
            yield payments
            await compare(settings, sandbox)


async def measured(url: str, seconds: int = MEASURED_SECONDS) -> Sequence[Flow]:
    """Deposits, then withdrawals, on the empty database at this address."""
    async with serving(url) as payments:
        return [await payments.measured(kind, seconds) for kind in ("deposit", "withdrawal")]


def told(flow: Flow) -> str:
    """One line about a flow, beside what is wanted."""
    line = f"{flow.kind}s postgresql: {flow.per_second}/s for {flow.seconds} s (wanted {WANTED_PER_SECOND})"
    line += f", to the end p50 {flow.p50_ms} ms, p99 {flow.p99_ms} ms"
    if flow.call_p99_ms is not None:
        line += f", callback to Deriv call p99 {flow.call_p99_ms} ms (wanted {WANTED_CALL_P99_MS})"
    return line


if __name__ == "__main__":
    with postgresql.running(postgresql.DURABLE) as server:
        span = int(sys.argv[1]) if len(sys.argv) > 1 else MEASURED_SECONDS
        for one_flow in uvloop.run(measured(server.url(server.create_database()), span)):
            print(told(one_flow))
