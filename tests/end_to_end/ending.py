"""How a story has ended, looked up in every book: as it said, by moves that docs/sagas.md knows, to the cent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from penpay.demo.world import LOGIN_ID, PHONE, SHORT_CODE, WALLET
from penpay.domain.payments.transaction import TransactionStatus, TransactionType
from penpay.infrastructure.sql.payout_tables import reviews
from penpay.infrastructure.sql.tables import domain_events, transactions
from penpay.infrastructure.sql.unit_of_work import parsed
from tests.end_to_end.deposits.stage import Stage
from tests.support import matrix, sagas


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What she had at Deriv, and our PayBill at M-Pesa, before the story began; in cents."""

    dollars: int = 0
    shillings: int = 0


async def check_ending(item: pytest.Item, stage: Stage, opening: Opening) -> None:
    """Fail unless every move was one of the table's and, of a story with a cell, the end is the one it says.

    She has the money, has it back, or an open review says where it is; in the first two cases the books of all three
    agree to the cent.
    """
    rows = await _rows(stage, select(transactions).order_by(transactions.c.id))
    await _moved_as_drawn(stage, rows)
    cell = matrix.cell_of(item)
    if cell is None:
        return
    asked = await _rows(stage, select(reviews).where(reviews.c.resolved_at.is_(None)).order_by(reviews.c.id))
    assert (cell.outcome == "REFUSED") is (not rows)
    if rows:
        assert cell.outcome == rows[-1].status
        told = [rows[-1].failure_code, rows[-1].recovered_by and f"by {rows[-1].recovered_by}"]
        told += [
            f"{one.reason} {one.currency} {one.amount_cents // 100:,}.{one.amount_cents % 100:02}" for one in asked
        ]
        matrix.found(item, ", ".join(filter(None, told)))
    assert [] == list(await stage.system.ledger_books.verify())
    if asked:
        return
    assert {TransactionStatus.IN_REVIEW.value}.isdisjoint(row.status for row in rows)
    expected = _expected(rows, opening)
    await stage.until(lambda: _stands(stage, expected, opening))


def _expected(rows: Sequence[Any], opening: Opening) -> tuple[int, int]:
    """What she has on her phone and at Deriv, if what was completed has moved, and nothing else."""
    shillings, dollars = WALLET.cents, opening.dollars
    for row in rows:
        if row.status == TransactionStatus.COMPLETED and row.deriv_login_id == LOGIN_ID:
            sign = 1 if row.type == TransactionType.WITHDRAWAL else -1
            shillings += sign * row.kes_charged_cents
            dollars -= sign * row.usd_cents
    return shillings, dollars


async def _stands(stage: Stage, expected: tuple[int, int], opening: Opening) -> bool:
    """Whether hers is as expected, and ours as M-Pesa and Deriv have it."""
    operator = await stage.sandbox.operator.books.balances()
    deriv = stage.sandbox.deriv_book
    hers = dict(operator.subscribers)[PHONE].cents, await deriv.balance_of(LOGIN_ID)
    theirs = (
        dict(operator.merchants)[SHORT_CODE].cents - opening.shillings,
        await deriv.balance_of(stage.settings.deriv_login_id),
    )
    ours = (
        await _held(stage, "mpesa:collection") + await _held(stage, "mpesa:utility"),
        await _held(stage, "deriv:agent"),
    )
    return (hers, ours) == (expected, theirs)


async def _held(stage: Stage, code: str) -> int:
    account = await stage.system.ledger_books.balance(code)
    return 0 if account is None else account.balance.cents


async def _moved_as_drawn(stage: Stage, rows: Sequence[Any]) -> None:
    """Every event of every transaction, counted from 1, is a row of the saga's table in docs/sagas.md."""
    types = {row.id: TransactionType(row.type) for row in rows}
    statement = select(domain_events).where(
        domain_events.c.sequence > 0, domain_events.c.aggregate_type == "Transaction"
    )
    before: dict[Any, TransactionStatus] = {}
    for event in await _rows(stage, statement.order_by(domain_events.c.aggregate_id, domain_events.c.sequence)):
        known = before.get(event.aggregate_id)
        told = parsed(event.payload).get("status")
        after = known if told is None else TransactionStatus(told)
        assert after is not None
        assert (known, event.name, after) in sagas.moves(types[event.aggregate_id])
        before[event.aggregate_id] = after


async def _rows(stage: Stage, statement: Any) -> Sequence[Any]:
    async with stage.system.engine.connect() as connection:
        return list(await connection.execute(statement))
