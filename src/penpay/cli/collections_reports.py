"""`penpay collections verify` and `report`: proving the books of Collections, and reading them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

import typer

from penpay.application.collections.reports import AgeingPage, BookError, DailyCollection
from penpay.application.collections.statements import Ageing
from penpay.application.wallet.balance_sheet import BalanceSheet, balance_sheet
from penpay.application.wallet.reports import AccountRow, ProfitAndLoss
from penpay.cli.collections_story import bare
from penpay.cli.output import AsJson, show_json, show_table
from penpay.cli.session import FAILED, books, run
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.nairobi import nairobi_day
from penpay.infrastructure.sql.collections_checks_totals import CHECKS
from penpay.infrastructure.sql.collections_reports import SqlCollectionsReports
from penpay.infrastructure.sql.ledger_checks import CHECKS as LEDGER_CHECKS
from penpay.infrastructure.sql.ledger_reports import SqlLedgerReports
from penpay.infrastructure.system import SystemClock
from penpay.presentation.documents.balance_sheet import balance_sheet_csv, lines_of
from penpay.presentation.http.routes import report_views as views

_WHOLE = 1_000_000
"""Customers on one page: all of them."""
_YEARS = range(2000, 2200)
"""Days of other years are slips of the pen."""


def _day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = date.min
    if found.year not in _YEARS:
        raise typer.BadParameter("A day is written as 2026-02-03.")
    return found


First = Annotated[
    date | None, typer.Option("--from", parser=_day, metavar="DAY", help="The first day; not given: of that month.")
]
Last = Annotated[
    date | None, typer.Option("--to", parser=_day, metavar="DAY", help="The last day, which counts too; today.")
]


def add_to(app: typer.Typer) -> None:
    """Add `verify` and the group `report`."""
    app.command("verify")(verify)
    reports = typer.Typer(help="Reports.", no_args_is_help=True)
    reports.command("trial-balance")(trial_balance)
    reports.command("balance-sheet")(show_balance_sheet)
    reports.command("aging")(aging)
    reports.command("ageing", hidden=True)(aging)
    reports.command("daily")(daily)
    reports.command("pnl")(profit_and_loss)
    app.add_typer(reports, name="report")


def verify(*, as_json: AsJson = False) -> None:
    """Prove the books, customer by customer and in total; exit status 1 with what differs."""
    errors = run(_verify())
    if as_json:
        show_json(views.verify_view(errors))
    elif errors:
        show_table(
            ("check", "subject", "account", "journal", "what is wrong", "difference amount"),
            [(one.check, one.subject, one.account, one.journal, one.detail, str(one.difference)) for one in errors],
        )
        typer.echo(f"{len(errors)} {'thing does' if len(errors) == 1 else 'things do'} not hold.")
    else:
        rules = len(CHECKS) + len(LEDGER_CHECKS) + 1
        typer.echo(
            f"The books hold: {rules} rules over every customer, invoice, payment, sale, message, journal and account,"
            " and nothing differs."
        )
    if errors:
        raise typer.Exit(FAILED)


def trial_balance(
    *,
    as_of: Annotated[
        date | None, typer.Option(parser=_day, metavar="DAY", help="As this day left the books; not given: now.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Every account with its balance on its side, and the totals of each currency."""
    rows = run(_trial_balance(as_of))
    if as_json:
        show_json(views.trial_balance_view(rows, as_of))
        return
    currencies = sorted({row.balance.currency for row in rows})
    lines = [
        (row.code, row.name, *(_shown(cents, row.balance.currency) for cents in (row.debit_cents, row.credit_cents)))
        for row in rows
    ]
    for one in currencies:
        own = [row for row in rows if row.balance.currency is one]
        both = sum(row.debit_cents for row in own), sum(row.credit_cents for row in own)
        lines.append(("", f"Total {one.value}", *(_shown(cents, one) for cents in both)))
    show_table(("code", "account", "debit amount", "credit amount"), lines)


def show_balance_sheet(
    *,
    as_of: Annotated[
        date | None, typer.Option(parser=_day, metavar="DAY", help="As this day left the books; not given: today.")
    ] = None,
    first: Annotated[
        date | None, typer.Option("--from", parser=_day, metavar="DAY", help="Of the period; not given: of the year.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="For a spreadsheet.")] = False,
    as_json: AsJson = False,
) -> None:
    """What there is, what is owed and what remains to the owner, with the result of the period."""
    sheet = run(_balance_sheet(as_of, first))
    if as_json:
        show_json(views.balance_sheet_view(sheet))
        return
    if as_csv:
        typer.echo(balance_sheet_csv(sheet), nl=False)
        return
    typer.echo(f"As {sheet.as_of} left the books; the period began on {sheet.first}")
    lines = [
        (code, name, str(Money(cents, one.currency)))
        for one in sheet.currencies
        for _, code, name, cents in lines_of(one)
    ]
    show_table(("code", "account", "amount"), lines)


def aging(*, as_json: AsJson = False) -> None:
    """What each customer owes by how long it has been due, and the credit held for her."""
    page = run(_ageing())
    if as_json:
        show_json(views.ageing_page_view(page))
        return
    figures = ("not late", "1–30", "31–60", "61–90", "90+", "credit", "balance")
    rows = [*((one.customer_number, one.ageing) for one in page.customers), ("Total", page.total)]
    typer.echo(f"KES on {page.total.as_of}, by the days since they were due")
    shown = [(name, *_columns(ages)) for name, ages in rows]
    show_table(("customer", *figures), shown, whole={"customer"}, figures=figures)


def daily(*, first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """What was collected on each day in Nairobi."""
    days = run(_daily(first, last))
    if as_json:
        show_json(views.daily_view(days))
        return
    typer.echo("KES on days in Nairobi")
    figures = ("payments", "total", "allocated", "suspense", "reversed")
    show_table(
        ("day", "payments", "total", "by source", "allocated", "suspense", "reversed"),
        [
            (
                one.day.isoformat(),
                str(one.count),
                bare(one.total),
                ", ".join(f"{source} {bare(money)}" for source, money in one.by_source.items()),
                bare(one.allocated),
                bare(one.suspense),
                bare(one.reversed) if one.reversed_count else "",
            )
            for one in days
        ],
        whole={"day"},
        figures=figures,
    )


def profit_and_loss(*, first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """Revenue and expenses of some days, in KES."""
    found = run(_profit_and_loss(first, last))
    if as_json:
        show_json(views.profit_and_loss_view(found))
        return
    lines = [
        *((row.code, row.name, str(row.balance)) for row in found.revenue),
        ("", "Revenue", _kes(found.revenue_cents)),
        *((row.code, row.name, str(row.balance)) for row in found.expenses),
        ("", "Expenses", _kes(found.expense_cents)),
        ("", "Profit" if found.profit_cents >= 0 else "Loss", _kes(found.profit_cents)),
    ]
    typer.echo(f"{found.first} to {found.last}, days in Nairobi")
    show_table(("code", "account", "amount"), lines)


# -- reading


async def _verify() -> Sequence[BookError]:
    async with books() as engine:
        return await SqlCollectionsReports(engine, clock=SystemClock()).verify()


async def _trial_balance(as_of: date | None) -> Sequence[AccountRow]:
    async with books() as engine:
        return await SqlLedgerReports(engine).trial_balance(as_of)


async def _balance_sheet(as_of: date | None, first: date | None) -> BalanceSheet:
    async with books() as engine:
        return await balance_sheet(SqlLedgerReports(engine), as_of or nairobi_day(SystemClock().now()), first)


async def _ageing() -> AgeingPage:
    async with books() as engine:
        return await SqlCollectionsReports(engine, clock=SystemClock()).ageing(_WHOLE, None)


async def _daily(first: date | None, last: date | None) -> Sequence[DailyCollection]:
    since, until = _days(first, last)
    async with books() as engine:
        return await SqlCollectionsReports(engine, clock=SystemClock()).daily(since, until)


async def _profit_and_loss(first: date | None, last: date | None) -> ProfitAndLoss:
    since, until = _days(first, last)
    async with books() as engine:
        return await SqlLedgerReports(engine).profit_and_loss(Currency.KES, since, until)


def _days(first: date | None, last: date | None) -> tuple[date, date]:
    until = last or nairobi_day(SystemClock().now())
    return first or until.replace(day=1), until


# -- showing


def _columns(ages: Ageing) -> tuple[str, ...]:
    owed = (ages.current, ages.days_1_to_30, ages.days_31_to_60, ages.days_61_to_90, ages.over_90_days)
    return tuple(map(bare, (*owed, ages.unapplied_credit, ages.balance)))


def _shown(cents: int, currency: Currency) -> str:
    return str(Money(cents, currency)) if cents else ""


def _kes(cents: int) -> str:
    return str(Money(cents, Currency.KES))
