"""Somebody to be told, who carries it, and one engine after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.mpesa.scripted_daraja import ScriptedDaraja
from tests.contract.notifications.post_office import PostOffice
from tests.contract.notifications.stage import GATEWAY, Stage, opened, taken
from tests.support.engines import EVERY


@pytest.fixture
async def post_office() -> AsyncIterator[PostOffice]:
    """A server that takes mail."""
    async with PostOffice() as made:
        yield made


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedDaraja]:
    """A gateway that takes every short message."""
    async with ScriptedDaraja() as made:
        made.scripts[GATEWAY] = taken
        yield made


@pytest.fixture(params=EVERY)
async def stage(
    request: pytest.FixtureRequest, post_office: PostOffice, gateway: ScriptedDaraja
) -> AsyncIterator[Stage]:
    """A user with a deposit that has failed, on one engine after the other."""
    async with opened(request.getfixturevalue(f"{request.param}_url"), post_office, gateway) as made:
        yield made


@pytest.fixture
async def small_stage(sqlite_url: str, post_office: PostOffice, gateway: ScriptedDaraja) -> AsyncIterator[Stage]:
    """The same on SQLite."""
    async with opened(sqlite_url, post_office, gateway) as made:
        yield made
