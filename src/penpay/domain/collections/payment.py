"""An M-Pesa payment to the business: known by its receipt, booked once, and always used for something.

SUSPENSE ─→ PARTIALLY_ALLOCATED ─→ ALLOCATED, and back; suspense that was paid back ─→ REFUNDED; all ─→ REVERSED, which
is final: M-Pesa has taken the money back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from penpay.domain.collections.allocation import PaymentId
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.errors import InvalidReceipt, PaymentReversed, SuspenseTooSmall
from penpay.domain.collections.line import KES, ZERO
from penpay.domain.collections.reference import SuspenseReason
from penpay.domain.shared.events import DomainEvent, Fact
from penpay.domain.shared.ids import WebhookId
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber

TRANSACTION_LIMIT: Final = Money(25_000_000, KES)
"""The most one payment may be (kenya.md §3B)."""
DAY_LIMIT: Final = Money(50_000_000, KES)
"""The most a customer may pay on one day in Nairobi."""

_RECEIPT: Final = re.compile(r"[A-Za-z0-9]{1,20}", re.ASCII)
_LONGEST_NAME: Final = 120


class PaymentSource(StrEnum):
    """How we learned of a payment."""

    C2B = "C2B"
    """M-Pesa's confirmation."""
    STK = "STK"
    """A push from the till that succeeded."""
    PULL = "PULL"
    """The list M-Pesa keeps for 48 hours."""
    STATEMENT = "STATEMENT"
    """A statement of the organisation, imported."""

    @property
    def is_proof(self) -> bool:
        """Whether it is our own question to M-Pesa, or its books: nobody else can have told it."""
        return self in {PaymentSource.PULL, PaymentSource.STATEMENT}


_RECORDS: Final = frozenset(source.value.lower() for source in PaymentSource if source.is_proof)


class PaymentStatus(StrEnum):
    SUSPENSE = "SUSPENSE"
    PARTIALLY_ALLOCATED = "PARTIALLY_ALLOCATED"
    """Some of it is in suspense."""
    ALLOCATED = "ALLOCATED"
    REVERSED = "REVERSED"
    REFUNDED = "REFUNDED"
    """All of it was paid back out of suspense."""


class Verification(StrEnum):
    UNVERIFIED = "UNVERIFIED"
    VERIFIED = "VERIFIED"


class PaymentFlag(StrEnum):
    """What is odd about a payment that was booked all the same."""

    OVER_DAY_LIMIT = "OVER_DAY_LIMIT"
    OVER_TRANSACTION_LIMIT = "OVER_TRANSACTION_LIMIT"
    RECEIPT_REUSED = "RECEIPT_REUSED"
    """Its receipt came again with other facts."""


class PayerForm(StrEnum):
    """How much M-Pesa let us know of who paid."""

    PLAIN = "PLAIN"
    MASKED = "MASKED"
    HASHED = "HASHED"
    NONE = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Who paid: personal data in every form."""

    form: PayerForm = PayerForm.NONE
    text: str = field(default="", repr=False)
    """E.164 for PLAIN, as sent for MASKED, the SHA-256 of the twelve digits in hex for HASHED, "" for NONE."""
    name: str = field(default="", repr=False)
    """As sent; "" where nothing was."""

    @classmethod
    def of(cls, phone: PhoneNumber, name: str = "") -> Payer:
        return cls(form=PayerForm.PLAIN, text=phone.e164, name=name[:_LONGEST_NAME])

    @property
    def hashed(self) -> str | None:
        """The SHA-256 of the twelve digits in hex, by which a payer is recognised; None where it cannot be told."""
        if self.form is PayerForm.HASHED:
            return self.text.lower()
        return hashed_number(PhoneNumber(self.text)) if self.form is PayerForm.PLAIN else None


def hashed_number(phone: PhoneNumber) -> str:
    """What M-Pesa sends in the place of this number (daraja.md §3.4): SHA-256 of its twelve digits, in hex."""
    return hashlib.sha256(phone.msisdn.encode()).hexdigest()


def check_receipt(text: str) -> str:
    """Return a receipt if it is 1 to 20 letters and digits; it is opaque beyond that. Raises InvalidReceipt."""
    if not _RECEIPT.fullmatch(text):
        raise InvalidReceipt
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One payment as booked."""

    id: PaymentId
    receipt: str | None
    """None while the success of a push from the till is known by asking alone."""
    push_reference: str | None
    """Our AccountReference of the push that asked for it."""
    source: PaymentSource
    amount: Money
    short_code: str | None
    bill_reference: str | None
    """As it came; it may hold a phone number or a name."""
    payer: Payer | None
    """None where the row was read for its money alone."""
    org_balance: Money | None
    transacted_at: datetime | None
    paid_at: datetime
    """As told, never later than received."""
    received_at: datetime
    verification: Verification
    verified_by: str | None
    status: PaymentStatus
    suspense: Money
    suspense_reason: SuspenseReason | None
    customer_id: CustomerId | None
    flags: frozenset[PaymentFlag] = frozenset()
    webhook_id: WebhookId | None
    version: int = 1

    @property
    def key(self) -> str:
        """What it is known by: its receipt, or its id while it has none."""
        return self.receipt or str(self.id)

    def require_kept(self) -> None:
        """Raises PaymentReversed when M-Pesa has taken the money back."""
        if self.status is PaymentStatus.REVERSED:
            raise PaymentReversed(mpesa_receipt_number=self.receipt)

    def in_suspense(self, suspense: Money, reason: SuspenseReason | None, *, is_refund: bool = False) -> Payment:
        """The payment with another amount in suspense. Raises PaymentReversed, and SuspenseTooSmall below zero."""
        self.require_kept()
        if suspense.cents < 0:
            raise SuspenseTooSmall(mpesa_receipt_number=self.receipt, suspense_cents=self.suspense.cents)
        return replace(
            self,
            suspense=suspense,
            suspense_reason=reason if suspense.cents else None,
            status=PaymentStatus.REFUNDED if is_refund and not suspense.cents else status_of(self.amount, suspense),
            version=self.version + 1,
        )

    def reversed(self) -> Payment:
        """The payment after M-Pesa has taken it back."""
        self.require_kept()
        return replace(
            self, status=PaymentStatus.REVERSED, suspense=ZERO, suspense_reason=None, version=self.version + 1
        )

    @property
    def is_in_records(self) -> bool:
        """Whether M-Pesa's list or a statement has told of it, receipt and all; our query about a push tells none."""
        return self.verified_by in _RECORDS

    def renamed(self, receipt: str | None) -> Payment:
        """The payment under another receipt, or none: who told of the one it had could have made it up."""
        return replace(self, receipt=receipt, version=self.version + 1)

    def verified(self, by: str) -> Payment:
        """The payment after M-Pesa itself has said that it was made."""
        return replace(self, verification=Verification.VERIFIED, verified_by=by, version=self.version + 1)

    def flagged(self, *flags: PaymentFlag) -> Payment:
        return replace(self, flags=self.flags | set(flags), version=self.version + 1)

    def event(self, name: str, **facts: Fact) -> DomainEvent:
        """An event about the payment as it is now; its version is the sequence. Never with the reference or payer."""
        payload: dict[str, Fact] = {
            "mpesa_receipt_number": self.receipt,
            "amount_cents": self.amount.cents,
            "status": self.status.value,
            "suspense_cents": self.suspense.cents,
            **facts,
        }
        return DomainEvent(name, "Payment", self.id, self.version, payload)


def status_of(amount: Money, suspense: Money) -> PaymentStatus:
    """The status of a payment with this much in suspense, nothing of it refunded."""
    if not suspense.cents:
        return PaymentStatus.ALLOCATED
    return PaymentStatus.SUSPENSE if suspense == amount else PaymentStatus.PARTIALLY_ALLOCATED


def flags_text(flags: Iterable[PaymentFlag]) -> str:
    """Flags in order of the alphabet, a comma between two."""
    return ",".join(sorted(flag.value for flag in flags))


def flags_from(text: str) -> frozenset[PaymentFlag]:
    """What `flags_text` wrote."""
    return frozenset(PaymentFlag(word) for word in text.split(",") if word)
