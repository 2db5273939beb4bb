"""`penpay ledger`: reading the books, and proving that they are sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from penpay.application.payments.fx import parse_operator
from penpay.application.wallet.funding import FundAccount, MoveOwnMoney, OwnMovement
from penpay.application.wallet.queries import AccountBalance, Finding, TrialBalanceRow
from penpay.cli.output import AsJson, show_json, show_table
from penpay.cli.session import FAILED, books, moment_given, opened, run
from penpay.domain.shared.errors import AccountNotFound
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.queries import SqlLedgerBooks

AsOf = Annotated[
    datetime | None, typer.Option(parser=moment_given, metavar="MOMENT", help="As recorded up to this moment.")
]


def commands() -> typer.Typer:
    app = typer.Typer(help="The ledger.", no_args_is_help=True)
    app.command("verify")(verify)
    app.command("trial-balance")(trial_balance)
    app.command("balance")(balance)
    app.command("fund")(fund)
    app.command("move")(move)
    return app


def verify(*, as_json: AsJson = False) -> None:
    """Check every rule of the books over every row; exit status 1 when anything is wrong."""
    findings = run(_verify())
    if as_json:
        show_json({"sound": not findings, "findings": [asdict(finding) for finding in findings]})
    elif findings:
        show_table(
            ("check", "subject", "detail", "difference amount"),
            [(found.check, found.subject, found.detail, _difference(found)) for found in findings],
        )
    else:
        typer.echo("The books are sound.")
    if findings:
        raise typer.Exit(FAILED)


def trial_balance(*, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Every account with its balance on its side, and the totals of each currency, now or as of a moment."""
    rows = run(_trial_balance(as_of))
    debits: Counter[Currency] = Counter()
    credits_: Counter[Currency] = Counter()
    for row in rows:
        debits[row.currency] += row.debit_cents
        credits_[row.currency] += row.credit_cents
    currencies = sorted({row.currency for row in rows})
    totals = [
        {"currency": currency.value, "debit_cents": debits[currency], "credit_cents": credits_[currency]}
        for currency in currencies
    ]
    if as_json:
        accounts = [{**asdict(row), "type": row.type.value, "currency": row.currency.value} for row in rows]
        show_json({"accounts": accounts, "totals": totals, "balanced": debits == credits_})
        return
    lines = [(row.code, row.name, *_sides(row.currency, row.debit_cents, row.credit_cents)) for row in rows]
    lines += [("", f"Total {one.value}", *_sides(one, debits[one], credits_[one])) for one in currencies]
    show_table(("code", "account", "debit amount", "credit amount"), lines)


def balance(
    code: Annotated[str, typer.Argument(help="The account's code, such as mpesa:collection.")],
    *,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """What one account holds, now or as of a moment; positive on its normal side."""
    found = run(_balance(code, as_of))
    if as_json:
        money = found.balance
        show_json({"code": found.code, "currency": money.currency.value, "balance_cents": money.cents})
    else:
        typer.echo(f"{found.code}  {found.balance}")


def fund(
    account: Annotated[
        str, typer.Argument(help="Our account at a provider: deriv:agent, mpesa:collection or mpesa:utility.")
    ],
    *,
    amount: Annotated[str, typer.Option(help="What was paid in, such as 10000.00.")],
    currency: Annotated[str, typer.Option(help="USD or KES.")],
    reference: Annotated[
        str, typer.Option(help="What identifies the payment, at most 64 letters, digits and signs; it is booked once.")
    ],
    by: Annotated[str, typer.Option(help="Who enters it.")],
) -> None:
    """Book money the owner has paid into one of our provider accounts; a repeat changes nothing."""
    money = run(_fund(account, amount, currency, reference, by))
    typer.echo(f"{account}  {'funded with' if money[1] else 'already funded with'} {money[0]} under {reference}")


def move(
    movement: Annotated[OwnMovement, typer.Argument(help="What moved, as M-Pesa's portal shows it.")],
    *,
    amount: Annotated[str, typer.Option(help="Shillings, such as 10000.00.")],
    reference: Annotated[str, typer.Option(help="What identifies it there; it is booked once.")],
    by: Annotated[str, typer.Option(help="Who enters it.")],
) -> None:
    """Book what moved between our own accounts at M-Pesa; a repeat changes nothing."""
    money, booked = run(_move(movement, amount, reference, by))
    typer.echo(f"{movement.value}  {money} {'is booked' if booked else 'was booked already'} under {reference}")


async def _move(movement: OwnMovement, amount: str, reference: str, by: str) -> tuple[Money, bool]:
    money = Money.from_decimal_text(amount, Currency.KES)
    entered_by = f"operator:{parse_operator(by)}"
    command = MoveOwnMoney(movement=movement, amount=money, reference=reference, entered_by=entered_by)
    async with opened() as system:
        booked: bool = await system.executor.execute(command)
    return money, booked


async def _fund(account: str, amount: str, currency: str, reference: str, by: str) -> tuple[Money, bool]:
    money = Money.from_decimal_text(amount, Currency.parse(currency))
    command = FundAccount(
        account=account, amount=money, reference=reference, entered_by=f"operator:{parse_operator(by)}"
    )
    async with opened() as system:
        booked: bool = await system.executor.execute(command)
    return money, booked


async def _verify() -> Sequence[Finding]:
    async with books() as engine:
        return await SqlLedgerBooks(engine).verify()


async def _trial_balance(as_of: datetime | None) -> Sequence[TrialBalanceRow]:
    async with books() as engine:
        return await SqlLedgerBooks(engine).trial_balance(as_of)


async def _balance(code: str, as_of: datetime | None) -> AccountBalance:
    async with books() as engine:
        found = await SqlLedgerBooks(engine).balance(code, as_of)
    if found is None:
        raise AccountNotFound
    return found


def _difference(found: Finding) -> str:
    return f"{found.currency} {found.difference_cents} cents".strip() if found.difference_cents else ""


def _sides(currency: Currency, debit_cents: int, credit_cents: int) -> tuple[str, str]:
    return tuple(  # type: ignore[return-value]  # two sides make two texts
        str(Money(cents, currency)) if cents else "" for cents in (debit_cents, credit_cents)
    )
