"""`penpay tx`: the whole story of one transaction."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from penpay.application.payments.queries import Story
from penpay.application.payments.views import moment, story_view
from penpay.cli.output import AsJson, show_json
from penpay.cli.session import books, fail, run
from penpay.domain.shared.ids import TransactionId
from penpay.infrastructure.sql.story import SqlStories


def commands() -> typer.Typer:
    app = typer.Typer(help="Transactions.", no_args_is_help=True)
    app.command("show")(show)
    app.callback()(lambda: None)
    return app


def show(
    transaction_id: Annotated[UUID, typer.Argument(help="The transaction's id.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Tell all that happened to a transaction, in order: events, evidence, journals, callbacks, reviews, audit."""
    story = run(_story(TransactionId(transaction_id)))
    if story is None:
        fail("not_found", "There is no such transaction.")
    if as_json:
        show_json(story_view(story))
        return
    found = story.transaction
    typer.echo(f"{found.type.value} {found.id}  {found.status.value}")
    typer.echo(f"{found.quote.usd} at Deriv {found.deriv_login_id}, {found.quote.kes} at M-Pesa")
    for line in story.lines:
        typer.echo(f"{moment(line.at)}  {line.kind:<9} {line.text}")


async def _story(transaction_id: TransactionId) -> Story | None:
    async with books() as engine:
        return await SqlStories(engine).story(transaction_id)
