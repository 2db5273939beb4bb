"""Revision 0013 on a business that sold for cash before there were shifts."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql import migrations
from tests.contract.migrations.test_append_only import MOMENT, A, B, ids_of
from tests.contract.migrations.test_publishing_revision import upgrade_to

_ACCOUNT = (
    "INSERT INTO ledger_accounts (id, code, name, type, currency, may_go_negative, balance_cents, version,"
    " last_recorded_at) VALUES ('{id}', '{code}', 'Some', 'ASSET', 'KES', FALSE, 5, 1, {at})"
)
_SALE = (
    "INSERT INTO pos_sales (id, pos_number, pos_number_folded, status, net_cents, vat_cents, total_cents, cash_cents,"
    " mpesa_cents, tenders, expires_at, paid_at, created_at, created_by, version)"
    " VALUES ('{id}', 'POS-001', 'POS001', 'PAID', 100, 0, 100, 100, 0, 1, {at}, {at}, {at}, 'staff:x', 2)"
)


async def test_cash_may_stand_below_zero_and_old_sales_have_no_shift(engine: AsyncEngine) -> None:
    """No other account may; nothing is locked."""
    async with engine.begin() as connection:
        await connection.run_sync(upgrade_to, "0012")
        for row in (
            _ACCOUNT.format(id=A, code="1000", at=MOMENT),
            _ACCOUNT.format(id=B, code="1200", at=MOMENT),
            _SALE.format(id=A, at=MOMENT),
        ):
            await connection.execute(text(ids_of(engine, row)))

    await migrations.upgrade(engine)

    async with engine.connect() as connection:
        accounts = await connection.execute(
            text("SELECT code, balance_cents, may_go_negative FROM ledger_accounts ORDER BY code")
        )
        assert [("1000", 5, True), ("1200", 5, False)] == [(code, cents, bool(may)) for code, cents, may in accounts]
        sales = await connection.execute(text("SELECT pos_number, cash_cents, shift_id FROM pos_sales"))
        assert [("POS-001", 100, None)] == [tuple(row) for row in sales]
        lock = await connection.execute(text("SELECT name, locked_through FROM books_lock"))
        assert [("collections", None)] == [tuple(row) for row in lock]
