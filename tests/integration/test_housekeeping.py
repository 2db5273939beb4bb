"""What is forgotten, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.housekeeping import forget_expired_keys
from penpay.infrastructure.sql.migrations import upgrade
from penpay.infrastructure.sql.tables import idempotency_keys
from tests.support.engines import EVERY

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize("name", EVERY)
async def test_only_expired_idempotency_keys_are_forgotten(name: str, request: pytest.FixtureRequest) -> None:
    """A key that has run out goes; one with a minute left stays and still replays its answer."""
    engine = open_engine(request.getfixturevalue(f"{name}_url"))
    await upgrade(engine)
    rows = [
        {
            "key_hash": name,
            "caller": "user",
            "route": "deposits",
            "field_digests": "{}",
            "status": 202,
            "answer": "{}",
            "created_at": NOW - timedelta(hours=24),
            "expires_at": expires_at,
        }
        for name, expires_at in (("over", NOW), ("alive", NOW + timedelta(minutes=1)))
    ]
    async with engine.begin() as connection:
        await connection.execute(insert(idempotency_keys), rows)

    forgotten = await forget_expired_keys(engine, NOW)

    async with engine.connect() as connection:
        kept = [row.key_hash for row in await connection.execute(select(idempotency_keys.c.key_hash))]
    await engine.dispose()
    assert forgotten == 1
    assert kept == ["alive"]
