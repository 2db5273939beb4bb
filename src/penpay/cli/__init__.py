"""The command `penpay`: what operators do at a terminal, and scripts through `--json`.

Exit status: 0 done; 1 refused, failed, or something was found wrong, with `error: <code>: <message>` on standard error;
2 the command was not understood.
"""

from __future__ import annotations

from typing import Any, Final

import typer
from typer.core import TyperGroup

from penpay.cli.lazy import add_lazily

COMMANDS: Final = (
    # Name, where it is, and what `penpay --help` tells without importing it.
    ("demo", "penpay.cli.demo:demo", "Run deposits and withdrawals end to end on embedded SQLite, then keep serving."),
    (
        "simulate",
        "penpay.cli.simulate:simulate",
        "Run the whole system under faults drawn from seeds; exit status 1 when any invariant breaks.",
    ),
    (
        "serve",
        "penpay.cli.serve:serve",
        "Serve the API and run the workers until interrupted; settings come from the environment (.env.example).",
    ),
    (
        "sandbox",
        "penpay.cli.sandbox",
        "An M-Pesa with Daraja and a Deriv on this machine. Without a command: serve them.",
    ),
    ("operator", "penpay.cli.operator", "The mobile-money operator."),
    ("db", "penpay.cli.database", "The database's schema."),
    ("ledger", "penpay.cli.ledger", "The ledger."),
    ("events", "penpay.cli.events", "Domain events."),
    ("audit", "penpay.cli.audit", "The audit trail."),
    ("users", "penpay.cli.users", "Users."),
    ("collections", "penpay.cli.collections", "Payments to our PayBill number."),
    ("staff", "penpay.cli.staff", "People who work for the business."),
    ("fx", "penpay.cli.fx", "Exchange rates."),
    ("tx", "penpay.cli.tx", "Transactions."),
    ("reviews", "penpay.cli.reviews", "What waits for people."),
    ("notifications", "penpay.cli.notifications", "Messages to users."),
)


class _Readable(TyperGroup):
    """Refuses what is no text before any command sees it: neither a database nor a terminal could take it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if any("\ud800" <= letter <= "\udfff" for argument in args for letter in argument):
            raise typer.BadParameter("An argument is not UTF-8.", ctx=ctx)
        return super().parse_args(ctx, args)


def build_app() -> typer.Typer:
    """The whole command line; each command is imported when it is run."""
    app = typer.Typer(
        name="penpay",
        cls=_Readable,
        help="M-Pesa payments on one immutable double-entry ledger.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name, where, told in COMMANDS:
        add_lazily(app, name, where, told)
    return app
