"""Opening reviews: handing a question to people, with what they need to decide it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from penpay.application.payments.rows import REVIEWS, TRANSACTIONS, Review, ReviewReason
from penpay.application.shared.outbox import claimed_delivery
from penpay.application.shared.unit_of_work import DELIVERIES, Find, Footprint, Work
from penpay.domain.payments.transaction import Transaction, TransactionStatus
from penpay.domain.shared.errors import NotFound
from penpay.domain.shared.events import Fact
from penpay.domain.shared.ids import EventId, JournalId, MpesaDisbursementId, ReviewId, TransactionId
from penpay.domain.shared.money import Currency, Money


def open_review(
    work: Work, transaction: Transaction, reason: ReviewReason, amount: Money, **facts: Fact
) -> Transaction:
    """Open a review about `amount` (zero when nothing moved) and move the transaction to it unless it has ended.

    A transaction is under one review for each reason: asked again, that one takes the amount and facts known now.
    """
    known = work.get(REVIEWS, (transaction.id, reason))
    if known is not None:
        work.put(REVIEWS, (transaction.id, reason), _told_again(known, amount, facts, work.now))
        if known.is_open:
            return transaction
    review = known or Review(
        id=ReviewId(work.ids.new()),
        subject_id=transaction.id,
        transaction_id=transaction.id,
        reason=reason,
        amount=amount,
        facts=facts,
        opened_at=work.now,
    )
    if known is None:
        work.put(REVIEWS, (transaction.id, reason), review)
    status = transaction.status if transaction.is_terminal else TransactionStatus.IN_REVIEW
    after, event = transaction.moved(
        "ReviewOpened",
        status,
        work.now,
        review_id=str(review.id),
        reason=reason.value,
        review_amount_cents=amount.cents,
        review_currency=amount.currency.value,
    )
    work.put(TRANSACTIONS, after.id, after)
    work.record(event)
    return after


def _told_again(known: Review, amount: Money, facts: Mapping[str, Fact], now: datetime) -> Review:
    """The review with what is known now; one that was resolved is open again, and a proposal made before is void."""
    return replace(
        known,
        amount=amount,
        facts=facts,
        opened_at=known.opened_at if known.is_open else now,
        decision=None,
        note=None,
        proposed_by=None,
        proposed_at=None,
        approved_by=None,
        resolved_at=None,
        version=known.version + 1,
    )


def open_review_of_credit(work: Work, journal: JournalId, amount: Money, **facts: Fact) -> None:
    """Open a review about dollars in suspense that belong to no transaction; once for each such journal."""
    review = Review(
        id=ReviewId(work.ids.new()),
        subject_id=journal,
        transaction_id=None,
        reason=ReviewReason.UNMATCHED_CREDIT,
        amount=amount,
        facts=facts,
        opened_at=work.now,
    )
    work.add(REVIEWS, (journal, review.reason), review)


def open_review_of_payout(
    work: Work, payout: MpesaDisbursementId, reason: ReviewReason, amount: Money, **facts: Fact
) -> None:
    """Open a review about a payout that belongs to no transaction; asked again, it takes what is known now."""
    known = work.get(REVIEWS, (payout, reason))
    review = Review(
        id=ReviewId(work.ids.new()),
        subject_id=payout,
        transaction_id=None,
        reason=reason,
        amount=amount,
        facts=facts,
        opened_at=work.now,
    )
    work.put(REVIEWS, (payout, reason), review if known is None else _told_again(known, amount, facts, work.now))


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUpDelivery:
    """An event of this transaction cannot be handled: its delivery is dead, and people are told."""

    consumer: str
    event_id: EventId
    fence: int
    transaction_id: TransactionId
    reason: str
    """The kind of fault."""


class GiveUpDeliveryHandler:
    async def footprint(self, commands: Sequence[GiveUpDelivery], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint().add(TRANSACTIONS, *(command.transaction_id for command in commands))
        return footprint.add(DELIVERIES, *((command.consumer, command.event_id) for command in commands))

    def handle(self, command: GiveUpDelivery, work: Work) -> None:
        """Bury it, and open the review: about the whole charge once the payer's money is booked. Raises LostLicence."""
        owed = claimed_delivery(work, command.consumer, command.event_id, command.fence)
        work.put(DELIVERIES, (owed.consumer, owed.event_id), replace(owed, dead=True, lease_until=None))
        transaction = work.get(TRANSACTIONS, command.transaction_id)
        if transaction is None:
            raise NotFound
        booked = transaction.status is TransactionStatus.VERIFYING_MPESA_PAYMENT
        amount = transaction.quote.kes if booked else Money.zero(Currency.KES)
        open_review(work, transaction, ReviewReason.DELIVERY_DEAD, amount, event_id=str(command.event_id))
        work.audit(f"worker:{command.consumer}", "delivery.dead", "transaction", transaction.id, reason=command.reason)
