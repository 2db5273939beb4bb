"""Books written by hand into tables without a single guard, so that every kind of corruption can be planted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Column, MetaData, Table, insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.dml import UpdateBase

from penpay.domain.payments.evidence import DerivTransfer, EvidenceState, Purpose
from penpay.domain.payments.transaction import Transaction, TransactionStatus, TransactionType
from penpay.domain.shared.ids import DerivTransferId, JournalId, LedgerAccountId, TransactionId, UserId
from penpay.domain.shared.locked_rate import LockedRate
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import LedgerAccount, opened, wallet_code
from penpay.domain.wallet.journal import LedgerEntry, LedgerJournal, Line, PostedJournal, credit, debit
from penpay.infrastructure.sql.evidence import DerivTransferRepository
from penpay.infrastructure.sql.ledger import EntryAppender, JournalRepository, WalletRepository
from penpay.infrastructure.sql.payments import TransactionRepository
from penpay.infrastructure.sql.tables import metadata

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
USER_ONE, USER_TWO = UserId(UUID(int=1)), UserId(UUID(int=2))
DONE, OPEN = TransactionId(UUID(int=11)), TransactionId(UUID(int=12))
KES_WALLET, USD_WALLET = wallet_code(USER_ONE, Currency.KES), wallet_code(USER_ONE, Currency.USD)
RATE = LockedRate(
    base=Currency.USD,
    quote=Currency.KES,
    mid_e8=12_950_000_000,
    spread_bps=150,
    source="test",
    locked_at=NOON,
    expires_at=NOON + timedelta(minutes=15),
)
USD = Money(10_000, Currency.USD)
QUOTE = RATE.quote_deposit(USD)


def unguarded() -> MetaData:
    """The same tables and columns with their primary keys, and without any other constraint or trigger."""
    bare = MetaData()
    for table in metadata.sorted_tables:
        columns = (Column(c.name, c.type, primary_key=c.primary_key, autoincrement=False) for c in table.columns)
        Table(table.name, bare, *columns)
    return bare


@dataclass
class Ledger:
    """Keeps accounts as the domain does and writes what it is told."""

    engine: AsyncEngine
    accounts: dict[str, LedgerAccount]
    journals: dict[str, JournalId]
    minutes: int = 0

    async def write(self, table: Table, *rows: Sequence[Any]) -> None:
        names = [column.name for column in table.columns]
        async with self.engine.begin() as connection:
            await connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])

    async def run(self, *statements: UpdateBase) -> None:
        """Do to the tables what the database would refuse if it could."""
        async with self.engine.begin() as connection:
            for statement in statements:
                result = await connection.execute(statement)
                assert result.rowcount > 0, "the corruption was not planted"

    async def post(self, kind: str, transaction: TransactionId, *lines: Line) -> None:
        """One journal a minute, from noon on."""
        self.minutes += 1
        at = NOON + timedelta(minutes=self.minutes)
        journal = JournalId(UUID(int=1000 + self.minutes))
        self.journals[f"{kind} {transaction.int}"] = journal
        head = LedgerJournal(journal, kind, str(transaction), transaction, None, at, at)
        await self.write(JournalRepository.table, JournalRepository().row(PostedJournal(head, lines)))
        for line in lines:
            account = self.accounts.get(line.account)
            new = account is None
            if account is None:
                account = opened(line.account, LedgerAccountId(UUID(int=100 + len(self.accounts))), at)
            account = self.accounts[line.account] = account.posted(line.side, line.amount, at)
            entry = LedgerEntry(
                journal, account.id, account.version, line.side, line.amount.cents, account.balance_cents
            )
            await self.write(EntryAppender.table, EntryAppender().row(entry))
            table = WalletRepository.table
            if not new:
                await self.run(table.delete().where(table.c.id == account.id))
            await self.write(table, WalletRepository().row(account))

    async def deposit(self, transaction: TransactionId, status: TransactionStatus, state: EvidenceState) -> None:
        """A deposit of 100 USD up to the transfer, which is confirmed if the evidence says so."""
        at = NOON + timedelta(minutes=self.minutes)
        row = made(transaction, USER_ONE, status, at)
        await self.write(TransactionRepository.table, TransactionRepository().row(row))
        await self.post("paid", transaction, *_paid())
        await self.post("converted", transaction, *_converted())
        await self.post("intended", transaction, debit(USD_WALLET, USD), credit("deriv:in_flight", USD))
        if state is EvidenceState.CONFIRMED:
            await self.post("confirmed", transaction, debit("deriv:in_flight", USD), credit("deriv:agent", USD))
        transfer = DerivTransfer(
            id=DerivTransferId(UUID(int=transaction.int + 500)),
            purpose=Purpose.DEPOSIT,
            subject_id=transaction,
            state=state,
            amount=USD,
            due_at=None,
            created_at=at,
            reference=f"PX{transaction.int}",
            deriv_login_id="CR123456",
        )
        await self.write(DerivTransferRepository.table, DerivTransferRepository().row(transfer))


def made(transaction: TransactionId, user: UserId, status: TransactionStatus, at: datetime) -> Transaction:
    return Transaction(
        id=transaction,
        user_id=user,
        type=TransactionType.DEPOSIT,
        status=status,
        amount=USD,
        deriv_login_id="CR123456",
        rate=RATE,
        quote=QUOTE,
        created_at=at,
        updated_at=at,
        version=3,
    )


def _paid() -> tuple[Line, ...]:
    return debit("mpesa:collection", QUOTE.kes_charged), credit(KES_WALLET, QUOTE.kes_charged)


def _converted() -> tuple[Line, ...]:
    return (
        debit(KES_WALLET, QUOTE.kes_charged),
        credit("fx:KES", QUOTE.kes_at_mid),
        credit("revenue:fx_spread", QUOTE.spread),
        credit("revenue:rounding", QUOTE.rounding),
        debit("fx:USD", QUOTE.usd),
        credit(USD_WALLET, QUOTE.usd),
    )
