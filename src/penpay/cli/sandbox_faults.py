"""`penpay sandbox faults`: what goes wrong, for whom and how often, in a running sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Annotated, Any, Final, get_args

import typer
from pydantic import TypeAdapter, ValidationError

from penpay.cli.output import AsJson, show_json, show_table
from penpay.cli.sandbox_act import as_words, pair
from penpay.cli.sandbox_reach import Port, Reached, reached
from penpay.cli.session import fail, run
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.faults import DarajaCall, Fault, Spoilt

_PERMILLE: Final = 10


def commands() -> typer.Typer:
    app = typer.Typer(help="Make things go wrong, at will.", no_args_is_help=True)
    app.command("list")(list_faults)
    app.command("add", epilog=_kinds())(add_fault)
    app.command("clear")(clear_faults)
    return app


def list_faults(*, port: Port = None, as_json: AsJson = False) -> None:
    """Show the rules that can still strike, in the order in which they are tried."""
    run(_list_faults(port, as_json=as_json))


async def _list_faults(port: int | None, *, as_json: bool) -> None:
    async with reached(port) as sandbox:
        found = await _rules(sandbox)
    if as_json:
        show_json(found)
        return
    if not found:
        typer.echo("Nothing is set to go wrong.")
        return
    show_table(("Fault", "with", "whom", "how often", "chance"), [_row(rule) for rule in found])


async def _rules(sandbox: Reached) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await sandbox.ask("GET", "/sandbox/faults")
    return found


def _row(rule: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    fault = dict(rule["fault"])
    kind = str(fault.pop("kind")).replace("_", "-")
    amount = rule["amount_cents"]
    whom = [rule["msisdn"] or "", "" if amount is None else str(Money(amount, Currency.KES))]
    return (
        kind,
        " ".join(f"{name}={as_words(value)}" for name, value in fault.items() if value is not None),
        ", ".join(filter(None, whom)) or "everybody",
        "always" if rule["times"] is None else f"{rule['times']}×",
        f"{rule['permille'] // _PERMILLE}.{rule['permille'] % _PERMILLE} %",
    )


def add_fault(
    kind: Annotated[str, typer.Argument(help="What goes wrong; the kinds are listed below.")],
    details: Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE", help="How it does.")] = None,
    *,
    phone: Annotated[str | None, typer.Option(help="For this phone only.")] = None,
    amount: Annotated[str | None, typer.Option(help="For this amount in shillings only.")] = None,
    times: Annotated[int, typer.Option(min=1, help="So many times.")] = 1,
    always: Annotated[bool, typer.Option("--always", help="Until the faults are cleared.")] = False,
    permille: Annotated[int, typer.Option(min=1, max=1000, help="The chance of striking, in thousandths.")] = 1000,
    port: Port = None,
) -> None:
    """Put a rule behind those in force, e.g. `penpay sandbox faults add lost-callback --phone 0712345678`."""
    rule = {"fault": _fault(kind, dict(map(pair, details or []))), "times": None if always else times}
    run(_add_fault(port, {**rule, "permille": permille}, phone, amount))


async def _add_fault(port: int | None, rule: Mapping[str, Any], phone: str | None, amount: str | None) -> None:
    msisdn = None if phone is None else PhoneNumber.parse(phone).msisdn
    cents = None if amount is None else Money.from_decimal_text(amount, Currency.KES).require_positive().cents
    rule = {**rule, "msisdn": msisdn, "amount_cents": cents}
    async with reached(port) as sandbox:
        await sandbox.ask("POST", "/sandbox/faults", rule)
        count = len(await _rules(sandbox))
    typer.echo(f"Added: {' '.join(filter(None, _row(rule)[:2]))}. Rules in force: {count}.")


def clear_faults(*, port: Port = None) -> None:
    """From now on nothing goes wrong."""
    run(_clear_faults(port))


async def _clear_faults(port: int | None) -> None:
    async with reached(port) as sandbox:
        await sandbox.ask("DELETE", "/sandbox/faults")
    typer.echo("Nothing is set to go wrong.")


def _fault(kind: str, details: Mapping[str, str]) -> Mapping[str, object]:
    """The fault as JSON, each text made what its field is. Fails with `invalid_fault`, or a code of its own."""
    known: Mapping[str, Any] = {_name(one): one for one in get_args(Fault)}
    chosen = known.get(kind.replace("_", "-"))
    if chosen is None:
        fail("invalid_fault", f"There is no fault {kind}; there are {', '.join(known)}.")
    takes = [one.name for one in fields(chosen) if one.name != "kind"]
    strange = sorted(set(details) - set(takes))
    if strange:
        fail("invalid_fault", f"{kind} takes {', '.join(takes) or 'nothing'}, not {', '.join(strange)}.")
    try:
        return asdict(TypeAdapter(chosen).validate_strings(dict(details)))
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        fail("invalid_fault", f"{kind}: {'; '.join(wrong)}.")
    except DomainError as refusal:
        fail(refusal.code, refusal.message)


def _kinds() -> str:
    """Every fault with what it takes, for the help; paragraphs of their own, so that none is folded into another."""
    lines = [f"{_name(one)} {' '.join(_taken(one))}".rstrip() for one in get_args(Fault)]
    calls, replies = ", ".join(DarajaCall), ", ".join(Spoilt)
    return "\n\n".join(("Kinds:", *lines, f"Calls: {calls}", f"Replies: {replies}"))


def _taken(fault: type[Any]) -> list[str]:
    given = [one for one in fields(fault) if one.name != "kind"]
    return [f"{one.name}=…" if one.default is MISSING else f"({one.name}=…)" for one in given]


def _name(fault: type[Any]) -> str:
    (kind,) = (one.default for one in fields(fault) if one.name == "kind")
    return str(kind).replace("_", "-")
