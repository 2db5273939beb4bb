"""Posting journals inside a unit of work, and what a footprint must name for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from penpay.application.shared.unit_of_work import Appended, Kind, Work
from penpay.domain.shared.errors import DuplicateJournal, JournalNotFound
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.ids import JournalId, LedgerAccountId, TransactionId
from penpay.domain.wallet import journal as journals
from penpay.domain.wallet.account import LedgerAccount, opened
from penpay.domain.wallet.journal import LedgerEntry, LedgerJournal, Line, PostedJournal

ACCOUNTS: Kind[str, LedgerAccount] = Kind("ledger_accounts")
"""Ledger accounts by code."""
JOURNALS: Kind[tuple[str, str], PostedJournal] = Kind("ledger_journals")
"""Posted journals by (kind, reference), with their lines; they can be added, never changed."""
ENTRIES: Appended[LedgerEntry] = Appended("ledger_entries")


def post(
    work: Work,
    kind: str,
    reference: str,
    lines: Sequence[Line],
    *,
    happened_at: datetime,
    transaction_id: TransactionId | None = None,
    reverses: PostedJournal | None = None,
) -> PostedJournal:
    """Post one balanced journal: every account moves, an entry a line, and wallets tell `BalanceChanged`.

    Accounts the chart knows are opened at their first posting. Raises Unbalanced, Overdrawn, AccountNotFound, and
    DuplicateJournal when the batch itself already holds (kind, reference); against the books the unique key decides.
    """
    kept = journals.checked(lines)
    recorded_at = max([work.now, *(_account(work, line.account).last_recorded_at for line in kept)])
    if work.seen(JOURNALS, (kind, reference)) is not None:
        # One that only the database knows, its unique key refuses.
        raise DuplicateJournal(kind=kind, reference=reference)
    journal_id = JournalId(work.ids.new())
    reverses_id = reverses.journal.id if reverses else None
    head = LedgerJournal(journal_id, kind, reference, transaction_id, reverses_id, happened_at, recorded_at)
    posted = PostedJournal(head, kept)
    work.add(JOURNALS, (kind, reference), posted)
    for side, code, amount in kept:
        account = _account(work, code).posted(side, amount, recorded_at)
        work.put(ACCOUNTS, code, account)
        entry = LedgerEntry(journal_id, account.id, account.version, side, amount.cents, account.balance_cents)
        work.append(ENTRIES, entry)
        if account.owner_id is not None:
            work.record(_balance_changed(account, entry, kind))
    return posted


def reverse(work: Work, kind: str, reference: str, *, happened_at: datetime) -> PostedJournal:
    """Undo a journal by posting its mirror, once: kind `<kind>.reversed`, same reference.

    The footprint must name the journal and its accounts. Raises JournalNotFound, or DuplicateJournal on a repeat.
    """
    original = work.get(JOURNALS, (kind, reference))
    if original is None:
        raise JournalNotFound(kind=kind, reference=reference)
    return post(
        work,
        f"{kind}.reversed",
        reference,
        journals.mirrored(original.lines),
        happened_at=happened_at,
        transaction_id=original.journal.transaction_id,
        reverses=original,
    )


def _account(work: Work, code: str) -> LedgerAccount:
    account = work.get(ACCOUNTS, code)
    if account is None:
        account = opened(code, LedgerAccountId(work.ids.new()), work.now)
        work.put(ACCOUNTS, code, account)
    return account


def _balance_changed(account: LedgerAccount, entry: LedgerEntry, kind: str) -> DomainEvent:
    return DomainEvent(
        "BalanceChanged",
        "LedgerAccount",
        account.id,
        account.version,
        {
            "code": account.code,
            "side": entry.side.value,
            "amount_cents": entry.amount_cents,
            "balance_cents": entry.balance_after_cents,
            "currency": account.currency.value,
            "journal_kind": kind,
            "journal_id": str(entry.journal_id),
        },
    )
