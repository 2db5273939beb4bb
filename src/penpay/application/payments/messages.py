"""What users are told, in words: short, in plain ASCII, with the receipt first, as M-Pesa's own messages are."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from penpay.domain.payments.transaction import Transaction, TransactionStatus, TransactionType
from penpay.domain.shared.nairobi import EAST_AFRICA

LONGEST_TEXT: Final = 320
"""Two short messages."""
_NOON: Final = 12


class Words(NamedTuple):
    """A message: its title, which a short message leaves out, and its text."""

    title: str
    text: str


def words(transaction: Transaction, at: datetime, refund_receipt: str | None = None) -> Words:
    """What its user is told of a transaction that has come to one of the states in `NOTED`.

    `refund_receipt` is M-Pesa's receipt of what was paid back. No name, address or number of hers is in it.
    """
    deposit = transaction.type is TransactionType.DEPOSIT
    usd, kes = transaction.quote.usd, transaction.quote.kes
    account, when = f"Deriv account {transaction.deriv_login_id}", f"on {moment_text(at)}"
    what = f"{'deposit' if deposit else 'withdrawal'} of {usd}"
    if transaction.status is TransactionStatus.COMPLETED:
        title = f"Your {what} is complete"
        moved = (
            f"{kes} paid by M-Pesa, {usd} sent to your {account}"
            if deposit
            else f"{kes} sent to your M-Pesa number for {usd} from your {account}"
        )
        text = f"{_confirmed(transaction.receipt)}{moved} {when}."
    elif transaction.status is TransactionStatus.FAILED:
        title = f"Your {what} was not made"
        untouched = "You were not charged." if deposit else "Nothing was taken from it."
        text = f"Your {what} {'to' if deposit else 'from'} {account} was not made. {untouched} {moment_text(at)}."
    elif transaction.status is TransactionStatus.REVERSED:
        title = f"Your {what} was given back"
        back = (
            f"{kes} paid back to your M-Pesa number {when}. Your deposit to {account} could not be made."
            if deposit
            else f"{usd} returned to your {account} {when}. Your withdrawal could not be paid to M-Pesa."
        )
        text = f"{_confirmed(refund_receipt)}{back}"
    else:
        title = f"Your {what} is being checked"
        text = (
            f"Your {what} {'to' if deposit else 'from'} {account} is being checked by our staff since "
            f"{moment_text(at)}. We will tell you how it ends."
        )
    return Words(title, f"{text} PenPay")


def moment_text(at: datetime) -> str:
    """A moment in Nairobi as people know it from M-Pesa: 3/2/26 at 9:05 AM."""
    there = at.astimezone(EAST_AFRICA)
    hour = there.hour % _NOON or _NOON
    half = "AM" if there.hour < _NOON else "PM"
    return f"{there.day}/{there.month}/{there.year % 100:02d} at {hour}:{there.minute:02d} {half}"


def _confirmed(receipt: str | None) -> str:
    return "Confirmed. " if receipt is None else f"{receipt} Confirmed. "
