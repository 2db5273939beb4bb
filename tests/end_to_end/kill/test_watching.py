"""Two processes on one database: whoever watches one is told what happens at the other, and survives its death."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from penpay.cli import build_app
from tests.contract.office.stage import ENVIRONMENT, PASSWORD
from tests.end_to_end.kill.program import Program
from tests.integration.http.watching import Watcher
from tests.servers.process import free_port

SALES = 60
OWNER = ("--email", "owner@example.com")


def typed(environment: Mapping[str, str], *arguments: str, as_json: bool = True) -> Any:
    """One command with the password on standard input."""
    given = [*arguments, "--json"] if as_json else arguments
    result = CliRunner().invoke(build_app(), given, input=f"{PASSWORD}\n", env=dict(environment))
    assert 0 == result.exit_code, result.output
    return json.loads(result.stdout, parse_float=str) if as_json else None


class Branch:
    """`penpay serve` at a port of its own."""

    def __init__(self, environment: Mapping[str, str], folder: Path, name: str) -> None:
        self.port = free_port()
        self._environment = {**environment, "PENPAY_HTTP_PORT": str(self.port)}
        self._folder, self._name = folder, name
        self.program: Program | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.program = Program("serve", environment=self._environment, folder=self._folder, name=self._name)
        async with httpx.AsyncClient(base_url=self.url) as client:
            for _ in range(600):
                assert not self.program.has_ended, self.program.complaints
                with suppress(httpx.TransportError):
                    if (await client.get("/healthz")).status_code == 200:
                        return
                await asyncio.sleep(0.1)
        raise AssertionError(self.program.complaints)

    def kill(self) -> None:
        if self.program is not None:
            self.program.kill()


async def sell(url: str, headers: Mapping[str, str]) -> None:
    """Open one sale after the other."""
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as till:
        for number in range(1, SALES + 1):
            answer = await till.post("/api/pos", json={"amount_cents": number * 100})
            assert 201 == answer.status_code, answer.text
            await asyncio.sleep(0.05)


async def watch_until(watching: Watcher, count: int) -> None:
    """Read one connection until so many sales were told, or it breaks."""
    with suppress(httpx.TransportError):
        async with watching.connected() as messages:
            while len(watching.told) < count:
                await anext(messages)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
async def test_a_watcher_outlives_the_process_it_watches(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Cut off, killed and moved from one process to the other while sales pour in: each is told once, in order."""
    environment = {**ENVIRONMENT, "DATABASE_URL": request.getfixturevalue(f"fresh_{engine}_url")}
    await asyncio.to_thread(typed, environment, "db", "migrate", as_json=False)
    await asyncio.to_thread(typed, environment, "staff", "add", *OWNER, "--role", "owner")
    token = (await asyncio.to_thread(typed, environment, "staff", "token", *OWNER))["token"]
    headers = {"Authorization": f"Bearer {token}"}
    branches = [Branch(environment, tmp_path, name) for name in ("first", "second")]
    try:
        for branch in branches:
            await branch.start()
        watching = Watcher(branches[0].url, headers)
        async with watching.connected() as messages:
            await anext(messages)
        selling = asyncio.create_task(sell(branches[1].url, headers))
        await watch_until(watching, SALES // 4)  # at the first, what the second does
        branches[0].kill()
        await watch_until(watching, SALES)  # nobody is there
        watching.base_url = branches[1].url
        await watch_until(watching, SALES // 2)
        await branches[0].start()
        watching.base_url = branches[0].url
        while len(watching.told) < SALES:
            await watch_until(watching, SALES)
        await selling
    finally:
        for branch in branches:
            branch.kill()

    assert [("SaleOpened", f"POS-{n:03d}") for n in range(1, SALES + 1)] == [
        (one.name, one.data["pos_id"]) for one in watching.told
    ]
