"""Serving an ASGI application on a real socket."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penpay.domain.shared.errors import Overloaded
from penpay.presentation.http.errors import Refuse, refusal
from penpay.presentation.http.protocol import HttpProtocol

GRACE_SECONDS: Final = 3
"""How long requests in flight may take to be answered once we stop; whoever is slower is told to come again."""


class PortTaken(Exception):
    """Another program listens there."""


@asynccontextmanager
async def serving(app: ASGIApp, host: str, port: int, *, refuse: Refuse = refusal) -> AsyncIterator[int]:
    """Listen while the block runs; gives the port, which the system chooses if `port` is 0.

    At the end new connections are refused; requests in flight are answered within the time of grace or get 503. Signals
    are the caller's. Raises PortTaken, and OSError for an address this machine does not have or may not use.
    """
    config = uvicorn.Config(
        _told_when_cut_off(app, refuse),
        http=HttpProtocol,
        lifespan="off",
        access_log=False,
        log_config=None,  # whoever runs the program decides what logs look like
        server_header=False,
        proxy_headers=False,  # whose word about a caller's address is taken is a setting of ours
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    with _listener(host, port) as listener:
        await server.startup(sockets=[listener])
        try:
            yield listener.getsockname()[1]
        finally:
            await server.shutdown(sockets=[listener])


def _told_when_cut_off(app: ASGIApp, refuse: Refuse) -> ASGIApp:
    """The application, answering 503 for a request that the server gives up because it stops."""

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await app(scope, receive, noted)
        except asyncio.CancelledError:
            if started:
                raise
            stopping = Overloaded("The system is stopping; send the request again with the same idempotency key.")
            await refuse(Request(scope), stopping)(scope, receive, send)

    return told


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Or a restart would have to wait until the kernel has forgotten the connections of the process before.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as refused:
        listener.close()
        if refused.errno == errno.EADDRINUSE:
            raise PortTaken(f"{host}:{port}") from None
        raise
    return listener
