"""The stages of the HTTP tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.office import stage as offices
from tests.integration.http.desk import Desk, staffed
from tests.integration.http.stage import Stage, opened


@pytest.fixture
async def stage(sqlite_url: str) -> AsyncIterator[Stage]:
    """Two users and a rate, and nothing else."""
    async with opened(sqlite_url) as made:
        yield made


@pytest.fixture
async def office(sqlite_url: str) -> AsyncIterator[offices.Office]:
    """A business with an owner."""
    async with offices.opened(sqlite_url) as made:
        yield made


@pytest.fixture
async def desk(office: offices.Office) -> AsyncIterator[Desk]:
    """A business with somebody in each role."""
    async with staffed(office) as made:
        yield made
