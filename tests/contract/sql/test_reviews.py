"""Reviews and situations on every engine: what people are asked, what they decided, and where the money stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from penpay.application.payments.rows import (
    DERIV_TRANSFERS,
    MPESA_DISBURSEMENTS,
    REVIEWS,
    TRANSACTIONS,
    Decision,
    Review,
    ReviewReason,
)
from penpay.application.payments.situation import REVIEW_SUBJECTS, SITUATIONS, Outflow, ReviewSubject, Situation
from penpay.application.shared.unit_of_work import ConstraintViolated, Footprint, Work
from penpay.application.wallet import withdrawal_postings
from penpay.domain.payments.evidence import DerivTransfer, EvidenceState, Purpose
from penpay.domain.payments.transaction import Transaction
from penpay.domain.shared.ids import DerivTransferId, ReviewId
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.situations import SqlReviewBooks
from tests.contract.sql.rows import USD_10, Rows, opened, payout_of
from tests.support.ports import MORNING

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def rows(url: str) -> AsyncIterator[Rows]:
    """An empty database and nobody."""
    async with opened(url) as made:
        yield made


def asked(rows: Rows, transaction: Transaction | None, reason: ReviewReason, **fields: Any) -> Review:
    """A review that nobody has decided."""
    about = rows.system.ids.new() if transaction is None else transaction.id
    given: dict[str, Any] = {
        "id": ReviewId(rows.system.ids.new()),
        "subject_id": about,
        "transaction_id": None if transaction is None else transaction.id,
        "reason": reason,
        "amount": USD_10,
        "facts": {"reference": "PX1", "statement_read": True, "told_cents": 7, "code": None},
        "opened_at": MORNING,
    }
    return Review(**given | fields)


async def kept(rows: Rows, review: Review) -> Review:
    await rows.put(REVIEWS, (review.subject_id, review.reason), review)
    return review


async def test_a_review_is_read_back_and_what_people_wrote_is_sealed(rows: Rows) -> None:
    """Every column, as it was opened, proposed and decided; the note opens with the cipher alone."""
    transaction = await rows.withdrawal(await rows.user())
    opened_ = await kept(rows, asked(rows, transaction, ReviewReason.DERIV_UNRESOLVED))
    key = (opened_.subject_id, opened_.reason)
    assert opened_ == await rows.get(REVIEWS, key)
    proposed = replace(
        opened_,
        amount=Money(126_900, Currency.KES),
        facts={"told": "again"},
        decision=Decision.IT_DID_NOT,
        note="nothing in the statement of the day",
        proposed_by="ann",
        proposed_at=MORNING + MINUTE,
        version=2,
    )
    await rows.put(REVIEWS, key, proposed)
    assert proposed == await rows.get(REVIEWS, key)
    decided = replace(proposed, approved_by="bob", resolved_at=MORNING + 2 * MINUTE, version=3)
    await rows.put(REVIEWS, key, decided)

    assert decided == await rows.get(REVIEWS, key)
    assert None is await rows.get(REVIEWS, (opened_.subject_id, ReviewReason.CONTRADICTION))
    (row,) = await rows.table("reviews")
    assert b"statement" not in bytes(row.note_sealed)
    case = await SqlReviewBooks(rows.system.engine, None).review(decided.id)
    assert case is not None
    assert replace(decided, note=None) == case.review


@pytest.mark.parametrize(
    "decided",
    [
        {"proposed_by": "ann", "approved_by": "ann", "resolved_at": MORNING},
        {"proposed_by": "ann", "approved_by": "bob", "resolved_at": None},
        {"proposed_by": "ann", "approved_by": None, "resolved_at": MORNING},
    ],
    ids=["by one person", "without a moment", "by nobody"],
)
async def test_the_database_refuses_what_two_persons_did_not_decide(rows: Rows, decided: dict[str, Any]) -> None:
    """Whoever proposed cannot approve, and nothing is resolved by halves, whatever the code believes."""
    transaction = await rows.withdrawal(await rows.user())
    opened_ = await kept(rows, asked(rows, transaction, ReviewReason.CONTRADICTION))

    with pytest.raises(ConstraintViolated):
        await kept(rows, replace(opened_, version=2, **decided))


async def test_a_subject_is_under_one_review_for_each_reason(rows: Rows) -> None:
    """A second question of the same kind is refused by the database; another kind, or another credit, is not."""
    transaction = await rows.withdrawal(await rows.user())
    first = await kept(rows, asked(rows, transaction, ReviewReason.CONTRADICTION))
    with pytest.raises(ConstraintViolated):
        await rows.do(Footprint(), lambda work: _add(work, asked(rows, transaction, first.reason)))
    other = await kept(rows, asked(rows, transaction, ReviewReason.CONFIRMED_LATE))
    credits_ = [await kept(rows, asked(rows, None, ReviewReason.UNMATCHED_CREDIT)) for _ in range(2)]

    found = await rows.find(REVIEW_SUBJECTS, [one.id for one in (first, other, *credits_)])
    assert {
        one.id: ReviewSubject((one.subject_id, one.reason), one.transaction_id) for one in (first, other, *credits_)
    } == found


async def test_what_waits_for_people_is_listed_longest_waiting_first(rows: Rows) -> None:
    """As many as asked for, without the resolved; each with its situation, a credit of no transaction without."""
    transaction = await rows.withdrawal(await rows.user())
    late = await kept(rows, asked(rows, transaction, ReviewReason.CONFIRMED_LATE, opened_at=MORNING + MINUTE))
    credit = await kept(rows, asked(rows, None, ReviewReason.UNMATCHED_CREDIT, note="whose?"))
    done = asked(
        rows, transaction, ReviewReason.CONTRADICTION, proposed_by="ann", approved_by="bob", resolved_at=MORNING
    )
    await kept(rows, done)
    books = rows.system.review_books

    listed = await books.open_reviews(10)
    assert [credit, late] == [case.review for case in listed]
    assert [None, transaction.id] == [case.situation and case.situation.transaction_id for case in listed]
    assert [credit] == [case.review for case in await books.open_reviews(1)]
    found = await books.review(done.id)
    assert found is not None
    assert done == found.review
    assert None is await books.review(ReviewId(rows.system.ids.new()))


async def test_a_situation_tells_where_the_money_of_a_withdrawal_stands(rows: Rows) -> None:
    """From the dollars that came to the shillings that left, step by step, and nothing of anybody else's."""
    user = await rows.user()
    mine, other = await rows.withdrawal(user), await rows.withdrawal(user)
    shillings = mine.withdrawal_quote.kes_paid.cents
    await _post(rows, mine, _debited(mine, "467480000001"))
    await _post(rows, other, _debited(other, "467480000002"))
    assert ({"wallet:USD": 1_000}, False, False) == _money(await _situation(rows, mine))
    await _post(
        rows,
        mine,
        lambda work: withdrawal_postings.withdrawal_converted(
            work, user=user, transaction=mine.id, quote=mine.withdrawal_quote
        ),
    )
    assert ({"wallet:KES": shillings}, True, False) == _money(await _situation(rows, mine))
    await _post(
        rows,
        mine,
        lambda work: withdrawal_postings.payout_intended(
            work, user=user, transaction=mine.id, reference="first", amount=mine.quote.kes
        ),
    )
    assert ({"mpesa:payout_in_flight": shillings}, True, False) == _money(await _situation(rows, mine))
    await _post(
        rows,
        mine,
        lambda work: withdrawal_postings.payout_confirmed(
            work, transaction=mine.id, reference="first", amount=mine.quote.kes, happened_at=MORNING
        ),
    )

    assert ({}, True, False) == _money(await _situation(rows, mine))
    assert ({"wallet:USD": 1_000}, False, False) == _money(await _situation(rows, other))


async def test_a_situation_tells_of_a_conversion_that_was_undone(rows: Rows) -> None:
    """The dollars are in the wallet again, and there is no second conversion."""
    user = await rows.user()
    mine = await rows.withdrawal(user)
    await _post(rows, mine, _debited(mine, "467480000001"))
    await _post(
        rows,
        mine,
        lambda work: withdrawal_postings.withdrawal_converted(
            work, user=user, transaction=mine.id, quote=mine.withdrawal_quote
        ),
    )
    await _post(rows, mine, lambda work: withdrawal_postings.conversion_undone(work, transaction=mine.id))

    assert ({"wallet:USD": 1_000}, False, True) == _money(await _situation(rows, mine))


async def test_a_situation_tells_what_was_tried(rows: Rows) -> None:
    """The debit, each payout and each transfer, oldest first, and how many reviews are open."""
    debit = await rows.debit(EvidenceState.UNKNOWN)
    mine = await rows.get(TRANSACTIONS, debit.subject_id)
    assert mine is not None
    payouts = [
        payout_of(mine, EvidenceState.FAILED, rows.system.ids.new()),
        payout_of(mine, EvidenceState.ACCEPTED, rows.system.ids.new()),
    ]
    for payout in payouts:
        await rows.put(MPESA_DISBURSEMENTS, payout.id, payout)
    transfer = DerivTransfer(
        id=DerivTransferId(rows.system.ids.new()),
        purpose=Purpose.RETURN,
        subject_id=mine.id,
        state=EvidenceState.INTENDED,
        amount=USD_10,
        due_at=MORNING,
        created_at=MORNING,
        reference="PXRETURN",
        deriv_login_id="CR100001",
    )
    await rows.put(DERIV_TRANSFERS, transfer.id, transfer)
    for reason in (ReviewReason.CONTRADICTION, ReviewReason.CONFIRMED_LATE):
        await kept(rows, asked(rows, mine, reason))
    decided = {"proposed_by": "ann", "approved_by": "bob", "resolved_at": MORNING}
    await kept(rows, asked(rows, mine, ReviewReason.NOT_RETURNED, **decided))
    situation = await _situation(rows, mine)

    assert (
        tuple(Outflow(id=one.id, reference=str(one.id), state=one.state) for one in payouts) == situation.disbursements
    )
    assert (Outflow(id=transfer.id, reference="PXRETURN", state=transfer.state),) == situation.transfers
    assert Outflow(id=debit.id, reference=debit.reference, state=debit.state) == situation.debit
    assert 2 == situation.open_reviews


async def test_whoever_looks_at_a_situation_holds_its_transaction(rows: Rows) -> None:
    """Until the decision is committed nobody else moves the money, so what was seen stays true."""
    mine = await rows.withdrawal(await rows.user())
    async with rows.unit(Footprint()) as (unit, _):
        await unit.find(SITUATIONS, [mine.id])
        other = asyncio.create_task(_transaction(rows, mine))
        await asyncio.sleep(0.2)
        assert not other.done()

    assert mine == await other


async def _transaction(rows: Rows, transaction: Transaction) -> Transaction | None:
    return await rows.get(TRANSACTIONS, transaction.id)


def _add(work: Work, review: Review) -> None:
    work.add(REVIEWS, (review.subject_id, review.reason), review)


def _debited(transaction: Transaction, reference: str) -> Callable[[Work], object]:
    return lambda work: withdrawal_postings.deriv_debited(
        work,
        user=transaction.user_id,
        transaction=transaction.id,
        amount=USD_10,
        reference=reference,
        happened_at=MORNING,
    )


async def _post(rows: Rows, transaction: Transaction, posting: Callable[[Work], object]) -> None:
    footprint = withdrawal_postings.payout_footprint(Footprint(), transaction.user_id)
    await rows.do(withdrawal_postings.conversion_footprint(footprint, transaction.id), posting)


async def _situation(rows: Rows, transaction: Transaction) -> Situation:
    return (await rows.find(SITUATIONS, [transaction.id]))[transaction.id]


def _money(situation: Situation) -> tuple[dict[str, int], bool, bool]:
    return dict(situation.held), situation.converted, situation.undone
