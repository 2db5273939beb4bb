"""Stages for the deposit stories, on SQLite, and for the key ones on every other engine too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.deposits.stage import Stage, staged
from tests.end_to_end.ending import Opening, check_ending
from tests.support.engines import EVERY, SERVERS


@pytest.fixture
async def stage(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[Stage]:
    """A stage whose System keeps its books in SQLite."""
    async with staged(tmp_path, database_url=None, migrated=migrated_sqlite) as made:
        yield made
        await check_ending(request.node, made, Opening())


@pytest.fixture(params=EVERY)
async def each_stage(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[Stage]:
    """A stage on one engine after the other."""
    url = None if request.param == "sqlite" else request.getfixturevalue(f"{request.param}_url")
    async with staged(tmp_path, database_url=url, migrated=migrated_sqlite) as made:
        yield made
        await check_ending(request.node, made, Opening())


@pytest.fixture(params=SERVERS)
async def server_stage(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[Stage]:
    """A stage whose System keeps its books on a server, where two programs write at once."""
    url = request.getfixturevalue(f"{request.param}_url")
    async with staged(tmp_path, database_url=url, migrated=migrated_sqlite) as made:
        yield made
        await check_ending(request.node, made, Opening())
