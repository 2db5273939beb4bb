"""What is known of payouts from the wire: what was sent to M-Pesa, what we were told, what we said we had taken."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from penpay.simulation.loop import Process
from penpay.simulation.network import FOREIGN, Delivered
from penpay.simulation.oracle import Heard

_PAYOUT: Final = "/mpesa/b2c/v3/paymentrequest"
RESULTS: Final = "/api/v1/callbacks/results/"
_DOORS: Final = (RESULTS, "/api/v1/callbacks/timeouts/")
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Sent:
    """A payout as it reached Daraja."""

    id: str
    """Its OriginatorConversationID."""
    cents: int
    msisdn: str
    result_url: str
    at_us: int
    """When, in virtual microseconds."""


@dataclass(slots=True)
class Tally:
    """What is known of one run beside the books."""

    now_us: Callable[[], int]
    sent: list[Sent] = field(default_factory=list)
    posted: Counter[tuple[str, bytes]] = field(default_factory=Counter)
    """By path and body: every message that reached us from an address we take them from."""
    answered: Counter[tuple[str, bytes]] = field(default_factory=Counter)
    """By path and body: every message that we said we had taken."""
    heard: list[Heard] = field(default_factory=list)
    """Those, in order; a question's answer is not among them, since its address is good once."""
    lied: set[str] = field(default_factory=set)
    """OriginatorConversationIDs of payouts of which a forger has posted that they were made."""
    broken: list[str] = field(default_factory=list)

    def found(self, finding: str) -> None:
        """Something was seen that must not be."""
        if finding not in self.broken:
            self.broken.append(finding)

    # -- the wire

    def request(self, request: Delivered) -> None:
        """A request has reached its server."""
        if request.path == _PAYOUT and (asked := _object(request.body)) is not None:
            self.sent.append(
                Sent(
                    str(asked["OriginatorConversationID"]),
                    int(asked["Amount"]) * 100,
                    str(asked["PartyB"]),
                    str(asked["ResultURL"]),
                    self.now_us(),
                )
            )
        elif request.path.startswith(_DOORS) and request.address != FOREIGN:
            self.posted[request.path, request.body] += 1

    def answered_with(self, sender: Process | None, request: Delivered, status: int) -> None:
        """A server has answered; what we said we had taken must not be lost."""
        if not request.path.startswith(_DOORS) or status != _OK or request.address == FOREIGN:
            return
        self.answered[request.path, request.body] += 1
        if self.of(request.path) is None:
            return
        self.heard.append(Heard(request.path, request.body, is_forged=sender is None))

    def of(self, path: str) -> Sent | None:
        """The payout that gave this address to M-Pesa; None for any other."""
        return next((one for one in self.sent if urlsplit(one.result_url).path == path), None)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body, parse_float=Decimal)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
