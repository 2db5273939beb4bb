"""`penpay reviews`: what waits for people to decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from penpay.application.payments.rows import Review
from penpay.application.payments.views import moment
from penpay.cli.output import AsJson, show_json, show_table
from penpay.cli.session import books, run
from penpay.infrastructure.sql.queries import SqlPaymentBooks


def commands() -> typer.Typer:
    app = typer.Typer(help="What waits for people.", no_args_is_help=True)
    app.command("list")(list_)
    return app


def list_(
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, longest waiting first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the open reviews, the longest waiting first."""
    reviews = run(_reviews(limit))
    if as_json:
        show_json(
            [
                {
                    "id": str(review.id),
                    "transaction_id": None if review.transaction_id is None else str(review.transaction_id),
                    "reason": review.reason.value,
                    "amount_cents": review.amount.cents,
                    "currency": review.amount.currency.value,
                    "opened_at": moment(review.opened_at),
                    "facts": dict(review.facts),
                }
                for review in reviews
            ]
        )
    elif reviews:
        show_table(
            ("opened", "reason", "amount", "transaction"),
            [
                (
                    str(moment(review.opened_at)),
                    review.reason.value,
                    str(review.amount),
                    str(review.transaction_id or ""),
                )
                for review in reviews
            ],
        )
    else:
        typer.echo("Nothing waits for people.")


async def _reviews(limit: int) -> Sequence[Review]:
    async with books() as engine:
        return await SqlPaymentBooks(engine).reviews(limit)
