"""`penpay serve`: our API and workers in one process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any

import typer
import uvloop

from penpay.bootstrap import build, make_folder
from penpay.cli.session import fail, run
from penpay.config import load_settings
from penpay.infrastructure.system import tune_garbage_collection
from penpay.infrastructure.telemetry.logs import log_as_json
from penpay.presentation.http.app import bind, create_app
from penpay.presentation.http.serving import PortTaken, serving


def serve() -> None:
    """Serve the API and run the workers until interrupted; settings come from the environment (.env.example)."""
    tune_garbage_collection()
    log_as_json()
    uvloop.install()
    run_until_interrupted(_serve())


async def _serve() -> None:
    settings = load_settings()
    make_folder(settings.database_url)
    system = build(settings)
    try:
        await system.start()
        async with AsyncExitStack() as stack:
            app = bind(create_app(), system)
            with address_told("PENPAY_HTTP_HOST and PENPAY_HTTP_PORT"):
                port = await stack.enter_async_context(serving(app, settings.http_host, settings.http_port))
            typer.echo(f"PenPay serves http://{settings.http_host}:{port} (documentation at /docs).")
            await system.failed()
            fail("failed", "A part has failed without which nothing can be served; the log says why.")
    finally:
        await system.stop()


@contextmanager
def address_told(setting: str) -> Iterator[None]:
    """An address that this machine does not have, does not know or may not use becomes one line."""
    try:
        yield
    except (OSError, UnicodeError) as refused:
        why = refused.strerror if isinstance(refused, OSError) else "it is no name of a machine"
        fail("address_unusable", f"{setting} cannot be listened at: {why}.")


def run_until_interrupted(work: Coroutine[Any, Any, None]) -> None:
    """Serve until SIGINT or SIGTERM, at whatever moment it comes; then stop in good order, with exit status 0."""
    try:
        run(_interruptible(work))
    except PortTaken as taken:
        fail("port_taken", f"Another program listens on {taken}.")


async def _interruptible(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a coroutine runs in a task")
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, task.cancel)
    with suppress(asyncio.CancelledError):
        await work
