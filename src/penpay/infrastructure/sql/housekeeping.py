"""Forgetting what need not be kept."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql.tables import idempotency_keys


async def forget_expired_keys(engine: AsyncEngine, at: datetime) -> int:
    """Delete idempotency keys whose time is over; how many there were. A key that is kept longer does no harm."""
    async with engine.begin() as connection:
        result = await connection.execute(delete(idempotency_keys).where(idempotency_keys.c.expires_at <= at))
    return result.rowcount
