"""`penpay users`: people with an account here."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Annotated

import typer

from penpay.application.identity.deriv_tokens import BindDerivToken
from penpay.application.identity.users import CreateUser
from penpay.cli.output import AsJson, show_json
from penpay.cli.session import opened, run
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.identity.credential import API_KEY_BYTES, api_key_hash, api_key_text
from penpay.domain.identity.user import DerivAccount, User
from penpay.domain.shared.email import Email
from penpay.domain.shared.phone import PhoneNumber


def commands() -> typer.Typer:
    app = typer.Typer(help="Users.", no_args_is_help=True)
    app.command("create")(create)
    app.command("deriv-token")(deriv_token)
    return app


def create(
    *,
    email: Annotated[str, typer.Option(help="Her e-mail address.")],
    phone: Annotated[str, typer.Option(help="Her M-Pesa number; you vouch that it is hers.")],
    deriv_login_id: Annotated[str, typer.Option(help="Her USD account at Deriv, such as CR123456.")],
    as_json: AsJson = False,
) -> None:
    """Create a user, and show her API key: now and never again."""
    user, api_key = run(_create(email, phone, deriv_login_id))
    if as_json:
        show_json({"user_id": str(user.id), "api_key": api_key})
        return
    typer.echo(f"user     {user.id}")
    typer.echo(f"API key  {api_key}")
    typer.echo("The key is not stored and cannot be shown again.", err=True)


def deriv_token(
    deriv_login_id: Annotated[str, typer.Argument(help="The account at Deriv, such as CR123456.")],
    *,
    days: Annotated[int, typer.Option(min=1, max=365, help="For how many days it is kept.")] = 30,
) -> None:
    """Keep the Deriv token of a user's account, read from standard input, so that she can withdraw."""
    account = run(_bind(deriv_login_id, sys.stdin.readline().strip(), timedelta(days=days)))
    typer.echo(f"{account.deriv_login_id} is connected for {days} days.")


async def _bind(login_id: str, token: str, good_for: timedelta) -> DerivAccount:
    command = BindDerivToken(deriv_login_id=DerivLoginId.parse(login_id), token=token, good_for=good_for)
    async with opened() as system:
        account: DerivAccount = await system.executor.execute(command)
    return account


async def _create(email: str, phone: str, deriv_login_id: str) -> tuple[User, str]:
    who, number, account = Email.parse(email), PhoneNumber.parse(phone), DerivLoginId.parse(deriv_login_id)
    async with opened() as system:
        api_key = api_key_text(system.random.token_bytes(API_KEY_BYTES))
        user: User = await system.executor.execute(
            CreateUser(
                email=who,
                phone=number,
                phone_verified=True,
                deriv_login_id=account,
                api_key_hash=api_key_hash(api_key),
            )
        )
    return user, api_key
