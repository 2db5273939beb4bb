"""The stages of the HTTP tests."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.migrations import upgrade
from tests.contract.office import stage as offices
from tests.integration.http.desk import Desk, staffed
from tests.integration.http.stage import Stage, opened


@pytest.fixture
async def stage(fresh_sqlite_url: str) -> AsyncIterator[Stage]:
    """Two users and a rate, and nothing else."""
    async with opened(fresh_sqlite_url) as made:
        yield made


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema, migrated once and copied for each test."""
    path = tmp_path_factory.mktemp("schema") / "penpay.sqlite3"

    async def migrate() -> None:
        engine = open_engine(f"sqlite+aiosqlite:///{path}")
        await upgrade(engine)
        await engine.dispose()

    with ThreadPoolExecutor(1) as thread:  # beside whatever loop the test runs on
        thread.submit(asyncio.run, migrate()).result()
    return path


@pytest.fixture
def migrated_url(migrated: Path, tmp_path: Path) -> str:
    """The address of a database that holds the schema and nothing else."""
    shutil.copyfile(migrated, tmp_path / "office.sqlite3")
    return f"sqlite+aiosqlite:///{tmp_path / 'office.sqlite3'}"


@pytest.fixture
async def office(migrated_url: str) -> AsyncIterator[offices.Office]:
    """A business with an owner."""
    async with offices.opened(migrated_url) as made:
        yield made


@pytest.fixture
async def desk(office: offices.Office) -> AsyncIterator[Desk]:
    """A business with somebody in each role."""
    async with staffed(office) as made:
        yield made
