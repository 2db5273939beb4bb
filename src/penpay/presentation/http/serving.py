"""Serving an ASGI application on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp


class PortTaken(Exception):
    """Another program listens there."""


@asynccontextmanager
async def serving(app: ASGIApp, host: str, port: int) -> AsyncIterator[None]:
    """Listen while the block runs. Raises PortTaken. Signals are the caller's."""
    config = uvicorn.Config(
        app, host=host, port=port, lifespan="off", access_log=False, log_level="warning", server_header=False
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    try:
        await server.startup()
    except SystemExit:  # uvicorn ends the program when it cannot bind
        raise PortTaken(f"{host}:{port}") from None
    if not server.started:
        raise PortTaken(f"{host}:{port}")
    try:
        yield
    finally:
        await server.shutdown()
