"""The ledger's rows: accounts are locked and updated, journals and entries only ever added."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.shared.unit_of_work import keyed
from penpay.application.wallet.ledger import ACCOUNTS, ENTRIES, JOURNALS
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import AccountType, LedgerAccount, LedgerSide
from penpay.domain.wallet.journal import LedgerEntry, LedgerJournal, Line, PostedJournal
from penpay.infrastructure.sql import mysql
from penpay.infrastructure.sql.lookups import Lookup
from penpay.infrastructure.sql.tables import ledger_accounts, ledger_entries, ledger_journals
from penpay.infrastructure.sql.types import Row

_j, _e, _a = ledger_journals.c, ledger_entries.c, ledger_accounts.c
# MySQL locks what it reads as it reads it: in the order of the codes, then, and never the whole table.
_ACCOUNTS: Final = Lookup(
    select(ledger_accounts)
    .order_by(_a.id)
    .with_hint(ledger_accounts, "FORCE INDEX (uq_ledger_accounts_code)", mysql.NAME),
    _a.code,
    locked=True,
)
_JOURNALS: Final = Lookup(
    select(ledger_journals, _e.side, _e.amount_cents, _a.code, _a.currency)
    .join(ledger_entries, _e.journal_id == _j.id)
    .join(ledger_accounts, _a.id == _e.account_id)
    .order_by(_j.id, _e.account_id, _e.account_seq),
    _j.kind,
    _j.reference,
)
_TYPES: Final[Mapping[str, AccountType]] = {member.value: member for member in AccountType}
_CURRENCIES: Final[Mapping[str, Currency]] = {member.value: member for member in Currency}
_SIDES: Final[Mapping[str, LedgerSide]] = {member.value: member for member in LedgerSide}


class WalletRepository:
    """Ledger accounts by code, locked in id order so that no two batches wait for each other in a ring."""

    kind = ACCOUNTS
    table = ledger_accounts
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("balance_cents", "version", "last_recorded_at")

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, LedgerAccount | None]:
        rows = await _ACCOUNTS.rows(connection, keys)
        return keyed(map(account, rows), lambda found: found.code, keys)

    def row(self, value: LedgerAccount) -> Row:
        return (
            value.id,
            value.code,
            value.name,
            value.type.value,
            value.currency.value,
            value.owner_id,
            value.may_go_negative,
            value.balance_cents,
            value.version,
            value.last_recorded_at,
        )

    def identity(self, value: LedgerAccount) -> Row:
        return (value.id,)


def account(row: Any) -> LedgerAccount:
    """A ledger account from its row."""
    (account_id, code, name, type_, currency, owner_id, may_go_negative, balance_cents, version, recorded_at) = row
    return LedgerAccount(
        account_id,
        code,
        name,
        _TYPES[type_],
        _CURRENCIES[currency],
        owner_id,
        may_go_negative,
        balance_cents,
        version,
        recorded_at,
    )


class JournalRepository:
    """Journals by (kind, reference) with their lines, read to be reversed or recognised."""

    kind = JOURNALS
    table = ledger_journals
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ()

    async def lock(
        self, connection: AsyncConnection, keys: Collection[tuple[str, str]]
    ) -> Mapping[tuple[str, str], PostedJournal | None]:
        found: dict[tuple[str, str], PostedJournal | None] = dict.fromkeys(keys)
        for row in await _JOURNALS.rows(connection, keys):
            head = LedgerJournal(*row[:7])
            line = Line(_SIDES[row.side], row.code, Money(row.amount_cents, _CURRENCIES[row.currency]))
            posted = found[head.kind, head.reference]
            found[head.kind, head.reference] = PostedJournal(head, (*(posted.lines if posted else ()), line))
        return found

    def row(self, value: PostedJournal) -> Row:
        head = value.journal
        return (
            head.id,
            head.kind,
            head.reference,
            head.transaction_id,
            head.reverses_id,
            head.happened_at,
            head.recorded_at,
        )

    def identity(self, value: PostedJournal) -> Row:
        return (value.journal.id,)


class EntryAppender:
    """Ledger entries."""

    kind = ENTRIES
    table = ledger_entries

    def row(self, record: LedgerEntry) -> Row:
        return (
            record.account_id,
            record.account_seq,
            record.journal_id,
            record.side.value,
            record.amount_cents,
            record.balance_after_cents,
        )
