"""Where the money of a transaction under review stands, and what people can therefore decide about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from penpay.application.payments.rows import Decision, Review, ReviewReason
from penpay.application.shared.unit_of_work import Index
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.payments.transaction import TransactionStatus, TransactionType
from penpay.domain.shared.ids import (
    DerivTransferId,
    DerivWithdrawalId,
    MpesaDisbursementId,
    ReviewId,
    TransactionId,
    UserId,
)

WALLET_KES: Final = "wallet:KES"
WALLET_USD: Final = "wallet:USD"
SUSPENSE_KES: Final = "suspense:KES"
SUSPENSE_USD: Final = "suspense:USD"
DERIV_IN_FLIGHT: Final = "deriv:in_flight"
PAYOUT_IN_FLIGHT: Final = "mpesa:payout_in_flight"
PLACES: Final = (WALLET_KES, WALLET_USD, SUSPENSE_KES, SUSPENSE_USD, DERIV_IN_FLIGHT, PAYOUT_IN_FLIGHT)
"""Where money of a transaction can wait."""
_IN_DOUBT: Final = frozenset({EvidenceState.UNKNOWN, EvidenceState.ACCEPTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outflow:
    """A transfer or a payout of the transaction, as it was found."""

    id: UUID
    reference: str
    state: EvidenceState
    is_unproven: bool = False
    """Of a payout: a Result alone has confirmed it."""

    @property
    def in_doubt(self) -> bool:
        """Whether it may have happened and may not."""
        return self.state in _IN_DOUBT


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A transaction with the money the books hold for it, by place, and what has been tried to move it."""

    transaction_id: TransactionId
    user_id: UserId
    type: TransactionType
    status: TransactionStatus
    usd_cents: int
    kes_cents: int
    """U and T of its quote."""
    held: Mapping[str, int]
    """Cents by place; places with nothing are left out."""
    converted: bool
    """Whether it was converted and that was not undone."""
    undone: bool
    """Whether a conversion was undone; there is no second one."""
    transfers: tuple[Outflow, ...]
    disbursements: tuple[Outflow, ...]
    debit: Outflow | None
    """The call that debits Deriv, of a withdrawal."""
    open_reviews: int
    is_payment_asked_about: bool
    """Whether a callback alone has told of a deposit's payment, and M-Pesa, asked by us, is still to say."""

    @property
    def transfer_in_doubt(self) -> DerivTransferId | None:
        return next((DerivTransferId(one.id) for one in self.transfers if one.in_doubt), None)

    @property
    def disbursement_in_doubt(self) -> MpesaDisbursementId | None:
        return next((MpesaDisbursementId(one.id) for one in self.disbursements if one.in_doubt), None)

    @property
    def unproven(self) -> MpesaDisbursementId | None:
        """The payout that the transaction ended by and that M-Pesa did not confirm when it was asked."""
        return next((MpesaDisbursementId(one.id) for one in self.disbursements if one.is_unproven), None)

    @property
    def debit_in_doubt(self) -> DerivWithdrawalId | None:
        return DerivWithdrawalId(self.debit.id) if self.debit is not None and self.debit.in_doubt else None

    @property
    def moves(self) -> bool:
        """Whether something is still being sent or asked about, so that nothing may be decided."""
        if self.is_payment_asked_about:
            return True
        active = {EvidenceState.INTENDED, EvidenceState.SENDING}
        return any(one.state in active for one in (*self.transfers, *self.disbursements))

    def holds(self, place: str, cents: int) -> bool:
        """Whether exactly this much waits there."""
        return self.held.get(place, 0) == cents


@dataclass(frozen=True, slots=True)
class ReviewSubject:
    """What a review is about."""

    key: tuple[UUID, ReviewReason]
    transaction_id: TransactionId | None

    @property
    def payout_id(self) -> MpesaDisbursementId | None:
        """The payout of a refund of Collections that people are asked about."""
        subject_id, reason = self.key
        is_payout = self.transaction_id is None and reason is not ReviewReason.UNMATCHED_CREDIT
        return MpesaDisbursementId(subject_id) if is_payout else None


REVIEW_SUBJECTS: Final[Index[ReviewId, ReviewSubject]] = Index("review_subjects")
SITUATIONS: Final[Index[TransactionId, Situation]] = Index("situations")
"""Looking one up holds the transaction: until the batch has ended nobody else moves its money, so it stays true."""


def options(review: Review, situation: Situation | None, payout: Outflow | None = None) -> frozenset[Decision]:
    """What can be decided about a review as things stand; money is moved for a transaction that is in review only.

    `payout` is that of the refund people are asked about, where it is about one.
    """
    if situation is None:
        if payout is not None and payout.in_doubt:
            return frozenset({Decision.IT_ARRIVED, Decision.IT_DID_NOT})
        if payout is not None and payout.is_unproven and review.payout_id == payout.id:
            return frozenset({Decision.ACCEPT, Decision.IT_DID_NOT})
        unexplained = review.reason is ReviewReason.UNMATCHED_CREDIT
        return frozenset({Decision.OWNERS, Decision.ACCEPT} if unexplained else {Decision.ACCEPT})
    if situation.status is not TransactionStatus.IN_REVIEW:
        about_payout = situation.unproven is not None and review.payout_id == situation.unproven
        return frozenset({Decision.ACCEPT, Decision.IT_DID_NOT} if about_payout else {Decision.ACCEPT})
    found = _about_doubts(situation)
    if not found and not situation.moves:
        found = _of_deposit(situation) if situation.type is TransactionType.DEPOSIT else _of_withdrawal(situation)
        if situation.held.get(WALLET_KES) or situation.held.get(WALLET_USD):
            found.add(Decision.SUSPEND)
    nothing_waits = not situation.held and not found
    if nothing_waits or situation.open_reviews > 1:
        found.add(Decision.ACCEPT)
    return frozenset(found)


def _about_doubts(situation: Situation) -> set[Decision]:
    """What is in doubt must be settled before its money can go anywhere."""
    if situation.transfer_in_doubt or situation.disbursement_in_doubt:
        return {Decision.IT_ARRIVED, Decision.IT_DID_NOT}
    # That a debit was made is told by its credit alone.
    return {Decision.IT_DID_NOT} if situation.debit_in_doubt else set()


def _of_deposit(situation: Situation) -> set[Decision]:
    whole_kes = situation.holds(WALLET_KES, situation.kes_cents)
    whole_usd = situation.holds(WALLET_USD, situation.usd_cents)
    found: set[Decision] = set()
    if whole_kes or whole_usd or situation.holds(SUSPENSE_KES, situation.kes_cents):
        found.add(Decision.REFUND)
    if whole_usd or (whole_kes and not situation.undone):
        found.add(Decision.FORWARD)
    return found


def _of_withdrawal(situation: Situation) -> set[Decision]:
    whole_kes = situation.holds(WALLET_KES, situation.kes_cents)
    whole_usd = situation.holds(WALLET_USD, situation.usd_cents)
    found: set[Decision] = set()
    if whole_kes or (whole_usd and not situation.undone):
        found.add(Decision.PAY_OUT)
    if whole_kes or whole_usd or situation.holds(SUSPENSE_USD, situation.usd_cents):
        found.add(Decision.RETURN)
    return found
