"""The stage of the HTTP tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.http.stage import Stage, opened


@pytest.fixture
async def stage(fresh_sqlite_url: str) -> AsyncIterator[Stage]:
    """Two users and a rate, and nothing else."""
    async with opened(fresh_sqlite_url) as made:
        yield made
