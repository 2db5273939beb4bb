"""`penpay sandbox clock` and `seed`: the time and the chance of a running sandbox, from a second terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from penpay.cli.output import AsJson, show_json
from penpay.cli.sandbox_reach import Port, reached
from penpay.cli.session import moment_given, run
from penpay.domain.mobile_money.customer import EAST_AFRICA
from penpay.sandbox.controls import SandboxClock

_SPAN: Final = re.compile(r"(?P<number>[0-9]{1,12})(?P<unit>ms|s|m|h|d)", re.ASCII)
_UNITS: Final[Mapping[str, int]] = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class Time:
    """What a sandbox's clock is set to: to stand still at `fixed_at`, or so far ahead of the machine's."""

    fixed_at: datetime | None
    offset_ms: int

    def set(self, clock: SandboxClock) -> None:
        """Raises MomentOutOfRange."""
        if self.fixed_at is None:
            clock.run_ahead(self.offset_ms)
        else:
            clock.fix(self.fixed_at)

    @property
    def body(self) -> Mapping[str, object]:
        """The same as JSON."""
        return {"offset_ms": self.offset_ms} if self.fixed_at is None else {"fixed_at": self.fixed_at.isoformat()}


def parse_time(text: str) -> Time:
    """Read +36h or -15m, `real` for the machine's time, or a moment; anything else is bad usage."""
    if text == "real":
        return Time(None, 0)
    if text[:1] in {"+", "-"}:
        return Time(None, _milliseconds(text[1:]) * (-1 if text.startswith("-") else 1))
    return Time(moment_given(text), 0)


def clock(
    set_to: Annotated[
        str | None,
        typer.Argument(metavar="[MOMENT|±SPAN|real]", help="Stand still at a moment; go on, so far ahead; or as here."),
    ] = None,
    *,
    step: Annotated[str | None, typer.Option(metavar="SPAN", help="Move on by so much: 61s, 10m, 2d.")] = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show M-Pesa's time, set it, or step on: prompts and tokens expire by it, and every timestamp tells it."""
    time = None if set_to is None else parse_time(set_to)
    run(_clock(port, time, None if step is None else _milliseconds(step), as_json=as_json))


async def _clock(port: int | None, time: Time | None, step_ms: int | None, *, as_json: bool) -> None:
    async with reached(port) as sandbox:
        found = await sandbox.ask("GET", "/sandbox/clock")
        if time is not None:
            found = await sandbox.ask("PUT", "/sandbox/clock", time.body)
        if step_ms is not None:
            found = await sandbox.ask("POST", "/sandbox/clock/steps", {"milliseconds": step_ms})
    if as_json:
        show_json(found)
    else:
        typer.echo(_told(found))


def seed(
    number: Annotated[str | None, typer.Argument(metavar="[NUMBER|none]", help="Begin anew with it.")] = None,
    *,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show the seed that is drawn from, or begin anew with one: the same calls then get the same answers."""
    run(_seed(port, None if number is None else {"seed": _seed_given(number)}, as_json=as_json))


async def _seed(port: int | None, change: Mapping[str, object] | None, *, as_json: bool) -> None:
    async with reached(port) as sandbox:
        found = await sandbox.ask("GET" if change is None else "PUT", "/sandbox/seed", change)
    if as_json:
        show_json(found)
    else:
        typer.echo("Drawn anew every time." if found["seed"] is None else f"Drawn from seed {found['seed']}.")


def _seed_given(text: str) -> int | None:
    if text == "none":
        return None
    if not (text.isascii() and text.isdigit()):
        raise typer.BadParameter("A seed is a whole number, or none.")
    return int(text)


def _milliseconds(text: str) -> int:
    span = _SPAN.fullmatch(text)
    if span is None:
        raise typer.BadParameter("A span is a whole number and ms, s, m, h or d, such as 61s.")
    return int(span["number"]) * _UNITS[span["unit"]]


def _told(found: Mapping[str, Any]) -> str:
    now = datetime.fromisoformat(found["now"]).astimezone(EAST_AFRICA)
    if found["is_fixed"]:
        how = "standing still"
    elif found["offset_ms"]:
        how = f"{found['offset_ms']} ms from this machine's time"
    else:
        how = "as this machine's"
    return f"{now:%Y-%m-%d %H:%M:%S} in Nairobi, {how}."
