"""The stage of the operator's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.operator.stage import Stage, opened


@pytest.fixture
async def stage(sqlite_url: str) -> AsyncIterator[Stage]:
    """An operator with open rules, without anybody."""
    async with opened(sqlite_url) as made:
        yield made
