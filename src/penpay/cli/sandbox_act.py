"""`penpay sandbox c2b`, `mail` and `switches`: act on a running sandbox from a second terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from penpay.cli.output import AsJson, show_json, show_table
from penpay.cli.sandbox_reach import Port, reached
from penpay.cli.session import run
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber


def c2b(
    *,
    payer: Annotated[str, typer.Option("--from", help="Who pays: 0712…, 254712…")],
    short_code: Annotated[str, typer.Option(help="The PayBill or till that is paid.")],
    amount: Annotated[str, typer.Option(help="Shillings, such as 150 or 150.00.")],
    account: Annotated[str, typer.Option(help="The account the payment is for; a till has none.")] = "",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Pay a PayBill or a till from a phone, as a subscriber does by herself."""
    run(_c2b(port, payer, short_code, account, amount, as_json=as_json))


async def _c2b(port: int | None, payer: str, short_code: str, account: str, amount: str, *, as_json: bool) -> None:
    phone = PhoneNumber.parse(payer)
    money = Money.from_decimal_text(amount, Currency.KES).require_positive()
    body = {"phone": phone.msisdn, "short_code": short_code, "account": account or None, "amount_cents": money.cents}
    async with reached(port) as sandbox:
        found = await sandbox.ask("POST", "/sandbox/c2b", body)
    if as_json:
        show_json(found)
        return
    named = f", account {account}" if account else ""
    typer.echo(f"{phone.msisdn} paid {money} to {short_code}{named}. Receipt {found['receipt']}.")


def mail(*, port: Port = None, as_json: AsJson = False) -> None:
    """Show what the Deriv simulator has mailed its clients, codes and all, newest first."""
    run(_mail(port, as_json=as_json))


async def _mail(port: int | None, *, as_json: bool) -> None:
    async with reached(port) as sandbox:
        found = (await sandbox.ask("GET", "/sandbox/deriv/mail"))["mails"]
    if as_json:
        show_json(found)
    elif found:
        rows = [(one["sent_at"], one["login_id"], one["email"], one["code"], as_words(one["is_used"])) for one in found]
        show_table(("sent", "account", "to", "code", "used"), rows)
    else:
        typer.echo("Deriv has mailed nobody.")


def switches(
    changes: Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Switches to turn.")] = None,
    *,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show how this Daraja behaves where the real one is not of one mind, or change it."""
    run(_switches(port, changes or [], as_json=as_json))


async def _switches(port: int | None, changes: list[str], *, as_json: bool) -> None:
    async with reached(port) as sandbox:
        found = await sandbox.ask("GET", "/sandbox/switches")
        if changes:
            wanted = {name: _as(found.get(name), value) for name, value in map(pair, changes)}
            await sandbox.ask("PUT", "/sandbox/switches", wanted)
            found = await sandbox.ask("GET", "/sandbox/switches")
    if as_json:
        show_json(found)
        return
    show_table(("Switch", "is"), [(name, as_words(value)) for name, value in found.items()])


def _as(now: object, value: str) -> object:
    """The value as JSON, of the kind the switch has now."""
    if isinstance(now, str):
        return value
    if value.lower() in ("true", "yes", "on", "false", "no", "off"):
        return value.lower() in ("true", "yes", "on")
    if value.lower() in ("none", "null"):
        return None
    return int(value) if value.isascii() and value.isdigit() else value


def pair(text: str) -> tuple[str, str]:
    """Read an argument NAME=VALUE; anything else is bad usage."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE.")
    return name, value


def as_words(value: object) -> str:
    """A JSON value as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
