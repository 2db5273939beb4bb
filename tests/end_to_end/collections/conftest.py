"""A business with the whole program running, on SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.collections.shop import Shop
from tests.end_to_end.deposits.conftest import migrated_files
from tests.end_to_end.deposits.stage import staged

__all__ = ["migrated_files"]


@pytest.fixture
async def shop(tmp_path: Path, migrated_files: tuple[Path, Path]) -> AsyncIterator[Shop]:
    """A business whose books are in SQLite, and which looks into M-Pesa's list."""
    async with staged(tmp_path, database_url=None, migrated=migrated_files, pull="on") as stage:
        yield Shop(stage)
