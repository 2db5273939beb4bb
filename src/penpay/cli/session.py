"""What every command shares: opening the database or the program for one command, and failing without a traceback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import typer
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.shared.unit_of_work import Transient
from penpay.config import InvalidSettings, load_database_settings, load_settings
from penpay.domain.shared.errors import DomainError
from penpay.infrastructure.security.field_cipher import UnopenableField
from penpay.infrastructure.sql.engine import open_engine, reading
from penpay.infrastructure.sql.migrations import SchemaAhead, SchemaBehind, require_current

if TYPE_CHECKING:
    from penpay.bootstrap import System

T = TypeVar("T")

FAILED: Final = 1


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run one command's work to its end; whatever an operator can act on becomes one line and exit status 1."""
    try:
        return asyncio.run(work)
    except DomainError as refusal:
        fail(refusal.code, refusal.message)
    except InvalidSettings as refusal:
        fail("invalid_settings", str(refusal))
    except SchemaBehind as refusal:
        fail("schema_behind", str(refusal))
    except SchemaAhead as refusal:
        fail("schema_ahead", str(refusal))
    except UnopenableField as refusal:
        fail("wrong_keys", f"{refusal} Are PENPAY_FIELD_KEYS those of this database?")
    except (Transient, DBAPIError, OSError) as failure:
        # The driver's words may quote rows or the address, so only the kind of failure is told.
        kind = type(failure.orig if isinstance(failure, DBAPIError) else failure).__name__
        fail("database_unavailable", f"The database cannot be used now ({kind}).")


def fail(code: str, message: str) -> NoReturn:
    """End the command with a stable code for scripts and a message for people."""
    typer.echo(f"error: {code}: {message}", err=True)
    raise typer.Exit(FAILED)


@asynccontextmanager
async def database() -> AsyncIterator[AsyncEngine]:
    """The database in whatever schema it is, without the rest of the program; an embedded one gets its folder."""
    from penpay.bootstrap import make_folder  # noqa: PLC0415  (as in `opened`)

    url = load_database_settings().database_url
    make_folder(url)
    engine = open_engine(url)
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def books() -> AsyncIterator[AsyncEngine]:
    """The database for reading, in the schema this code is written for; none is made. Raises WrongSchema."""
    url = load_database_settings().database_url
    if _is_missing(url):
        raise SchemaBehind("There is no database yet: run `penpay db migrate`.")
    engine = open_engine(url)
    try:
        await require_current(engine)
        yield reading(engine)
    finally:
        await engine.dispose()


@asynccontextmanager
async def opened() -> AsyncIterator[System]:
    """The program with its executor and without its workers: nothing is asked of M-Pesa or Deriv."""
    # The whole program with every adapter, which commands that only read the books do not wait for.
    from penpay.bootstrap import build, make_folder  # noqa: PLC0415

    settings = load_settings()
    make_folder(settings.database_url)
    system = build(settings)
    try:
        await system.start_executor()
        yield system
    finally:
        await system.stop()


def _is_missing(url: str) -> bool:
    """Whether this is an embedded database without its file, which reading would otherwise make."""
    parsed = make_url(url)
    return parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file()


def moment_given(text: str) -> datetime:
    """Read an option such as 2026-11-20T09:00:00Z, in UTC; a moment without its zone or too far away is bad usage."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("A moment is written as 2026-11-20T09:00:00Z or with +03:00.") from None
    if moment.tzinfo is None:
        raise typer.BadParameter("A moment needs its zone, such as Z or +03:00.")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise typer.BadParameter("In UTC this moment is outside the years 1 to 9999.") from None
