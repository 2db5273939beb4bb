"""What a payout is for, and what its end means there: a transaction, or a refund that Collections owes somebody.

Collections is asked through a port, so that the evidence and the refund end in one commit.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from penpay.application.payments.reviewing import open_review, open_review_of_payout
from penpay.application.payments.rows import TRANSACTIONS, ReviewReason
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import withdrawal_postings
from penpay.domain.payments.evidence import MpesaDisbursement, Purpose
from penpay.domain.payments.transaction import Transaction, TransactionStatus
from penpay.domain.shared.errors import NotFound
from penpay.domain.shared.events import Fact
from penpay.domain.shared.ids import TransactionId
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber


class RefundDue(Protocol):
    """A refund that two persons agreed to and that has not ended."""

    @property
    def amount(self) -> Money: ...

    @property
    def phone(self) -> PhoneNumber:
        """Who is paid."""
        ...


class RefundBooks(Protocol):
    """What payouts need of the refunds of Collections; `application.collections.refund_outcomes.RefundOutcomes`."""

    async def footprint(self, refunds: Collection[UUID], find: Find) -> Footprint:
        """Every row that the end of these refunds can touch, and the refunds."""
        ...

    def due(self, work: Work, refund_id: UUID) -> RefundDue | None:
        """The refund while its money is held to be paid out; None otherwise."""
        ...

    def paid(self, work: Work, refund_id: UUID, receipt: str | None) -> None:
        """M-Pesa has paid it out: book it, once."""
        ...

    def failed(self, work: Work, refund_id: UUID, code: str) -> None:
        """M-Pesa has paid nothing out and will not: its money is where it was, once."""
        ...

    def refuted(self, work: Work, refund_id: UUID, code: str) -> None:
        """People have seen that what was booked as paid out was not: its money is where it was, once."""
        ...

    def charged(self, work: Work, reference: str, amount: Money) -> None:
        """M-Pesa has charged for the payout with this receipt: an expense of the business, once."""
        ...


class PayoutSubject(Protocol):
    """What a payout is for. Whoever calls has put the payout's own next state."""

    @property
    def transaction_id(self) -> TransactionId | None:
        """The transaction that its journals belong to."""
        ...

    def confirmed(
        self, work: Work, payout: MpesaDisbursement, *, happened_at: datetime, recovered_by: str | None
    ) -> None:
        """M-Pesa has paid the phone."""
        ...

    def failed(self, work: Work, payout: MpesaDisbursement, code: str | None) -> None:
        """M-Pesa has paid nothing and will not."""
        ...

    def refuted(self, work: Work, payout: MpesaDisbursement, code: str) -> None:
        """M-Pesa has not paid the phone, as was booked."""
        ...

    def charged(self, work: Work, payout: MpesaDisbursement, amount: Money) -> None:
        """M-Pesa has told what it charges for the payout; told again it changes nothing."""
        ...

    def question(
        self, work: Work, payout: MpesaDisbursement, reason: ReviewReason, amount: Money, **facts: Fact
    ) -> None:
        """Open a review about it."""
        ...


@dataclass(frozen=True, slots=True)
class OfTransaction:
    """A payout of a withdrawal, or the refund of a deposit."""

    transaction: Transaction

    @property
    def transaction_id(self) -> TransactionId | None:
        return self.transaction.id

    def confirmed(
        self, work: Work, payout: MpesaDisbursement, *, happened_at: datetime, recovered_by: str | None
    ) -> None:
        """Clear what was in flight and end the transaction."""
        withdrawal_postings.payout_confirmed(
            work,
            transaction=self.transaction.id,
            reference=str(payout.id),
            amount=payout.amount,
            happened_at=happened_at,
        )
        refund = payout.purpose is Purpose.REFUND
        transaction, event = self.transaction.moved(
            "MpesaDisbursementCompleted", self.transaction.status, work.now, mpesa_disbursement_id=str(payout.id)
        )
        work.record(event)
        after, event = transaction.moved(
            "TransactionReversed" if refund else "TransactionCompleted",
            TransactionStatus.REVERSED if refund else TransactionStatus.COMPLETED,
            work.now,
            **({"refund_receipt": payout.receipt} if refund else {"receipt": payout.receipt}),
            recovered_by=recovered_by,
        )
        work.put(TRANSACTIONS, after.id, after)
        work.record(event)

    def failed(self, work: Work, payout: MpesaDisbursement, code: str | None) -> None:
        """The shillings are the user's again. A payout goes back, a refund to people."""
        withdrawal_postings.payout_failed(work, reference=str(payout.id))
        refund = payout.purpose is Purpose.REFUND
        transaction, event = self.transaction.moved(
            "RefundFailed" if refund else "PayoutFailed",
            self.transaction.status,
            work.now,
            user_id=str(self.transaction.user_id),
            mpesa_disbursement_id=str(payout.id),
            code=code,
        )
        work.put(TRANSACTIONS, transaction.id, transaction)
        work.record(event)
        if refund:
            open_review(work, transaction, ReviewReason.NOT_RETURNED, payout.amount, code=code)

    def refuted(self, work: Work, payout: MpesaDisbursement, code: str) -> None:
        """The shillings are the user's again, and people say where they go."""
        withdrawal_postings.payout_refuted(work, reference=str(payout.id))
        after, event = self.transaction.reopened(work.now, mpesa_disbursement_id=str(payout.id), code=code)
        work.put(TRANSACTIONS, after.id, after)
        work.record(event)
        open_review(work, after, ReviewReason.NOT_RETURNED, payout.amount, code=code)

    def charged(self, work: Work, payout: MpesaDisbursement, amount: Money) -> None:
        """What M-Pesa takes later, from its account for charges."""
        withdrawal_postings.mpesa_charged(
            work, transaction=self.transaction.id, reference=str(payout.id), amount=amount
        )

    def question(
        self,
        work: Work,
        payout: MpesaDisbursement,  # noqa: ARG002  (the transaction is what people look at)
        reason: ReviewReason,
        amount: Money,
        **facts: Fact,
    ) -> None:
        open_review(work, self.transaction, reason, amount, **facts)


@dataclass(frozen=True, slots=True)
class OfRefund:
    """The payout of a refund that Collections owes."""

    refund_id: UUID
    refunds: RefundBooks

    @property
    def transaction_id(self) -> TransactionId | None:
        return None

    def confirmed(
        self,
        work: Work,
        payout: MpesaDisbursement,
        *,
        happened_at: datetime,  # noqa: ARG002  (Collections books it as of now)
        recovered_by: str | None,  # noqa: ARG002  (told by the story of the payout)
    ) -> None:
        self.refunds.paid(work, self.refund_id, payout.receipt)

    def failed(self, work: Work, payout: MpesaDisbursement, code: str | None) -> None:  # noqa: ARG002  (as above)
        self.refunds.failed(work, self.refund_id, code or "no_code")

    def refuted(self, work: Work, payout: MpesaDisbursement, code: str) -> None:  # noqa: ARG002  (as above)
        self.refunds.refuted(work, self.refund_id, code)

    def charged(self, work: Work, payout: MpesaDisbursement, amount: Money) -> None:
        self.refunds.charged(work, payout.receipt or str(payout.id), amount)

    def question(
        self, work: Work, payout: MpesaDisbursement, reason: ReviewReason, amount: Money, **facts: Fact
    ) -> None:
        open_review_of_payout(work, payout.id, reason, amount, **{**facts, "refund_id": str(self.refund_id)})


def subject_of(work: Work, payout: MpesaDisbursement, refunds: RefundBooks) -> PayoutSubject:
    """What the payout is for; raises NotFound."""
    if payout.purpose is Purpose.COLLECTIONS_REFUND:
        return OfRefund(payout.subject_id, refunds)
    transaction = work.get(TRANSACTIONS, payout.subject_id)
    if transaction is None:
        raise NotFound
    return OfTransaction(transaction)
