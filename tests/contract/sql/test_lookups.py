"""Look-ups by key: whichever way they go, the same rows come back, and what is locked stays locked until the end."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.infrastructure.sql.engine import looking, open_engine
from penpay.infrastructure.sql.lookups import Lookup, Question, driver_of
from penpay.infrastructure.sql.tables import ledger_accounts
from tests.contract.sql.rows import opened
from tests.support.ports import MORNING

_a = ledger_accounts.c
BY_CODE = Lookup(select(ledger_accounts).order_by(_a.id), _a.code, locked=True)
BY_ID = Lookup(select(ledger_accounts).order_by(_a.id), _a.id)
BY_PAIR = Lookup(select(ledger_accounts).order_by(_a.id), _a.code, _a.currency)
ALL = Question(select(ledger_accounts).order_by(_a.id))


async def test_the_first_of_a_transaction_and_the_next_find_the_same(url: str) -> None:
    """By one column, by ids and by pairs; keys that nobody has are left out, and no keys find nothing."""
    async with opened(url):
        engine = open_engine(url)
        try:
            some = await _made(engine)
            assert 3 == len(some)
            await _twice(engine, BY_CODE, [row.code for row in some] + ["nobody:KES"], some)
            await _twice(engine, BY_ID, [row.id for row in some], some)
            await _twice(engine, BY_PAIR, [(row.code, row.currency) for row in some] + [("nobody", "KES")], some)
            await _twice(engine, BY_CODE, [], [])
        finally:
            await engine.dispose()


async def test_what_the_first_look_up_locks_is_locked_within_the_transaction(postgresql_url: str) -> None:
    """A lock that was taken before the transaction began would be gone at once."""
    async with opened(postgresql_url):
        engine = open_engine(postgresql_url)
        try:
            code = (await _made(engine))[0].code
            async with engine.begin() as connection:
                await BY_CODE.rows(connection, [code])
                assert driver_of(connection).is_in_transaction()
                async with engine.connect() as other:
                    free = select(_a.code).where(_a.code == code).with_for_update(skip_locked=True)
                    assert not (await other.execute(free)).all()
        finally:
            await engine.dispose()


async def _made(engine: AsyncEngine) -> list[Any]:
    """Three accounts, as they are read."""
    made = [
        {
            "id": UUID(int=number),
            "code": f"test:{number}",
            "name": f"Test {number}",
            "type": "LIABILITY",
            "currency": "KES",
            "owner_id": None,
            "may_go_negative": False,
            "balance_cents": 0,
            "version": 0,
            "last_recorded_at": MORNING,
        }
        for number in (1, 2, 3)
    ]
    async with engine.begin() as connection:
        await connection.execute(insert(ledger_accounts), made)
    return await _alone(engine)


async def _alone(engine: AsyncEngine) -> list[Any]:
    async with looking(engine).connect() as connection:
        return list(await ALL.rows(connection))


async def _twice(engine: AsyncEngine, lookup: Lookup, keys: Collection[Any], wanted: Collection[Any]) -> None:
    async with engine.begin() as connection:
        for _ in range(2):
            found = await lookup.rows(connection, keys)
            assert list(map(tuple, wanted)) == list(map(tuple, found))
            assert [row.id for row in wanted] == [row.id for row in found]
