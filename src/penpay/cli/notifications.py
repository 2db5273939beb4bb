"""`penpay notifications`: what users were told of their transactions, and what became of each message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer

from penpay.application.payments.notifying import Contact
from penpay.application.payments.views import moment
from penpay.cli.output import AsJson, show_json, show_table
from penpay.cli.session import fail, opened, run
from penpay.domain.payments.notification import Notification
from penpay.domain.shared.delivery import Channel, NotificationState
from penpay.domain.shared.ids import TransactionId


def commands() -> typer.Typer:
    app = typer.Typer(help="Messages to users.", no_args_is_help=True)
    app.command("list")(list_)
    app.command("show")(show)
    return app


def list_(
    *,
    state: Annotated[
        NotificationState | None, typer.Option(case_sensitive=False, help="Only those: GIVEN_UP is what to look at.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List messages to users, the newest first."""
    found = run(_newest(limit, state))
    if as_json:
        show_json([_view(one) for one in found])
    elif found:
        show_table(
            ("written", "transaction", "status", "channel", "state", "tries", "last"),
            [
                (
                    str(moment(one.created_at)),
                    str(one.key.transaction_id),
                    one.status.value,
                    one.key.channel.value,
                    one.state.value,
                    str(one.attempts),
                    one.code or "",
                )
                for one in found
            ],
        )
    else:
        typer.echo("There are no such messages.")


def show(
    transaction_id: Annotated[UUID, typer.Argument(help="The transaction's id.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show the messages about one transaction, to whom, with numbers and addresses masked, and what became of them."""
    found, contact = run(_of(TransactionId(transaction_id)))
    if not found:
        fail("not_found", "There are no messages about such a transaction.")
    if as_json:
        show_json([{**_view(one), "to": _address(one, contact)} for one in found])
        return
    for one in found:
        last = f", {one.code}" if one.code else ""
        typer.echo(
            f"{moment(one.created_at)}  {one.key.channel.value:<4} to {_address(one, contact)}: {one.state.value}{last}"
        )
        typer.echo(f"  {one.text}")


def _view(one: Notification) -> dict[str, object]:
    return {
        "message_id": one.message_id,
        "transaction_id": str(one.key.transaction_id),
        "status": one.status.value,
        "channel": one.key.channel.value,
        "state": one.state.value,
        "title": one.title,
        "text": one.text,
        "attempts": one.attempts,
        "code": one.code,
        "provider_id": one.provider_id,
        "due_at": moment(one.due_at),
        "created_at": moment(one.created_at),
        "sent_at": moment(one.sent_at),
    }


def _address(one: Notification, contact: Contact | None) -> str:
    if contact is None:
        return "nobody"
    return contact.phone.masked if one.key.channel is Channel.SMS else contact.email.masked


async def _newest(limit: int, state: NotificationState | None) -> Sequence[Notification]:
    async with opened() as system:
        return await system.notification_books.newest(limit, state=state)


async def _of(transaction_id: TransactionId) -> tuple[Sequence[Notification], Contact | None]:
    async with opened() as system:
        found = await system.notification_books.of_transaction(transaction_id)
        return found, await system.notification_books.contact(found[0].user_id) if found else None
