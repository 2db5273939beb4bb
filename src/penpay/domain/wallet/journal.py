"""Journals: sets of entries that balance per currency, posted whole or not at all, and never changed.

Their parts are NamedTuples, since every payment makes several: they are made in a quarter of a frozen dataclass's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from penpay.domain.shared.errors import InvalidAmount, Unbalanced
from penpay.domain.shared.ids import JournalId, LedgerAccountId, TransactionId
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import LedgerSide

_DEBIT, _CREDIT = LedgerSide.DEBIT, LedgerSide.CREDIT


class Line(NamedTuple):
    """One side of a movement, before it is posted."""

    side: LedgerSide
    account: str
    """The account's code."""
    amount: Money


def debit(account: str, amount: Money) -> Line:
    return Line(_DEBIT, account, amount)


def credit(account: str, amount: Money) -> Line:
    return Line(_CREDIT, account, amount)


class LedgerEntry(NamedTuple):
    """One posted side. `account_seq` counts the account's entries from 1 without gaps."""

    journal_id: JournalId
    account_id: LedgerAccountId
    account_seq: int
    side: LedgerSide
    amount_cents: int
    balance_after_cents: int


class LedgerJournal(NamedTuple):
    """The head of a set of entries; (kind, reference) is unique, so one event of the world is booked once."""

    id: JournalId
    kind: str
    reference: str
    transaction_id: TransactionId | None
    reverses_id: JournalId | None
    happened_at: datetime
    """When it happened in the world."""
    recorded_at: datetime
    """When we wrote it down; never earlier than the last entry of any account it touches."""


class PostedJournal(NamedTuple):
    """A journal as read back from the books: its head and its lines."""

    journal: LedgerJournal
    lines: tuple[Line, ...]


def checked(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines that move something, zero lines left out.

    Raises InvalidAmount for a negative line and Unbalanced when nothing moves or some currency's sides differ.
    """
    sums: dict[Currency, int] = {}
    kept = []
    for line in lines:
        side, account, amount = line
        cents = amount.cents
        if cents < 0:
            raise InvalidAmount("A ledger line is never negative.", account=account)
        if cents == 0:
            continue
        kept.append(line)
        currency = amount.currency
        sums[currency] = sums.get(currency, 0) + (cents if side is _DEBIT else -cents)
    if not kept or any(sums.values()):
        raise Unbalanced
    return tuple(kept)


def mirrored(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines that undo these."""
    return tuple(Line(line.side.opposite, line.account, line.amount) for line in lines)
