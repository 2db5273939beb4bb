"""A business on one engine after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.collections.stage import Stage, opened


@pytest.fixture
async def stage(url: str) -> AsyncIterator[Stage]:
    """A business without customers."""
    async with opened(url) as made:
        yield made
