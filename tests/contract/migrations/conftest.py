"""Empty databases, on one engine after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql.engine import open_engine


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def each_url(request: pytest.FixtureRequest, fresh_sqlite_url: str) -> str:
    """The address of an empty database."""
    url: str = fresh_sqlite_url if request.param == "sqlite" else request.getfixturevalue("fresh_postgresql_url")
    return url


@pytest.fixture
async def engine(each_url: str) -> AsyncIterator[AsyncEngine]:
    """An empty database."""
    made = open_engine(each_url)
    yield made
    await made.dispose()
