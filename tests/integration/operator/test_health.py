"""Whether a process of the operator can do its work, as a load balancer asks."""

from __future__ import annotations

from tests.integration.operator.stage import Stage, read


async def test_health_is_told_without_a_token_until_the_database_is_gone(stage: Stage) -> None:
    """200 while commands commit, 503 once the schema cannot be read."""
    client = stage.caller().client

    healthy = await client.get("/healthz")
    await stage.process.stop()
    async with stage.process.engine.begin() as connection:
        await connection.exec_driver_sql("DROP TABLE alembic_version")
    ill = await client.get("/healthz")

    assert (200, "ok") == (healthy.status_code, read(healthy)["status"])
    assert (503, "degraded") == (ill.status_code, read(ill)["status"])
