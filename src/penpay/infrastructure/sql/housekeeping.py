"""Forgetting what need not be kept."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql import mysql
from penpay.infrastructure.sql.tables import idempotency_keys

_TOGETHER: Final = 500


async def forget_expired_keys(engine: AsyncEngine, at: datetime) -> int:
    """Delete idempotency keys whose time is over; how many there were. A key that is kept longer does no harm."""
    over = idempotency_keys.c.expires_at <= at
    if engine.dialect.name == mysql.NAME:
        return await _forget_found(engine, over)
    async with engine.begin() as connection:
        result = await connection.execute(delete(idempotency_keys).where(over))
    return result.rowcount


async def _forget_found(engine: AsyncEngine, over: ColumnElement[bool]) -> int:
    """Find them without locks first: MySQL's DELETE would wait for every row that a running batch has just written."""
    async with engine.connect() as connection:
        found = (await connection.execute(select(idempotency_keys.c.key_hash).where(over))).scalars().all()
    forgotten = 0
    for start in range(0, len(found), _TOGETHER):
        some = idempotency_keys.c.key_hash.in_(sorted(found[start : start + _TOGETHER]))
        async with engine.begin() as connection:
            forgotten += (await connection.execute(delete(idempotency_keys).where(some, over))).rowcount
    return forgotten
