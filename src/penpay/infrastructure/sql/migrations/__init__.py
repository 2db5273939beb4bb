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

from penpay.application.shared.unit_of_work import Transient
from penpay.infrastructure.sql import mysql
from penpay.infrastructure.sql.engine import BUSY_TIMEOUT_MS, reading, translated

_ADVISORY_LOCK = 0x70656E706179
"""The bytes of "penpay" as a number; PostgreSQL's advisory locks are named by numbers."""

_LOCK_NAME = "SHA1(CONCAT('penpay migration of ', DATABASE()))"
"""MySQL's are named by text, for the whole server."""
_LOCK_SECONDS = 60
_BEGUN = " begun"
"""What the version says after the revision's number until the revision is ended."""


class WrongSchema(Exception):
    """This code must not work on this database; the message says what to do."""


class SchemaBehind(WrongSchema):
    """The schema is older than the code."""


class MigrationInterrupted(WrongSchema):
    """A migration ended half-way on MySQL or MariaDB, where what creates and changes tables cannot be undone."""


class SchemaAhead(WrongSchema):
    """The schema is newer than the code, which does not know its revision."""


def head() -> str:
    """The revision this code is written for."""
    (newest,) = scripts().get_heads()
    return newest


async def revision_of(engine: AsyncEngine) -> str | None:
    """The revision a database is in; None for one that was never migrated."""
    async with reading(engine).connect() as connection:
        return await connection.run_sync(_revision)


async def upgrade(engine: AsyncEngine) -> None:
    """Bring a database, made by `open_engine`, to `head()` in one transaction; a repeat changes nothing.

    Two processes at once: one migrates, the other waits and finds nothing to do. Raises SchemaAhead for a newer
    schema, and Transient when the database or a lock on it cannot be had, after which nothing has changed.
    MySQL and MariaDB have no transactions for this: they raise MigrationInterrupted when a revision was begun and not
    ended, by this call or an earlier one.
    """
    try:
        if engine.dialect.name == mysql.NAME:
            async with engine.connect() as connection:
                await connection.run_sync(_upgrade_on_mysql)
            return
        if engine.dialect.name == "sqlite":
            async with engine.connect() as connection:
                await connection.run_sync(_upgrade_embedded)
            return
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    except DBAPIError as error:
        raise translated(error) from error


async def require_current(engine: AsyncEngine) -> None:
    """Raises SchemaBehind or SchemaAhead unless the database is exactly in `head()`."""
    found, wanted = await revision_of(engine), head()
    _require_ended(found)
    if found == wanted:
        return
    _require_known(found, scripts())
    raise SchemaBehind(
        f"The database is in revision {found or 'none'} and this version needs {wanted}: run `penpay db migrate`."
    )


def _upgrade_embedded(connection: Connection) -> None:
    """In one transaction, for whose beginning a whole migration elsewhere may be waited for."""
    _wait_for_others(connection, _LOCK_SECONDS * 1_000)
    try:
        with connection.begin():
            _upgrade(connection)
    finally:
        _wait_for_others(connection, BUSY_TIMEOUT_MS)


def _wait_for_others(connection: Connection, milliseconds: int) -> None:
    cursor = connection.connection.cursor()  # past SQLAlchemy, which would begin a transaction first
    cursor.execute(f"PRAGMA busy_timeout = {milliseconds}")
    cursor.close()


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # The first lock may wait for a whole migration elsewhere; the migration's own must not make the system wait.
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": _ADVISORY_LOCK})
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
    current, known = _revision(connection), scripts()
    _require_known(current, known)
    context = MigrationContext.configure(connection)
    operations = Operations(context)
    for script in reversed(list(known.iterate_revisions("head", current or "base"))):
        script.module.upgrade(operations)
        context.stamp(known, script.revision)


def _upgrade_on_mysql(connection: Connection) -> None:
    if connection.scalar(text(f"SELECT GET_LOCK({_LOCK_NAME}, {_LOCK_SECONDS})")) != 1:
        raise Transient("another migration of this database goes on")
    try:
        _upgrade_step_by_step(connection)
    finally:
        connection.execute(text(f"SELECT RELEASE_LOCK({_LOCK_NAME})"))


def _upgrade_step_by_step(connection: Connection) -> None:
    """Every statement is a transaction of its own, so the version tells of a revision that it has begun."""
    current, known = _revision(connection), scripts()
    _require_ended(current)
    _require_known(current, known)
    context = MigrationContext.configure(connection)
    context._ensure_version_table()  # noqa: SLF001  (Alembic has no other way to it)
    operations = Operations(context)
    for script in reversed(list(known.iterate_revisions("head", current or "base"))):
        _mark(connection, f"{script.revision}{_BEGUN}")
        try:
            script.module.upgrade(operations)
        except DBAPIError as error:
            raise MigrationInterrupted(_interrupted(script.revision)) from error
        _mark(connection, script.revision)


def _mark(connection: Connection, version: str) -> None:
    connection.execute(text("DELETE FROM alembic_version"))
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:version)"), {"version": version})
    connection.commit()


def _require_ended(revision: str | None) -> None:
    if revision is not None and revision.endswith(_BEGUN):
        raise MigrationInterrupted(_interrupted(revision.removesuffix(_BEGUN)))


def _interrupted(revision: str) -> str:
    return (
        f"The migration to revision {revision} was interrupted, and this database cannot undo what it had done: "
        "restore the backup made before it (a new database: drop it and create it again), then run `penpay db migrate`."
    )


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _require_known(revision: str | None, known: ScriptDirectory) -> None:
    if revision is not None and revision not in {script.revision for script in known.walk_revisions()}:
        raise SchemaAhead(f"The database is in revision {revision}, which this version does not know: run a newer one.")


def scripts() -> ScriptDirectory:
    """Every revision this code knows. Alembic runs all of their files to make the list, so one serves a whole call."""
    return ScriptDirectory(str(Path(__file__).parent))
