"""Opening reviews: handing a question to people, with what they need to decide it."""

from __future__ import annotations

from penpay.application.payments.rows import REVIEWS, TRANSACTIONS, Review, ReviewReason
from penpay.application.shared.unit_of_work import Work
from penpay.domain.payments.transaction import Transaction, TransactionStatus
from penpay.domain.shared.events import Fact
from penpay.domain.shared.ids import ReviewId
from penpay.domain.shared.money import Money


def open_review(
    work: Work, transaction: Transaction, reason: ReviewReason, amount: Money, **facts: Fact
) -> Transaction:
    """Open a review about `amount` (zero when nothing moved) and move the transaction to it unless it has ended."""
    review = Review(
        id=ReviewId(work.ids.new()),
        transaction_id=transaction.id,
        reason=reason,
        amount=amount,
        facts=facts,
        opened_at=work.now,
    )
    work.add(REVIEWS, review.id, review)
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
