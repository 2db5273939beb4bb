"""`penpay sandbox log`: the story of a payment, one exchange after another."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from penpay.cli.sandbox_reach import Port, reached
from penpay.cli.session import run
from penpay.domain.mobile_money.customer import EAST_AFRICA
from penpay.infrastructure.system import SystemClock
from penpay.sandbox.daraja.wire import write_json

_LOOK_EVERY_MS: Final = 300
_TIME_WIDTH: Final = 12
_WIDE: Final = 110
_REFUSED: Final = 400


def log(
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Go on printing what happens, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON an exchange, with its bodies.")] = False,
    after: Annotated[int, typer.Option(min=0, help="Leave out what came before: numbers up to this one.")] = 0,
    port: Port = None,
) -> None:
    """Tell what came into the sandbox (→) and what it sent (←), in East Africa Time, without secrets."""
    with suppress(KeyboardInterrupt):
        run(_log(port, after, follow=follow, as_json=as_json))


async def _log(port: int | None, after: int, *, follow: bool, as_json: bool) -> None:
    try:
        await _print(port, after, follow=follow, as_json=as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read along, such as `head`, has gone; what is still to be written goes nowhere, and quietly.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _print(port: int | None, after: int, *, follow: bool, as_json: bool) -> None:
    clock, console = SystemClock(), Console(markup=False, highlight=False)
    async with reached(port) as sandbox:
        while True:
            found = await sandbox.ask("GET", f"/sandbox/log?after={after}")
            for entry in found["entries"]:
                after = entry["number"]
                if as_json:
                    typer.echo(write_json(entry))
                else:
                    console.print(told(entry, console.width))
            if found["entries"]:
                continue
            if not follow:
                return
            after = min(after, found["last"])  # fewer than we know of: the sandbox was started again
            await clock.sleep(_LOOK_EVERY_MS)


def told(entry: Mapping[str, Any], width: int) -> Table:
    """One exchange: when, which way, what was asked and, beside it or below where that is narrow, what came of it."""
    at = datetime.fromisoformat(entry["at"]).astimezone(EAST_AFRICA)
    arrow = "→" if entry["direction"] == "in" else "←"
    moment = f"{at:%H:%M:%S}.{at.microsecond // 1000:03}"
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=_TIME_WIDTH)
    table.add_column(width=1)
    table.add_column(ratio=3, overflow="fold")
    if width < _WIDE:
        table.add_row(moment, arrow, what(entry))
        table.add_row("", "", f"  {outcome(entry)}")
    else:
        table.add_column(ratio=2, overflow="fold")
        table.add_row(moment, arrow, what(entry), outcome(entry))
    return table


def what(entry: Mapping[str, Any]) -> str:
    """What was asked, by what the message holds."""
    body = entry["request"] if isinstance(entry["request"], dict) else {}
    target = str(entry["target"])
    if entry["direction"] == "out":
        return f"{_sent(body)} to {target}"
    path = target.partition("?")[0]
    if path == "/oauth/v1/generate":
        return "access token"
    if path == "/mpesa/stkpush/v1/processrequest":
        wanted = f"push KES {body.get('Amount')} from {body.get('PhoneNumber')}"
        return f"{wanted} to {body.get('PartyB')}, account {body.get('AccountReference')}"
    if path == "/mpesa/stkpushquery/v1/query":
        return f"query of push {body.get('CheckoutRequestID')}"
    if path.startswith("/sandbox/phones/"):
        phone, _, did = path.removeprefix("/sandbox/phones/").partition("/")
        return f"{phone} {_DONE.get(did, did)}"
    words = [str(body[key]) for key in ("CommandID", "Amount", "PartyA", "PartyB", "ShortCode") if key in body]
    return " ".join((f"{entry['method']} {path}", *words))


_DONE: Final[Mapping[str, str]] = {"pin": "types a PIN", "cancel": "cancels", "standing-answer": "answers by itself"}


def _sent(body: Mapping[str, Any]) -> str:
    """What the sandbox told: how a push ended, a result, or a payment to a PayBill or till."""
    wrapped = body.get("Body")
    callback = wrapped.get("stkCallback") if isinstance(wrapped, dict) else None
    if isinstance(callback, dict):
        return f"callback: {_result(callback)}"
    if isinstance(body.get("Result"), dict):
        return f"result: {_result(body['Result'])}"
    if "TransID" in body:
        paid = f"{body['TransID']} KES {body.get('TransAmount')} to {body.get('BusinessShortCode')}"
        return f"payment {paid}, account {body.get('BillRefNumber')}"
    return "message"


def _result(body: Mapping[str, Any]) -> str:
    told_of = [f"{body.get('ResultCode')} {body.get('ResultDesc')}".rstrip(".")]
    receipt = body.get("TransactionID") or _item(body, "MpesaReceiptNumber")
    if receipt:
        told_of.append(f"receipt {receipt}")
    named = body.get("CheckoutRequestID") or body.get("ConversationID")
    if named:
        told_of.append(f"for {named}")
    return ", ".join(told_of)


def _item(body: Mapping[str, Any], name: str) -> object:
    metadata = body.get("CallbackMetadata")
    items: Sequence[Any] = metadata.get("Item", ()) if isinstance(metadata, dict) else ()
    return next((one.get("Value") for one in items if isinstance(one, dict) and one.get("Name") == name), None)


def outcome(entry: Mapping[str, Any]) -> str:
    """What came back, and how long it took."""
    took = f"{entry['ms']} ms"
    status, answer = entry["status"], entry["answer"]
    if status is None:
        return f"NO ANSWER ({entry['failure'] or 'cut off'}), {took}"
    if entry["failure"]:
        return f"{status} {entry['failure']}, {took}"
    said = _said(answer) if isinstance(answer, dict) else str(answer) if isinstance(answer, str) else ""
    return ", ".join(filter(None, (f"{'✘ ' if status >= _REFUSED else ''}{status} {said}".strip(), took)))


def _said(answer: Mapping[str, Any]) -> str:
    """The one thing an answer says, by the first key it has that names it."""
    if "access_token" in answer:
        return "given"
    if isinstance(answer.get("fault"), dict):
        return str(answer["fault"].get("faultstring", "fault")).partition(".")[0]
    for code, words in _SAID:
        if code in answer:
            found = (str(answer[key]) for key in (code, *words) if answer.get(key))
            return " ".join(found).rstrip(".")
    return ""


_SAID: Final = (
    ("errorCode", ("errorMessage",)),
    ("ResultCode", ("ResultDesc",)),
    ("CheckoutRequestID", ()),
    ("ConversationID", ()),
    ("code", ("text", "message")),
    ("receipt", ()),
    ("ResponseDescription", ()),
)
"""Keys of answers, most telling first, each with what stands behind it."""
