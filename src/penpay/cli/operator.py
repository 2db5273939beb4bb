"""`penpay operator`: the mobile-money operator as a product of its own."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop
from sqlalchemy.engine import make_url

from penpay.application.mobile_money.books import Reconciliation
from penpay.application.mobile_money.dormancy import MarkDormant
from penpay.application.mobile_money.float_issue import EnterBankDeposit, check_bank_reference
from penpay.application.mobile_money.tariff_file import parse_tariff
from penpay.application.mobile_money.tariffs import LoadTariff
from penpay.bootstrap import OperatorProcess, make_folder, operator_policy, real_ports
from penpay.cli.kept_secrets import KEYS, drawn, kept
from penpay.cli.output import AsJson, show_json, show_table
from penpay.cli.serving import address_told, run_until_interrupted
from penpay.cli.session import FAILED, fail, run
from penpay.config import AppEnv, InvalidSettings, OperatorSettings, environment, load_operator_settings
from penpay.domain.shared.errors import DomainError, InvalidRequest
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.queries import SqlLedgerBooks
from penpay.infrastructure.system import tune_garbage_collection
from penpay.infrastructure.telemetry.logs import log_as_json
from penpay.presentation.http.serving import serving
from penpay.presentation.operator.answers import refusal
from penpay.presentation.operator.app import create_operator_app
from penpay.presentation.operator.process import bind

_BY: Final = "operator"
"""Who acts at a terminal, in the audit trail."""


def commands() -> typer.Typer:
    app = typer.Typer(help="The mobile-money operator.", no_args_is_help=True)
    app.command("serve")(serve)
    app.command("reconcile")(reconcile)
    app.command("load-tariff")(load_tariff)
    app.command("bank-deposits")(bank_deposits)
    app.command("mark-dormant")(mark_dormant)
    return app


def serve() -> None:
    """Serve the operator until interrupted, on port 6700 unless PENPAY_OPERATOR_HTTP_PORT says otherwise."""
    tune_garbage_collection()
    log_as_json()
    uvloop.install()
    run_until_interrupted(_serve())


async def _serve() -> None:
    settings = _settings()
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(_started(settings))
        process.seal()
        served = bind(create_operator_app(), process)
        with address_told("PENPAY_OPERATOR_HTTP_HOST and PENPAY_OPERATOR_HTTP_PORT"):
            listening = serving(served, settings.operator_http_host, settings.operator_http_port, refuse=refusal)
            port = await stack.enter_async_context(listening)
        typer.echo(f"The operator serves http://{settings.operator_http_host}:{port}.")
        await process.failed()
        fail("failed", "A part has failed without which nothing can be served; the log says why.")


def reconcile(*, as_json: AsJson = False) -> None:
    """Prove that the trust account holds what the operator owes; exit status 1 when it does not."""
    if not run(_reconcile(as_json=as_json)):
        raise typer.Exit(FAILED)


async def _reconcile(*, as_json: bool) -> bool:
    async with _opened() as process:
        found = await process.operator.books.reconciliation()
        findings = await SqlLedgerBooks(process.engine).verify()
    good = not findings and not found.difference.cents and found.is_covered
    if as_json:
        show_json({**_figures(found), "findings": len(findings), "good": good})
        return good
    show_table(
        ("Held in trust", "amount"),
        [("trust:bank", str(found.bank)), ("trust:unevidenced", str(found.unevidenced)), ("sum", str(found.held))],
    )
    show_table(
        ("Owed", "amount"),
        [
            ("subscribers' wallets", str(found.wallets)),
            ("agents' floats", str(found.floats)),
            ("merchants' accounts", str(found.merchants)),
            ("commission payable", str(found.commission_payable)),
            ("excise payable", str(found.excise_payable)),
            ("the operator's own funds", str(found.own_funds)),
            ("suspense", str(found.suspense)),
            ("merchants' Working accounts", str(found.working)),
            ("merchants' charges, not settled", str(found.charges_paid)),
            ("the same, not earned yet", str(found.unsettled_charges)),
            ("sum", str(found.owed)),
        ],
    )
    show_table(
        ("Float", "amount"),
        [
            ("issued", str(found.issued)),
            ("evidenced", str(found.evidenced)),
            ("unevidenced", str(found.issued - found.evidenced)),
        ],
    )
    for issue in found.waiting:
        typer.echo(f"no evidence yet: {issue.amount} issued {issue.issued_at.isoformat()} ({issue.transaction_id})")
    for deposit in found.unexplained:
        typer.echo(f"not explained yet: {deposit.amount} deposited under {deposit.reference}")
    for finding in findings:
        typer.echo(f"{finding.check}: {finding.subject}: {finding.detail}")
    if found.difference.cents:
        typer.echo(f"The two sides differ: {found.difference} too much is held.")
    if not found.is_covered:
        typer.echo("What is owed to others is not covered: the operator has paid out more than it earned.")
    typer.echo("The books agree." if good else "The books do NOT agree.")
    return good


def _figures(found: Reconciliation) -> dict[str, object]:
    return {
        "bank_cents": found.bank.cents,
        "unevidenced_cents": found.unevidenced.cents,
        "wallets_cents": found.wallets.cents,
        "floats_cents": found.floats.cents,
        "merchants_cents": found.merchants.cents,
        "commission_payable_cents": found.commission_payable.cents,
        "excise_payable_cents": found.excise_payable.cents,
        "own_funds_cents": found.own_funds.cents,
        "suspense_cents": found.suspense.cents,
        "working_cents": found.working.cents,
        "charges_paid_cents": found.charges_paid.cents,
        "unsettled_charges_cents": found.unsettled_charges.cents,
        "difference_cents": found.difference.cents,
        "float_issued_cents": found.issued.cents,
        "float_evidenced_cents": found.evidenced.cents,
        "float_unevidenced_cents": (found.issued - found.evidenced).cents,
    }


def load_tariff(file: Annotated[Path, typer.Argument(help="A tariff as in docs/tariffs.md.")]) -> None:
    """Load a dated tariff; from its first day on it is in force instead of the flat charges."""
    run(_load_tariff(_read(file)))


async def _load_tariff(raw: bytes) -> None:
    tariff = parse_tariff(raw)
    async with _opened() as process:
        await process.operator.do(LoadTariff(tariff=tariff, by=_BY))
    typer.echo(f"Loaded: {tariff.name}, in force from {tariff.valid_from.isoformat()} on.")


def bank_deposits(file: Annotated[Path, typer.Argument(help="CSV with a head: reference,amount (1000.00).")]) -> None:
    """Enter the deposits of a bank statement; what was entered before changes nothing."""
    run(_bank_deposits(_read(file)))


async def _bank_deposits(raw: bytes) -> None:
    rows = list(_deposits(raw))
    async with _opened() as process:
        for command in rows:
            answer = await process.operator.do(command)
            typer.echo(f"{command.reference}: {command.amount} {answer['state']}")


def _deposits(raw: bytes) -> Iterator[EnterBankDeposit]:
    """Every line checked before the first is entered. Raises InvalidRequest, naming the line."""
    try:
        reader = csv.DictReader(raw.decode().splitlines(), strict=True)
        for number, row in enumerate(reader, start=2):
            if set(row) != {"reference", "amount"}:
                raise InvalidRequest(f"Line {number} has not exactly the columns reference and amount.")
            try:
                amount = Money.from_decimal_text(row["amount"].strip(), Currency.KES).require_positive()
                reference = check_bank_reference(row["reference"].strip())
            except DomainError as refused:
                raise InvalidRequest(f"Line {number}: {refused.message}") from None
            yield EnterBankDeposit(reference=reference, amount=amount, own_funds=False, by=_BY)
    except (UnicodeDecodeError, csv.Error):
        raise InvalidRequest("The file is not CSV in UTF-8.") from None


def mark_dormant(
    days: Annotated[int, typer.Option(min=1, max=36_500, help="Without a posting for so many days.")] = 180,
) -> None:
    """Put accounts to rest that nobody has used for long; customer care wakes them."""
    typer.echo(f"{run(_mark_dormant(days))} accounts are dormant now.")


async def _mark_dormant(days: int) -> int:
    async with _opened() as process:
        idle_since = process.clock.now() - timedelta(days=days)
        idle = await process.operator.books.idle_since(idle_since)
        done = [await process.operator.do(MarkDormant(customer_id=one, idle_since=idle_since)) for one in idle]
    return sum(done)


@asynccontextmanager
async def _opened() -> AsyncIterator[OperatorProcess]:
    async with _started(_settings()) as process:
        yield process


@asynccontextmanager
async def _started(settings: OperatorSettings) -> AsyncIterator[OperatorProcess]:
    make_folder(settings.operator_database_url)
    process = OperatorProcess(settings, real_ports(), policy=operator_policy(settings))
    try:
        await process.start()
        yield process
    finally:
        await process.stop()


def _settings() -> OperatorSettings:
    """The settings; an embedded operator that was given no keys, outside production, draws its own once."""
    try:
        return load_operator_settings()
    except InvalidSettings as refusal:
        if set(refusal.faults) != {f"{name}: is missing" for name in KEYS}:
            raise
    given, random = environment(), real_ports().random
    found = load_operator_settings({**given, **drawn(random, KEYS)})
    url = make_url(found.operator_database_url)
    if found.app_env is AppEnv.PRODUCTION or url.get_backend_name() != "sqlite" or not url.database:
        return load_operator_settings()
    return load_operator_settings({**given, **kept(Path(f"{url.database}.keys"), KEYS, random, "operator")})


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as failure:
        fail("file_unreadable", f"{file} cannot be read: {failure.strerror}.")
