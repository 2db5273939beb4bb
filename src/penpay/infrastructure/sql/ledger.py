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
from penpay.infrastructure.sql.tables import ledger_accounts, ledger_entries, ledger_journals
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import among, among_pairs, fetch, for_update

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
        wanted = among(ledger_accounts.c.code, keys, connection.dialect)
        statement = (
            select(ledger_accounts)
            .where(wanted)
            .order_by(ledger_accounts.c.id)
            # MySQL locks what it reads as it reads it: in the order of the codes, then, and never the whole table.
            .with_hint(ledger_accounts, "FORCE INDEX (uq_ledger_accounts_code)", mysql.NAME)
        )
        rows = await fetch(connection, for_update(statement, connection.dialect))
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
        wanted = among_pairs((ledger_journals.c.kind, ledger_journals.c.reference), keys, connection.dialect)
        statement = (
            select(
                ledger_journals,
                ledger_entries.c.side,
                ledger_entries.c.amount_cents,
                ledger_accounts.c.code,
                ledger_accounts.c.currency,
            )
            .join(ledger_entries, ledger_entries.c.journal_id == ledger_journals.c.id)
            .join(ledger_accounts, ledger_accounts.c.id == ledger_entries.c.account_id)
            .where(wanted)
            .order_by(ledger_journals.c.id, ledger_entries.c.account_id, ledger_entries.c.account_seq)
        )
        found: dict[tuple[str, str], PostedJournal | None] = dict.fromkeys(keys)
        for row in await fetch(connection, statement):
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
