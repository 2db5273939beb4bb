"""A business on a database: Collections' own executor, and what an accountant would ask of the tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.collections.customers import CreateCustomer
from penpay.application.collections.invoicing import CreateInvoice
from penpay.application.collections.receiving import Received, ReceivePayment, VerifyPayment
from penpay.application.shared.executor import Executor
from penpay.bootstrap.collections import CollectionsRows, collections_handlers
from penpay.domain.collections.customer import Contact
from penpay.domain.collections.line import LineItem
from penpay.domain.collections.payment import PaymentSource
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.security.keys import KeyRing
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.ledger import EntryAppender, JournalRepository, WalletRepository
from penpay.infrastructure.sql.shared import IdempotencyRepository, OutboxRepository
from penpay.infrastructure.sql.unit_of_work import Schema, SqlDatabase
from penpay.infrastructure.system import SystemRandom, UuidV7
from tests.support.ports import HandClock

STAFF = "staff:wanjiru"
OTHER = "staff:otieno"


def kes(shillings: int, cents: int = 0) -> Money:
    return Money(shillings * 100 + cents, Currency.KES)


def rows() -> CollectionsRows:
    ring = KeyRing(active_id="k1", keys={"k1": b"k" * 32})
    return CollectionsRows(FieldCipher(ring, SystemRandom()), BlindIndex(b"i" * 32))


class Stage:
    """An executor with Collections' commands, and its database."""

    def __init__(self, executor: Executor, engine: AsyncEngine, clock: HandClock) -> None:
        self.executor = executor
        self.engine = engine
        self.clock = clock

    async def do(self, command: object) -> Any:
        return await self.executor.execute(command)

    async def together(self, commands: Sequence[object]) -> list[Any]:
        """Queue all at once, so that they share a batch; results and errors in the order of the commands."""
        futures = [self.executor.enqueue(command) for command in commands]
        return await asyncio.gather(*futures, return_exceptions=True)

    async def customer(self, number: str | None = None, *, auto: bool = True) -> str:
        command = CreateCustomer(contact=Contact(name="Amina"), number=number, auto_apply_credit=auto, by=STAFF)
        return str((await self.do(command))["customer_id"])

    async def invoice(self, customer: str, amount: Money, number: str | None = None) -> str:
        return str((await self.do(bill(customer, amount, number)))["invoice_id"])

    async def paid(self, receipt: str, amount: Money, reference: str | None) -> Received:
        received: Received = await self.do(receipt_of(receipt, amount, reference))
        return received

    async def verified(self) -> None:
        """M-Pesa's own records tell of every payment, so that it can be refunded."""
        known = "SELECT mpesa_receipt_number FROM payments WHERE mpesa_receipt_number IS NOT NULL"
        for (receipt,) in await self.rows(f"{known} AND verification = 'UNVERIFIED'"):
            await self.do(VerifyPayment(receipt=receipt, by="pull"))

    async def rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        async with self.engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(statement), values)]

    async def change(self, statement: str) -> None:
        """Run SQL of the test's own."""
        async with self.engine.begin() as connection:
            await connection.execute(text(statement))

    async def one(self, statement: str, **values: object) -> Any:
        """The single figure a statement asks for."""
        ((value,),) = await self.rows(statement, **values)
        return value

    @staticmethod
    def identifier(value: Any) -> UUID:
        """An id as raw SQL gives it on this engine."""
        return value if isinstance(value, UUID) else UUID(bytes=bytes(value))

    async def account(self, code: str) -> int:
        found = await self.rows("SELECT balance_cents FROM ledger_accounts WHERE code = :code", code=code)
        return int(found[0][0]) if found else 0

    async def trial_balance(self) -> dict[str, int]:
        """Every account that holds something, in cents on its normal side."""
        found = await self.rows("SELECT code, balance_cents FROM ledger_accounts ORDER BY code")
        return {code: cents for code, cents in found if cents}

    async def agrees(self) -> None:
        """Every rule of docs/collections.md, checked over all rows."""
        for name, left, right in RULES:
            assert await self.one(left) == await self.one(right), name
        for name, broken in BROKEN:
            assert [] == await self.rows(broken), name


COUNTS = "a.reverses_id IS NULL AND NOT EXISTS (SELECT 1 FROM payment_allocations r WHERE r.reverses_id = a.id)"


def _account(code: str) -> str:
    return f"SELECT coalesce(sum(balance_cents), 0) FROM ledger_accounts WHERE code = '{code}'"


RULES = (
    ("receivable", _account("1200"), "SELECT coalesce(sum(balance), 0) FROM invoices"),
    ("credit", _account("2100"), "SELECT coalesce(sum(credit_cents), 0) FROM customers"),
    ("suspense", _account("2300"), "SELECT coalesce(sum(suspense_cents), 0) FROM payments"),
    (
        "part payments",
        _account("2350"),
        "SELECT coalesce(sum(cash_cents + mpesa_cents), 0) FROM pos_sales WHERE status = 'PENDING'",
    ),
    (
        "refunds in flight",
        _account("2400"),
        "SELECT coalesce(sum(amount_cents), 0) FROM collections_refunds WHERE state = 'APPROVED'",
    ),
    (
        "M-Pesa cash",
        _account("1010"),
        (
            "SELECT (SELECT coalesce(sum(amount_cents), 0) FROM payments WHERE status <> 'REVERSED')"
            " - (SELECT coalesce(sum(amount_cents), 0) FROM collections_refunds WHERE state = 'PAID')"
            " - (SELECT coalesce(sum(amount_cents), 0) FROM collections_outflows"
            " WHERE outflow_use NOT IN ('REFUND', 'PAYOUT', 'REVERSAL'))"
        ),
    ),
    (
        "outflows that nobody has explained",
        _account("1260"),
        "SELECT coalesce(sum(amount_cents), 0) FROM collections_outflows WHERE outflow_use = 'UNEXPLAINED'",
    ),
    (
        "recoveries",
        _account("1250"),
        (
            "SELECT (SELECT coalesce(sum(a.amount_cents), 0) FROM payment_allocations a"
            f" WHERE a.target = 'RECOVERY' AND {COUNTS})"
            " + (SELECT coalesce(sum(a.amount_cents), 0) FROM payment_allocations a"
            f" JOIN payments p ON p.id = a.payment_id WHERE a.target = 'REFUND' AND p.status = 'REVERSED' AND {COUNTS})"
        ),
    ),
    (
        "journals balance",
        "SELECT coalesce(sum(CASE WHEN side = 'DEBIT' THEN amount_cents ELSE 0 END), 0) FROM ledger_entries",
        "SELECT coalesce(sum(CASE WHEN side = 'CREDIT' THEN amount_cents ELSE 0 END), 0) FROM ledger_entries",
    ),
)
"""Two figures that are always the same."""

BROKEN = (
    (
        "a customer's receivable is what is open on her invoices",
        (
            "SELECT c.customer_number FROM customers c LEFT JOIN invoices i ON i.customer_id = c.id"
            " GROUP BY c.id, c.customer_number, c.receivable_cents"
            " HAVING c.receivable_cents <> coalesce(sum(i.balance), 0)"
        ),
    ),
    (
        "a customer's credit is what went in less what was applied and refunded",
        (
            "SELECT c.customer_number FROM customers c LEFT JOIN (SELECT a.customer_id, sum(CASE"
            " WHEN a.target = 'CREDIT' THEN a.amount_cents"
            " WHEN a.payment_id IS NULL AND a.target = 'RECOVERY' THEN a.amount_cents"
            " WHEN a.payment_id IS NULL THEN -a.amount_cents ELSE 0 END) AS credit"
            f" FROM payment_allocations a WHERE {COUNTS} GROUP BY a.customer_id) s ON s.customer_id = c.id"
            " WHERE c.credit_cents <> coalesce(s.credit, 0)"
        ),
    ),
    (
        "what counts of a payment adds up to it",
        (
            "SELECT p.id FROM payments p LEFT JOIN (SELECT a.payment_id, sum(a.amount_cents) AS used"
            f" FROM payment_allocations a WHERE {COUNTS} GROUP BY a.payment_id) s ON s.payment_id = p.id"
            " WHERE p.status <> 'REVERSED' AND coalesce(s.used, 0) + p.suspense_cents <> p.amount_cents"
        ),
    ),
    (
        "what counts of an invoice is what has paid it",
        (
            "SELECT i.invoice_number FROM invoices i LEFT JOIN (SELECT a.invoice_id, sum(a.amount_cents) AS used"
            f" FROM payment_allocations a WHERE {COUNTS} GROUP BY a.invoice_id) s ON s.invoice_id = i.id"
            " WHERE coalesce(s.used, 0) <>"
            " CASE WHEN i.status = 'VOID' THEN 0 ELSE i.total_cents - i.credited_cents - i.balance END"
        ),
    ),
    (
        "events of one thing are numbered from 1 without gaps",
        "SELECT aggregate_id FROM domain_events GROUP BY aggregate_id HAVING count(*) <> max(sequence)",
    ),
)
"""Statements that find what breaks a rule."""


def bill(customer: str, amount: Money, number: str | None = None) -> CreateInvoice:
    item = LineItem(description="Goods", unit_price=amount)
    return CreateInvoice(customer_number=customer, items=(item,), number=number, by=STAFF)


def receipt_of(receipt: str, amount: Money, reference: str | None) -> ReceivePayment:
    return ReceivePayment(
        receipt=receipt, source=PaymentSource.C2B, amount=amount, short_code="174379", bill_reference=reference
    )


@asynccontextmanager
async def opened(url: str, *, batch_limit: int = 1_000) -> AsyncIterator[Stage]:
    """A stage on a database whose schema exists; several on one database are several processes."""
    hand = HandClock()
    random = SystemRandom()
    engine = open_engine(url)
    mine = rows()
    schema = Schema(
        repositories=(
            IdempotencyRepository(),
            OutboxRepository(),
            *mine.repositories,
            WalletRepository(),
            JournalRepository(),
        ),
        finders=mine.finders,
        appenders=(EntryAppender(), *mine.appenders),
    )
    executor = Executor(
        database=SqlDatabase(engine, schema),
        clock=hand,
        ids=UuidV7(hand, random),
        random=random,
        handlers=collections_handlers(),
        subscriptions={},
        on_events=lambda _: None,
        batch_limit=batch_limit,
    )
    task = asyncio.create_task(executor.run())
    try:
        yield Stage(executor, engine, hand)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await engine.dispose()
