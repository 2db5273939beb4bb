"""The oracle: what each outside wallet must hold, tallied from the wire and from the handsets, never from our books.

If it asked the wallet code that the product and the sandbox share, a fault in that code would cancel itself out. So it
counts what was asked for in a push as the bytes said it, and what a subscriber saw when she gave her PIN.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from penpay.sandbox.phone import Prompt
from penpay.simulation.loop import Process

_PUSH: Final = "/mpesa/stkpush/v1/processrequest"
_OK: Final = 200
_CALLBACK: Final = "/api/v1/callbacks/stk/"


@dataclass(frozen=True, slots=True)
class Heard:
    """A callback as it was delivered to us."""

    path: str
    body: bytes
    is_forged: bool


class Oracle:
    """Keeps the tallies of one run."""

    def __init__(self) -> None:
        self.asked_cents: defaultdict[str, list[int]] = defaultdict(list)
        """By AccountReference: the amount of every push that reached Daraja."""
        self.paid_cents: defaultdict[str, int] = defaultdict(int)
        """By AccountReference: what was paid for it."""
        self.spent_cents: defaultdict[str, int] = defaultdict(int)
        """By phone: what has left it."""
        self.credited_cents = 0
        """What strangers have paid to our agent account at Deriv."""
        self.heard: list[Heard] = []
        """Every callback we said we had taken, true or forged."""
        self.tokens: list[str] = []
        """The callback paths as a listener on the way would learn them."""

    def request(self, path: str, body: bytes) -> None:
        """A request has reached its server."""
        if path == _PUSH and (push := _object(body)) is not None:
            self.asked_cents[str(push["AccountReference"])].append(int(push["Amount"]) * 100)
            token = str(push["CallBackURL"])
            if token not in self.tokens:
                self.tokens.append(token)

    def answered(self, sender: Process | None, path: str, request: bytes, status: int) -> None:
        """A server has answered; whether that arrives is another matter. What we said we had taken must not be lost."""
        if status == _OK and path.startswith(_CALLBACK):
            self.heard.append(Heard(path, request, is_forged=sender is None))

    def paid(self, prompt: Prompt, msisdn: str) -> None:
        """A subscriber was told that her payment went through."""
        self.paid_cents[prompt.account_reference] += prompt.amount.cents
        self.spent_cents[msisdn] += prompt.amount.cents


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body, parse_float=Decimal)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
