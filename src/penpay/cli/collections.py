"""`penpay collections`: capturing payments, looking at what was captured, and the books of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from penpay.application.collections.capture_rows import TillPushId
from penpay.application.collections.checking import BalanceCheck, check_balance
from penpay.application.collections.importing import Imported, StatementImporter
from penpay.application.collections.registering import C2bRegistration, RegistrationState
from penpay.application.collections.till_pushing import PushFromTill
from penpay.cli import collections_drawers, collections_outflows, collections_reports
from penpay.cli.collections_shown import (
    show_check,
    show_import,
    show_messages,
    show_registrations,
    show_story,
)
from penpay.cli.output import AsJson, show_json
from penpay.cli.session import fail, opened, run
from penpay.domain.mpesa.fields import EAST_AFRICA_TIME
from penpay.domain.mpesa.gateway import CallAnswer, CallOutcome, SimulatedPayment, UnansweredValidation
from penpay.domain.mpesa.statement_file import NoStatement, Statement, read_statement
from penpay.domain.payments.till_push import TillPush
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql.capture_stories import PaymentStory, ShownMessage

By = Annotated[str, typer.Option("--by", help="Who asks, for the audit trail.")]
_REGISTRATIONS = 5


def commands() -> typer.Typer:
    app = typer.Typer(help="Payments to our PayBill number.", no_args_is_help=True)
    app.command("register-urls")(register_urls)
    app.command("simulate")(simulate)
    app.command("webhooks")(webhooks)
    app.command("payment")(payment)
    app.command("import-statement")(import_statement)
    app.command("check-balance")(check)
    app.command("push")(push)
    collections_drawers.add_to(app)
    collections_outflows.add_to(app)
    collections_reports.add_to(app)
    return app


def register_urls(
    *,
    response_type: Annotated[
        UnansweredValidation,
        typer.Option(help="What M-Pesa does with a payment when our validation does not answer in time."),
    ] = UnansweredValidation.COMPLETE,
    by: By = "cli",
    as_json: AsJson = False,
) -> None:
    """Tell M-Pesa where to ask about payments and where to tell of them, and show what was registered.

    Production takes addresses once. The secret in their paths is not shown.
    """
    newest, answer = run(_register(response_type, by))
    show_registrations(newest, as_json=as_json)
    if answer.outcome is not CallOutcome.ACCEPTED:
        standing = newest[0].state is RegistrationState.STANDING
        fail("urls_registered" if standing else "not_registered", answer.message or answer.code or "no answer")


async def _register(unanswered: UnansweredValidation, by: str) -> tuple[Sequence[C2bRegistration], CallAnswer]:
    async with opened() as system:
        system.reach_mpesa()
        capture = system.capture
        _, answer = await capture.registrar(system.receipts).register(capture.addresses(unanswered), by=by)
        return await capture.stories.registrations(_REGISTRATIONS), answer


def simulate(
    *,
    msisdn: Annotated[str, typer.Option(help="Who pays, such as 0708374149.")],
    amount: Annotated[str, typer.Option(help="How many shillings, whole ones.")],
    ref: Annotated[str | None, typer.Option(help="The account the payment is for; not given: a till is paid.")] = None,
    as_json: AsJson = False,
) -> None:
    """Have a sandbox pretend that a customer paid; its confirmation comes a little later."""
    answer = run(_simulate(msisdn, amount, ref))
    if answer.outcome is not CallOutcome.ACCEPTED:
        fail("not_simulated", answer.message or answer.code or "no answer")
    if as_json:
        show_json({"accepted": True, "conversation_id": answer.originator_conversation_id})
    else:
        typer.echo("Accepted; `penpay collections webhooks` shows the confirmation once it has come.")


async def _simulate(msisdn: str, amount: str, ref: str | None) -> CallAnswer:
    paid = SimulatedPayment(
        phone=PhoneNumber.parse(msisdn), amount=Money.from_decimal_text(amount, Currency.KES), bill_reference=ref
    )
    async with opened() as system:
        system.reach_mpesa()
        return await system.receipts.simulate_payment(paid)


def webhooks(
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show the last messages about payments, and what became of them."""
    show_messages(run(_messages(limit)), as_json=as_json)


async def _messages(limit: int) -> Sequence[ShownMessage]:
    async with opened() as system:
        return await system.capture.stories.messages(limit)


def payment(
    receipt: Annotated[str, typer.Argument(help="M-Pesa's receipt, such as QGK12XYZ9.")], *, as_json: AsJson = False
) -> None:
    """Show the whole story of a payment: message, booking, allocations, ledger entries, audit trail."""
    show_story(run(_story(receipt)), as_json=as_json)


async def _story(receipt: str) -> PaymentStory:
    async with opened() as system:
        return await system.capture.stories.story(receipt)


def import_statement(
    file: Annotated[Path, typer.Argument(help="A CSV file of the organisation portal.")],
    *,
    by: By = "cli",
    as_json: AsJson = False,
) -> None:
    """Book the payments of a statement that were missed, and verify those that were not; twice changes nothing."""
    try:
        statement = read_statement(file.read_bytes())
    except OSError as unreadable:
        fail("unreadable_file", f"{file}: {unreadable.strerror}")
    except NoStatement as refused:
        fail("no_statement", str(refused))
    imported = run(_import(statement, by))
    show_import(imported, as_json=as_json)
    if imported.unreadable or imported.contradicting:
        raise typer.Exit(1)


async def _import(statement: Statement, by: str) -> Imported:
    async with opened() as system:
        importer = StatementImporter(
            executor=system.executor, attach=system.capture.attach, short_code=system.capture.short_code
        )
        return await importer.run(statement, by=by)


def check(
    *,
    day: Annotated[str | None, typer.Option(help="A day of Nairobi such as 2026-02-03; not given: today.")] = None,
    by: By = "cli",
    as_json: AsJson = False,
) -> None:
    """Follow M-Pesa's balance from receipt to receipt; exit status 1 when something is missing in between."""
    try:
        asked = None if day is None else date.fromisoformat(day)
    except ValueError:
        raise typer.BadParameter("A day is written as 2026-02-03.") from None
    checked = run(_check(asked, by))
    show_check(checked, as_json=as_json)
    if checked.continuity.gaps:
        raise typer.Exit(1)


async def _check(day: date | None, by: str) -> BalanceCheck:
    async with opened() as system:
        asked = day or system.clock.now().astimezone(EAST_AFRICA_TIME).date()
        return await check_balance(
            system.executor, system.capture.balances, short_code=system.capture.short_code, day=asked, by=by
        )


def push(
    pos_id: Annotated[str, typer.Argument(metavar="POS", help="The sale, such as POS-001.")],
    *,
    msisdn: Annotated[str, typer.Option(help="Whose handset is asked, such as 0708374149.")],
    amount: Annotated[str | None, typer.Option(help="Whole shillings; not given: what is still to pay.")] = None,
    by: By = "cli",
    as_json: AsJson = False,
) -> None:
    """Ask a customer at the till to pay a sale on her handset; `penpay serve` sends the prompt."""
    pushed = run(_push(pos_id, msisdn, amount, by))
    if as_json:
        show_json({"push_id": str(pushed.id), "amount_cents": pushed.amount.cents, "status": pushed.state.value})
    else:
        typer.echo(f"{pushed.amount} will be asked for at {pushed.phone.masked}.")


async def _push(pos_number: str, msisdn: str, amount: str | None, by: str) -> TillPush:
    asked = None if amount is None else Money.from_decimal_text(amount, Currency.KES)
    phone = PhoneNumber.parse(msisdn)
    async with opened() as system:
        pushed: TillPush = await system.executor.execute(
            PushFromTill(
                push_id=TillPushId(system.ids.new()),
                pos_number=pos_number,
                phone=phone,
                amount=asked,
                by=by,
            )
        )
        return pushed
