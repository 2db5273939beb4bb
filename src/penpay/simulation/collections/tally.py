"""The tally of a business: what was paid on handsets, what was posted to us, and what its staff was answered.

It never asks the books of the business. Payments come from the handsets, messages from the wire, wishes from answers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from penpay.simulation.loop import Process
from penpay.simulation.nemesis import Notes
from penpay.simulation.network import Delivered

CONFIRMATIONS: Final = ("/api/webhooks/mpesa", "/confirmation")
_DOORS: Final = "/api/webhooks/"
_OK: Final = 200


class What(StrEnum):
    """What the staff can wish for, by the name under which the audit trail keeps it."""

    CUSTOMER = "customer.created"
    INVOICE = "invoice.issued"
    VOID = "invoice.voided"
    RECURRING = "recurring.created"
    CREDIT_NOTE = "credit_note.issued"
    SALE = "sale.opened"
    CASH = "sale.cash_taken"
    CANCEL = "sale.cancelled"
    PUSH = "till_push.asked"
    ALLOCATE = "payment.allocated"
    UNALLOCATE = "allocation.reversed"
    REALLOCATE = "payment.reallocated"
    CREDIT = "credit.applied"
    REFUND = "refund.proposed"
    APPROVAL = "refund.approved"
    REJECTION = "refund.rejected"
    REVERSAL = "payment.reversed"
    SHIFT = "shift.opened"
    CASH_MOVED = "cash.moved"
    COUNT = "shift.closed"
    LOCK = "period_lock.proposed"
    LOCKED = "period_lock.approved"
    REMINDERS = "reminders.decided"
    LEFT_OUT = "reminders.refused"


@dataclass(slots=True, eq=False)
class Wish:
    """Something one of the staff wants done. `by` is in no other wish, so all that comes of it can be found."""

    what: What
    by: str
    key: str | None
    """The Idempotency-Key under which it is asked for, again and again; None: it is asked for once."""
    answer: Mapping[str, Any] | None = None
    """What it was answered once it was done."""
    text: str | None = None
    refusal: str | None = None
    unknown: int = 0
    """How many of its tries nobody has answered."""

    @property
    def is_done(self) -> bool:
        return self.answer is not None

    @property
    def is_open(self) -> bool:
        """Whether nobody can tell if it was done."""
        return self.answer is None and self.unknown > 0


@dataclass(frozen=True, slots=True)
class Bill:
    """A payment that a handset has said was made."""

    receipt: str
    cents: int
    reference: str
    number: int
    """The how-manieth it was."""


@dataclass(slots=True)
class Tally:
    """What is known of one run beside the books."""

    notes: Notes
    bills: dict[str, Bill] = field(default_factory=dict)
    """By receipt."""
    reversed: dict[str, int] = field(default_factory=dict)
    """By receipt: what the operator has given back of it."""
    forged: dict[str, set[int]] = field(default_factory=dict)
    """By receipt: the amounts that a forger has claimed."""
    lied_about: set[str] = field(default_factory=set)
    """Account references of pushes of which a forger has confirmed the payment."""
    taken: Counter[str] = field(default_factory=Counter)
    """By receipt: how many true confirmations we said we had taken."""
    delivered: Counter[str] = field(default_factory=Counter)
    """By receipt: how many true confirmations reached us, answered or not."""
    lied: Counter[str] = field(default_factory=Counter)
    """The same of a forger's, taken."""
    posted: Counter[tuple[str, bytes]] = field(default_factory=Counter)
    """By path and body: every message that reached us."""
    answered: Counter[tuple[str, bytes]] = field(default_factory=Counter)
    """By path and body: every message that we said we had taken."""
    left: dict[str, int] = field(default_factory=dict)
    """By receipt: what statements, imported or begun to be, tell that left for nothing we know of."""
    imported: set[str] = field(default_factory=set)
    """Receipts of rows of statements whose import was answered."""
    wishes: list[Wish] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def found(self, finding: str) -> None:
        """Something was seen that must not be."""
        if finding not in self.broken:
            self.broken.append(finding)

    @property
    def kept_cents(self) -> int:
        """What was paid on handsets, less what the operator has given back of it."""
        return sum(bill.cents for bill in self.bills.values()) - sum(self.reversed.values())

    # -- the wire

    def request(self, request: Delivered) -> None:
        """A message has reached one of our doors for payments."""
        if request.path.startswith(_DOORS):
            self.posted[request.path, request.body] += 1
            receipt = receipt_of(request)
            if receipt is not None and self._is_true(request, receipt):
                self.delivered[receipt] += 1

    def answered_with(self, sender: Process | None, request: Delivered, status: int) -> None:
        """We have answered it."""
        if not request.path.startswith(_DOORS) or status != _OK:
            return
        self.answered[request.path, request.body] += 1
        receipt = receipt_of(request)
        if receipt is not None:
            (self.lied if sender is None else self.taken)[receipt] += 1

    def _is_true(self, request: Delivered, receipt: str) -> bool:
        return cents_of(request) not in self.forged.get(receipt, set())

    # -- the staff

    def done(self, wish: Wish, text: str) -> None:
        """It was answered as done; the same key has the same answer to the byte."""
        if wish.text is not None:
            if wish.text != text:
                self.found(f"K5: two answers to {wish.what} under one key")
            return
        wish.text = text
        wish.answer = json.loads(text, parse_float=Decimal)
        self.notes.trace(f"{wish.what} of {wish.by} is done")
        self.notes.reach(f"business {wish.what} done")

    def refused(self, wish: Wish, code: str) -> None:
        """It was refused for good, which says nothing of a try before it that nobody has answered."""
        wish.refusal = code
        self.notes.trace(f"{wish.what} of {wish.by} is refused {code}")
        self.notes.reach(f"business refused {code}")
        if wish.is_done:
            self.found(f"K5: {wish.what} was done, and its repeat is refused {code}")


def receipt_of(request: Delivered) -> str | None:
    """The receipt in a confirmation; None for any other message."""
    if not request.path.endswith(CONFIRMATIONS):
        return None
    body = _object(request.body)
    return None if body is None else str(body.get("TransID"))


def cents_of(request: Delivered) -> int:
    """The amount in a confirmation."""
    body = _object(request.body) or {}
    return int(Decimal(str(body.get("TransAmount", 0))) * 100)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body, parse_float=Decimal)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
