"""Answers and callbacks that are lost, late, early, doubled or spoilt: the payer is prompted once and charged once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penpay.demo.world import PHONE, PIN
from penpay.sandbox.faults import (
    CallbackFirst,
    DarajaCall,
    LateCallback,
    LostCallback,
    RepeatedCallback,
    Spoilt,
    SpoiltReply,
    StuckPending,
)
from tests.end_to_end.deposits.books import BOOKED, COMPLETED, PAID, UNTOUCHED
from tests.end_to_end.deposits.callbacks import success_body
from tests.end_to_end.deposits.stage import Stage

ONE_SECOND = timedelta(seconds=1)
LOST_ANSWER = SpoiltReply(call=DarajaCall.PUSH, reply=Spoilt.CUT, done=True)


@pytest.mark.path(saga="deposit", step="callback", fault="lost", outcome="COMPLETED")
async def test_a_payment_whose_callback_is_lost_is_found_by_asking(each_stage: Stage) -> None:
    """No callback ever comes; after the first wait M-Pesa itself says that it was paid."""
    deposit = await each_stage.paid_deposit(LostCallback())

    assert ("COMPLETED", None, "stk_query") == await each_stage.ended(deposit, advancing=ONE_SECOND)
    assert COMPLETED == await each_stage.books()
    assert (await each_stage.transaction(deposit))["receipt"] is None
    assert [] == await each_stage.webhook_outcomes()


@pytest.mark.path(saga="deposit", step="callback", fault="lost, of a cancelled prompt", outcome="FAILED")
async def test_a_failure_whose_callback_is_lost_is_found_by_asking(stage: Stage) -> None:
    """She cancels, nobody tells us, and our question brings it out."""
    stage.fail(LostCallback())
    deposit = await stage.deposit()
    await stage.cancel()

    assert ("FAILED", "cancelled_by_user", "stk_query") == await stage.ended(deposit, advancing=ONE_SECOND)
    assert UNTOUCHED == await stage.books()


@pytest.mark.path(saga="deposit", step="callback", fault="twice", outcome="COMPLETED")
async def test_a_callback_that_comes_twice_counts_once(stage: Stage) -> None:
    """The second one is stored and told nothing new."""
    deposit = await stage.paid_deposit(RepeatedCallback(times=2))

    assert ("COMPLETED", None, None) == await stage.ended(deposit)
    assert ["APPLIED", "REPEATED"] == await stage.webhooks_settled(2)
    assert COMPLETED == await stage.books()
    assert [] == await stage.reviews()


@pytest.mark.path(saga="deposit", step="callback", fault="ten times at once", outcome="COMPLETED")
async def test_ten_equal_callbacks_at_once_count_once(each_stage: Stage) -> None:
    """All ten are stored, one is applied."""
    deposit = await each_stage.deposit()
    each_stage.fail(LostCallback())
    await each_stage.prompted()
    await each_stage.until(lambda: each_stage.is_push(deposit, "ACCEPTED"))
    checkout, token = await each_stage.checkout_request_id(), await each_stage.token(deposit)
    await each_stage.sandbox.daraja.phone(PHONE).give_pin(PIN)
    answers = await asyncio.gather(*(each_stage.call_back(token, success_body(checkout)) for _ in range(10)))

    assert {200} == {answer.status_code for answer in answers}
    assert ("COMPLETED", None, None) == await each_stage.ended(deposit)
    assert ["APPLIED", *["REPEATED"] * 9] == sorted(await each_stage.webhooks_settled(10))
    assert COMPLETED == await each_stage.books()
    assert 1 == await each_stage.transfers_made()


@pytest.mark.path(saga="deposit", step="callback", fault="before the response", outcome="COMPLETED")
async def test_a_callback_may_come_before_the_answer_to_the_push(stage: Stage) -> None:
    """M-Pesa tells of the payment while our push is still open; the late answer changes nothing."""
    deposit = await stage.paid_deposit(CallbackFirst(at_most_ms=10_000))

    assert ("COMPLETED", None, None) == await stage.ended(deposit)
    assert "MpesaPromptAccepted" not in await stage.events(deposit)
    assert COMPLETED == await stage.books()
    assert [] == await stage.reviews()


@pytest.mark.path(saga="deposit", step="callback", fault="an hour late", outcome="COMPLETED")
async def test_a_callback_after_the_question_only_brings_the_receipt(stage: Stage) -> None:
    """The query found the payment; the callback that comes an hour later is attached, not posted again."""
    deposit = await stage.paid_deposit(LateCallback(milliseconds=3_600_000))
    assert ("COMPLETED", None, "stk_query") == await stage.ended(deposit, advancing=ONE_SECOND)
    stage.clock.advance(timedelta(hours=1))

    assert ["APPLIED"] == await stage.webhooks_settled(1)
    assert "MpesaReceiptAttached" == (await stage.events(deposit))[-1]
    assert (await stage.transaction(deposit))["receipt"] == (await stage.push(deposit)).receipt is not None
    assert COMPLETED == await stage.books()
    assert [] == await stage.reviews()


@pytest.mark.parametrize(
    "reply",
    [Spoilt.CUT, Spoilt.ERROR_500, Spoilt.HTML_200, Spoilt.HTML_503, Spoilt.EMPTY_200, Spoilt.EMPTY_500],
)
@pytest.mark.path(saga="deposit", step="prompt", fault="its answer is lost or spoilt", outcome="COMPLETED")
async def test_a_push_whose_answer_is_lost_is_not_sent_again_and_the_callback_settles_it(
    stage: Stage, reply: Spoilt
) -> None:
    """The prompt is on the handset although the answer is broken; one prompt, one charge."""
    stage.fail(SpoiltReply(call=DarajaCall.PUSH, reply=reply, done=True))
    deposit = await stage.deposit()
    await stage.prompted()
    await stage.until(lambda: stage.is_push(deposit, "UNKNOWN"))
    stage.clock.advance(timedelta(seconds=40))
    await stage.sandbox.daraja.phone(PHONE).give_pin(PIN)

    assert ("COMPLETED", None, None) == await stage.ended(deposit)
    assert "MpesaPromptUnanswered" in await stage.events(deposit)
    assert 1 == await stage.prompts_made()
    assert COMPLETED == await stage.books()


@pytest.mark.path(saga="deposit", step="callback", fault="lost, and the answer to the push too", outcome="IN_REVIEW")
async def test_answer_and_callback_both_lost_wait_two_days_for_people(each_stage: Stage) -> None:
    """There is nothing to ask by: it stays unknown, holds nothing in our books, and is reviewed after 48 hours."""
    deposit = await each_stage.paid_deposit(LOST_ANSWER, LostCallback())
    await each_stage.until(lambda: each_stage.is_push(deposit, "UNKNOWN"))
    push = await each_stage.push(deposit)
    assert timedelta(hours=48) <= push.due_at - push.created_at < timedelta(hours=48, minutes=1)
    each_stage.clock.advance(timedelta(hours=47))
    await asyncio.sleep(0.1)
    assert ("AWAITING_MPESA_CALLBACK", None, None) == await each_stage.outcome(deposit)
    each_stage.clock.advance(timedelta(hours=1, minutes=1))

    assert ("IN_REVIEW", None, None) == await each_stage.ended(deposit)
    assert [("PAYMENT_UNRESOLVED", 0, "KES")] == await each_stage.reviews()
    assert PAID == await each_stage.books()
    assert 1 == await each_stage.prompts_made()


@pytest.mark.path(saga="deposit", step="callback", fault="after we gave up", outcome="IN_REVIEW")
async def test_money_told_of_after_two_days_is_booked_and_left_to_people(stage: Stage) -> None:
    """The callback comes when the deposit is in review: the money is booked, verified where possible, not forwarded."""
    deposit = await stage.paid_deposit(LOST_ANSWER, LateCallback(milliseconds=49 * 3_600_000))
    await stage.until(lambda: stage.is_push(deposit, "UNKNOWN"))
    stage.clock.advance(timedelta(hours=48, minutes=1))
    assert ("IN_REVIEW", None, None) == await stage.ended(deposit)
    stage.clock.advance(timedelta(hours=1))

    assert ["APPLIED"] == await stage.webhooks_settled(1)
    await stage.until(lambda: stage.is_push(deposit, "CONFIRMED", due_at=None))
    assert ("IN_REVIEW", None, None) == await stage.outcome(deposit)
    assert [("PAYMENT_UNRESOLVED", 0, "KES"), ("CONFIRMED_LATE", 132_100, "KES")] == await stage.reviews()
    assert BOOKED == await stage.books()
    assert 0 == await stage.transfers_made()


@pytest.mark.path(saga="deposit", step="question", fault="pending for a day", outcome="IN_REVIEW")
async def test_money_confirmed_after_a_day_is_left_to_people(stage: Stage) -> None:
    """M-Pesa says "processing" for 25 hours and "paid" then: the rate is long gone, so nobody forwards it unasked."""
    stage.fail(StuckPending(), times=None)
    deposit = await stage.paid_deposit(LostCallback())
    await stage.until(lambda: stage.is_push(deposit, "ACCEPTED"))
    stage.clock.advance(timedelta(hours=25))
    await stage.until(lambda: stage.is_push(deposit, "ACCEPTED", code="4999"))
    stage.sandbox.daraja.faults.clear()

    assert "IN_REVIEW" == (await stage.ended(deposit, advancing=timedelta(minutes=1)))[0]
    assert [("CONFIRMED_LATE", 132_100, "KES")] == await stage.reviews()
    assert BOOKED == await stage.books()
    assert 0 == await stage.transfers_made()


@pytest.mark.path(saga="deposit", step="prompt", fault="M-Pesa is down", outcome="COMPLETED")
async def test_a_push_that_could_not_leave_is_sent_once_when_daraja_is_back(stage: Stage) -> None:
    """The connection is refused, so no byte left; when it opens the prompt appears, once."""
    first = await stage.paid_deposit()
    assert ("COMPLETED", None, None) == await stage.ended(first)
    await stage.daraja_down()
    deposit = await stage.deposit(500, key="second")
    await stage.until(lambda: stage.is_push(deposit, "INTENDED", code="not_connected"))
    await stage.daraja_up()
    stage.clock.advance(timedelta(seconds=5))
    await stage.give_pin()

    assert ("COMPLETED", None, None) == await stage.ended(deposit)
    assert (2, 2) == (await stage.prompts_made(), await stage.transfers_made())
    books = await stage.books()
    assert (132_100 + 66_100, 1_500, 0) == (books.collection, books.at_deriv_client, books.in_flight)


@pytest.mark.path(saga="deposit", step="prompt", fault="M-Pesa is down until the rate expires", outcome="FAILED")
async def test_a_prompt_that_could_not_be_sent_before_the_rate_expired_fails_the_deposit(stage: Stage) -> None:
    """Daraja is away for the 15 minutes the rate is locked: the deposit fails before anybody is asked for money."""
    await stage.daraja_down()
    deposit = await stage.deposit()
    await stage.until(lambda: stage.is_push(deposit, "INTENDED", attempts=0, fence=1))
    stage.clock.advance(timedelta(minutes=16))

    assert ("FAILED", "rate_expired", None) == await stage.ended(deposit)
    await stage.daraja_up()
    assert 0 == await stage.prompts_made()
    assert UNTOUCHED == await stage.books()
    assert [] == await stage.reviews()
