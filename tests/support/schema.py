"""The schema, as the migrations make it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.migrations import upgrade


async def create_schema(url: str) -> None:
    """Every table and trigger on an empty database; nothing on one that has them."""
    engine = open_engine(url)
    try:
        await upgrade(engine)
    finally:
        await engine.dispose()


def create_schema_aside(url: str) -> None:
    """The same on a loop of its own, beside whatever loop the test runs on."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, create_schema(url)).result()
