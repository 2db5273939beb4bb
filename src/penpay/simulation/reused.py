"""What every simulated process would make anew, always the same: the list of migrations, and statements as SQL.

Neither is part of what a seed tests, and together they took a fourth of its time. A program that runs alone makes both
once as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import LRUCache

from penpay.infrastructure.sql import engine, migrations

_STATEMENTS: Final = 5_000
"""Several times as many as the program has."""


class Reused:
    """Kept from seed to seed."""

    def __init__(self) -> None:
        self._scripts = migrations.scripts()
        self._dialect: Dialect | None = None
        self._compiled: LRUCache[Any, Any] = LRUCache(_STATEMENTS)

    @contextmanager
    def within(self) -> Iterator[None]:
        """What is made within the block takes it from here."""
        with (
            patch.object(migrations, "scripts", lambda: self._scripts),
            patch.object(engine, "create_async_engine", self._engine),
        ):
            yield

    def _engine(self, *arguments: Any, **options: Any) -> AsyncEngine:
        """An engine that shares the dialect of the first; SQLAlchemy keeps SQL by dialect and statement."""
        made = create_async_engine(*arguments, **options)
        self._dialect = self._dialect or made.sync_engine.dialect
        made.sync_engine.dialect = self._dialect
        made.sync_engine._compiled_cache = self._compiled  # noqa: SLF001  (there is no other way to share it)
        return made
