"""Worlds for the sandbox's tests."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from penpay.bootstrap.operator import kenyan_policy
from penpay.domain.mobile_money.policy import OperatorPolicy
from penpay.sandbox.daraja.switches import DarajaSwitches
from tests.contract.sandbox.organisation import Organisation, Results
from tests.contract.sandbox.world import Receiver, World, WorldMaker, opened, serving
from tests.support.engines import EVERY


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """The merchant's callback endpoint; it outlives the sandbox's restarts."""
    made = Receiver()
    async with serving(made.app) as url:
        made.url = f"{url}/callback"
        yield made


@pytest.fixture
async def results() -> AsyncIterator[Results]:
    """The endpoint of a merchant's results; it outlives the sandbox's restarts."""
    made = Results()
    async with serving(made.app) as url:
        made.url = url
        yield made


@pytest.fixture
def make_world(tmp_path: Path, migrated_sqlite: Path, receiver: Receiver) -> WorldMaker:
    """Opens worlds one after another, each on a new database unless it keeps the last one."""
    made = 0

    def make(
        switches: DarajaSwitches = DarajaSwitches(),  # noqa: B008  (frozen)
        policy: OperatorPolicy = kenyan_policy(),  # noqa: B008  (frozen)
        *,
        keep: bool = False,
    ) -> AbstractAsyncContextManager[World]:
        nonlocal made
        made += not keep
        file = tmp_path / f"operator-{made}.sqlite3"
        if not keep:
            shutil.copyfile(migrated_sqlite, file)
        return opened(f"sqlite+aiosqlite:///{file}", receiver, switches, policy)

    return make


@pytest.fixture(params=EVERY)
def each_engine(request: pytest.FixtureRequest) -> str:
    """The address of an empty database, on one engine after the other."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def world_on_each_engine(each_engine: str, receiver: Receiver) -> AsyncIterator[World]:
    """A world with every switch at its default, on one engine after the other."""
    async with opened(each_engine, receiver, DarajaSwitches(), kenyan_policy()) as made:
        yield made


@pytest.fixture
async def world(make_world: WorldMaker) -> AsyncIterator[World]:
    """A world with every switch at its default."""
    async with make_world() as made:
        yield made


@pytest.fixture
def organisation(world: World, results: Results) -> Organisation:
    """The back office of the merchant in a world with every switch at its default."""
    return Organisation(world, results)
