"""A business on one engine after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.office.stage import Office, opened


@pytest.fixture
async def office(url: str) -> AsyncIterator[Office]:
    """A business with an owner, on an empty database."""
    async with opened(url) as made:
        yield made
