"""The rows payments lock, add and look up, by name; `infrastructure.sql.payments` says how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from penpay.application.shared.unit_of_work import Index, Kind
from penpay.domain.payments.evidence import DerivTransfer, MpesaRequest
from penpay.domain.payments.transaction import Transaction
from penpay.domain.shared.events import Fact
from penpay.domain.shared.ids import (
    DerivTransferId,
    FxRateId,
    MpesaRequestId,
    ReviewId,
    TransactionId,
    UserId,
    WebhookId,
)
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

TRANSACTIONS: Final[Kind[TransactionId, Transaction]] = Kind("transactions")
MPESA_REQUESTS: Final[Kind[MpesaRequestId, MpesaRequest]] = Kind("mpesa_requests")
DERIV_TRANSFERS: Final[Kind[DerivTransferId, DerivTransfer]] = Kind("deriv_transfers")


class WebhookOutcome(StrEnum):
    """What became of a message somebody posted to us."""

    RECEIVED = "RECEIVED"
    """Stored; not applied yet."""
    APPLIED = "APPLIED"
    REPEATED = "REPEATED"
    """It told nothing new."""
    CONTRADICTS = "CONTRADICTS"
    """It contradicts what is final, and a review is open; or it names another push, and nothing follows."""
    UNREADABLE = "UNREADABLE"
    REFUSED_TOKEN = "REFUSED_TOKEN"  # noqa: S105  (an outcome, not a secret)
    REFUSED_SOURCE = "REFUSED_SOURCE"
    UNKNOWN_SUBJECT = "UNKNOWN_SUBJECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One message as it arrived, before anything was read from it."""

    id: WebhookId
    source: str
    subject_id: MpesaRequestId | None
    """The request named by a valid path token."""
    remote_address: str
    body: bytes | None
    """As it came; None where the row was read for its outcome alone."""
    body_hash: str
    outcome: WebhookOutcome
    due_at: datetime | None
    """When it must be applied at the latest by whoever finds it; None when nothing is left to do."""
    created_at: datetime
    version: int = 1


WEBHOOKS: Final[Kind[WebhookId, Webhook]] = Kind("webhook_logs")


class ReviewReason(StrEnum):
    """Why people must decide."""

    AMOUNT_OR_PHONE_MISMATCH = "AMOUNT_OR_PHONE_MISMATCH"
    """A callback tells another amount or phone than we asked for."""
    IDENTITY_MISMATCH = "IDENTITY_MISMATCH"
    """A callback names another CheckoutRequestID than the answer did."""
    PAYMENT_REFUTED = "PAYMENT_REFUTED"
    """A callback announced a payment that M-Pesa denies when asked."""
    CONTRADICTION = "CONTRADICTION"
    """Something final is contradicted."""
    PAYMENT_UNRESOLVED = "PAYMENT_UNRESOLVED"
    """M-Pesa has not told for two days what became of a prompt."""
    DERIV_REFUSED = "DERIV_REFUSED"
    """The payer's money is here and Deriv refuses the transfer: to be refunded."""
    DERIV_UNRESOLVED = "DERIV_UNRESOLVED"
    """A transfer's outcome is not to be found in the statement."""
    DERIV_DUPLICATE = "DERIV_DUPLICATE"
    """The statement holds two transfers under one reference, or one of another amount or recipient."""
    CONFIRMED_LATE = "CONFIRMED_LATE"
    """Money confirmed so late, or with people at work already, that they decide whether to forward or return it."""
    DELIVERY_DEAD = "DELIVERY_DEAD"
    """An event could not be handled however often it was tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A question for people. `amount` is exactly what it keeps from where it should be; zero when nothing moved."""

    id: ReviewId
    transaction_id: TransactionId | None
    reason: ReviewReason
    amount: Money
    facts: Mapping[str, Fact]
    opened_at: datetime


REVIEWS: Final[Kind[tuple[TransactionId | None, ReviewReason], Review]] = Kind("reviews")
"""By what a review asks: a transaction is under one review for each reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """What payments need to know of a user."""

    user_id: UserId
    phone: PhoneNumber
    phone_verified: bool
    deriv_login_ids: frozenset[str]


PAYERS: Final[Index[UserId, Payer]] = Index("payers")


@dataclass(frozen=True, slots=True, kw_only=True)
class FxRate:
    """A mid rate as entered; it counts once a second person has approved it."""

    id: FxRateId
    base: Currency
    quote: Currency
    mid_e8: int
    source: str
    valid_from: datetime
    entered_by: str
    approved_by: str | None
    approved_at: datetime | None
    created_at: datetime


FX_RATES: Final[Kind[FxRateId, FxRate]] = Kind("fx_rates")
CURRENT_RATES: Final[Index[tuple[Currency, Currency], FxRate]] = Index("current_rates")
"""The approved rate of a pair (base, quote) that became valid last, and not in the future."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose money it is."""

    transaction_id: TransactionId
    user_id: UserId


SUBJECTS_OF_REQUESTS: Final[Index[MpesaRequestId, Subject]] = Index("subjects_of_requests")
SUBJECTS_OF_TRANSFERS: Final[Index[DerivTransferId, tuple[Subject, str]]] = Index("subjects_of_transfers")
"""The subject, and the transfer's reference."""
REQUESTS_BY_RECEIPT: Final[Index[str, MpesaRequestId]] = Index("requests_by_receipt")
REQUESTS_BY_CHECKOUT: Final[Index[str, MpesaRequestId]] = Index("requests_by_checkout")
"""By CheckoutRequestID."""
