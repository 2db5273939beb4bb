"""`penpay db`: the schema's revision."""

from __future__ import annotations

import typer

from penpay.cli.output import AsJson, show_json
from penpay.cli.session import FAILED, database, run
from penpay.infrastructure.sql import migrations


def commands() -> typer.Typer:
    app = typer.Typer(help="The database's schema.", no_args_is_help=True)
    app.command("migrate")(migrate)
    app.command("status")(status)
    return app


def migrate(*, as_json: AsJson = False) -> None:
    """Bring the database to this version's schema; a repeat changes nothing."""
    revision = run(_migrate())
    if as_json:
        show_json({"revision": revision})
    else:
        typer.echo(f"The database is in revision {revision}.")


def status(*, as_json: AsJson = False) -> None:
    """Tell the database's revision and this version's; exit status 1 unless they are the same."""
    found, wanted = run(_revision()), migrations.head()
    if as_json:
        show_json({"revision": found, "head": wanted, "current": found == wanted})
    else:
        typer.echo(f"The database is in revision {found or 'none'}, this version needs {wanted}.")
    if found != wanted:
        raise typer.Exit(FAILED)


async def _migrate() -> str:
    async with database() as engine:
        await migrations.upgrade(engine)
    return migrations.head()


async def _revision() -> str | None:
    async with database() as engine:
        return await migrations.revision_of(engine)
