"""Whether this process can do its work, for load balancers and people."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.shared.executor import Executor
from penpay.presentation.http.routes.shapes import HealthBody
from penpay.presentation.http.system import system_of

router = APIRouter(tags=["health"])

PATIENCE_SECONDS: Final = 3
STUCK_AFTER_MS: Final = 10_000
"""A batch takes milliseconds; one that takes so long waits for a database that does not commit."""


class Examined(Protocol):
    """A process as far as its health goes."""

    @property
    def executor(self) -> Executor: ...

    async def schema_is_current(self) -> bool:
        """Whether the database's schema is the one this code was written for."""
        ...


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", responses={200: {"model": HealthBody}, 503: {"model": HealthBody}})
async def health(request: Request) -> Response:
    """200 when the database answers with the schema this code was written for, and commits; 503 otherwise."""
    return await examine(system_of(request))


async def examine(system: Examined) -> Response:
    """What `/healthz` says of a process."""
    database, current = "ok", False
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            current = await system.schema_is_current()
    except Exception as fault:  # noqa: BLE001  (whatever keeps the database from answering is the finding)
        logging.getLogger(__name__).warning("the database does not answer: %s", type(fault).__name__)
        database = "unreachable"
    if system.executor.busy_ms > STUCK_AFTER_MS:
        database = "not committing"
    healthy = current and database == "ok"
    view = {
        "status": "ok" if healthy else "degraded",
        "database": database,
        "schema_current": current,
        "queued": system.executor.queued,
    }
    return Response(orjson.dumps(view), status_code=200 if healthy else 503, media_type="application/json")
