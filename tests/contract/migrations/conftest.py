"""Empty databases, on one engine after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql.engine import open_engine
from tests.support.engines import EVERY


@pytest.fixture(params=EVERY)
def each_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty database."""
    url: str = request.getfixturevalue(f"fresh_{request.param}_url")
    return url


@pytest.fixture
async def engine(each_url: str) -> AsyncIterator[AsyncEngine]:
    """An empty database."""
    made = open_engine(each_url)
    yield made
    await made.dispose()
