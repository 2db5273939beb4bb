"""`penpay sandbox`: an M-Pesa with Daraja and a Deriv on this machine, and what a second terminal does with it."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from penpay.cli.lazy import add_lazily

_Port = Annotated[
    int | None,
    typer.Option(
        min=0, max=65_535, help="Where Daraja listens; 0: any free port. Otherwise that of MPESA_BASE_URL, or 6700."
    ),
]
_DerivPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65_535,
        help="Where the Deriv simulator listens; 0: any free port. Otherwise that of DERIV_ENDPOINT, or 6800.",
    ),
]
_NoLog = Annotated[bool, typer.Option("--no-log", help="Keep no log of requests and callbacks.")]
_Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Draw whatever is drawn from this seed: on fresh books, the same calls get the same answers.",
    ),
]
_Clock = Annotated[
    str | None,
    typer.Option(
        metavar="MOMENT|±SPAN",
        help="M-Pesa's time: a moment such as 2026-11-20T09:00:00+03:00, at which it stands still, or how far it is "
        "ahead of this machine's: +36h, -15m.",
    ),
]
COMMANDS: Final = (
    # Name, where it is, and what the help tells without importing it.
    (
        "sim",
        "penpay.cli.sandbox_sim:sim",
        "Show a phone's prompts as they come, take the PIN (an empty line cancels), and show its messages.",
    ),
    ("c2b", "penpay.cli.sandbox_act:c2b", "Pay a PayBill or a till from a phone, as a subscriber does by herself."),
    (
        "log",
        "penpay.cli.sandbox_log:log",
        "Tell what came into the sandbox (→) and what it sent (←), in East Africa Time, without secrets.",
    ),
    (
        "switches",
        "penpay.cli.sandbox_act:switches",
        "Show how this Daraja behaves where the real one is not of one mind, or change it.",
    ),
    (
        "clock",
        "penpay.cli.sandbox_adjust:clock",
        "Show M-Pesa's time, set it, or step on: prompts and tokens expire by it, and every timestamp tells it.",
    ),
    (
        "seed",
        "penpay.cli.sandbox_adjust:seed",
        "Show the seed that is drawn from, or begin anew with one: the same calls then get the same answers.",
    ),
    (
        "mail",
        "penpay.cli.sandbox_act:mail",
        "Show what the Deriv simulator has mailed its clients, codes and all, newest first.",
    ),
    ("faults", "penpay.cli.sandbox_faults", "Make things go wrong, at will."),
)


def commands() -> typer.Typer:
    app = typer.Typer(
        help="An M-Pesa with Daraja and a Deriv on this machine. Without a command: serve them.",
        invoke_without_command=True,
    )
    app.callback()(sandbox)
    for name, where, told in COMMANDS:
        add_lazily(app, name, where, told)
    return app


def sandbox(
    context: typer.Context,
    *,
    port: _Port = None,
    deriv_port: _DerivPort = None,
    no_log: _NoLog = False,
    seed: _Seed = None,
    clock: _Clock = None,
) -> None:
    """Serve an M-Pesa with Daraja, and a Deriv, on this machine until interrupted. Needs no setting and no account.

    What MPESA_* and DERIV_* say holds, from the environment or .env; what they leave out is chosen or drawn once.
    """
    if context.invoked_subcommand is None:
        # The whole program with every adapter, which the other commands here do not wait for.
        from penpay.cli.sandbox_serve import serve  # noqa: PLC0415

        serve(port, deriv_port, with_log=not no_log, seed=seed, time=clock)
