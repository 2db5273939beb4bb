"""The schema's history: brings a database to the newest revision, and refuses one this code was not written for.

Alembic keeps the revisions and the version table. Its module-level `op` is not used: two databases migrated in one
interpreter at the same time would write through each other's, so each revision's `upgrade` is handed its own.
"""

from __future__ import annotations

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql.engine import reading, translated

_ADVISORY_LOCK = 0x70656E706179
"""The bytes of "penpay" as a number; PostgreSQL's advisory locks are named by numbers."""


class WrongSchema(Exception):
    """This code must not work on this database; the message says what to do."""


class SchemaBehind(WrongSchema):
    """The schema is older than the code."""


class SchemaAhead(WrongSchema):
    """The schema is newer than the code, which does not know its revision."""


def head() -> str:
    """The revision this code is written for."""
    (newest,) = _scripts().get_heads()
    return newest


async def revision_of(engine: AsyncEngine) -> str | None:
    """The revision a database is in; None for one that was never migrated."""
    async with reading(engine).connect() as connection:
        return await connection.run_sync(_revision)


async def upgrade(engine: AsyncEngine) -> None:
    """Bring a database, made by `open_engine`, to `head()` in one transaction; a repeat changes nothing.

    Two processes at once: one migrates, the other waits and finds nothing to do. Raises SchemaAhead for a newer
    schema, and Transient when the database or a lock on it cannot be had, after which nothing has changed.
    """
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    except DBAPIError as error:
        raise translated(error) from error


async def require_current(engine: AsyncEngine) -> None:
    """Raises SchemaBehind or SchemaAhead unless the database is exactly in `head()`."""
    found, wanted = await revision_of(engine), head()
    if found == wanted:
        return
    _require_known(found)
    raise SchemaBehind(
        f"The database is in revision {found or 'none'} and this version needs {wanted}: run `penpay db migrate`."
    )


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # The first lock may wait for a whole migration elsewhere; the migration's own must not make the system wait.
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": _ADVISORY_LOCK})
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
    current = _revision(connection)
    _require_known(current)
    scripts = _scripts()
    context = MigrationContext.configure(connection)
    operations = Operations(context)
    for script in reversed(list(scripts.iterate_revisions("head", current or "base"))):
        script.module.upgrade(operations)
        context.stamp(scripts, script.revision)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _require_known(revision: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaAhead(f"The database is in revision {revision}, which this version does not know: run a newer one.")


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).parent))
