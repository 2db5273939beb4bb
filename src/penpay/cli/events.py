"""`penpay events`: reading events in the order of their positions, and proving that everything follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from penpay.application.shared.publishing import PositionedEvent
from penpay.application.shared.replaying import Replay
from penpay.cli.output import AsJson, show_json, show_table
from penpay.cli.session import FAILED, books, run
from penpay.infrastructure.sql.publication import SqlEventLog
from penpay.infrastructure.sql.replay import SqlHistory


def commands() -> typer.Typer:
    app = typer.Typer(help="Domain events.", no_args_is_help=True)
    app.command("list")(list_)
    app.command("replay")(replay)
    return app


def list_(
    *,
    after: Annotated[int, typer.Option(help="The position of the last event you have.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="How many events at most.", min=1, max=10_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """Show the events that follow a position; positions have no gaps, so nothing is lost between two calls."""
    found = run(_list(after, limit))
    if as_json:
        show_json([_row(event) for event in found])
        return
    show_table(
        ("position", "recorded at", "event", "of", "id"),
        [
            (
                str(position),
                stored.recorded_at.isoformat(timespec="seconds"),
                stored.event.name,
                stored.event.aggregate_type,
                str(stored.event.aggregate_id),
            )
            for position, stored in found
        ],
    )


def replay(
    *,
    check: Annotated[  # noqa: ARG001  (required: replaying does nothing but compare, and the command says so)
        bool, typer.Option("--check", help="Compare with the tables; nothing is written.")
    ],
    as_json: AsJson = False,
) -> None:
    """Fold events into every transaction and entries into every balance; exit status 1 when a table says otherwise."""
    found = run(_replay())
    if as_json:
        show_json({"agrees": not found.differences, **asdict(found)})
    else:
        typer.echo(
            f"Replayed {found.events} events into {found.transactions} transactions,"
            f" and {found.entries} entries into {found.accounts} accounts."
        )
        if found.differences:
            show_table(
                ("of", "id or code", "field", "kept", "replayed"),
                [(one.subject_type, one.subject, one.field, one.kept, one.replayed) for one in found.differences],
            )
        else:
            typer.echo("The tables say the same.")
    if found.differences:
        raise typer.Exit(FAILED)


async def _list(after: int, limit: int) -> Sequence[PositionedEvent]:
    async with books() as engine:
        return await SqlEventLog(engine).after(after, limit)


async def _replay() -> Replay:
    async with books() as engine:
        return await SqlHistory(engine).check()


def _row(found: PositionedEvent) -> dict[str, object]:
    event = found.stored.event
    return {
        "position": found.position,
        "id": str(found.stored.id),
        "event": event.name,
        "schema_version": event.schema_version,
        "aggregate_type": event.aggregate_type,
        "aggregate_id": str(event.aggregate_id),
        "sequence": event.sequence,
        "recorded_at": found.stored.recorded_at.isoformat(),
        "payload": dict(event.payload),
    }
