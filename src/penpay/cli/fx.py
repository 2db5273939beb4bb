"""`penpay fx`: exchange rates, entered by one operator and approved by another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import typer

from penpay.application.payments.fx import ApproveRate, EnterRate, parse_mid
from penpay.application.payments.rows import FxRate
from penpay.application.payments.views import moment
from penpay.cli.output import AsJson, Json, show_json, show_table
from penpay.cli.session import books, moment_given, opened, run
from penpay.domain.shared.ids import FxRateId
from penpay.domain.shared.money import Currency
from penpay.infrastructure.sql.fx import SqlFxRates

By = Annotated[str, typer.Option("--by", help="Your operator's handle.")]


def commands() -> typer.Typer:
    app = typer.Typer(help="Exchange rates.", no_args_is_help=True)
    app.command("set")(enter)
    app.command("enter", hidden=True)(enter)
    app.command("approve")(approve)
    app.command("show")(show)
    return app


def enter(
    rate: Annotated[str, typer.Argument(help="The mid rate, such as 129.5: KES for one USD.")],
    *,
    by: By,
    source: Annotated[str, typer.Option(help="Where you read it.")],
    base: Annotated[str, typer.Option(help="The currency that is priced.")] = Currency.USD.value,
    quote: Annotated[str, typer.Option(help="The currency it is priced in.")] = Currency.KES.value,
    valid_from: Annotated[
        datetime | None,
        typer.Option(parser=moment_given, metavar="MOMENT", help="From when it holds; now, unless given."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Enter a rate; it counts once somebody else has approved it."""
    entered = run(_enter(rate, (base, quote), source=source, by=by, valid_from=valid_from))
    _told(entered, as_json=as_json)


def approve(
    rate_id: Annotated[UUID, typer.Argument(help="The id `fx set` told.")],
    *,
    by: By,
    confirm_move: Annotated[
        bool, typer.Option("--confirm-move", help="It is far from the last rate, and right all the same.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Approve a rate somebody else entered."""
    _told(run(_approve(FxRateId(rate_id), by, confirm_move=confirm_move)), as_json=as_json)


def show(
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show the newest rates, approved or not."""
    rates = run(_newest(limit))
    if as_json:
        show_json([_view(rate) for rate in rates])
        return
    show_table(
        ("id", "pair", "rate amount", "source", "valid from", "entered by", "approved by"),
        [
            (
                str(rate.id),
                f"{rate.base.value}/{rate.quote.value}",
                _mid(rate),
                rate.source,
                str(moment(rate.valid_from)),
                rate.entered_by,
                rate.approved_by or "(nobody)",
            )
            for rate in rates
        ],
    )


async def _enter(rate: str, pair: tuple[str, str], *, source: str, by: str, valid_from: datetime | None) -> FxRate:
    base, quote = pair
    command = EnterRate(
        base=Currency.parse(base),
        quote=Currency.parse(quote),
        mid_e8=parse_mid(rate),
        source=source,
        entered_by=by,
        valid_from=valid_from,
    )
    async with opened() as system:
        entered: FxRate = await system.executor.execute(command)
    return entered


async def _approve(rate_id: FxRateId, by: str, *, confirm_move: bool) -> FxRate:
    async with opened() as system:
        approved: FxRate = await system.executor.execute(
            ApproveRate(rate_id=rate_id, approved_by=by, confirm_move=confirm_move)
        )
    return approved


async def _newest(limit: int) -> Sequence[FxRate]:
    async with books() as engine:
        return await SqlFxRates(engine).newest(limit)


def _told(rate: FxRate, *, as_json: bool) -> None:
    if as_json:
        show_json(_view(rate))
        return
    state = "approved" if rate.approved_by else "waits for somebody else's approval"
    typer.echo(f"{rate.id}  1 {rate.base.value} = {_mid(rate)} {rate.quote.value}, {state}")


def _mid(rate: FxRate) -> str:
    return f"{Decimal(rate.mid_e8).scaleb(-8).normalize():f}"


def _view(rate: FxRate) -> Mapping[str, Json]:
    return {
        "id": str(rate.id),
        "base": rate.base.value,
        "quote": rate.quote.value,
        "mid": _mid(rate),
        "mid_e8": rate.mid_e8,
        "source": rate.source,
        "valid_from": moment(rate.valid_from),
        "entered_by": rate.entered_by,
        "approved_by": rate.approved_by,
        "approved_at": moment(rate.approved_at),
    }
