"""An operator on one engine after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.operator.stage import Stage, opened


@pytest.fixture
async def stage(url: str) -> AsyncIterator[Stage]:
    """An operator under open rules, with float, agents, subscribers and a merchant."""
    async with opened(url) as made:
        await made.network()
        yield made
