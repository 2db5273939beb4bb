"""A Deriv to talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.deriv.stage import Stage, stage


@pytest.fixture
async def deriv(tmp_path: Path) -> AsyncIterator[Stage]:
    """A simulator and a connected gateway."""
    async with stage(tmp_path / "deriv.sqlite3") as raised:
        yield await raised.open()
