"""The same database contract on one engine after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.sql.world import World, create_schema, opened


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
async def url(request: pytest.FixtureRequest, fresh_sqlite_url: str) -> str:
    """The address of a database that holds the schema and nothing else."""
    address: str = fresh_sqlite_url if request.param == "sqlite" else request.getfixturevalue("fresh_postgresql_url")
    await create_schema(address)
    return address


@pytest.fixture
async def world(url: str) -> AsyncIterator[World]:
    """One executor on the database."""
    async with opened(url) as made:
        yield made
