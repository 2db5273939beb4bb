"""Forgetting what need not be kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql import mysql
from penpay.infrastructure.sql.engine import reading
from penpay.infrastructure.sql.payout_tables import secrets
from penpay.infrastructure.sql.staff_tables import login_attempts, staff_sessions
from penpay.infrastructure.sql.tables import idempotency_keys

_TOGETHER: Final = 500
_ATTEMPTS_KEPT: Final = timedelta(days=1)
"""Longer than any lock lasts."""


async def forget_expired_keys(engine: AsyncEngine, at: datetime) -> int:
    """Delete idempotency keys whose time is over; how many there were. A key that is kept longer does no harm."""
    return await _forget(engine, idempotency_keys.c.key_hash, idempotency_keys.c.expires_at <= at)


async def forget_old_logins(engine: AsyncEngine, at: datetime) -> int:
    """Delete sessions whose time is over and wrong passwords of days ago; how many there were."""
    sessions = await _forget(engine, staff_sessions.c.id, staff_sessions.c.expires_at <= at)
    return sessions + await _forget(engine, login_attempts.c.subject, login_attempts.c.since <= at - _ATTEMPTS_KEPT)


async def _forget(engine: AsyncEngine, key: Column[Any], over: ColumnElement[bool]) -> int:
    """Delete the rows whose time is over; `key` names them."""
    if engine.dialect.name == mysql.NAME:
        return await _forget_found(engine, key, over)
    async with engine.begin() as connection:
        result = await connection.execute(delete(key.table).where(over))
    return result.rowcount


async def forget_expired_secrets(engine: AsyncEngine, at: datetime) -> int:
    """Delete kept secrets whose time is over; how many there were."""
    over = secrets.c.expires_at <= at
    async with reading(engine).connect() as connection:  # mostly there is none, and then nothing is locked
        if (await connection.execute(select(secrets.c.subject_id).where(over).limit(1))).first() is None:
            return 0
    async with engine.begin() as connection:
        return (await connection.execute(delete(secrets).where(over))).rowcount


async def _forget_found(engine: AsyncEngine, key: Column[Any], over: ColumnElement[bool]) -> int:
    """Find them without locks first: MySQL's DELETE would wait for every row that a running batch has just written."""
    async with engine.connect() as connection:
        found = (await connection.execute(select(key).where(over))).scalars().all()
    forgotten = 0
    for start in range(0, len(found), _TOGETHER):
        some = key.in_(sorted(found[start : start + _TOGETHER]))
        async with engine.begin() as connection:
            forgotten += (await connection.execute(delete(key.table).where(some, over))).rowcount
    return forgotten
