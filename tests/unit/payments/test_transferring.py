"""What time alone decides about a transfer to Deriv, and what it must not: standing still ourselves is no answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from penpay.application.payments.rows import DERIV_TRANSFERS, REVIEWS, TRANSACTIONS, Review, ReviewReason
from penpay.application.payments.transferring import (
    RecordTransferAnswer,
    RecordTransferAnswerHandler,
    RecordTransferSearch,
    RecordTransferSearchHandler,
)
from penpay.application.shared.unit_of_work import AUDIT, Work
from penpay.domain.deriv.gateway import TransferAnswer, TransferOutcome
from penpay.domain.payments.evidence import DerivTransfer, EvidenceState
from penpay.domain.payments.transaction import TransactionStatus
from penpay.domain.shared.ids import BatchId
from penpay.infrastructure.system import UuidV7
from tests.support.ports import MORNING, HandClock, SeededRandom
from tests.unit.payments.test_evidence import transfer
from tests.unit.payments.test_transaction import deposit

TRANSACTION = replace(deposit(), status=TransactionStatus.AWAITING_DERIV_CONFIRMATION)


def batch(known: DerivTransfer, at: datetime) -> Work:
    work = Work(batch_id=BatchId(UUID(int=9)), now=at, ids=UuidV7(HandClock(), SeededRandom()), subscriptions={})
    work.loaded(DERIV_TRANSFERS, {known.id: replace(known, subject_id=TRANSACTION.id)})
    work.loaded(TRANSACTIONS, {TRANSACTION.id: TRANSACTION})
    asked: dict[tuple[UUID, ReviewReason], Review | None] = {(TRANSACTION.id, ReviewReason.DERIV_UNRESOLVED): None}
    work.loaded(REVIEWS, asked)
    work.begin()
    return work


def searched(found: tuple[()] | None, after: timedelta) -> tuple[Work, DerivTransfer]:
    """The statement is asked for an unknown transfer this long after it was sent."""
    unknown = replace(transfer(EvidenceState.UNKNOWN), fence=2, attempts=1, sent_at=MORNING)
    work = batch(unknown, MORNING + after)
    RecordTransferSearchHandler().handle(RecordTransferSearch(transfer_id=unknown.id, fence=2, found=found), work)
    kept = work.get(DERIV_TRANSFERS, unknown.id)
    assert kept is not None
    return work, kept


def status(work: Work) -> TransactionStatus:
    kept = work.get(TRANSACTIONS, TRANSACTION.id)
    assert kept is not None
    return kept.status


@pytest.mark.parametrize(
    ("found", "after", "is_for_people"),
    [
        ((), timedelta(minutes=9), False),
        ((), timedelta(minutes=10), True),
        (None, timedelta(minutes=10), False),
        (None, timedelta(hours=23), False),
        (None, timedelta(hours=24), True),
    ],
    ids=["absent 9 min", "absent 10 min", "unread 10 min", "unread 23 h", "unread 24 h"],
)
def test_a_statement_that_cannot_be_read_is_not_an_empty_one(
    found: tuple[()] | None, after: timedelta, *, is_for_people: bool
) -> None:
    """Ten minutes of absence are for people; ten minutes without a look are looked through again."""
    work, kept = searched(found, after)

    assert EvidenceState.UNKNOWN is kept.state
    assert is_for_people is (kept.due_at is None)
    assert is_for_people is (status(work) is TransactionStatus.IN_REVIEW)


def test_people_are_told_whether_anybody_has_looked() -> None:
    """Nought rows and no look at all are two things to somebody who may pay by hand."""
    told = [searched(found, timedelta(hours=24))[0].appended(AUDIT) for found in ((), None)]

    assert [0, None] == [
        next(record.facts["rows"] for record in records if record.action == "deriv_transfer.searched")
        for records in told
    ]


def test_a_transfer_that_waited_for_us_is_tried_before_it_is_given_up() -> None:
    """The process was down for two days: the first try that does not get through is not the last."""
    sending = replace(transfer(EvidenceState.SENDING), fence=1, attempts=1)
    work = batch(sending, MORNING + timedelta(days=2))
    answer = TransferAnswer(outcome=TransferOutcome.NOT_SENT, code="not_connected")

    RecordTransferAnswerHandler(refunds=False).handle(
        RecordTransferAnswer(transfer_id=sending.id, fence=1, answer=answer), work
    )

    kept = work.get(DERIV_TRANSFERS, sending.id)
    assert kept is not None
    assert EvidenceState.INTENDED is kept.state
    assert TransactionStatus.AWAITING_DERIV_CONFIRMATION is status(work)
