"""The transaction: one user's money on its way between M-Pesa and Deriv, and the states it may pass through.

A deposit, by what is known of the money:

    PENDING ─▶ PROCESSING ─▶ AWAITING_MPESA_CALLBACK ─▶ VERIFYING_MPESA_PAYMENT ─▶ AWAITING_DERIV_CONFIRMATION
       │           ├────(callback first)──────┼────────────────────▲  │                       │        │
       └───────────┴──────────────────────────┴──▶ FAILED             └──────▶ IN_REVIEW ◀────┘    COMPLETED
                   └──────────────────────────┴───────────────────────────────────▲

COMPLETED, FAILED and REVERSED are terminal. IN_REVIEW waits for people; money it concerns is named by its review.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from penpay.domain.shared.errors import DomainError, IllegalMove
from penpay.domain.shared.events import DomainEvent, Fact
from penpay.domain.shared.ids import TransactionId, UserId
from penpay.domain.shared.locked_rate import DepositQuote, LockedRate
from penpay.domain.shared.money import Currency, Money


class TransactionType(StrEnum):
    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"


class TransactionStatus(StrEnum):
    PENDING = "PENDING"
    """Accepted from the user; nothing has been sent to anyone."""
    PROCESSING = "PROCESSING"
    """The prompt has been decided on; it may or may not have reached M-Pesa."""
    AWAITING_MPESA_CALLBACK = "AWAITING_MPESA_CALLBACK"
    """M-Pesa has taken the prompt; the payer's money may or may not have moved."""
    VERIFYING_MPESA_PAYMENT = "VERIFYING_MPESA_PAYMENT"
    """The payer's money is booked; nothing leaves before M-Pesa has confirmed it to our own question."""
    AWAITING_DERIV_CONFIRMATION = "AWAITING_DERIV_CONFIRMATION"
    """The money is converted and on its way to Deriv; it may or may not have arrived."""
    IN_REVIEW = "IN_REVIEW"
    """People must decide; the review says why and about how much."""
    COMPLETED = "COMPLETED"
    """The money has arrived."""
    FAILED = "FAILED"
    """The payer was not charged."""
    REVERSED = "REVERSED"
    """The money was given back."""


_S = TransactionStatus
TERMINAL: Final = frozenset({_S.COMPLETED, _S.FAILED, _S.REVERSED})
ALLOWED: Final[Mapping[TransactionStatus, frozenset[TransactionStatus]]] = MappingProxyType(
    {
        _S.PENDING: frozenset({_S.PROCESSING, _S.FAILED, _S.IN_REVIEW}),
        _S.PROCESSING: frozenset({_S.AWAITING_MPESA_CALLBACK, _S.VERIFYING_MPESA_PAYMENT, _S.FAILED, _S.IN_REVIEW}),
        _S.AWAITING_MPESA_CALLBACK: frozenset({_S.VERIFYING_MPESA_PAYMENT, _S.FAILED, _S.IN_REVIEW}),
        _S.VERIFYING_MPESA_PAYMENT: frozenset({_S.AWAITING_DERIV_CONFIRMATION, _S.IN_REVIEW}),
        _S.AWAITING_DERIV_CONFIRMATION: frozenset({_S.COMPLETED, _S.IN_REVIEW}),
        _S.IN_REVIEW: frozenset({_S.COMPLETED, _S.FAILED, _S.REVERSED}),
        _S.COMPLETED: frozenset({_S.REVERSED}),
        _S.FAILED: frozenset(),
        _S.REVERSED: frozenset(),
    }
)

AGGREGATE: Final = "Transaction"
CREATED: Final = "TransactionCreated"
_LEARNED: Final = ("receipt", "failure_code", "recovered_by")
"""Fields that a move's facts of these names fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """The aggregate of both flows. `version` counts its events."""

    id: TransactionId
    user_id: UserId
    type: TransactionType
    status: TransactionStatus
    amount: Money
    """As the user asked: what must reach Deriv (USD) or what is charged to the phone (KES)."""
    deriv_login_id: str
    rate: LockedRate
    quote: DepositQuote
    receipt: str | None = None
    """M-Pesa's receipt, once known; a payment learned by query has none until a callback brings it."""
    failure_code: str | None = None
    recovered_by: str | None = None
    """How the outcome was learned when the callback did not bring it."""
    created_at: datetime
    updated_at: datetime
    version: int

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    def moved(self, event: str, to: TransactionStatus, at: datetime, **facts: Fact) -> tuple[Transaction, DomainEvent]:
        """The transaction in its next state and the event that says so; raises IllegalMove outside the drawing.

        `facts` named like fields (receipt, failure_code, recovered_by) are taken over; all go into the event.
        """
        if to is not self.status and to not in ALLOWED[self.status]:
            raise IllegalMove(status=self.status.value, to=to.value)
        return self._noted(event, to, at, facts)

    def _noted(
        self, event: str, status: TransactionStatus, at: datetime, facts: Mapping[str, Fact]
    ) -> tuple[Transaction, DomainEvent]:
        known = {name: facts[name] for name in _LEARNED if facts.get(name)}
        after = replace(self, status=status, updated_at=at, version=self.version + 1, **known)  # type: ignore[arg-type]  # the three are text
        payload = {"status": status.value, "at": at.isoformat(), **facts}
        return after, DomainEvent(event, AGGREGATE, self.id, after.version, payload)


def create_deposit(
    *,
    transaction_id: TransactionId,
    user_id: UserId,
    amount: Money,
    deriv_login_id: str,
    rate: LockedRate,
    quote: DepositQuote,
    at: datetime,
) -> tuple[Transaction, DomainEvent]:
    """A deposit as the user asked for it, at the rate locked now; nothing has been sent yet."""
    created = Transaction(
        id=transaction_id,
        user_id=user_id,
        type=TransactionType.DEPOSIT,
        status=TransactionStatus.PENDING,
        amount=amount,
        deriv_login_id=deriv_login_id,
        rate=rate,
        quote=quote,
        created_at=at,
        updated_at=at,
        version=1,
    )
    payload: dict[str, Fact] = {
        "status": created.status.value,
        "at": at.isoformat(),
        "user_id": str(user_id),
        "type": created.type.value,
        "amount_cents": amount.cents,
        "currency": amount.currency.value,
        "deriv_login_id": deriv_login_id,
        "usd_cents": quote.usd.cents,
        "kes_at_mid_cents": quote.kes_at_mid.cents,
        "kes_priced_cents": quote.kes_priced.cents,
        "kes_charged_cents": quote.kes_charged.cents,
        "rate_mid_e8": rate.mid_e8,
        "rate_spread_bps": rate.spread_bps,
        "rate_source": rate.source,
        "rate_locked_at": rate.locked_at.isoformat(),
        "rate_expires_at": rate.expires_at.isoformat(),
    }
    return created, DomainEvent(CREATED, AGGREGATE, transaction_id, 1, payload)


class BrokenHistory(Exception):
    """Events that no transaction can have had; the message says which and why."""


def rebuilt(events: Iterable[DomainEvent]) -> Transaction:
    """The transaction its events tell of, given in their order from the first. Raises BrokenHistory."""
    transaction: Transaction | None = None
    for expected, event in enumerate(events, 1):
        if event.sequence != expected or event.schema_version != 1:
            raise BrokenHistory(f"Event {expected} is missing, or of a version that is not known.")
        try:
            transaction = _created(event) if transaction is None else _followed(transaction, event)
        except (KeyError, TypeError, ValueError, AttributeError, DomainError):
            raise BrokenHistory(f"Event {expected}, {event.name}, cannot have happened there.") from None
    if transaction is None:
        raise BrokenHistory("There is no event.")
    return transaction


def _created(event: DomainEvent) -> Transaction:
    if event.name != CREATED:
        raise ValueError(event.name)
    told: Mapping[str, Any] = event.payload
    at = datetime.fromisoformat(told["at"])
    usd, kes = Currency.USD, Currency.KES
    return Transaction(
        id=TransactionId(event.aggregate_id),
        user_id=UserId(UUID(told["user_id"])),
        type=TransactionType(told["type"]),
        status=TransactionStatus(told["status"]),
        amount=Money(told["amount_cents"], Currency(told["currency"])),
        deriv_login_id=told["deriv_login_id"],
        rate=LockedRate(
            base=usd,
            quote=kes,
            mid_e8=told["rate_mid_e8"],
            spread_bps=told["rate_spread_bps"],
            source=told["rate_source"],
            locked_at=datetime.fromisoformat(told["rate_locked_at"]),
            expires_at=datetime.fromisoformat(told["rate_expires_at"]),
        ),
        quote=DepositQuote(
            usd=Money(told["usd_cents"], usd),
            kes_at_mid=Money(told["kes_at_mid_cents"], kes),
            kes_priced=Money(told["kes_priced_cents"], kes),
            kes_charged=Money(told["kes_charged_cents"], kes),
        ),
        created_at=at,
        updated_at=at,
        version=event.sequence,
    )


def _followed(before: Transaction, event: DomainEvent) -> Transaction:
    """The transaction after one more event; one that tells no status or moment leaves them as they were."""
    told: Mapping[str, Any] = event.payload
    status = TransactionStatus(told.get("status", before.status))
    if status is not before.status and status not in ALLOWED[before.status]:
        raise IllegalMove(status=before.status.value, to=status.value)
    at = datetime.fromisoformat(told["at"]) if "at" in told else before.updated_at
    known = {name: told[name] for name in _LEARNED if told.get(name)}
    return replace(before, status=status, updated_at=at, version=event.sequence, **known)
