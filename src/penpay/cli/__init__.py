"""The command `penpay`: what operators do at a terminal, and scripts through `--json`.

Exit status: 0 done; 1 refused, failed, or something was found wrong, with `error: <code>: <message>` on standard error;
2 the command was not understood.
"""

from __future__ import annotations

import typer

from penpay.cli import database, fx, ledger, reviews, users
from penpay.cli.demo import demo
from penpay.cli.serve import sandbox, serve


def build_app() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="penpay",
        help="M-Pesa payments on one immutable double-entry ledger.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for command in (demo, serve, sandbox):
        app.command()(command)
    app.add_typer(database.commands(), name="db")
    app.add_typer(ledger.commands(), name="ledger")
    app.add_typer(users.commands(), name="users")
    app.add_typer(fx.commands(), name="fx")
    app.add_typer(reviews.commands(), name="reviews")
    return app
