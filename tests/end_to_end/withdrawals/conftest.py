"""Stages for the withdrawal stories: those of deposits, after somebody has something at Deriv."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.end_to_end.deposits.stage import staged
from tests.end_to_end.ending import Opening, check_ending
from tests.end_to_end.withdrawals.stage import HER_DOLLARS, OUR_SHILLINGS, WithdrawalStage
from tests.support.engines import EVERY


@asynccontextmanager
async def _with_funds(folder: Path, url: str | None, migrated: Path) -> AsyncIterator[WithdrawalStage]:
    async with staged(folder, database_url=url, migrated=migrated) as made:
        stage = WithdrawalStage(made)
        await stage.give_funds()
        yield stage


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path
) -> AsyncIterator[WithdrawalStage]:
    """A stage whose System keeps its books in SQLite."""
    async with _with_funds(tmp_path, None, migrated_sqlite) as made:
        yield made
        await check_ending(request.node, made.base, Opening(dollars=HER_DOLLARS, shillings=OUR_SHILLINGS))


@pytest.fixture(params=EVERY)
async def each_stage(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path
) -> AsyncIterator[WithdrawalStage]:
    """A stage on one engine after the other."""
    url = None if request.param == "sqlite" else request.getfixturevalue(f"{request.param}_url")
    async with _with_funds(tmp_path, url, migrated_sqlite) as made:
        yield made
        await check_ending(request.node, made.base, Opening(dollars=HER_DOLLARS, shillings=OUR_SHILLINGS))
