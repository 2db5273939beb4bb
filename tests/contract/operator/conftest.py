"""An operator on one engine after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.operator.stage import Stage, opened
from tests.support.engines import EVERY


@pytest.fixture(params=EVERY)
def url(request: pytest.FixtureRequest) -> str:
    """The address of an empty database."""
    address: str = request.getfixturevalue(f"fresh_{request.param}_url")
    return address


@pytest.fixture
async def stage(url: str) -> AsyncIterator[Stage]:
    """An operator under open rules, with float, agents, subscribers and a merchant."""
    async with opened(url) as made:
        await made.network()
        yield made
