"""Databases with the schema and nothing else, on one engine after the other."""

from __future__ import annotations

import pytest

from tests.support.engines import EVERY


@pytest.fixture(params=EVERY)
def url(request: pytest.FixtureRequest) -> str:
    """The address of such a database."""
    address: str = request.getfixturevalue(f"{request.param}_url")
    return address
