"""`penpay serve`: our API and workers in one process. `penpay sandbox`: an operator and a Deriv to run it against."""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import typer
import uvloop

from penpay.bootstrap import Sandbox, build, make_folder, real_ports
from penpay.cli.session import fail, run
from penpay.config import load_settings
from penpay.demo.world import LOGIN_ID, PHONE, PIN, seed_sandbox
from penpay.infrastructure.system import tune_garbage_collection
from penpay.infrastructure.telemetry.logs import log_as_json
from penpay.presentation.http.app import bind, create_app
from penpay.presentation.http.serving import PortTaken, serving
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.deriv.limits import RateLimits


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


def sandbox() -> None:
    """Serve an M-Pesa operator with Daraja, and a Deriv, where MPESA_BASE_URL and DERIV_ENDPOINT point."""
    log_as_json()
    uvloop.install()
    run_until_interrupted(_sandbox())


async def _sandbox() -> None:
    settings = load_settings()
    make_folder(settings.operator_database_url)
    make_folder(settings.deriv_sandbox_database_url)
    daraja, deriv = urlsplit(settings.mpesa_base_url), urlsplit(settings.deriv_endpoint)
    if {daraja.hostname, deriv.hostname} - {"127.0.0.1", "localhost"}:
        fail("not_loopback", "The sandbox asks for no credential on its own routes, so it listens on 127.0.0.1 only.")
    async with AsyncExitStack() as stack:
        world = Sandbox(
            settings,
            real_ports(),
            switches=DarajaSwitches(),
            deriv_url=settings.deriv_sandbox_database_url,
            deriv_limits=RateLimits(),
        )
        stack.push_async_callback(world.stop)
        await world.start()
        await seed_sandbox(world, settings)
        with address_told("MPESA_BASE_URL"):
            await stack.enter_async_context(serving(world.create_app(), "127.0.0.1", daraja.port or 80))
        with address_told("DERIV_ENDPOINT"):
            await _listen(stack, world, deriv.port or 80)
        typer.echo(
            f"M-Pesa sandbox on {settings.mpesa_base_url}, Deriv simulator on {settings.deriv_endpoint}.\n"
            f"Subscriber {PHONE.msisdn} has PIN {PIN}; Deriv client {LOGIN_ID}. "
            f"Her handset: GET {settings.mpesa_base_url}/sandbox/phones/{PHONE.msisdn}"
        )
        await asyncio.Event().wait()


@contextmanager
def address_told(setting: str) -> Iterator[None]:
    """An address that this machine does not have, does not know or may not use becomes one line."""
    try:
        yield
    except (OSError, UnicodeError) as refused:
        why = refused.strerror if isinstance(refused, OSError) else "it is no name of a machine"
        fail("address_unusable", f"{setting} cannot be listened at: {why}.")


async def _listen(stack: AsyncExitStack, world: Sandbox, port: int) -> None:
    try:
        await stack.enter_async_context(world.deriv.serve("127.0.0.1", port))
    except OSError as refused:
        if refused.errno == errno.EADDRINUSE:
            raise PortTaken(f"127.0.0.1:{port}") from None
        raise


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
