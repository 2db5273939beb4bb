"""The story of one transaction on every engine: everything that happened to it, in order, and nothing of another's."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from penpay.application.payments.queries import Story
from penpay.application.payments.rows import MPESA_DISBURSEMENTS, REVIEWS, TRANSACTIONS, Review, ReviewReason
from penpay.application.shared.unit_of_work import Footprint, Work
from penpay.application.shared.webhooks import WebhookOutcome, keep_webhook
from penpay.application.wallet import withdrawal_postings
from penpay.domain.payments.evidence import DerivWithdrawal, EvidenceState, MpesaDisbursement
from penpay.domain.payments.transaction import Transaction, TransactionStatus
from penpay.domain.shared.ids import ReviewId, TransactionId, UserId, WebhookId
from tests.contract.sql.rows import PHONE, USD_10, Rows, opened, payout_of
from tests.support.ports import MORNING

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def rows(url: str) -> AsyncIterator[Rows]:
    """An empty database and nobody."""
    async with opened(url) as made:
        yield made


async def test_a_withdrawal_is_told_from_the_request_to_the_review(rows: Rows) -> None:
    """What happened, what was tried and what was booked, each at its moment; then what came in and what people do."""
    user = await rows.user()
    mine = await _withdrawn(rows, user)
    await _withdrawn(rows, user)
    story = await rows.system.stories.story(mine.id)

    assert story is not None
    assert sorted(line.at for line in story.lines) == [line.at for line in story.lines]
    told = Counter(line.kind for line in story.lines)
    assert {"event": 2, "evidence": 2, "journal": 1, "callback": 1, "review": 1, "audit": 1} == told
    assert [
        "TransactionCreated PENDING",
        f"DerivDebited CONVERTING (deriv_transaction_id=row-{mine.id})",
    ] == _of(story, "event")
    assert ["deriv_incoming_credit: DEBIT deriv:agent USD 10.00; CREDIT wallet:USD USD 10.00"] == _of(story, "journal")
    assert ["daraja_b2c from 196.201.214.200: RECEIVED"] == _of(story, "callback")
    debit, payout = sorted(_of(story, "evidence"))
    assert debit.startswith("deriv_withdrawal PAYOUT USD 10.00 CONFIRMED (reference=PX")
    assert payout.startswith("mpesa_disbursement PAYOUT KES 1,269.00 UNKNOWN (originator_conversation_id=174379-")
    assert "receipt=UK" in payout
    (review,) = _of(story, "review")
    assert review.startswith("DISBURSEMENT_UNRESOLVED USD 10.00 open (")
    assert ["worker:test tried (by=hand)"] == _of(story, "audit")
    assert not any(PHONE.msisdn in line.text for line in story.lines)


async def test_a_user_is_told_her_own_story_without_what_staff_did(rows: Rows) -> None:
    """No reviews and no audit; of somebody else's transaction, and of one that is not there, nothing."""
    user = await rows.user()
    mine = await _withdrawn(rows, user)
    story = await rows.system.stories.story(mine.id, of=user)

    assert story is not None
    assert {"event", "evidence", "journal", "callback"} == {line.kind for line in story.lines}
    assert None is await rows.system.stories.story(mine.id, of=await rows.user(2))
    assert None is await rows.system.stories.story(TransactionId(rows.system.ids.new()))


async def _withdrawn(rows: Rows, user: UserId) -> Transaction:
    """A withdrawal whose dollars came and whose payout nobody can tell of."""
    debit = await rows.debit(EvidenceState.CONFIRMED, user=user, created_at=MORNING + MINUTE, due_at=None)
    mine = await rows.get(TRANSACTIONS, debit.subject_id)
    assert mine is not None
    rows.now = MORNING + 2 * MINUTE
    receipt = f"UK{mine.id.hex[-8:]}".upper()
    unknown, paid_at = EvidenceState.UNKNOWN, MORNING + 3 * MINUTE
    payout = payout_of(mine, unknown, rows.system.ids.new(), created_at=paid_at, receipt=receipt)
    footprint = withdrawal_postings.payout_footprint(Footprint(), user).add(TRANSACTIONS, mine.id)
    await rows.do(footprint, lambda work: _happened(work, mine, debit, payout))
    rows.now = MORNING
    return mine


def _happened(work: Work, mine: Transaction, debit: DerivWithdrawal, payout: MpesaDisbursement) -> None:
    withdrawal_postings.deriv_debited(
        work,
        user=mine.user_id,
        transaction=mine.id,
        amount=debit.amount,
        reference=f"row-{mine.id}",
        happened_at=work.now,
    )
    after, event = mine.moved(
        "DerivDebited", TransactionStatus.CONVERTING, work.now, deriv_transaction_id=f"row-{mine.id}"
    )
    work.put(TRANSACTIONS, mine.id, after)
    work.record(event)
    work.add(MPESA_DISBURSEMENTS, payout.id, payout)
    keep_webhook(
        work,
        WebhookId(work.ids.new()),
        source="daraja_b2c",
        remote_address="196.201.214.200",
        body=b"{}",
        outcome=WebhookOutcome.RECEIVED,
        subject_id=payout.id,
    )
    review = Review(
        id=ReviewId(work.ids.new()),
        subject_id=mine.id,
        transaction_id=mine.id,
        reason=ReviewReason.DISBURSEMENT_UNRESOLVED,
        amount=USD_10,
        facts={},
        opened_at=work.now + 2 * MINUTE,
    )
    work.add(REVIEWS, (mine.id, review.reason), review)
    work.audit("worker:test", "tried", "mpesa_disbursement", payout.id, by="hand")


def _of(story: Story, kind: str) -> list[str]:
    return [line.text for line in story.lines if line.kind == kind]
