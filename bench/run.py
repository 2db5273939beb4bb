"""Runs every bench on servers of its own, writes bench/results/latest.json and prints the table.

Usage: python -m bench.run
"""

from __future__ import annotations

import json
import os
import platform
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console
from rich.table import Table

from bench import collections, collections_reports, payments, pushes, transfers
from bench.postings import CALLERS, MEASURED_SECONDS, Round, Variant, prepared
from bench.serving import CONNECTIONS, HttpRound
from penpay.infrastructure.system import tune_garbage_collection
from tests.servers import mariadb, postgresql
from tests.servers.postgresql import PostgresqlServer

ROUNDS: Final = 3
PGBENCH_SCALE: Final = 50
PGBENCH_SECONDS: Final = 30
RESULTS: Final = Path(__file__).parent / "results" / "latest.json"
VARIANTS: Final[tuple[Variant, ...]] = ("spread", "hot")


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the results. `rounds` are the values the median was taken of."""

    bench: str
    engine: str
    variant: str
    value: int
    unit: str
    p50_ms: int | None
    p99_ms: int | None
    rounds: list[int]
    ratios: dict[str, float] = field(default_factory=dict)


def main() -> None:
    """Measure, write, show."""
    tune_garbage_collection()
    versions = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    with postgresql.running(postgresql.DURABLE) as server:
        reference = _pgbench(server)
        measured = uvloop.run(_postings("postgresql", server.url(server.create_database())))
        measured += uvloop.run(_transfers("postgresql", server.url(server.create_database())))
        measured += uvloop.run(_confirmations(server.url(server.create_database())))
        measured += uvloop.run(_payments(server.url(server.create_database())))
        statements = uvloop.run(_statements(server))
        versions["postgresql"] = server.execute("SHOW server_version")
    with tempfile.TemporaryDirectory() as directory:
        measured += uvloop.run(_postings("sqlite", f"sqlite+aiosqlite:///{directory}/bench.db"))
    with tempfile.TemporaryDirectory() as directory:
        measured += uvloop.run(_pushes(f"sqlite+aiosqlite:///{directory}"))
    with mariadb.running(mariadb.DURABLE) as other:
        measured += uvloop.run(_postings("mariadb", other.url(other.create_database())))
        ((versions["mariadb"],),) = other.execute("SELECT VERSION()")
    for result in measured:
        result.ratios["to_pgbench"] = round(result.value / reference.value, 2)
    results = [reference, *measured, *statements]
    report = {
        "command": "python -m bench.run",
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "system": platform.platform()},
        "versions": versions,
        "results": [asdict(result) for result in results],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _show(results)


async def _postings(engine: str, url: str) -> list[Result]:
    """Medians of alternating rounds, so that a machine that slows down slows down every variant."""
    rounds: dict[Variant, list[Round]] = {variant: [] for variant in VARIANTS}
    async with prepared(url) as postings:
        for _ in range(ROUNDS):
            for variant in VARIANTS:
                rounds[variant].append(await postings.round(variant))
                _say(f"postings {engine} {variant}: {rounds[variant][-1].per_second:,.0f}/s")
    return _medians("postings", engine, "commands/s", rounds)


async def _transfers(engine: str, url: str) -> list[Result]:
    """The same over HTTP; who asks and who serves are processes of their own."""
    rounds: dict[Variant, list[Round]] = {variant: [] for variant in VARIANTS}
    cpu: dict[Variant, list[float]] = {variant: [] for variant in VARIANTS}
    async with transfers.serving(url) as serving:
        for _ in range(ROUNDS):
            for variant in VARIANTS:
                one = serving.round(variant)
                rounds[variant].append(one.measured)
                cpu[variant].append(one.load_cpu)
                rate = f"{one.measured.per_second:,.0f}/s"
                _say(f"operator_transfers {engine} {variant}: {rate}, asking took {one.load_cpu:.0%} of a core")
    results = _medians("operator_transfers", engine, "requests/s", rounds)
    for result, variant in zip(results, VARIANTS, strict=True):
        result.ratios["load_cpu"] = round(statistics.median(cpu[variant]), 2)
    return results


async def _statements(server: PostgresqlServer) -> list[Result]:
    """Questions about one customer and one account, in small and in large books; the ratio is of their medians."""
    answered = await collections_reports.measured(server, _say)
    smallest = {one.question: one.p50_us for one in answered if one.payments == min(collections_reports.SIZES)}
    return [
        Result(
            bench="statements",
            engine="postgresql",
            variant=f"{one.question}, {one.payments:,} payments",
            value=1_000_000 // one.p50_us,
            unit="calls/s, one by one",
            p50_ms=round(one.p50_us / 1_000),
            p99_ms=round(one.p99_us / 1_000),
            rounds=[1_000_000 // one.p50_us],
            ratios={"to_smallest": round(one.p50_us / smallest[one.question], 2)},
        )
        for one in answered
    ]


async def _pushes(folder: str) -> list[Result]:
    """Pushes that the sandbox accepts, on its embedded database."""
    rounds: list[HttpRound] = []
    async with pushes.serving(f"{folder}/operator.db", f"{folder}/deriv.db", ROUNDS) as serving:
        for _ in range(ROUNDS):
            rounds.append(serving.round())
            rate = f"{rounds[-1].measured.per_second:,.0f}/s"
            _say(f"sandbox_pushes sqlite: {rate}, asking took {rounds[-1].load_cpu:.0%} of a core")
    result = _median("sandbox_pushes", "sqlite", "spread", "requests/s", [one.measured for one in rounds])
    result.ratios["load_cpu"] = round(statistics.median(one.load_cpu for one in rounds), 2)
    return [result]


async def _confirmations(url: str) -> list[Result]:
    """Confirmations of payments at our own API, beside requests to it that do nothing."""
    rounds: list[HttpRound] = []
    nothing: list[HttpRound] = []
    async with collections.serving(url) as serving:
        for _ in range(ROUNDS):
            nothing.append(serving.nothing())
            rounds.append(serving.round())
            rate = f"{rounds[-1].measured.per_second:,.0f}/s, nothing {nothing[-1].measured.per_second:,.0f}/s"
            _say(f"c2b_confirmations postgresql: {rate}, asking took {rounds[-1].load_cpu:.0%} of a core")
    result = _median("c2b_confirmations", "postgresql", "spread", "requests/s", [one.measured for one in rounds])
    result.ratios["load_cpu"] = round(statistics.median(one.load_cpu for one in rounds), 2)
    idle = statistics.median(one.measured.per_second for one in nothing)
    result.ratios["to_nothing"] = round(result.value / idle, 2)
    return [result]


async def _payments(url: str) -> list[Result]:
    """Whole deposits and withdrawals through the sandbox, for one long round each."""
    results = []
    for flow in await payments.measured(url):
        _say(payments.told(flow))
        result = Result(
            bench=f"{flow.kind}s",
            engine="postgresql",
            variant="through the sandbox",
            value=flow.per_second,
            unit=f"{flow.kind}s/s",
            p50_ms=flow.p50_ms,
            p99_ms=flow.p99_ms,
            rounds=[flow.per_second],
        )
        if flow.call_p99_ms is not None:
            result.ratios["call_p99_to_wanted"] = round(flow.call_p99_ms / payments.WANTED_CALL_P99_MS, 2)
        result.ratios["to_wanted"] = round(flow.per_second / payments.WANTED_PER_SECOND, 2)
        results.append(result)
    return results


def _medians(bench: str, engine: str, unit: str, rounds: Mapping[Variant, Sequence[Round]]) -> list[Result]:
    results = {variant: _median(bench, engine, variant, unit, measured) for variant, measured in rounds.items()}
    results["hot"].ratios["hot_to_spread"] = round(results["hot"].value / results["spread"].value, 2)
    return [results[variant] for variant in VARIANTS]


def _median(bench: str, engine: str, variant: Variant, unit: str, rounds: Sequence[Round]) -> Result:
    return Result(
        bench=bench,
        engine=engine,
        variant=variant,
        value=round(statistics.median(one.per_second for one in rounds)),
        unit=unit,
        p50_ms=round(statistics.median(one.p50_ms for one in rounds)),
        p99_ms=round(statistics.median(one.p99_ms for one in rounds)),
        rounds=[round(one.per_second) for one in rounds],
    )


def _pgbench(server: PostgresqlServer) -> Result:
    """PostgreSQL's own bench on the same server: what this machine and its disk give at all."""
    database = server.create_database()
    _run_pgbench(server, "-i", "-q", "-s", str(PGBENCH_SCALE), database)
    load = ["-s", str(PGBENCH_SCALE), "-c", "64", "-j", "2", "-M", "prepared", "-T", str(PGBENCH_SECONDS)]
    output = _run_pgbench(server, *load, database)
    found = re.search(r"^tps = (\d+)", output, re.MULTILINE)
    if found is None:
        sys.exit(f"pgbench gave no rate:\n{output}")
    server.drop_database(database)
    rate = int(found[1])
    _say(f"pgbench: {rate:,}/s")
    return Result("pgbench", "postgresql", "tpcb", rate, "transactions/s", None, None, [rate])


def _run_pgbench(server: PostgresqlServer, *arguments: str) -> str:
    program = str(server.programs / "pgbench")
    address = ["-h", "127.0.0.1", "-p", str(server.port), "-U", postgresql.USER]
    done = subprocess.run([program, *address, *arguments], capture_output=True, text=True, check=False)  # noqa: S603  (our own arguments)
    if done.returncode != 0:
        sys.exit(f"pgbench: {done.stderr}")
    return done.stdout


def _cpu() -> str:
    """The processor's name, where Linux tells it."""
    information = Path("/proc/cpuinfo")
    text = information.read_text(encoding="utf-8") if information.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _show(results: Sequence[Result]) -> None:
    who = f"{CALLERS:,} callers, {CONNECTIONS} connections over HTTP"
    table = Table(title=f"{who}, medians of {ROUNDS} rounds of {MEASURED_SECONDS} s")
    for heading in ("bench", "engine", "variant", "value", "p50 ms", "p99 ms", "rounds", "ratios"):
        table.add_column(heading, justify="right" if heading in {"value", "p50 ms", "p99 ms"} else "left")
    for one in results:
        table.add_row(
            one.bench,
            one.engine,
            one.variant,
            f"{one.value:,} {one.unit}",
            "" if one.p50_ms is None else str(one.p50_ms),
            "" if one.p99_ms is None else str(one.p99_ms),
            " ".join(f"{value:,}" for value in one.rounds),
            _text(one.ratios),
        )
    Console(width=None if sys.stdout.isatty() else 150).print(table)  # a file has no width of its own


def _text(ratios: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in ratios.items())


if __name__ == "__main__":
    main()
