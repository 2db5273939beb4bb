"""The rows payments lock, add and look up, by name; `infrastructure.sql.payments` says how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from penpay.application.shared.unit_of_work import Index, Kind
from penpay.domain.payments.evidence import DerivTransfer, DerivWithdrawal, MpesaDisbursement, MpesaRequest
from penpay.domain.payments.transaction import Transaction
from penpay.domain.shared.events import Fact
from penpay.domain.shared.ids import (
    DerivAccountId,
    DerivTransferId,
    DerivWithdrawalId,
    FxRateId,
    MpesaDisbursementId,
    MpesaRequestId,
    ReviewId,
    TransactionId,
    UserId,
)
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

TRANSACTIONS: Final[Kind[TransactionId, Transaction]] = Kind("transactions")
MPESA_REQUESTS: Final[Kind[MpesaRequestId, MpesaRequest]] = Kind("mpesa_requests")
DERIV_TRANSFERS: Final[Kind[DerivTransferId, DerivTransfer]] = Kind("deriv_transfers")
DERIV_WITHDRAWALS: Final[Kind[DerivWithdrawalId, DerivWithdrawal]] = Kind("deriv_withdrawals")
"""By the id that a withdrawal shares with its transaction."""
MPESA_DISBURSEMENTS: Final[Kind[MpesaDisbursementId, MpesaDisbursement]] = Kind("mpesa_disbursements")


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
    DISBURSEMENT_UNRESOLVED = "DISBURSEMENT_UNRESOLVED"
    """M-Pesa has not told what became of a payout."""
    NOT_RETURNED = "NOT_RETURNED"
    """Money that was to go back to where it came from could not; it is in suspense, or still with the user here."""
    UNMATCHED_CREDIT = "UNMATCHED_CREDIT"
    """Dollars have reached our agent account that nobody asked for, or that several may have."""
    DELIVERY_DEAD = "DELIVERY_DEAD"
    """An event could not be handled however often it was tried."""


class Decision(StrEnum):
    """What people can decide about a review."""

    PAY_OUT = "PAY_OUT"
    """Send a withdrawal's money to the phone, by a new payout."""
    REFUND = "REFUND"
    """Pay a deposit back to the phone it came from."""
    RETURN = "RETURN"
    """Send a withdrawal's dollars back to Deriv."""
    FORWARD = "FORWARD"
    """Send a deposit's dollars to Deriv, by a new transfer."""
    IT_ARRIVED = "IT_ARRIVED"
    """What is in doubt did happen, as people saw for themselves."""
    IT_DID_NOT = "IT_DID_NOT"
    """What is in doubt, or a Result alone has told, did not happen and will not, as people saw for themselves."""
    SUSPEND = "SUSPEND"
    """Keep money that can go nowhere in suspense."""
    OWNERS = "OWNERS"
    """A credit nobody had explained was our owner's own."""
    ACCEPT = "ACCEPT"
    """Leave everything as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A question for people. `amount` is exactly what it keeps from where it should be; zero when nothing moved."""

    id: ReviewId
    subject_id: UUID
    """The transaction, or the journal of a credit that belongs to none."""
    transaction_id: TransactionId | None
    reason: ReviewReason
    amount: Money
    facts: Mapping[str, Fact]
    opened_at: datetime
    decision: Decision | None = None
    """What somebody proposes, and once `approved_by` is there what was done."""
    note: str | None = field(default=None, repr=False)
    proposed_by: str | None = None
    proposed_at: datetime | None = None
    approved_by: str | None = None
    resolved_at: datetime | None = None
    version: int = 1

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None

    @property
    def payout_id(self) -> MpesaDisbursementId | None:
        """The payout that it is about, where it is about one."""
        told = self.facts.get("mpesa_disbursement_id")
        return MpesaDisbursementId(UUID(told)) if isinstance(told, str) else None

    def resolved(self, by: str, at: datetime, *, decision: Decision) -> Review:
        """The review after a second person has agreed to this decision."""
        return replace(self, decision=decision, approved_by=by, resolved_at=at, version=self.version + 1)


REVIEWS: Final[Kind[tuple[UUID, ReviewReason], Review]] = Kind("reviews")
"""By what a review asks: a transaction, or an unexplained credit, is under one review for each reason."""


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
SUBJECTS_OF_TRANSACTIONS: Final[Index[TransactionId, Subject]] = Index("subjects_of_transactions")
SUBJECTS_OF_DISBURSEMENTS: Final[Index[MpesaDisbursementId, Subject]] = Index("subjects_of_disbursements")
"""Of those that belong to a transaction."""
REFUNDS_OF_DISBURSEMENTS: Final[Index[MpesaDisbursementId, UUID]] = Index("refunds_of_disbursements")
"""The refund of Collections that a payout pays, of those that pay one."""
OPEN_PAYOUTS: Final[Index[UUID, MpesaDisbursementId]] = Index("open_payouts")
"""By what is paid: the payout that has paid it, or may."""
DERIV_ACCOUNT_IDS: Final[Index[str, DerivAccountId]] = Index("deriv_account_ids")
"""By Deriv login id."""
TOKEN_SUBJECTS: Final[Index[DerivWithdrawalId, DerivAccountId]] = Index("token_subjects")
"""The Deriv account whose token a withdrawal runs with."""
WITHDRAWALS_BY_REFERENCE: Final[Index[str, DerivWithdrawalId]] = Index("withdrawals_by_reference")
WAITING_WITHDRAWALS: Final[Index[tuple[str, int], tuple[DerivWithdrawalId, ...]]] = Index("waiting_withdrawals")
"""Those of a Deriv login id, over so many cents, that may have been made and whose credit has not been seen."""
DISBURSEMENTS_BY_QUESTION: Final[Index[UUID, MpesaDisbursementId]] = Index("disbursements_by_question")
"""By the question that is out."""
DISBURSEMENTS_BY_RECEIPT: Final[Index[str, MpesaDisbursementId]] = Index("disbursements_by_receipt")
REQUESTS_BY_RECEIPT: Final[Index[str, MpesaRequestId]] = Index("requests_by_receipt")
REQUESTS_BY_CHECKOUT: Final[Index[str, MpesaRequestId]] = Index("requests_by_checkout")
"""By CheckoutRequestID."""
