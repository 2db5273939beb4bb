"""The transaction's states: what is drawn is allowed, everything else is refused, and every move tells an event."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product
from uuid import UUID

import pytest

from penpay.domain.payments.transaction import (
    PAYOUT_REFUTED,
    TERMINAL,
    Transaction,
    TransactionStatus,
    TransactionType,
    create_transaction,
)
from penpay.domain.shared.errors import IllegalMove
from penpay.domain.shared.ids import TransactionId, UserId
from penpay.domain.shared.locked_rate import LockedRate
from penpay.domain.shared.money import Currency, Money
from tests.support.ports import MORNING
from tests.unit.payments.drawing import read_moves

DRAWING = """
    PENDING                     -> PROCESSING CONVERTING FAILED IN_REVIEW
    PROCESSING                  -> AWAITING_MPESA_CALLBACK VERIFYING_MPESA_PAYMENT FAILED IN_REVIEW
    PROCESSING                  -> AWAITING_DERIV_CONFIRMATION CONVERTING
    AWAITING_MPESA_CALLBACK     -> VERIFYING_MPESA_PAYMENT FAILED IN_REVIEW
    VERIFYING_MPESA_PAYMENT     -> AWAITING_DERIV_CONFIRMATION IN_REVIEW
    AWAITING_DERIV_CONFIRMATION -> CONVERTING RETURNING COMPLETED IN_REVIEW
    CONVERTING                  -> AWAITING_MPESA_DISBURSEMENT RETURNING IN_REVIEW
    AWAITING_MPESA_DISBURSEMENT -> RETURNING COMPLETED IN_REVIEW
    RETURNING                   -> REVERSED IN_REVIEW
    IN_REVIEW                   -> AWAITING_DERIV_CONFIRMATION AWAITING_MPESA_DISBURSEMENT RETURNING
    IN_REVIEW                   -> COMPLETED FAILED REVERSED
    COMPLETED                   -> IN_REVIEW
    FAILED                      ->
    REVERSED                    -> IN_REVIEW
"""
LATER = MORNING + timedelta(seconds=7)


def deposit() -> Transaction:
    rate = LockedRate(
        base=Currency.USD,
        quote=Currency.KES,
        mid_e8=12_950_000_000,
        spread_bps=200,
        source="test",
        locked_at=MORNING,
        expires_at=MORNING + timedelta(minutes=15),
    )
    amount = Money(1_000, Currency.USD)
    made, _ = create_transaction(
        transaction_id=TransactionId(UUID(int=1)),
        user_id=UserId(UUID(int=2)),
        amount=amount,
        deriv_login_id="CR123456",
        rate=rate,
        quote=rate.quote_deposit(amount),
        at=MORNING,
    )
    return made


@pytest.mark.parametrize(("before", "after"), list(product(TransactionStatus, repeat=2)))
def test_the_drawing_decides_about_every_pair_of_states(before: TransactionStatus, after: TransactionStatus) -> None:
    """A move that is drawn, or stays where it is, is made; any other raises and names both ends."""
    transaction = replace(deposit(), status=before)
    if before is after or (before.value, after.value) in read_moves(DRAWING):
        moved, _ = transaction.moved("Moved", after, LATER)
        assert after is moved.status
    else:
        with pytest.raises(IllegalMove) as refused:
            transaction.moved("Moved", after, LATER)
        assert {"status": before.value, "to": after.value} == refused.value.details


def test_money_that_has_been_taken_can_never_end_as_not_charged_without_people() -> None:
    """From the moment the payer's money is booked, FAILED is reached only through a review."""
    moves = read_moves(DRAWING)
    for status in (
        "VERIFYING_MPESA_PAYMENT",
        "AWAITING_DERIV_CONFIRMATION",
        "CONVERTING",
        "AWAITING_MPESA_DISBURSEMENT",
        "RETURNING",
        "COMPLETED",
    ):
        assert (status, "FAILED") not in moves


def test_nothing_but_a_review_follows_an_end() -> None:
    """Where the payout that ended it was never made, people decide anew; what has failed stays what it is."""
    leaving = {move for move in read_moves(DRAWING) if move[0] in {status.value for status in TERMINAL}}
    assert {("COMPLETED", "IN_REVIEW"), ("REVERSED", "IN_REVIEW")} == leaving


def test_a_withdrawal_forgets_the_receipt_of_a_payout_that_was_never_made() -> None:
    """So does its history when it is read again; a deposit keeps its payer's receipt."""
    paid_in = replace(deposit(), status=TransactionStatus.REVERSED, receipt="UKL0AAAAAA")
    paid_out = replace(
        paid_in, type=TransactionType.WITHDRAWAL, status=TransactionStatus.COMPLETED, receipt="UKL0FORGED"
    )
    assert "UKL0AAAAAA" == paid_in.reopened(LATER)[0].receipt
    reopened, event = paid_out.reopened(LATER, code="people")

    assert (TransactionStatus.IN_REVIEW, None) == (reopened.status, reopened.receipt)
    assert (PAYOUT_REFUTED, "people") == (event.name, event.payload["code"])
    with pytest.raises(IllegalMove):
        replace(paid_out, status=TransactionStatus.FAILED).reopened(LATER)


def test_a_move_tells_its_event_under_the_next_version() -> None:
    """The event carries the new status, the moment and every fact; facts named like fields are taken over."""
    before = deposit()
    after, event = before.moved(
        "TransactionFailed", TransactionStatus.FAILED, LATER, failure_code="wrong_pin", recovered_by=None, code="2001"
    )

    assert (before.version + 1, LATER, "wrong_pin", None) == (
        after.version,
        after.updated_at,
        after.failure_code,
        after.recovered_by,
    )
    assert ("TransactionFailed", after.id, after.version) == (event.name, event.aggregate_id, event.sequence)
    assert {
        "status": "FAILED",
        "at": LATER.isoformat(),
        "failure_code": "wrong_pin",
        "recovered_by": None,
        "code": "2001",
    } == dict(event.payload)


def test_what_is_known_is_not_forgotten_by_a_later_fact_that_says_nothing() -> None:
    """A receipt stays although the next event brings none."""
    known, _ = deposit().moved("A", TransactionStatus.PROCESSING, MORNING, receipt="SFF6XYZ123")
    after, _ = known.moved("B", TransactionStatus.AWAITING_MPESA_CALLBACK, LATER, receipt=None)
    assert "SFF6XYZ123" == after.receipt


def test_a_new_deposit_tells_everything_its_price_was_made_of() -> None:
    """The first event alone is enough to recompute the quote."""
    rate = deposit().rate
    made, event = create_transaction(
        transaction_id=TransactionId(UUID(int=1)),
        user_id=UserId(UUID(int=2)),
        amount=Money(1_000, Currency.USD),
        deriv_login_id="CR123456",
        rate=rate,
        quote=rate.quote_deposit(Money(1_000, Currency.USD)),
        at=MORNING,
    )
    figures = ("usd_cents", "kes_at_mid_cents", "kes_priced_cents", "kes_charged_cents", "rate_mid_e8")
    assert [1_000, 129_500, 132_090, 132_100, 12_950_000_000] == [event.payload[name] for name in figures]
    assert (1, TransactionStatus.PENDING, False) == (made.version, made.status, made.is_terminal)
