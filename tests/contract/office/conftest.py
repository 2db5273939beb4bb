"""A business on one engine after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.office.stage import Office, opened
from tests.support.engines import EVERY


@pytest.fixture(params=EVERY)
def url(request: pytest.FixtureRequest) -> str:
    """The address of an empty database."""
    address: str = request.getfixturevalue(f"{request.param}_url")
    return address


@pytest.fixture
async def office(url: str) -> AsyncIterator[Office]:
    """A business with an owner, on an empty database."""
    async with opened(url) as made:
        yield made
