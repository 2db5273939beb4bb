"""The oracle: what each outside wallet must hold, tallied from the wire and from the handsets, never from our books.

If it asked the wallet code that the product and the sandbox share, a fault in that code would cancel itself out. So it
counts what was asked for in a push as the bytes said it, and what a subscriber saw when she gave her PIN.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from penpay.domain.mobile_money.customer import EAST_AFRICA
from penpay.sandbox.phone import Prompt
from penpay.simulation.loop import Process
from penpay.simulation.network import Delivered

DAILY_CENTS: Final = 500_000_00
"""What one subscriber may pay in a day (kenya.md §3B); an oracle does not ask the operator for its rules."""
_PUSH: Final = "/mpesa/stkpush/v1/processrequest"
_OK: Final = 200
_CALLBACK: Final = "/api/v1/callbacks/stk/"


@dataclass(frozen=True, slots=True)
class Heard:
    """A callback as it was delivered to us."""

    path: str
    body: bytes
    is_forged: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What a push asked for, as its bytes said."""

    account_reference: str
    cents: int
    msisdn: str


@dataclass(frozen=True, slots=True)
class Rates:
    """What is known of exchange rates beside our books; moments are true ones, in virtual microseconds."""

    agreed: list[tuple[int, datetime]] = field(default_factory=list)
    """When a rate was approved for certain, and from when it is valid."""
    refused: list[tuple[int, int]] = field(default_factory=list)
    """When a user asked who was told that there is no rate, and when she was told."""


class Listener(Protocol):
    """Keeps a tally of its own of what goes over the wire."""

    def request(self, request: Delivered) -> None:
        """A request has reached its server."""
        ...

    def answered_with(self, sender: Process | None, request: Delivered, status: int) -> None:
        """A server has answered."""
        ...


class Business(Listener, Protocol):
    """What a business knows of its own payments."""

    @property
    def kept_cents(self) -> int:
        """What was paid to it on handsets, less what the operator has given back."""
        ...


class Oracle:
    """Keeps the tallies of one run."""

    def __init__(self, now_us: Callable[[], int], begins_at: datetime) -> None:
        """`now_us`: the true time, in virtual microseconds since the start, which was at `begins_at`."""
        self.now_us = now_us
        self._begins_at = begins_at
        self.rates = Rates()
        self.broken: list[str] = []
        """What was seen outside our books that must not be."""
        self._paid_on: defaultdict[tuple[str, date], int] = defaultdict(int)
        """By phone and day in Nairobi: what was paid, for the operator's limit."""
        self.asked_cents: defaultdict[str, list[int]] = defaultdict(list)
        """By AccountReference: the amount of every push that reached Daraja."""
        self.asked_msisdns: defaultdict[str, set[str]] = defaultdict(set)
        """By AccountReference: the phones whose owners were asked."""
        self.paid_cents: defaultdict[str, int] = defaultdict(int)
        """By AccountReference: what was paid for it."""
        self.spent_cents: defaultdict[str, int] = defaultdict(int)
        """By phone: what has left it."""
        self.credited_cents = 0
        """What strangers have paid to our agent account at Deriv."""
        self.business: Business | None = None
        """What is known of the business, where there is one."""
        self.payouts: Listener | None = None
        """What is known of payouts, where there are any."""
        self.float_cents = 0
        """What our PayBill was given to make them with."""
        self.bill_wallets_cents = 0
        """What its payers had when they began."""
        self.heard: list[Heard] = []
        """Every callback we said we had taken, true or forged."""
        self.receipts: list[str] = []
        """Receipt numbers as they were told."""
        self.prompts: dict[str, str] = {}
        """By AccountReference: the CheckoutRequestID of the prompt a handset showed."""
        self.altered: list[tuple[str, str]] = []
        """AccountReference and CheckoutRequestID of payments told to us with another amount or phone than we asked."""
        self.strange: list[str] = []
        """Paths at which we took a callback, and which we never gave out."""
        self.posted: list[tuple[Delivered, int | None]] = []
        """Every callback that reached us; once more, with its status, when it was answered."""
        self.told_us: dict[str, int] = {}
        """By AccountReference: when a callback has come last to its address, in virtual microseconds."""
        self._asked: dict[str, Asked] = {}
        self.tokens: list[str] = []
        """The callback paths as a listener on the way would learn them."""

    def request(self, request: Delivered) -> None:
        """A request has reached its server."""
        path = request.path
        for listener in (self.business, self.payouts):
            if listener is not None:
                listener.request(request)
        if path.startswith(_CALLBACK):
            self.posted.append((request, None))
            if (reference := self.reference_of(path)) is not None:
                self.told_us[reference] = self.now_us()
        if path == _PUSH and (push := _object(request.body)) is not None:
            asked = Asked(str(push["AccountReference"]), int(push["Amount"]) * 100, str(push["PhoneNumber"]))
            self.asked_cents[asked.account_reference].append(asked.cents)
            self.asked_msisdns[asked.account_reference].add(asked.msisdn)
            token = str(push["CallBackURL"])
            self._asked[urlsplit(token).path] = asked
            if token not in self.tokens:
                self.tokens.append(token)

    def answered(self, sender: Process | None, request: Delivered, status: int) -> None:
        """A server has answered; whether that arrives is another matter. What we said we had taken must not be lost."""
        path = request.path
        for listener in (self.business, self.payouts):
            if listener is not None:
                listener.answered_with(sender, request, status)
        if not path.startswith(_CALLBACK):
            return
        self.posted.append((request, status))
        if status == _OK:
            self.heard.append(Heard(path, request.body, is_forged=sender is None))
            self._compare(path, request.body)
            if path not in self._asked:
                self.strange.append(path)

    @property
    def bills_cents(self) -> int:
        """What was paid to the business on handsets, less what the operator has given back of it."""
        return 0 if self.business is None else self.business.kept_cents

    def reference_of(self, path: str) -> str | None:
        """The AccountReference of the push that gave this address to M-Pesa; None for any other address."""
        asked = self._asked.get(path)
        return None if asked is None else asked.account_reference

    def _compare(self, path: str, body: bytes) -> None:
        told, asked = _payment(body), self._asked.get(path)
        if told is None or asked is None:
            return
        self.receipts.append(str(told["MpesaReceiptNumber"]))
        if (int(told["Amount"]) * 100, str(told["PhoneNumber"])) != (asked.cents, asked.msisdn):
            self.altered.append((asked.account_reference, str(told["CheckoutRequestID"])))

    def shown(self, prompt: Prompt) -> None:
        """A handset shows a prompt."""
        self.prompts[prompt.account_reference] = prompt.checkout_request_id

    def paid(self, prompt: Prompt, msisdn: str) -> None:
        """A subscriber was told that her payment went through."""
        self.paid_cents[prompt.account_reference] += prompt.amount.cents
        self.spent_cents[msisdn] += prompt.amount.cents
        self._paid_on[msisdn, self.today] += prompt.amount.cents
        if (spent := self._paid_on[msisdn, self.today]) > DAILY_CENTS:
            self.broken.append(f"I13: {msisdn} has paid {spent} on one day")

    @property
    def today(self) -> date:
        """The day in Nairobi."""
        return (self._begins_at + timedelta(microseconds=self.now_us())).astimezone(EAST_AFRICA).date()

    def has_paid(self, msisdn: str, cents: int) -> None:
        """A subscriber has paid so much today before the world began."""
        self._paid_on[msisdn, self.today] += cents

    def barred(self, prompt: Prompt, msisdn: str, asked_on: date) -> None:
        """A subscriber who gave her PIN on this day was told that she would pay too much in one."""
        spent = self._paid_on[msisdn, self.today] + prompt.amount.cents
        if asked_on == self.today and spent <= DAILY_CENTS:
            self.broken.append(f"I13: {msisdn} may not pay {prompt.amount.cents}, which would make {spent} on one day")


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body, parse_float=Decimal)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _payment(body: bytes) -> dict[str, Any] | None:
    """The items of a callback that tells of a payment, and its CheckoutRequestID."""
    found = _object(body)
    callback = found and found["Body"]["stkCallback"]
    if not callback or str(callback["ResultCode"]) != "0":
        return None
    items = {item["Name"]: item.get("Value") for item in callback["CallbackMetadata"]["Item"]}
    return {**items, "CheckoutRequestID": callback["CheckoutRequestID"]}
