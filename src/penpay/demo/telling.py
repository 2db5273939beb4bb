"""Telling the demo: on the terminal for a person, or as one JSON object for a program."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from rich.console import Console
from rich.table import Table

from penpay.application.wallet.queries import TrialBalanceRow
from penpay.demo.books import Comparison, compare
from penpay.demo.stories import STORIES, Story, tell
from penpay.demo.world import PHONE, World, demo_world
from penpay.domain.shared.delivery import Channel
from penpay.domain.shared.ids import TransactionId
from penpay.domain.shared.money import Money

_SHOWN_MESSAGES = 50


async def run_demo(  # each is an option of the command
    console: Console,
    *,
    folder: Path,
    api_port: int,
    daraja_port: int,
    deriv_port: int,
    once: bool,
    as_json: bool,
) -> bool:
    """Tell every story, compare the books, and (unless `once`) keep serving; whether all ended as it must."""
    started = asyncio.get_running_loop().time()
    console.rule("[bold]PenPay: M-Pesa to Deriv, end to end on this machine")
    async with demo_world(folder, api_port=api_port, daraja_port=daraja_port, deriv_port=deriv_port) as world:
        console.print(
            f"PenPay API [cyan]{world.api_url}[/]  ·  M-Pesa sandbox (Daraja) [cyan]{world.daraja_url}[/]"
            f"  ·  Deriv simulator [cyan]{world.deriv_url}[/]"
        )
        told = [(story, await _tell(console, story, world)) for story in STORIES]
        findings = await world.system.ledger_books.verify()
        rows = await world.system.ledger_books.trial_balance()
        compared = await compare(world, [transaction for _, transaction in told])
        balanced = not findings and _is_balanced(rows)
        agree = all(comparison.agrees for comparison in compared)
        as_told = all(story.ended_as_told(transaction) for story, transaction in told)
        await _show_receipt(console, world)
        _show_trial_balance(console, rows)
        _show_comparison(console, compared)
        for finding in findings:
            console.print(f"[red]{finding.check}: {finding.subject}: {finding.detail}")
        seconds = round(asyncio.get_running_loop().time() - started)
        good = balanced and agree and as_told
        verdict = (
            "[green]Every story ended as told and every book agrees" if good else "[red]Something is not as it must be"
        )
        console.print(f"{verdict}[/] ({seconds} s).")
        if as_json:
            print(_summary(told, balanced=balanced, agree=agree))  # noqa: T201  (the result, on stdout, as its last line)
        if not once:
            await _keep_serving(console, world)
    return good


async def _tell(console: Console, story: Story, world: World) -> dict[str, Any]:
    console.print()
    console.print(f"[bold]{story.opening}")
    transaction = await tell(story, world, lambda line: console.print(f"  {line}", highlight=False))
    right = story.ended_as_told(transaction)
    why = f" ({transaction['failure_code']})" if transaction["failure_code"] else ""
    how = f", learned by {transaction['recovered_by']}" if transaction["recovered_by"] else ""
    console.print(f"  {'[green]✔' if right else '[red]✘'} {transaction['status']}{why}{how}")
    told = await world.system.notification_books.of_transaction(TransactionId(UUID(transaction["id"])))
    for message in told:
        if message.key.channel is Channel.SMS:
            console.print(f"  PenPay's message to {PHONE.masked}: {message.text}", highlight=False)
    return transaction


def _is_balanced(rows: Sequence[TrialBalanceRow]) -> bool:
    totals: dict[str, int] = {}
    for row in rows:
        totals[row.currency.value] = totals.get(row.currency.value, 0) + row.debit_cents - row.credit_cents
    return not any(totals.values())


async def _show_receipt(console: Console, world: World) -> None:
    console.print()
    console.print("[bold]Messages on her phone")
    for message in await world.sandbox.operator.messages(PHONE, _SHOWN_MESSAGES):
        console.print(f"  {message}", highlight=False)


def _show_trial_balance(console: Console, rows: Sequence[TrialBalanceRow]) -> None:
    table = Table(title="Trial balance", title_justify="left", title_style="bold")
    table.add_column("Account")
    table.add_column("Name")
    for side in ("Debit", "Credit"):
        table.add_column(side, justify="right")
    for currency in sorted({row.currency for row in rows}):
        of_currency = [row for row in rows if row.currency is currency]
        for row in of_currency:
            debit, credit = Money(row.debit_cents, currency), Money(row.credit_cents, currency)
            code = row.code if len(row.code) < 24 else f"{row.code[:14]}…{row.code[-4:]}"  # noqa: PLR2004  (a wallet's code holds an id)
            table.add_row(code, row.name, str(debit) if debit.cents else "", str(credit) if credit.cents else "")
        debits = Money(sum(row.debit_cents for row in of_currency), currency)
        credits_ = Money(sum(row.credit_cents for row in of_currency), currency)
        table.add_row("", f"[bold]{currency.value}", f"[bold]{debits}", f"[bold]{credits_}", end_section=True)
    console.print()
    console.print(table)


def _show_comparison(console: Console, compared: Sequence[Comparison]) -> None:
    table = Table(title="Three books", title_justify="left", title_style="bold")
    table.add_column("Amount")
    table.add_column("In our books", justify="right")
    table.add_column("In theirs", justify="right")
    table.add_column("")
    for line in compared:
        table.add_row(line.what, str(line.ours), str(line.theirs), "[green]✔" if line.agrees else "[red]✘")
    console.print(table)


def _summary(told: Sequence[tuple[Story, Mapping[str, Any]]], *, balanced: bool, agree: bool) -> str:
    fields = ("id", "status", "failure_code", "recovered_by", "timeline")
    transactions = [{"story": story.name} | {name: found[name] for name in fields} for story, found in told]
    summary = {"transactions": transactions, "ledger_balanced": balanced, "books_agree": agree}
    return orjson.dumps(summary).decode()


async def _keep_serving(console: Console, world: World) -> None:
    """Serve until interrupted, having said where and how."""
    console.print()
    console.print("[bold]Still serving.[/] Stop with Ctrl-C. Try:")
    console.print(f"  the API's documentation: {world.api_url}/docs")
    console.print(
        f"  curl -s {world.api_url}/api/v1/deposits -H 'Authorization: Bearer {world.api_key}' "
        "-H 'Content-Type: application/json' -d "
        '\'{"amount_cents":1234,"currency":"USD","deriv_login_id":"CR123456","idempotency_key":"my-first-deposit"}\'',
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"  then the PIN: curl -s {world.daraja_url}/sandbox/phones/{PHONE.msisdn}/pin "
        "-H 'Content-Type: application/json' -d '{\"pin\":\"1234\"}'",
        highlight=False,
        soft_wrap=True,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    await stop.wait()
