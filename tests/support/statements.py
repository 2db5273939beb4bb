"""Statements as SQL, put together once for all engines of a run instead of once for each test's own."""

from __future__ import annotations

from typing import Any, Final

import pytest
from sqlalchemy.engine import Engine
from sqlalchemy.util import LRUCache

_SEVERAL_TIMES_THE_PROGRAMS: Final = 10_000


class Shared(LRUCache[Any, Any]):
    """SQL by kind of database and statement; SQLAlchemy itself keeps it by engine and statement."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_of_any_engine(key), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_of_any_engine(key), value)


def share(patch: pytest.MonkeyPatch) -> None:
    """Every engine takes SQL from one place until the patch is undone.

    A test has an engine of its own, and putting its statements together was half of what a test on a database took.
    """
    shared = Shared(_SEVERAL_TIMES_THE_PROGRAMS)
    # SQLAlchemy's own option, `compiled_cache`, would have to be given to every engine where it is made.
    patch.setattr(Engine, "_compiled_cache", property(lambda _: shared, lambda *_: None), raising=False)


def _of_any_engine(key: Any) -> tuple[Any, ...]:
    dialect, *statement = key
    version = getattr(dialect, "server_version_info", None)
    return (type(dialect), getattr(dialect, "is_mariadb", None), version, *statement)
