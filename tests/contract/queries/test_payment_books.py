"""Transactions, timelines and reviews as they are read, on each engine."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.payments.queries import TimelineEntry
from penpay.application.payments.rows import Review, ReviewReason
from penpay.domain.payments.transaction import TransactionStatus
from penpay.domain.shared.ids import ReviewId, TransactionId, UserId
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.security.keys import KeyRing
from penpay.infrastructure.sql.payments import TransactionRepository
from penpay.infrastructure.sql.queries import SqlPaymentBooks
from penpay.infrastructure.sql.reviews import ReviewRepository
from penpay.infrastructure.sql.tables import domain_events
from tests.contract.queries.books import NOON, USER_ONE, USER_TWO, Ledger, made
from tests.support.ports import SeededRandom

NUMBERS = range(1, 8)


@pytest.fixture
async def books(engine: AsyncEngine) -> SqlPaymentBooks:
    """Seven transactions: the odd ones User One's, two of one moment after each other."""
    ledger = Ledger(engine, {}, {})
    for number in NUMBERS:
        user = USER_ONE if number % 2 else USER_TWO
        row = made(
            TransactionId(UUID(int=number)), user, TransactionStatus.PENDING, NOON + timedelta(minutes=number // 4)
        )
        await ledger.write(TransactionRepository.table, TransactionRepository().row(row))
    return SqlPaymentBooks(engine)


async def pages(books: SqlPaymentBooks, user: UserId, limit: int) -> list[list[int]]:
    """Every page of a user's transactions, by number."""
    seen, before = [], None
    while True:
        page = await books.transactions(user, limit, before)
        seen.append([transaction.id.int for transaction in page.transactions])
        if page.next is None:
            return seen
        before = page.next


async def test_a_transaction_is_read_as_it_was_written_by_its_owner_alone(books: SqlPaymentBooks) -> None:
    """All of it comes back, to its owner; to another user it does not exist."""
    number = TransactionId(UUID(int=1))

    assert await books.transaction(USER_ONE, number) == made(number, USER_ONE, TransactionStatus.PENDING, NOON)
    assert await books.transaction(USER_TWO, number) is None


async def test_pages_hold_every_transaction_once_newest_first(books: SqlPaymentBooks) -> None:
    """Whatever the size of the pages, also between transactions of one moment."""
    assert [[7], [5], [3], [1]] == await pages(books, USER_ONE, 1)
    assert [[7, 5, 3], [1]] == await pages(books, USER_ONE, 3)
    assert [[7, 5, 3, 1]] == await pages(books, USER_ONE, 4)
    assert [[6, 4], [2]] == await pages(books, USER_TWO, 2)


async def test_another_users_transaction_is_no_cursor(books: SqlPaymentBooks) -> None:
    """A foreign cursor shows nothing, not even when the other user acted."""
    page = await books.transactions(USER_TWO, 10, TransactionId(UUID(int=7)))

    assert ([], None) == (page.transactions, page.next)


async def test_recent_transactions_are_everybodys(books: SqlPaymentBooks) -> None:
    """For staff, the newest of all."""
    assert [7, 6, 5] == [transaction.id.int for transaction in await books.recent(3)]


def event(sequence: int, name: str, payload: str, aggregate: TransactionId) -> dict[str, object]:
    """A row of `domain_events`."""
    return {
        "id": UUID(int=100 - sequence),
        "name": name,
        "schema_version": 1,
        "aggregate_type": "Transaction",
        "aggregate_id": aggregate,
        "sequence": sequence,
        "payload": payload,
        "recorded_at": NOON,
        "batch_id": UUID(int=0),
    }


async def test_a_timeline_is_in_the_order_of_its_events(engine: AsyncEngine, books: SqlPaymentBooks) -> None:
    """Entries come by sequence, of this transaction alone, whatever the order of their ids."""
    subject = TransactionId(UUID(int=1))
    rows = [
        event(sequence, name, f'{{"status":"{status}"}}', aggregate)
        for sequence, name, status, aggregate in (
            (1, "TransactionCreated", "PENDING", subject),
            (2, "DepositInitiated", "PROCESSING", subject),
            (3, "TransactionCreated", "PENDING", TransactionId(UUID(int=2))),
        )
    ]
    async with engine.begin() as connection:
        await connection.execute(insert(domain_events), rows)

    assert await books.timeline(subject) == [
        TimelineEntry(NOON, "TransactionCreated", "PENDING"),
        TimelineEntry(NOON, "DepositInitiated", "PROCESSING"),
    ]


async def test_what_moves_nothing_stands_in_the_timeline_under_the_status_it_met(
    engine: AsyncEngine, books: SqlPaymentBooks
) -> None:
    """An event that is no change of state names no status: the one before it goes on, at first PENDING."""
    subject = TransactionId(UUID(int=1))
    rows = [
        event(sequence, name, payload, subject)
        for sequence, name, payload in (
            (1, "NoteAdded", "{}"),
            (2, "DepositInitiated", '{"status":"PROCESSING"}'),
            (3, "NoteAdded", '{"by":"user_two"}'),
        )
    ]
    async with engine.begin() as connection:
        await connection.execute(insert(domain_events), rows)

    assert await books.timeline(subject) == [
        TimelineEntry(NOON, "NoteAdded", "PENDING"),
        TimelineEntry(NOON, "DepositInitiated", "PROCESSING"),
        TimelineEntry(NOON, "NoteAdded", "PROCESSING"),
    ]


async def test_the_review_that_waits_longest_comes_first(engine: AsyncEngine, books: SqlPaymentBooks) -> None:
    """People see what has waited longest, with all they need to decide."""
    written = [
        Review(
            id=ReviewId(UUID(int=number)),
            subject_id=UUID(int=number),
            transaction_id=TransactionId(UUID(int=1)),
            reason=ReviewReason.DERIV_REFUSED,
            amount=Money(100, Currency.KES),
            facts={"code": "x"},
            opened_at=NOON - timedelta(minutes=number),
        )
        for number in (1, 2, 3)
    ]
    repository = ReviewRepository(FieldCipher(KeyRing("k", {"k": b"k" * 32}), SeededRandom()))
    await Ledger(engine, {}, {}).write(repository.table, *map(repository.row, written))

    assert [written[2], written[1]] == await books.reviews(2)
