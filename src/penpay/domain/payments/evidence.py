"""Evidence: the record of one external call that moves money, from the intent to what is known of its outcome.

    INTENDED ─(licence)─▶ SENDING ─▶ ACCEPTED ─▶ CONFIRMED
     │  ▲                    │ │         ├─────▶ FAILED
     │  └─(no byte left)─────┘ └─▶ UNKNOWN ────▶ CONFIRMED | FAILED
     └─(somebody tells of what we have not sent)──▲

The move to SENDING is a commit of its own under a growing fence: the only licence to send. CONFIRMED and FAILED are
final; whatever contradicts them opens a review. Only listed answers mean FAILED, silence never does. What nothing but
a Result has confirmed people may still refute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self
from uuid import UUID

from penpay.domain.shared.errors import IllegalMove, LostLicence
from penpay.domain.shared.ids import (
    DerivTransferId,
    DerivWithdrawalId,
    MpesaDisbursementId,
    MpesaRequestId,
    TransactionId,
)
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber


class Purpose(StrEnum):
    DEPOSIT = "DEPOSIT"
    REFUND = "REFUND"
    PAYOUT = "PAYOUT"
    RETURN = "RETURN"
    COLLECTIONS_REFUND = "COLLECTIONS_REFUND"
    POS_SALE = "POS_SALE"


class EvidenceState(StrEnum):
    INTENDED = "INTENDED"
    """Decided, not sent."""
    SENDING = "SENDING"
    """Somebody holds the licence to send; it may have left."""
    ACCEPTED = "ACCEPTED"
    """The provider has taken it on; the outcome is to come."""
    UNKNOWN = "UNKNOWN"
    """It may have happened. It is asked about, never sent again."""
    CONFIRMED = "CONFIRMED"
    """It happened."""
    FAILED = "FAILED"
    """It did not happen and will not."""


_E = EvidenceState
FINAL: Final = frozenset({_E.CONFIRMED, _E.FAILED})
ALLOWED: Final[Mapping[EvidenceState, frozenset[EvidenceState]]] = MappingProxyType(
    {
        _E.INTENDED: frozenset({_E.SENDING, _E.UNKNOWN, _E.FAILED}),
        _E.SENDING: frozenset({_E.INTENDED, _E.ACCEPTED, _E.UNKNOWN, _E.CONFIRMED, _E.FAILED}),
        _E.ACCEPTED: frozenset({_E.UNKNOWN, _E.CONFIRMED, _E.FAILED}),
        _E.UNKNOWN: frozenset({_E.ACCEPTED, _E.CONFIRMED, _E.FAILED}),
        _E.CONFIRMED: frozenset(),
        _E.FAILED: frozenset(),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What every kind of evidence has. `version` counts its changes."""

    purpose: Purpose
    subject_id: TransactionId
    state: EvidenceState
    amount: Money
    due_at: datetime | None
    """When somebody must next look at it: to send, to ask, or to give up; None when nothing is left to do."""
    lease_until: datetime | None = None
    fence: int = 0
    """Grows with every claim; an answer under an older fence is not wanted any more."""
    attempts: int = 0
    """Claims since the last change of state."""
    code: str | None = None
    """The provider's code, or our word, for the last thing learned."""
    created_at: datetime
    sent_at: datetime | None = None
    decided_at: datetime | None = None
    version: int = 1

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    def is_due(self, at: datetime) -> bool:
        """Whether somebody should act on it now: it is due, and nobody holds a lease that still runs."""
        return self.due_at is not None and self.due_at <= at and (self.lease_until is None or self.lease_until <= at)

    def claimed(self, at: datetime, lease: timedelta) -> Self:
        """Taken by one worker until the lease ends; INTENDED becomes SENDING, a lapsed SENDING becomes UNKNOWN.

        Raises LostLicence when it is not due, or somebody else holds it.
        """
        if not self.is_due(at):
            raise LostLicence
        state = {_E.INTENDED: _E.SENDING, _E.SENDING: _E.UNKNOWN}.get(self.state, self.state)
        return replace(
            self,
            state=state,
            fence=self.fence + 1,
            attempts=self.attempts + 1 if state is self.state else 1,
            lease_until=at + lease,
            sent_at=at if state is _E.SENDING else self.sent_at,
            version=self.version + 1,
        )

    def check_fence(self, fence: int) -> None:
        """Raises LostLicence when another claim has come after the one with this fence."""
        if fence != self.fence:
            raise LostLicence

    def moved(self, to: EvidenceState, at: datetime, *, due_at: datetime | None, code: str | None = None) -> Self:
        """In another (or the same) state, with the lease given up; raises IllegalMove outside the drawing."""
        if to is not self.state and to not in ALLOWED[self.state]:
            raise IllegalMove(state=self.state.value, to=to.value)
        return replace(
            self,
            state=to,
            due_at=due_at,
            lease_until=None,
            attempts=self.attempts if to is self.state else 0,
            code=code if code is not None else self.code,
            decided_at=at if to in FINAL and not self.is_final else self.decided_at,
            version=self.version + 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MpesaRequest(Evidence):
    """Money asked from a payer by STK push. It is paired by our id in the callback token, never by theirs."""

    id: MpesaRequestId
    account_reference: str
    """Unique, 12 characters; returns as BillRefNumber in a C2B confirmation."""
    phone: PhoneNumber
    checkout_request_id: str | None = None
    """Told by the answer to our own call, or by a callback while there is no such answer."""
    merchant_request_id: str | None = None
    """Told by the answer to our own call alone; empty where the CheckoutRequestID is certain without it."""
    receipt: str | None = None
    verified_at: datetime | None = None
    """When M-Pesa confirmed the payment to our own question."""
    disputed_cents: int | None = None
    """What a callback says was paid, where that is not what we asked for or comes after a failure; nothing is booked
    before M-Pesa is asked, and then only to suspense."""

    @property
    def is_disputed(self) -> bool:
        """Whether a callback claimed something that our own question must settle."""
        return self.disputed_cents is not None

    @property
    def is_refuted(self) -> bool:
        """Whether M-Pesa, asked by us, has denied the payment that a callback announced."""
        return self.state is EvidenceState.CONFIRMED and self.is_disputed and self.verified_at is None

    @property
    def is_identified(self) -> bool:
        """Whether the CheckoutRequestID is certain: told by the answer to our own call, or it can be no other push's.

        What a callback tells may be anybody's word.
        """
        return self.merchant_request_id is not None

    def identified(self, checkout_request_id: str | None, merchant_request_id: str | None) -> Self:
        """With the ids that the answer to our own call told, whatever a callback has said before."""
        if checkout_request_id is None:
            return self
        return replace(self, checkout_request_id=checkout_request_id, merchant_request_id=merchant_request_id or "")

    def told(self, checkout_request_id: str) -> Self:
        """With the id a callback names, where none is known."""
        return replace(self, checkout_request_id=self.checkout_request_id or checkout_request_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivTransfer(Evidence):
    """Money sent from our Deriv agent account to a client, found again by `reference` in the statement."""

    id: DerivTransferId
    reference: str
    deriv_login_id: str
    provider_id: str | None = None

    @property
    def open_outflow_of(self) -> TransactionId | None:
        """The subject while this may have paid it out; unique, so that two outflows exclude each other."""
        return None if self.state is EvidenceState.FAILED else self.subject_id


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivWithdrawal(Evidence):
    """Money that a client sends to our Deriv agent account, asked for in her name.

    What proves it is the row on our own account, `provider_id`. The answer to the call names the client's row, another
    one, and proves nothing.
    """

    id: DerivWithdrawalId
    reference: str
    """Ours, unique; it travels in the remark of both rows."""
    deriv_login_id: str
    code_asked_at: datetime | None = None
    """When Deriv was asked to mail the verification code."""
    client_row_id: str | None = None
    """Deriv's id of the client's row, as the answer to the call told it."""
    provider_id: str | None = None
    """Deriv's id of our row."""

    def claimed_to_ask_for_code(self, at: datetime, lease: timedelta) -> DerivWithdrawal:
        """Taken by one worker that has the code mailed; no money moves by it, so it stays INTENDED.

        Raises LostLicence when it is not due, or somebody else holds it.
        """
        if not self.is_due(at):
            raise LostLicence
        return replace(
            self, fence=self.fence + 1, attempts=self.attempts + 1, lease_until=at + lease, version=self.version + 1
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MpesaDisbursement(Evidence):
    """Money sent to a phone by B2C. `subject_id` is a transaction, or of COLLECTIONS_REFUND what Collections names."""

    id: MpesaDisbursementId
    originator_conversation_id: str
    """Ours, fixed before the first sending: M-Pesa pays once under it, and is asked about it."""
    phone: PhoneNumber
    conversation_id: str | None = None
    """Theirs."""
    receipt: str | None = None
    told_code: str | None = None
    """The code of the Result M-Pesa posted, which anybody may have made; our own question decides."""
    question_id: UUID | None = None
    """The question that is out; the Result of any other is not listened to."""
    verified_at: datetime | None = None
    """When the answer to our own question confirmed what became of it."""

    @property
    def is_unproven(self) -> bool:
        """Whether a Result said that it was paid, and M-Pesa, asked by us, did not; it is asked no more."""
        return self.state is EvidenceState.CONFIRMED and self.verified_at is None and self.due_at is None

    def refuted(self, at: datetime, code: str) -> MpesaDisbursement:
        """The payout, FAILED after all: people have seen that what the Result told, receipt and all, was not so.

        Raises IllegalMove unless it is unproven.
        """
        if not self.is_unproven:
            raise IllegalMove(state=self.state.value, to=EvidenceState.FAILED.value)
        return replace(
            self, state=EvidenceState.FAILED, code=code, receipt=None, decided_at=at, version=self.version + 1
        )

    @property
    def open_outflow_of(self) -> TransactionId | None:
        """The subject while this may have paid it out; unique, so that two outflows exclude each other."""
        return None if self.state is EvidenceState.FAILED else self.subject_id


BASE32: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's alphabet: no letter is mistaken for a digit."""


def short_reference(value: int, length: int) -> str:
    """The lowest bits of a number as `length` base-32 characters."""
    return "".join(BASE32[(value >> (5 * place)) & 31] for place in reversed(range(length)))
