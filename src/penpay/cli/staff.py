"""`penpay staff`: people who work for the business, and their way into the back office.

Whoever has this terminal has the database's secrets too, so here nobody is asked whether she is an owner; the audit
trail says that it was done at the terminal. Passwords are asked for, or read from standard input: an argument would
stand in the shell's history and in the list of processes.
"""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from penpay.application.identity.staff_access import TERMINAL
from penpay.application.payments.views import moment
from penpay.cli.output import AsJson, show_json, show_table
from penpay.cli.session import opened, run
from penpay.domain.identity.staff import Staff, StaffRole
from penpay.domain.shared.email import Email

EmailOption = Annotated[str, typer.Option("--email", help="Her e-mail address.")]
_LONGEST_LINE: Final = 1024


def commands() -> typer.Typer:
    app = typer.Typer(help="People who work for the business.", no_args_is_help=True)
    app.command("add")(add)
    app.command("list")(everybody)
    app.command("role")(role)
    app.command("password")(password)
    app.command("disable")(disable)
    app.command("enable")(enable)
    app.command("token")(token)
    return app


def add(
    *,
    email: EmailOption,
    role: Annotated[StaffRole, typer.Option(help="What she is there for.")],
    as_json: AsJson = False,
) -> None:
    """Put somebody on the staff; her password is asked for, or read from standard input."""
    address, secret = Email.parse(email), _password(new=True)

    async def work() -> Staff:
        async with opened() as system:
            return await system.staff_access.create(address, role, secret, by=None)

    _told([run(work())], as_json=as_json)


def everybody(*, as_json: AsJson = False) -> None:
    """Show who is on the staff, the disabled too."""

    async def work() -> list[Staff]:
        async with opened() as system:
            return list(await system.staff_access.books.everybody())

    _told(run(work()), as_json=as_json)


def role(
    *,
    email: EmailOption,
    role: Annotated[StaffRole, typer.Option(help="What she is there for from now on.")],
    as_json: AsJson = False,
) -> None:
    """Give somebody another role; her sessions end."""
    _told([run(_change(email, role=role))], as_json=as_json)


def password(*, email: EmailOption, as_json: AsJson = False) -> None:
    """Give somebody another password; her sessions end."""
    _told([run(_change(email, password=_password(new=True)))], as_json=as_json)


def disable(*, email: EmailOption, as_json: AsJson = False) -> None:
    """Let somebody in no more; her sessions end."""
    _told([run(_change(email, disabled=True))], as_json=as_json)


def enable(*, email: EmailOption, as_json: AsJson = False) -> None:
    """Let somebody in again."""
    _told([run(_change(email, disabled=False))], as_json=as_json)


def token(*, email: EmailOption, as_json: AsJson = False) -> None:
    """Log in, and show the session's token for scripts: Authorization: Bearer …, for twelve hours."""
    address, secret = Email.parse(email), _password(new=False)

    async def work() -> tuple[str, str | None]:
        async with opened() as system:
            text, person = await system.staff_access.log_in(address, secret, TERMINAL)
            return text, moment(person.expires_at)

    text, expires_at = run(work())
    if as_json:
        show_json({"token": text, "expires_at": expires_at})
        return
    typer.echo(text)
    typer.echo(f"It is good until {expires_at}, and cannot be shown again.", err=True)


async def _change(
    email: str, *, role: StaffRole | None = None, password: str | None = None, disabled: bool | None = None
) -> Staff:
    address = Email.parse(email)
    async with opened() as system:
        access = system.staff_access
        found = await access.require(address)
        return await access.change(found.id, by=None, role=role, password=password, disabled=disabled)


def _password(*, new: bool) -> str:
    """From the terminal without showing it, twice for a new one; or the first line of standard input."""
    if sys.stdin.isatty():
        given: str = typer.prompt("Password", hide_input=True, confirmation_prompt=new)
        return given
    return sys.stdin.readline(_LONGEST_LINE).removesuffix("\n").removesuffix("\r")


def _told(staff: list[Staff], *, as_json: bool) -> None:
    if as_json:
        show_json(
            [
                {
                    "id": str(one.id),
                    "email": one.email.address,
                    "role": one.role.value,
                    "created_at": moment(one.created_at),
                    "disabled_at": moment(one.disabled_at),
                }
                for one in staff
            ]
        )
        return
    show_table(
        ("e-mail", "role", "disabled since"),
        [(one.email.address, one.role.value, moment(one.disabled_at) or "") for one in staff],
    )
