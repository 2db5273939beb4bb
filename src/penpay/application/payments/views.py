"""What a transaction looks like from outside: the one JSON shape of every answer about it."""

from __future__ import annotations

from datetime import datetime

from penpay.domain.payments.transaction import Transaction


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, with microseconds."""
    return None if at is None else at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def transaction_view(transaction: Transaction) -> dict[str, object]:
    """The transaction as JSON-ready values; money in integer cents, rates as exact decimal text."""
    quote, rate = transaction.quote, transaction.rate
    return {
        "id": str(transaction.id),
        "type": transaction.type.value,
        "status": transaction.status.value,
        "amount_cents": transaction.amount.cents,
        "currency": transaction.amount.currency.value,
        "deriv_login_id": transaction.deriv_login_id,
        "usd_cents": quote.usd.cents,
        "kes_cents": quote.kes_charged.cents,
        "rate": f"{rate.deposit_rate.normalize():f}",
        "rate_expires_at": moment(rate.expires_at),
        "receipt": transaction.receipt,
        "failure_code": transaction.failure_code,
        "recovered_by": transaction.recovered_by,
        "created_at": moment(transaction.created_at),
        "updated_at": moment(transaction.updated_at),
    }
