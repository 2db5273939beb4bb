"""Publishers that die as a process dies: no handler runs, and the next one finds what the database has."""

from __future__ import annotations

import asyncio
import random
import signal
import sys

import pytest

from tests.architecture.source import ROOT
from tests.contract.sql.commands import wallet
from tests.contract.sql.publishers import Press, keep_their_order, positions, verified
from tests.contract.sql.world import opened


@pytest.mark.slow
async def test_processes_killed_in_the_middle_leave_no_gap(url: str) -> None:
    """Two processes at a time commit and publish, and are killed again and again at any moment."""
    chance = random.Random(7)
    async with opened(url) as world:
        await world.fund(wallet(1), cents=100_000_000)
        for round_ in range(4):
            running = [
                await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "tests.contract.sql.publishing_process", url, str(round_ * 2 + each + 1)),
                    cwd=ROOT,
                    stderr=asyncio.subprocess.DEVNULL,
                )
                for each in range(2)
            ]
            before = len(await positions(world))
            for _ in range(300):  # the time it takes to start, and then any moment
                if len(await positions(world)) > before + chance.randrange(1, 40):
                    break
                await asyncio.sleep(0.05)
            for process in running:
                assert process.returncode is None, "it must die by our hand"
                process.send_signal(signal.SIGKILL)
                await process.wait()

        async with opened(url) as last:
            last.clock.moment = last.clock.moment.replace(year=2100)  # long after every lease
            await Press(last).run()

        found = await positions(world)
        assert keep_their_order(found, await world.one("SELECT count(*) FROM domain_events"))
        report = await verified(world)
        assert (None, 0) == (report.broken, report.waiting_rows)
        assert report.head.position == await world.one("SELECT count(*) FROM command_batches WHERE state = 'COMMITTED'")
        assert len(found) > 40
