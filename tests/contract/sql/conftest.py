"""The same database contract on one engine after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.sql.world import World, opened
from tests.support.engines import MYSQL, SERVERS


@pytest.fixture(params=SERVERS)
def server_url(request: pytest.FixtureRequest) -> str:
    """The address of such a database, on one server after the other."""
    address: str = request.getfixturevalue(f"{request.param}_url")
    return address


@pytest.fixture(params=MYSQL)
def mysql_like_url(request: pytest.FixtureRequest) -> str:
    """The address of such a database, on MariaDB and on MySQL."""
    address: str = request.getfixturevalue(f"{request.param}_url")
    return address


@pytest.fixture
async def world(url: str) -> AsyncIterator[World]:
    """One executor on the database."""
    async with opened(url) as made:
        yield made
