"""The transaction: one user's money on its way between M-Pesa and Deriv, and the states it may pass through.

A deposit, by what is known of the money:

    PENDING ─▶ PROCESSING ─▶ AWAITING_MPESA_CALLBACK ─▶ VERIFYING_MPESA_PAYMENT ─▶ AWAITING_DERIV_CONFIRMATION
       │           ├────(callback first)──────┼────────────────────▲  │                       │        │
       └───────────┴──────────────────────────┴──▶ FAILED             └──────▶ IN_REVIEW ◀────┘    COMPLETED
                   └──────────────────────────┴───────────────────────────────────▲

A withdrawal:

    PENDING ─▶ PROCESSING ─▶ AWAITING_DERIV_CONFIRMATION ─▶ CONVERTING ─▶ AWAITING_MPESA_DISBURSEMENT ─▶ COMPLETED
       │           ├──────────(credit first)──────────────────▲  │                  │
       └───────────┴──▶ FAILED                                   └──▶ RETURNING ◀───┘
                                                                          └────────────▶ REVERSED

What cannot be finished goes back: a deposit too, from AWAITING_DERIV_CONFIRMATION by RETURNING to REVERSED.

COMPLETED, FAILED and REVERSED are terminal. IN_REVIEW waits for people; money it concerns is named by its review.
Where people find that the payout it ended by was never made, COMPLETED and REVERSED are IN_REVIEW again.
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
from penpay.domain.shared.locked_rate import DepositQuote, LockedRate, Quote, WithdrawalQuote
from penpay.domain.shared.money import Currency, Money


class TransactionType(StrEnum):
    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"


class TransactionStatus(StrEnum):
    PENDING = "PENDING"
    """Accepted from the user; nothing has been sent to anyone."""
    PROCESSING = "PROCESSING"
    """The prompt, or the call that debits Deriv, has been decided on; it may or may not have been made."""
    AWAITING_MPESA_CALLBACK = "AWAITING_MPESA_CALLBACK"
    """M-Pesa has taken the prompt; the payer's money may or may not have moved."""
    VERIFYING_MPESA_PAYMENT = "VERIFYING_MPESA_PAYMENT"
    """The payer's money is booked; nothing leaves before M-Pesa has confirmed it to our own question."""
    AWAITING_DERIV_CONFIRMATION = "AWAITING_DERIV_CONFIRMATION"
    """A deposit: converted and on its way to Deriv, where it may have arrived. A withdrawal: Deriv has the call, or
    may have it; the dollars have not been seen on our account."""
    CONVERTING = "CONVERTING"
    """The dollars are here; nothing has been decided on yet that sends them on."""
    AWAITING_MPESA_DISBURSEMENT = "AWAITING_MPESA_DISBURSEMENT"
    """The money is converted and on its way to the phone; it may or may not have arrived."""
    RETURNING = "RETURNING"
    """The money cannot be sent on, and is on its way back to where it came from."""
    IN_REVIEW = "IN_REVIEW"
    """People must decide; the review says why and about how much."""
    COMPLETED = "COMPLETED"
    """The money has arrived."""
    FAILED = "FAILED"
    """Nobody was charged."""
    REVERSED = "REVERSED"
    """The money was given back."""


_S = TransactionStatus
TERMINAL: Final = frozenset({_S.COMPLETED, _S.FAILED, _S.REVERSED})
ALLOWED: Final[Mapping[TransactionStatus, frozenset[TransactionStatus]]] = MappingProxyType(
    {
        _S.PENDING: frozenset({_S.PROCESSING, _S.CONVERTING, _S.FAILED, _S.IN_REVIEW}),
        _S.PROCESSING: frozenset(
            {
                _S.AWAITING_MPESA_CALLBACK,
                _S.VERIFYING_MPESA_PAYMENT,
                _S.AWAITING_DERIV_CONFIRMATION,
                _S.CONVERTING,
                _S.FAILED,
                _S.IN_REVIEW,
            }
        ),
        _S.AWAITING_MPESA_CALLBACK: frozenset({_S.VERIFYING_MPESA_PAYMENT, _S.FAILED, _S.IN_REVIEW}),
        _S.VERIFYING_MPESA_PAYMENT: frozenset({_S.AWAITING_DERIV_CONFIRMATION, _S.IN_REVIEW}),
        _S.AWAITING_DERIV_CONFIRMATION: frozenset({_S.CONVERTING, _S.RETURNING, _S.COMPLETED, _S.IN_REVIEW}),
        _S.CONVERTING: frozenset({_S.AWAITING_MPESA_DISBURSEMENT, _S.RETURNING, _S.IN_REVIEW}),
        _S.AWAITING_MPESA_DISBURSEMENT: frozenset({_S.RETURNING, _S.COMPLETED, _S.IN_REVIEW}),
        _S.RETURNING: frozenset({_S.REVERSED, _S.IN_REVIEW}),
        _S.IN_REVIEW: frozenset(
            {
                _S.AWAITING_DERIV_CONFIRMATION,
                _S.AWAITING_MPESA_DISBURSEMENT,
                _S.RETURNING,
                _S.COMPLETED,
                _S.FAILED,
                _S.REVERSED,
            }
        ),
        _S.COMPLETED: frozenset({_S.IN_REVIEW}),
        _S.FAILED: frozenset(),
        _S.REVERSED: frozenset({_S.IN_REVIEW}),
    }
)

AGGREGATE: Final = "Transaction"
CREATED: Final = "TransactionCreated"
REQUOTED: Final = "WithdrawalRequoted"
PAYOUT_REFUTED: Final = "PayoutRefuted"
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
    """As the user asked: what reaches or leaves Deriv (USD), or what the phone is charged or paid (KES)."""
    deriv_login_id: str
    rate: LockedRate
    quote: Quote
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

    @property
    def deposit_quote(self) -> DepositQuote:
        """What this deposit costs; raises IllegalMove for a withdrawal."""
        if not isinstance(self.quote, DepositQuote):
            raise IllegalMove(type=self.type.value)
        return self.quote

    @property
    def withdrawal_quote(self) -> WithdrawalQuote:
        """What this withdrawal brings; raises IllegalMove for a deposit."""
        if not isinstance(self.quote, WithdrawalQuote):
            raise IllegalMove(type=self.type.value)
        return self.quote

    def moved(self, event: str, to: TransactionStatus, at: datetime, **facts: Fact) -> tuple[Transaction, DomainEvent]:
        """The transaction in its next state and the event that says so; raises IllegalMove outside the drawing.

        `facts` named like fields (receipt, failure_code, recovered_by) are taken over; all go into the event.
        """
        if to is not self.status and to not in ALLOWED[self.status]:
            raise IllegalMove(status=self.status.value, to=to.value)
        return self._noted(event, to, at, facts)

    def reopened(self, at: datetime, **facts: Fact) -> tuple[Transaction, DomainEvent]:
        """In review again, and the event that says so, since the payout by which it ended was never made.

        A withdrawal's receipt was that payout's and is forgotten. Raises IllegalMove unless it has ended by one.
        """
        after, event = self.moved(PAYOUT_REFUTED, TransactionStatus.IN_REVIEW, at, **facts)
        return _without_payout(after), event

    def requoted(self, rate: LockedRate, quote: WithdrawalQuote, at: datetime) -> tuple[Transaction, DomainEvent]:
        """The withdrawal at another rate, and the event that says so."""
        after, event = self._noted(REQUOTED, self.status, at, _priced(rate, quote))
        return replace(after, rate=rate, quote=quote), event

    def _noted(
        self, event: str, status: TransactionStatus, at: datetime, facts: Mapping[str, Fact]
    ) -> tuple[Transaction, DomainEvent]:
        known = {name: facts[name] for name in _LEARNED if facts.get(name)}
        after = replace(self, status=status, updated_at=at, version=self.version + 1, **known)  # type: ignore[arg-type]  # the three are text
        payload = {"status": status.value, "at": at.isoformat(), **facts}
        return after, DomainEvent(event, AGGREGATE, self.id, after.version, payload)


def _without_payout(transaction: Transaction) -> Transaction:
    """What was learned from a payout, forgotten. A deposit's receipt is its payer's, and stays."""
    return transaction if transaction.type is TransactionType.DEPOSIT else replace(transaction, receipt=None)


def create_transaction(
    *,
    transaction_id: TransactionId,
    user_id: UserId,
    amount: Money,
    deriv_login_id: str,
    rate: LockedRate,
    quote: Quote,
    at: datetime,
) -> tuple[Transaction, DomainEvent]:
    """A deposit or withdrawal, as the quote says, at the rate locked now; nothing has been sent yet."""
    deposit = isinstance(quote, DepositQuote)
    created = Transaction(
        id=transaction_id,
        user_id=user_id,
        type=TransactionType.DEPOSIT if deposit else TransactionType.WITHDRAWAL,
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
        **_priced(rate, quote),
    }
    return created, DomainEvent(CREATED, AGGREGATE, transaction_id, 1, payload)


def quote_of(type_: TransactionType, *, usd: int, at_mid: int, priced: int, moved: int) -> Quote:
    """The quote of a transaction from its four amounts in cents."""
    dollars, mid, price = Money(usd, Currency.USD), Money(at_mid, Currency.KES), Money(priced, Currency.KES)
    if type_ is TransactionType.DEPOSIT:
        return DepositQuote(usd=dollars, kes_at_mid=mid, kes_priced=price, kes_charged=Money(moved, Currency.KES))
    return WithdrawalQuote(usd=dollars, kes_at_mid=mid, kes_priced=price, kes_paid=Money(moved, Currency.KES))


def _priced(rate: LockedRate, quote: Quote) -> dict[str, Fact]:
    """A rate and a quote as an event tells them; `kes_charged_cents` is what M-Pesa moves, either way."""
    return {
        "usd_cents": quote.usd.cents,
        "kes_at_mid_cents": quote.kes_at_mid.cents,
        "kes_priced_cents": quote.kes_priced.cents,
        "kes_charged_cents": quote.kes.cents,
        "rate_mid_e8": rate.mid_e8,
        "rate_spread_bps": rate.spread_bps,
        "rate_source": rate.source,
        "rate_locked_at": rate.locked_at.isoformat(),
        "rate_expires_at": rate.expires_at.isoformat(),
    }


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
    type_ = TransactionType(told["type"])
    return Transaction(
        id=TransactionId(event.aggregate_id),
        user_id=UserId(UUID(told["user_id"])),
        type=type_,
        status=TransactionStatus(told["status"]),
        amount=Money(told["amount_cents"], Currency(told["currency"])),
        deriv_login_id=told["deriv_login_id"],
        **_price_told(type_, told),
        created_at=at,
        updated_at=at,
        version=event.sequence,
    )


def _price_told(type_: TransactionType, told: Mapping[str, Any]) -> dict[str, Any]:
    """The rate and the quote as `_priced` told them."""
    rate = LockedRate(
        base=Currency.USD,
        quote=Currency.KES,
        mid_e8=told["rate_mid_e8"],
        spread_bps=told["rate_spread_bps"],
        source=told["rate_source"],
        locked_at=datetime.fromisoformat(told["rate_locked_at"]),
        expires_at=datetime.fromisoformat(told["rate_expires_at"]),
    )
    quote = quote_of(
        type_,
        usd=told["usd_cents"],
        at_mid=told["kes_at_mid_cents"],
        priced=told["kes_priced_cents"],
        moved=told["kes_charged_cents"],
    )
    return {"rate": rate, "quote": quote}


def _followed(before: Transaction, event: DomainEvent) -> Transaction:
    """The transaction after one more event; one that tells no status or moment leaves them as they were."""
    told: Mapping[str, Any] = event.payload
    status = TransactionStatus(told.get("status", before.status))
    if status is not before.status and status not in ALLOWED[before.status]:
        raise IllegalMove(status=before.status.value, to=status.value)
    at = datetime.fromisoformat(told["at"]) if "at" in told else before.updated_at
    known: dict[str, Any] = {name: told[name] for name in _LEARNED if told.get(name)}
    if event.name == REQUOTED:
        known |= _price_told(before.type, told)
    after = replace(before, status=status, updated_at=at, version=event.sequence, **known)
    return _without_payout(after) if event.name == PAYOUT_REFUTED else after
