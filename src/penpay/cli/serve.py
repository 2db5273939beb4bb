"""`penpay serve`: our API and workers in one process."""

from __future__ import annotations

from contextlib import AsyncExitStack

import typer
import uvloop

from penpay.bootstrap import build, make_folder
from penpay.cli.serving import address_told, run_until_interrupted
from penpay.cli.session import fail
from penpay.config import load_settings
from penpay.infrastructure.system import tune_garbage_collection
from penpay.infrastructure.telemetry.logs import log_as_json
from penpay.presentation.http.app import bind, create_app
from penpay.presentation.http.serving import serving


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
