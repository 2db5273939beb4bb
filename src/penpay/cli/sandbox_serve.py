"""Serving the sandbox: ready without any setting, and as the settings say where there are some."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import uvloop
from sqlalchemy.engine import make_url

from penpay.bootstrap import Ports, Sandbox, make_folder, real_ports
from penpay.cli.kept_secrets import KEYS, drawn, kept
from penpay.cli.sandbox_adjust import Time, parse_time
from penpay.cli.sandbox_welcome import Welcome, show_welcome
from penpay.cli.serving import address_told, run_until_interrupted
from penpay.cli.session import fail
from penpay.config import AppEnv, SandboxSettings, environment, load_sandbox_settings
from penpay.demo.world import AGENT_LOGIN_ID, seed_sandbox
from penpay.infrastructure.system import tune_garbage_collection
from penpay.infrastructure.telemetry.logs import log_as_json
from penpay.presentation.http.serving import PortTaken, serving
from penpay.sandbox.controls import Chance, Controls, SandboxClock
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.deriv.limits import RateLimits
from penpay.sandbox.log import RequestLog
from penpay.sandbox.seeds import NUMBERS, PASSKEY, SHORT_CODE, seed

_HOST: Final = "127.0.0.1"
_DEFAULTS: Final[Mapping[str, str]] = {
    "MPESA_SHORT_CODE": SHORT_CODE,
    "MPESA_PASSKEY": PASSKEY,
    "MPESA_BASE_URL": f"http://{_HOST}:6700",
    "DERIV_ENDPOINT": f"ws://{_HOST}:6800",
    "DERIV_LOGIN_ID": AGENT_LOGIN_ID,
}
_CREDENTIALS: Final = ("MPESA_CONSUMER_KEY", "MPESA_CONSUMER_SECRET", "DERIV_TOKEN")
"""What a client must know; drawn where it is not set."""
_OWN_DATABASE: Final = "sqlite+aiosqlite:///var/sandbox.db"
"""Where no keys are set: not the database of `penpay operator serve`, which is a product of its own."""


def serve(port: int | None, deriv_port: int | None, *, with_log: bool, seed: int | None, time: str | None) -> None:
    """Serve Daraja and the Deriv simulator until interrupted; a port that is given goes before the settings'."""
    begins_at = None if time is None else parse_time(time)
    tune_garbage_collection()
    log_as_json()
    # The steps of a first start would stand between the reader and what she is told.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    uvloop.install()
    ports = real_ports()
    controls = Controls(SandboxClock(ports.clock), Chance(ports.random, seed))
    run_until_interrupted(_sandbox(port, deriv_port, ports, controls, begins_at, with_log=with_log))


async def _sandbox(
    port: int | None, deriv_port: int | None, ports: Ports, controls: Controls, time: Time | None, *, with_log: bool
) -> None:
    if time is not None:
        time.set(controls.clock)
    given = {name: value for name, value in environment().items() if value}
    settings = _settings(given)
    make_folder(settings.operator_database_url)
    make_folder(settings.deriv_sandbox_database_url)
    daraja, deriv = urlsplit(settings.mpesa_base_url), urlsplit(settings.deriv_endpoint)
    if {daraja.hostname, deriv.hostname} - {_HOST, "localhost"}:
        fail("not_loopback", "The sandbox asks for no credential on its own routes, so it listens on 127.0.0.1 only.")
    async with AsyncExitStack() as stack:
        log = stack.enter_context(RequestLog(_log_file(settings), ports.clock)) if with_log else None
        http = ports.http
        world = Sandbox(
            settings,
            ports if log is None else replace(ports, http=lambda: log.watching(http())),
            switches=DarajaSwitches(),
            deriv_url=settings.deriv_sandbox_database_url,
            deriv_limits=RateLimits(),
            short_codes=[number.short_code for number in NUMBERS],
            controls=controls,
        )
        stack.push_async_callback(world.stop)
        await world.start()
        await seed_sandbox(world, settings)
        await seed(world.operator)
        app = world.create_app() if log is None else log.around(world.create_app())
        with address_told("MPESA_BASE_URL"):
            at = await stack.enter_async_context(serving(app, _HOST, _first(port, daraja.port, 80)))
        with address_told("DERIV_ENDPOINT"):
            deriv_at = await _listen(stack, world, _first(deriv_port, deriv.port, 80))
        show_welcome(
            Welcome(
                settings=settings,
                given=frozenset(given),
                url=f"http://{_HOST}:{at}",
                deriv_url=f"ws://{_HOST}:{deriv_at}",
                at=world.clock.now(),
                log_file=_log_file(settings) if with_log else None,
            )
        )
        await asyncio.Event().wait()


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


async def _listen(stack: AsyncExitStack, world: Sandbox, port: int) -> int:
    try:
        return await stack.enter_async_context(world.deriv.serve(_HOST, port))
    except OSError as refused:
        if refused.errno == errno.EADDRINUSE:
            raise PortTaken(f"{_HOST}:{port}") from None
        raise


def _settings(given: Mapping[str, str]) -> SandboxSettings:
    """The settings, with what is missing chosen, or drawn and kept beside an embedded database.

    In production, and on a server's database, nothing is drawn: there InvalidSettings is raised.
    """
    known = {**_DEFAULTS, **given}
    missing = [name for name in _CREDENTIALS if name not in given]
    if not any(name in given for name in KEYS):
        known = {"OPERATOR_DATABASE_URL": _OWN_DATABASE, **known}
        missing += KEYS
    if not missing:
        return load_sandbox_settings(known)
    random = real_ports().random
    found = load_sandbox_settings({**known, **drawn(random, missing)})
    url = make_url(found.operator_database_url)
    if found.app_env is AppEnv.PRODUCTION or url.get_backend_name() != "sqlite" or not url.database:
        return load_sandbox_settings(known)
    return load_sandbox_settings({**known, **kept(Path(f"{url.database}.keys"), missing, random, "sandbox")})


def _log_file(settings: SandboxSettings) -> Path | None:
    """Beside an embedded database; of a server's nothing is beside."""
    url = make_url(settings.operator_database_url)
    return Path(f"{url.database}.log") if url.get_backend_name() == "sqlite" and url.database else None
