"""`penpay collections shifts`, `shift` and `locks`: the drawers of cashiers, and which days are closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from penpay.application.collections.views import View
from penpay.cli.collections_story import bare
from penpay.cli.output import AsJson, show_json, show_table
from penpay.cli.session import books, fail, run
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.collections_period import SqlPeriods
from penpay.infrastructure.sql.collections_shifts import SqlShifts

Newest = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, newest first.")]
_FIGURES = (
    "float", "cash_taken", "cash_returned", "cash_in", "cash_out", "expected", "counted", "difference", "mpesa",
)  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Add the three."""
    app.command("shifts")(shifts)
    app.command("shift")(shift)
    app.command("locks")(locks)


def shifts(*, limit: Newest = 20, as_json: AsJson = False) -> None:
    """Cashiers' shifts, and what was missing or too much in their drawers."""
    found = run(_shifts(limit))
    if as_json:
        show_json(found)
        return
    names = ("shift", "cashier", "opened", "state", "KES expected", "counted", "difference")
    rows = [
        (*_texts(one, "shift_id", "cashier", "opened_at", "state"), *_amounts(one, "expected", "counted", "difference"))
        for one in found
    ]
    show_table(names, rows, whole={"shift", "state"}, figures=set(names[4:]))


def shift(
    number: Annotated[str, typer.Argument(metavar="SHIFT", help="Such as SHIFT-001.")], *, as_json: AsJson = False
) -> None:
    """The report of one shift: what its drawer should hold, what was counted, and what moved without a sale."""
    found = run(_shift(number))
    if found is None:
        fail("shift_not_found", "There is no such shift.")
    if as_json:
        show_json(found)
        return
    typer.echo(f"{found['shift_id']} of {found['cashier']}, {str(found['state']).lower()}")
    show_table(("", "KES"), [(name.replace("_", " "), *_amounts(found, name)) for name in _FIGURES], figures={"KES"})
    movements: Any = found["movements"]
    moved = [
        (*_texts(one, "moved_at", "direction", "purpose", "reason"), *_amounts(one, "amount")) for one in movements
    ]
    if moved:
        show_table(("moved", "direction", "purpose", "reason", "KES"), moved, figures={"KES"})


def locks(*, limit: Newest = 20, as_json: AsJson = False) -> None:
    """Through which day the books are locked, and who asked for that and approved it."""
    through, found = run(_locks(limit))
    if as_json:
        show_json({"locked_through": through, "locks": found})
        return
    typer.echo(f"Locked through {through}." if through else "Nothing is locked.")
    names = ("through", "state", "proposed by", "approved or rejected by", "reason")
    show_table(names, [_texts(one, "through", "state", "proposed_by", "decided_by", "reason") for one in found])


async def _shifts(limit: int) -> Sequence[View]:
    async with books() as engine:
        return (await SqlShifts(engine).shifts(limit)).items


async def _shift(number: str) -> View | None:
    async with books() as engine:
        return await SqlShifts(engine).shift(number)


async def _locks(limit: int) -> tuple[str | None, Sequence[View]]:
    async with books() as engine:
        periods = SqlPeriods(engine)
        through = await periods.locked_through()
        return None if through is None else through.isoformat(), (await periods.locks(limit)).items


def _texts(view: Mapping[str, object], *names: str) -> tuple[str, ...]:
    return tuple(str(view[name] or "") for name in names)


def _amounts(view: Mapping[str, object], *names: str) -> tuple[str, ...]:
    return tuple(_kes(view[f"{name}_cents"]) for name in names)


def _kes(cents: object) -> str:
    return bare(Money(cents, Currency.KES)) if isinstance(cents, int) else ""
