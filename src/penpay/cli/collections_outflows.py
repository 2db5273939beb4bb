"""`penpay collections outflows` and `explain-outflow`: money that left the PayBill account, and what it was for."""

from __future__ import annotations

from typing import Annotated

import typer

from penpay.application.collections.outflows import ExplainOutflow
from penpay.application.collections.queries import Page
from penpay.application.collections.views import View
from penpay.cli.collections_story import bare
from penpay.cli.output import AsJson, show_json, show_table
from penpay.cli.session import opened, run
from penpay.domain.collections.outflow import OutflowUse
from penpay.domain.shared.money import Currency, Money

_MOST = 200


def add_to(app: typer.Typer) -> None:
    """Add both commands."""
    app.command("outflows")(outflows)
    app.command("explain-outflow")(explain)


def outflows(
    *,
    use: Annotated[OutflowUse | None, typer.Option(help="What they left for; not given: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=_MOST, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show the money that left, and which of it nobody has explained."""
    page = run(_outflows(use, limit))
    if as_json:
        show_json({"outflows": list(page.items)})
    elif not page.items:
        typer.echo("Nothing has left.")
    else:
        names = ("left", "receipt", "KES", "for", "why it waits", "statement")
        whole = {"left", "receipt", "for"}
        show_table(names, [_line(one) for one in page.items], whole=whole, figures={"KES"})


async def _outflows(use: OutflowUse | None, limit: int) -> Page:
    async with opened() as system:
        return await system.outflow_books.outflows(limit, use=use)


def _line(one: View) -> tuple[str, ...]:
    return (
        str(one["left_at"]),
        str(one["mpesa_receipt_number"]),
        bare(Money(int(str(one["amount_cents"])), Currency.KES)),
        str(one["use"]),
        str(one["reason"] or ""),
        str(one["told"]),
    )


def explain(
    receipt: Annotated[str, typer.Argument(help="M-Pesa's receipt of what left.")],
    *,
    use: Annotated[OutflowUse, typer.Option(help="BANK, CHARGE, EXPENSE or OWNER.")],
    by: Annotated[str, typer.Option("--by", help="Who asks, for the audit trail.")] = "cli",
    as_json: AsJson = False,
) -> None:
    """Say what money that left was for; said otherwise later, it moves there."""
    view = run(_explain(ExplainOutflow(receipt=receipt, use=use, by=by)))
    if as_json:
        show_json(dict(view))
    else:
        typer.echo(f"{Money(int(str(view['amount_cents'])), Currency.KES)} of {receipt} are {view['use']}.")


async def _explain(command: ExplainOutflow) -> View:
    async with opened() as system:
        view: View = await system.executor.execute(command)
        return view
