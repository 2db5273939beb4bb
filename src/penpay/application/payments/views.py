"""What a transaction looks like from outside: the one JSON shape of every answer about it."""

from __future__ import annotations

from datetime import datetime

from penpay.application.payments.queries import Story
from penpay.domain.payments.transaction import Transaction, TransactionType


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, with microseconds."""
    return None if at is None else at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def transaction_view(transaction: Transaction) -> dict[str, object]:
    """The transaction as JSON-ready values; money in integer cents, rates as exact decimal text."""
    quote, rate = transaction.quote, transaction.rate
    price = rate.deposit_rate if transaction.type is TransactionType.DEPOSIT else rate.withdrawal_rate
    return {
        "id": str(transaction.id),
        "type": transaction.type.value,
        "status": transaction.status.value,
        "amount_cents": transaction.amount.cents,
        "currency": transaction.amount.currency.value,
        "deriv_login_id": transaction.deriv_login_id,
        "usd_cents": quote.usd.cents,
        "kes_cents": quote.kes.cents,
        "rate": f"{price.normalize():f}",
        "rate_expires_at": moment(rate.expires_at),
        "receipt": transaction.receipt,
        "failure_code": transaction.failure_code,
        "recovered_by": transaction.recovered_by,
        "created_at": moment(transaction.created_at),
        "updated_at": moment(transaction.updated_at),
    }


def story_view(story: Story) -> dict[str, object]:
    """A transaction with its story as JSON-ready values."""
    lines = [{"at": moment(line.at), "kind": line.kind, "text": line.text} for line in story.lines]
    return {**transaction_view(story.transaction), "story": lines}
