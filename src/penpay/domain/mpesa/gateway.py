"""The port to M-Pesa: what we ask of it, and the few things its answers can mean for money."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber


class PushOutcome(StrEnum):
    """What the answer to an STK push says about the prompt."""

    ACCEPTED = "ACCEPTED"
    """The prompt is on its way; whether money moves is told by callback or query only."""
    FAILED = "FAILED"
    """Refused by a listed code: no prompt, no money. Final."""
    NOT_SENT = "NOT_SENT"
    """No prompt was made and trying again is safe: no byte left, or a listed try-later answer."""
    UNKNOWN = "UNKNOWN"
    """We cannot tell. Never push again; wait for the callback or for other evidence."""


class PaymentOutcome(StrEnum):
    """What a query or a callback says about the money of an STK push."""

    PAID = "PAID"
    """M-Pesa says the payer's money is in our collection account."""
    FAILED = "FAILED"
    """A listed code: the payer was not charged. Final."""
    PENDING = "PENDING"
    """Still on its way; ask again later."""
    UNKNOWN = "UNKNOWN"
    """The answer does not tell (unlisted code, error, HTML, silence); ask again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StkPush:
    """One prompt on a payer's handset."""

    callback_token: str
    """The signed last segment of the callback URL; names our MpesaRequest."""
    account_reference: str
    """Unique, at most 12 characters; returns as BillRefNumber in a C2B confirmation."""
    phone: PhoneNumber
    amount: Money
    """Whole KES (daraja.md §2.1: fractions are not supported)."""
    description: str
    """At most 13 characters; Daraja refuses a push without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushAnswer:
    outcome: PushOutcome
    checkout_request_id: str | None = None
    merchant_request_id: str | None = None
    code: str | None = None
    """Daraja's errorCode or ResponseCode, or our own word for what went wrong on the wire."""
    message: str = ""
    """For people; tokens and credentials are cut out."""
    retry_after_ms: int | None = None
    """With NOT_SENT: how long to wait at least before another try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAnswer:
    outcome: PaymentOutcome
    code: str | None = None
    message: str = ""
    retry_after_ms: int | None = None
    """How long to wait at least before asking again, where the answer says or implies it."""


class MpesaGateway(Protocol):
    """M-Pesa over Daraja. Never raises for what the other side says or does; every call ends as an answer."""

    async def stk_push(self, push: StkPush) -> PushAnswer:
        """Ask for one prompt. Not idempotent: a repeat may prompt and charge twice."""
        ...

    async def stk_query(self, checkout_request_id: str) -> PaymentAnswer:
        """Ask what became of a push. Safe to repeat; rate limited by Daraja (daraja.md §2.4)."""
        ...
