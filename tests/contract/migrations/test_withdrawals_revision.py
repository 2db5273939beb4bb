"""Revision 0008 on a database whose reviews were asked before anybody could decide them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import column, insert, inspect, select, table
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql import migrations
from penpay.infrastructure.sql.payout_tables import reviews
from penpay.infrastructure.sql.reviews import review
from penpay.infrastructure.sql.tables import transactions, users
from penpay.infrastructure.sql.types import Cents, Document, Identifier, Moment, Word
from tests.contract.migrations.test_publishing_revision import upgrade_to

USER, DEPOSIT = UUID(int=1), UUID(int=2)
REFUSED, LATE, LONE = (UUID(int=number) for number in (11, 12, 13))
OPENED = datetime(2026, 10, 1, 9, 0, 0, 123456, tzinfo=UTC)
BEFORE = table(
    "reviews",
    column("id", Identifier),
    column("transaction_id", Identifier),
    column("reason", Word(40)),
    column("amount_cents", Cents),
    column("currency", Word(3)),
    column("facts", Document),
    column("opened_at", Moment),
)
"""As revision 0007 had it."""
FACTS = '{"code": "11", "note": "Zażółć ✓"}'


def _asked(id_: UUID, transaction: UUID | None, reason: str, cents: int) -> dict[str, Any]:
    return {
        "id": id_,
        "transaction_id": transaction,
        "reason": reason,
        "amount_cents": cents,
        "currency": "USD",
        "facts": FACTS,
        "opened_at": OPENED + timedelta(minutes=id_.int),
    }


ASKED = (
    _asked(REFUSED, DEPOSIT, "DERIV_REFUSED", 1_000),
    _asked(LATE, DEPOSIT, "CONFIRMED_LATE", 0),
    _asked(LONE, None, "DELIVERY_DEAD", 7),
)


@pytest.fixture
async def used(engine: AsyncEngine) -> AsyncEngine:
    """A database at 0007 with a deposit and three reviews, brought to the newest revision."""
    async with engine.begin() as connection:
        await connection.run_sync(upgrade_to, "0007")
        await connection.execute(insert(users), _user())
        await connection.execute(insert(transactions), _deposit())
        await connection.execute(insert(BEFORE), list(ASKED))
    await migrations.upgrade(engine)
    return engine


async def test_every_review_is_still_asked_and_undecided(used: AsyncEngine) -> None:
    """What it asked stands as it was; it is about its transaction, or about itself where it had none."""
    async with used.connect() as connection:
        found = (await connection.execute(select(reviews).order_by(reviews.c.id))).all()

    assert list(ASKED) == [{name: getattr(row, name) for name in ASKED[0]} for row in found]
    assert [DEPOSIT, DEPOSIT, LONE] == [row.subject_id for row in found]
    assert {1} == {row.version for row in found}
    assert {None} == {
        value
        for row in found
        for value in (row.decision, row.note_sealed, row.proposed_by, row.approved_by, row.resolved_at)
    }
    assert {"code": "11", "note": "Zażółć ✓"} == review(found[0]).facts


async def test_what_the_new_revision_forbids_is_forbidden_to_the_old_rows(used: AsyncEngine) -> None:
    """One review of a subject for each reason; and nothing is left of the table they waited in."""
    row = _asked(UUID(int=14), DEPOSIT, "DERIV_REFUSED", 1) | {"subject_id": DEPOSIT, "version": 1}
    with pytest.raises(IntegrityError):
        async with used.begin() as connection:
            await connection.execute(insert(reviews), row)
    with pytest.raises(IntegrityError):
        async with used.begin() as connection:
            await connection.execute(insert(reviews), row | {"subject_id": USER, "transaction_id": USER})

    async with used.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert "reviews_kept" not in names


def _user() -> dict[str, Any]:
    return {
        "id": USER,
        "email_sealed": b"sealed",
        "email_index": "e" * 64,
        "status": "ACTIVE",
        "created_at": OPENED,
    }


def _deposit() -> dict[str, Any]:
    return {
        "id": DEPOSIT,
        "user_id": USER,
        "type": "DEPOSIT",
        "status": "IN_REVIEW",
        "amount_cents": 1_000,
        "currency": "USD",
        "deriv_login_id": "CR100001",
        "usd_cents": 1_000,
        "kes_at_mid_cents": 129_500,
        "kes_priced_cents": 132_090,
        "kes_charged_cents": 132_100,
        "rate_mid_e8": 12_950_000_000,
        "rate_spread_bps": 200,
        "rate_source": "test",
        "rate_locked_at": OPENED,
        "rate_expires_at": OPENED + timedelta(minutes=15),
        "created_at": OPENED,
        "updated_at": OPENED,
        "version": 3,
    }
