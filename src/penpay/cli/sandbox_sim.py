"""`penpay sandbox sim`: a subscriber's handset in the terminal. It shows prompts and messages and takes the PIN."""

from __future__ import annotations

import os
import select
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from penpay.application.shared.ports import Clock
from penpay.cli.sandbox_reach import Port, Reached, reached
from penpay.cli.session import run
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.system import SystemClock

_LOOK_EVERY_MS: Final = 250
_WIDTH: Final = 48
_LOOKS_AFTER_THE_END: Final = 8
"""How long messages are still waited for when nobody can type any more."""
_CHUNK: Final = 4_096


def sim(
    *,
    phone: Annotated[str, typer.Option(help="Whose handset: 0712…, 254712…")],
    port: Port = None,
) -> None:
    """Show a phone's prompts as they come, take the PIN (an empty line cancels), and show its messages.

    What is typed or piped before a prompt comes answers the next one. Ends with Ctrl-C, or after the input has ended.
    """
    try:
        run(_sim(port, phone))
    except KeyboardInterrupt:
        typer.echo()


async def _sim(port: int | None, phone: str) -> None:
    number = PhoneNumber.parse(phone)
    async with reached(port) as sandbox:
        with typed() as keys:
            await Handset(sandbox, number.msisdn, keys, SystemClock()).show()


class Keys:
    """Lines as somebody types them, or as they are piped in; looking for one never waits."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pending = b""
        self._ended = False

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left, and nothing can come any more."""
        return self._ended and not self._pending

    def gather(self) -> None:
        """Take in what is there by now."""
        while not self._ended and select.select([self._descriptor], [], [], 0)[0]:
            chunk = os.read(self._descriptor, _CHUNK)
            self._pending += chunk
            self._ended = not chunk

    def line(self) -> str | None:
        """The next line without its end; None if there is no whole one yet, or none any more."""
        self.gather()
        if not self._pending or not (self._ended or b"\n" in self._pending):
            return None
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode(errors="replace").strip()


@contextmanager
def typed() -> Iterator[Keys]:
    """Standard input as lines. At a terminal what is typed is not shown: it is a PIN."""
    descriptor = sys.stdin.fileno()
    if not os.isatty(descriptor):
        yield Keys(descriptor)
        return
    before = termios.tcgetattr(descriptor)
    hidden = [*before]
    hidden[3] = before[3] & ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSADRAIN, hidden)
    try:
        yield Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class Handset:
    """What is on the screen, and what is done about it."""

    def __init__(self, sandbox: Reached, msisdn: str, keys: Keys, clock: Clock) -> None:
        self._sandbox = sandbox
        self._msisdn = msisdn
        self._keys = keys
        self._clock = clock
        self._console = Console(markup=False, highlight=False)
        self._shown: str | None = None
        self._messages: Sequence[str] = ()

    async def show(self) -> None:
        """Until the input has ended and every line of it has been used."""
        found = await self._look()
        self._messages = found["messages"]
        self._console.print(f"Handset of {self._msisdn}. Waiting for a prompt; Ctrl-C ends.")
        looks = _LOOKS_AFTER_THE_END
        while looks:
            await self._screen(found["prompt"])
            self._new_messages(found["messages"])
            self._keys.gather()
            looks = looks - 1 if self._keys.exhausted else _LOOKS_AFTER_THE_END
            await self._clock.sleep(_LOOK_EVERY_MS)
            found = await self._look()

    async def _look(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await self._sandbox.ask("GET", f"/sandbox/phones/{self._msisdn}")
        return found

    async def _screen(self, prompt: Mapping[str, Any] | None) -> None:
        if prompt is None:
            if self._shown is not None:
                self._console.print("  The prompt has gone: it was answered elsewhere, or its time is over.")
            self._shown = None
            return
        if prompt["checkout_request_id"] != self._shown:
            self._shown = prompt["checkout_request_id"]
            self._console.print(self._panel(prompt))
        line = self._keys.line()
        if line is not None:
            await self._answer(line)

    async def _answer(self, line: str) -> None:
        path = f"/sandbox/phones/{self._msisdn}"
        if line:
            found = await self._sandbox.try_to("POST", f"{path}/pin", {"pin": line})
        else:
            found = await self._sandbox.try_to("POST", f"{path}/cancel")
        if isinstance(found, str):
            self._console.print(f"  ✘ {found}")
            return  # the prompt stays, unless the next look finds it gone
        good = found["code"] == "0"
        self._console.print(f"  ✔ {found['text']}" if good else f"  ✘ {found['code']}: {found['text']}")
        self._shown = None

    def _new_messages(self, messages: Sequence[str]) -> None:
        """Print what came since the last look; the sandbox tells the newest fifty, oldest first."""
        before = list(self._messages)
        kept = next(
            (count for count in range(len(before), 0, -1) if before[-count:] == list(messages[:count])),
            0,
        )
        for message in messages[kept:]:
            self._console.print(_message(message))
        self._messages = messages

    def _panel(self, prompt: Mapping[str, Any]) -> Panel:
        amount = Money(prompt["amount_cents"], Currency.KES)
        lines = f"Pay {amount} to {prompt['merchant']}\nAccount {prompt['account_reference']}"
        return self._boxed(self._msisdn, f"{lines}\n\nPIN, then Enter. An empty line cancels.")

    def _boxed(self, title: str, text: str) -> Panel:
        width = min(self._console.width, _WIDTH)
        return Panel(Text(text), title=title, title_align="left", box=box.ROUNDED, width=width)


def _message(text: str) -> Table:
    """A message, its further lines under its first."""
    table = Table.grid(padding=(0, 1), pad_edge=True)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("SMS", text)
    return table
