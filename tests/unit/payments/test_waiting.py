"""How long payments wait before the next try, when a delivery is given up, and what a failure is called."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from penpay.application.payments.collecting import failure_code
from penpay.application.payments.policy import (
    QUERY_BACKOFF_SECONDS,
    SEND_BACKOFF_SECONDS,
    STATEMENT_BACKOFF_SECONDS,
    backoff,
)
from penpay.application.shared.outbox import PutBackDelivery, PutBackDeliveryHandler
from penpay.application.shared.unit_of_work import DELIVERIES, Delivery, Work
from penpay.domain.mpesa.gateway import PaymentOutcome
from penpay.domain.mpesa.verdicts import callback_verdict
from penpay.domain.shared.errors import LostLicence
from penpay.domain.shared.ids import BatchId, EventId
from penpay.infrastructure.system import UuidV7
from tests.support.ports import MORNING, HandClock, SeededRandom

EVENT = EventId(UUID(int=7))
KEY = ("deposit", EVENT)


@pytest.mark.parametrize("schedule", [QUERY_BACKOFF_SECONDS, STATEMENT_BACKOFF_SECONDS, SEND_BACKOFF_SECONDS])
def test_pauses_grow_and_the_last_one_repeats(schedule: tuple[int, ...]) -> None:
    """The first try waits the first step; tries beyond the schedule wait its last."""
    pauses = [backoff(schedule, tries, None) for tries in range(1, len(schedule) + 3)]
    steps = [timedelta(seconds=seconds) for seconds in schedule]
    assert [*steps, steps[-1], steps[-1]] == pauses
    assert sorted(pauses) == pauses
    assert steps[0] == backoff(schedule, 0, None)


def test_the_other_side_may_ask_for_longer_but_never_for_less() -> None:
    """Its figure counts only above ours."""
    assert timedelta(seconds=12) == backoff((5, 15), 1, 12_000)
    assert timedelta(seconds=15) == backoff((5, 15), 2, 12_000)


def batch(owed: Delivery | None) -> Work:
    ids = UuidV7(HandClock(), SeededRandom())
    made = Work(batch_id=BatchId(ids.new()), now=MORNING, ids=ids, subscriptions={})
    made.loaded(DELIVERIES, {KEY: owed})
    made.begin()
    return made


def put_back(work: Work, fence: int) -> None:
    PutBackDeliveryHandler().handle(PutBackDelivery(consumer="deposit", event_id=EVENT, fence=fence), work)


@pytest.mark.parametrize(("attempts", "pause"), [(1, 2), (2, 4), (3, 8), (7, 128)])
def test_a_delivery_that_fails_waits_twice_as_long_each_time(attempts: int, pause: int) -> None:
    """The lease is given up at once, and the next try comes after the pause."""
    lease = MORNING + timedelta(seconds=200)
    work = batch(
        Delivery("deposit", EVENT, UUID(int=1), 1, MORNING, fence=attempts, attempts=attempts, lease_until=lease)
    )

    put_back(work, attempts)

    owed = work.get(DELIVERIES, KEY)
    assert owed is not None
    assert (False, None, MORNING + timedelta(seconds=pause)) == (owed.dead, owed.lease_until, owed.due_at)


def test_only_the_last_claim_may_put_a_delivery_back() -> None:
    """An older fence, or a delivery that was settled meanwhile, has no word."""
    owed = Delivery("deposit", EVENT, UUID(int=1), 1, MORNING, fence=2, attempts=2)
    for row, fence in ((owed, 1), (replace(owed, fence=3), 2), (None, 1)):
        with pytest.raises(LostLicence):
            put_back(batch(row), fence)


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("1", "insufficient_funds"),
        ("2", "below_minimum"),
        ("3", "above_maximum"),
        ("4", "daily_limit"),
        ("8", "balance_limit"),
        ("17", "repeated_too_soon"),
        ("1019", "prompt_expired"),
        ("1032", "cancelled_by_user"),
        ("1037", "no_response"),
        ("2001", "wrong_pin"),
        ("8006", "pin_locked"),
    ],
)
def test_each_named_failure_is_one_under_which_nobody_was_charged(code: str, word: str) -> None:
    """The word goes to users; the verdict table calls the same code final."""
    assert word == failure_code(code)
    assert PaymentOutcome.FAILED is callback_verdict(code)


@pytest.mark.parametrize("code", ["26", "9999", "", None, "0", "01032"])
def test_any_other_code_is_a_refusal_without_detail(code: str | None) -> None:
    """Nothing is guessed."""
    assert "mpesa_refused" == failure_code(code)
