"""The simulator's book keeps in memory what it says, and what it says is what is committed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.system import SystemClock, SystemRandom
from penpay.sandbox.deriv.book import Account, Book, MovementRefused
from penpay.sandbox.deriv.mail import Mailbox

ANN, BEN, CEE = "CR1", "CR2", "CR3"
KIND = "paymentagent_withdraw"
MINUTE_MS = 60_000


@asynccontextmanager
async def opened(file: Path) -> AsyncIterator[tuple[Book, list[None]]]:
    """A book of three accounts with 100 dollars each, and a list that grows by one with every commit."""
    engine = open_engine(f"sqlite+aiosqlite:///{file}")
    commits: list[None] = []
    book = Book(engine, clock=SystemClock())
    try:
        await book.create()
        for login_id in (ANN, BEN, CEE):
            person = Account(login_id=login_id, first_name="A", last_name="B", email=f"{login_id}@penpay.example")
            await book.open_account(person, balance_cents=100_00, token=f"token-of-{login_id}", scopes="read")
        event.listen(engine.sync_engine, "commit", lambda _: commits.append(None))
        yield book, commits
    finally:
        await engine.dispose()


def move(book: Book, sender: str, receiver: str, cents: int) -> Any:
    return book.move(sender=sender, receiver=receiver, cents=cents, remark="r", app_id=1, repeat_guard_ms=MINUTE_MS)


async def balances(book: Book) -> list[int]:
    return [await book.balance_of(login_id) for login_id in (ANN, BEN, CEE)]


async def test_movements_that_wait_together_are_committed_together(tmp_path: Path) -> None:
    """The first goes alone, the nine that come meanwhile in one commit, in their order."""
    async with opened(tmp_path / "deriv.db") as (book, commits):
        moved = await asyncio.gather(*(move(book, ANN, BEN, cents) for cents in range(1, 11)))

        assert 2 == len(commits)
        ids = [row.transaction_id for pair in moved for row in pair]
        assert sorted(ids) == ids
        assert [100_00 - 55, 100_00 + 55, 100_00] == await balances(book)
        assert [row for _, row in moved] == (await book.rows(BEN))[1:]


async def test_a_refused_movement_takes_no_other_with_it(tmp_path: Path) -> None:
    """Too much, and the same again, are refused among others that are done."""
    async with opened(tmp_path / "deriv.db") as (book, _):
        asked = [
            move(book, ANN, BEN, 1),
            move(book, ANN, CEE, 999_99),
            move(book, BEN, CEE, 2),
            move(book, ANN, BEN, 1),
        ]
        answers = await asyncio.gather(*asked, return_exceptions=True)

        assert [False, True, False, True] == [isinstance(answer, MovementRefused) for answer in answers]
        assert [100_00 - 1, 100_00 + 1 - 2, 100_00 + 2] == await balances(book)


async def test_a_commit_that_fails_is_told_to_all_and_nothing_of_it_stays(tmp_path: Path) -> None:
    """Afterwards the book says again what is in its file."""
    file = tmp_path / "deriv.db"
    async with opened(file) as (book, _):
        sent, _ = await move(book, ANN, BEN, 1)
        with sqlite3.connect(file) as other:  # somebody takes the next id, which nobody may
            other.execute(
                "INSERT INTO deriv_sim_rows SELECT transaction_id + 2, login_id, action, amount_cents, "
                "balance_after_cents, counterpart, remark, app_id, happened_at_ms FROM deriv_sim_rows "
                "WHERE transaction_id = ?",
                (sent.transaction_id,),
            )
        failed = await asyncio.gather(move(book, ANN, BEN, 2), move(book, BEN, CEE, 3), return_exceptions=True)

        assert isinstance(failed[0], IntegrityError)
        assert [100_00 - 1, 100_00 + 1 - 3, 100_00 + 3] == await balances(book)
        assert 100_00 + 3 == (await book.rows(CEE))[-1].balance_after_cents


async def test_a_book_that_is_opened_again_knows_what_went_before(tmp_path: Path) -> None:
    """Balances, tokens, what was sent today, what moved just now, and the code that is still good."""
    file = tmp_path / "deriv.db"
    async with opened(file) as (book, _):
        await move(book, ANN, BEN, 5)
        mailbox = Mailbox(book, random=SystemRandom())
        for login_id in (ANN, BEN):
            await mailbox.send_code(login_id, f"{login_id}@penpay.example", KIND)
        bens, anns = [mail.code for mail in await mailbox.mails()]
        assert await mailbox.use_code(ANN, KIND, anns)

    async with opened(file) as (book, _):
        mailbox = Mailbox(book, random=SystemRandom())

        assert [100_00 - 5, 100_00 + 5, 100_00] == await balances(book)
        assert (5, 1) == await book.sent_since(ANN, 0)
        with pytest.raises(MovementRefused, match="too frequent"):
            await move(book, ANN, BEN, 5)
        await move(book, ANN, BEN, 6)
        assert (11, 2) == await book.sent_since(ANN, 0)
        assert [False, True, False] == [
            await mailbox.use_code(login_id, KIND, code) for login_id, code in ((ANN, anns), (BEN, bens), (BEN, bens))
        ]
        assert ANN == getattr(await book.holder_of(f"token-of-{ANN}"), "login_id", None)
