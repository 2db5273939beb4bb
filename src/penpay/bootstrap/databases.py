"""Making a database usable before anything is served from it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql import migrations


async def prepare_database(engine: AsyncEngine, url: str) -> None:
    """Migrate an embedded database; require the current schema of any other. Raises `migrations.WrongSchema`."""
    if make_url(url).get_backend_name() == "sqlite":
        await migrations.upgrade(engine)
    else:
        await migrations.require_current(engine)


def make_folder(url: str) -> None:
    """Make the folder an embedded database lives in."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
