"""A business with the whole program running, on SQLite or on one engine after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.collections.shop import Shop
from tests.end_to_end.deposits.stage import staged
from tests.support.engines import EVERY


@pytest.fixture
async def shop(tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[Shop]:
    """A business whose books are in SQLite, and which looks into M-Pesa's list."""
    async with staged(tmp_path, database_url=None, migrated=migrated_sqlite, pull="on") as stage:
        yield Shop(stage)


@pytest.fixture(params=EVERY)
async def each_shop(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[Shop]:
    """A business on one engine after the other."""
    url = None if request.param == "sqlite" else request.getfixturevalue(f"{request.param}_url")
    async with staged(tmp_path, database_url=url, migrated=migrated_sqlite) as stage:
        yield Shop(stage)
