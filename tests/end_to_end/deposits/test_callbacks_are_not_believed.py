"""Callbacks that are altered, forged, foreign or contradictory: stored, asked about, and never obeyed."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from penpay.demo.world import PHONE, PIN
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql.tables import webhook_logs
from penpay.sandbox.faults import AlteredCallback, LostCallback, RepeatedCallback, StuckPending
from tests.end_to_end.deposits.books import COMPLETED, IN_SUSPENSE, UNTOUCHED, Books
from tests.end_to_end.deposits.callbacks import failure_body, success_body
from tests.end_to_end.deposits.stage import OUTSIDE, Stage

ONE_SECOND = timedelta(seconds=1)


async def prompted_deposit(stage: Stage) -> tuple[str, str, str]:
    """A deposit whose prompt is on the handset: its id, its path token, its CheckoutRequestID."""
    deposit = await stage.deposit()
    await stage.prompted()
    await stage.until(lambda: stage.is_push(deposit, "ACCEPTED"))
    return deposit, await stage.token(deposit), await stage.checkout_request_id()


@pytest.mark.path(saga="deposit", step="callback", fault="another amount", outcome="IN_REVIEW")
async def test_another_amount_is_asked_about_and_the_payment_goes_to_suspense(each_stage: Stage) -> None:
    """The callback tells KES 500.00 of a push for KES 1,321.00, which M-Pesa confirms: those are in suspense."""
    deposit = await each_stage.paid_deposit(AlteredCallback(amount_cents=50_000))

    assert ("IN_REVIEW", None, None) == await each_stage.ended(deposit)
    assert [("AMOUNT_OR_PHONE_MISMATCH", 132_100, "KES")] == await each_stage.reviews()
    assert IN_SUSPENSE == await each_stage.books()
    assert 0 == await each_stage.transfers_made()


@pytest.mark.path(saga="deposit", step="callback", fault="another phone", outcome="IN_REVIEW")
async def test_another_phone_is_asked_about_and_the_payment_goes_to_suspense(stage: Stage) -> None:
    """The callback tells another payer, twice; the money is in suspense once, and one review is about it."""
    deposit = await stage.paid_deposit(AlteredCallback(msisdn="254711111111"), RepeatedCallback(times=2))

    assert ("IN_REVIEW", None, None) == await stage.ended(deposit)
    await stage.webhooks_settled(2)
    assert [("AMOUNT_OR_PHONE_MISMATCH", 132_100, "KES")] == await stage.reviews()
    assert IN_SUSPENSE == await stage.books()


async def test_another_amount_of_a_payment_that_never_happened_is_reviewed_without_posting(stage: Stage) -> None:
    """A forged callback tells KES 500.00, the payer cancels, and M-Pesa says so when asked."""
    deposit, token, checkout = await prompted_deposit(stage)
    stage.fail(LostCallback())
    await stage.call_back(token, success_body(checkout, cents=50_000))
    await stage.sandbox.daraja.phone(PHONE).cancel()

    assert "IN_REVIEW" == (await stage.ended(deposit, advancing=ONE_SECOND))[0]
    assert [("AMOUNT_OR_PHONE_MISMATCH", 0, "KES")] == await stage.reviews()
    assert UNTOUCHED == await stage.books()


async def test_what_claims_another_amount_is_not_forgotten_for_what_claims_ours(stage: Stage) -> None:
    """KES 500.00 are told, then what was asked for, before M-Pesa has answered us; told again, neither is news."""
    deposit, token, checkout = await prompted_deposit(stage)
    stage.fail(LostCallback())
    await stage.call_back(token, success_body(checkout, cents=50_000))
    await stage.call_back(token, success_body(checkout))
    await stage.sandbox.daraja.phone(PHONE).give_pin(PIN)
    assert "IN_REVIEW" == (await stage.ended(deposit, advancing=ONE_SECOND))[0]
    await stage.call_back(token, success_body(checkout, cents=50_000))

    assert ["APPLIED", "APPLIED", "REPEATED"] == await stage.webhooks_settled(3)
    assert [("AMOUNT_OR_PHONE_MISMATCH", 132_100, "KES")] == await stage.reviews()


async def test_a_callback_that_agrees_with_what_is_in_suspense_tells_nothing_new(stage: Stage) -> None:
    """KES 500.00 were told first; callbacks then tell what was asked for, and what was told first."""
    deposit, token, checkout = await prompted_deposit(stage)
    stage.fail(AlteredCallback(amount_cents=50_000))
    await stage.sandbox.daraja.phone(PHONE).give_pin(PIN)
    assert "IN_REVIEW" == (await stage.ended(deposit))[0]
    await stage.call_back(token, success_body(checkout))
    await stage.call_back(token, success_body(checkout, cents=50_000))

    assert ["APPLIED", "REPEATED", "REPEATED"] == await stage.webhooks_settled(3)
    assert [("AMOUNT_OR_PHONE_MISMATCH", 132_100, "KES")] == await stage.reviews()
    assert IN_SUSPENSE == await stage.books()


async def test_callbacks_that_disagree_with_what_is_in_suspense_are_one_question(stage: Stage) -> None:
    """After KES 500.00, two more callbacks tell KES 600.00 and KES 700.00: one review about all that is in suspense."""
    deposit, token, checkout = await prompted_deposit(stage)
    stage.fail(AlteredCallback(amount_cents=50_000))
    await stage.sandbox.daraja.phone(PHONE).give_pin(PIN)
    assert "IN_REVIEW" == (await stage.ended(deposit))[0]
    await stage.call_back(token, success_body(checkout, cents=60_000))
    await stage.call_back(token, success_body(checkout, cents=70_000))

    assert ["APPLIED", "CONTRADICTS", "CONTRADICTS"] == await stage.webhooks_settled(3)
    assert [("AMOUNT_OR_PHONE_MISMATCH", 132_100, "KES"), ("CONTRADICTION", 132_100, "KES")] == await stage.reviews()
    assert IN_SUSPENSE == await stage.books()


async def test_a_failure_does_not_silence_a_disputed_payment(stage: Stage) -> None:
    """After a callback with another amount, a forged failure: M-Pesa is asked all the same, and the money is found."""
    stage.fail(StuckPending())
    deposit, token, checkout = await prompted_deposit(stage)
    stage.fail(AlteredCallback(amount_cents=50_000))
    await stage.sandbox.daraja.phone(PHONE).give_pin(PIN)
    await stage.webhooks_settled(1)
    await stage.call_back(token, failure_body(checkout))

    assert ("IN_REVIEW", None, None) == await stage.ended(deposit, advancing=ONE_SECOND)
    assert [("AMOUNT_OR_PHONE_MISMATCH", 132_100, "KES")] == await stage.reviews()
    assert IN_SUSPENSE == await stage.books()


async def test_a_forged_amount_before_the_true_callback_does_not_book_the_payment_twice(stage: Stage) -> None:
    """Both tell of one payment: it is in suspense once, and people decide."""
    deposit, token, checkout = await prompted_deposit(stage)
    await stage.call_back(token, success_body(checkout, cents=50_000))
    await stage.until(lambda: stage.is_push(deposit, "ACCEPTED", code="4999"))  # asked, and not paid yet
    await stage.sandbox.daraja.phone(PHONE).give_pin(PIN)
    await stage.webhooks_settled(2)

    assert ("IN_REVIEW", None, None) == await stage.ended(deposit, advancing=ONE_SECOND)
    assert [("AMOUNT_OR_PHONE_MISMATCH", 132_100, "KES")] == await stage.reviews()
    assert IN_SUSPENSE == await stage.books()
    assert 0 == await stage.transfers_made()


@pytest.mark.path(saga="deposit", step="callback", fault="forged success", outcome="IN_REVIEW")
async def test_a_forged_success_is_booked_asked_about_and_taken_back(each_stage: Stage) -> None:
    """Somebody who knows the path says "paid" while the prompt is still open; nothing leaves, and M-Pesa denies it."""
    stage = each_stage
    deposit, token, checkout = await prompted_deposit(stage)
    stage.fail(LostCallback())
    assert 200 == (await stage.call_back(token, success_body(checkout))).status_code
    await stage.until(lambda: stage.is_push(deposit, "CONFIRMED", code="4999"))
    assert "VERIFYING_MPESA_PAYMENT" == (await stage.transaction(deposit))["status"]
    assert Books(collection=132_100, wallet_kes=132_100) == await stage.books()
    await stage.sandbox.daraja.phone(PHONE).cancel()

    assert "IN_REVIEW" == (await stage.ended(deposit, advancing=ONE_SECOND))[0]
    assert [("PAYMENT_REFUTED", 0, "KES")] == await stage.reviews()
    assert UNTOUCHED == await stage.books()
    assert 0 == await stage.transfers_made()


async def test_a_callback_of_another_prompt_than_the_one_we_were_told_stops_nothing(stage: Stage) -> None:
    """The CheckoutRequestID is not the one our own call was answered: kept, told apart, and the deposit goes on."""
    deposit, token, _ = await prompted_deposit(stage)
    await stage.call_back(token, success_body("ws_CO_01012026000000000000000000"))
    await stage.call_back(token, failure_body("ws_CO_01012026000000000000000000"))
    await stage.sandbox.daraja.phone(PHONE).give_pin(PIN)

    assert ("COMPLETED", None, None) == await stage.ended(deposit)
    assert ["CONTRADICTS", "CONTRADICTS", "APPLIED"] == await stage.webhooks_settled(3)
    assert [] == await stage.reviews()
    assert COMPLETED == await stage.books()


async def test_a_failure_nobody_else_tells_of_is_asked_about_once_the_prompt_is_over(stage: Stage) -> None:
    """A forged failure ends the deposit, she pays, and the true callback is lost: two minutes later we know."""
    deposit, token, checkout = await prompted_deposit(stage)
    stage.fail(LostCallback())
    await stage.call_back(token, failure_body(checkout))
    await stage.sandbox.daraja.phone(PHONE).give_pin(PIN)
    await stage.until(lambda: stage.is_push(deposit, "FAILED", due_at=None), advancing=ONE_SECOND)

    assert "FAILED" == (await stage.transaction(deposit))["status"]
    assert [("CONTRADICTION", 132_100, "KES")] == await stage.reviews()
    assert IN_SUSPENSE == await stage.books()


async def test_a_tampered_path_is_refused_and_what_was_sent_is_kept_sealed(stage: Stage) -> None:
    """One changed character: 404, an audited refusal, and the raw body encrypted in the log."""
    deposit, token, checkout = await prompted_deposit(stage)
    body = success_body(checkout)
    for place in (0, 12):
        wrong = token[:place] + ("x" if token[place] != "x" else "y") + token[place + 1 :]
        assert 404 == (await stage.call_back(wrong, body)).status_code

    assert ["REFUSED_TOKEN", "REFUSED_TOKEN"] == await stage.webhook_outcomes()
    assert 2 == await stage.audited("webhook.refused")
    await _is_sealed(stage, body)
    assert "AWAITING_MPESA_CALLBACK" == (await stage.transaction(deposit))["status"]
    assert UNTOUCHED == await stage.books()


async def test_a_callback_from_a_foreign_address_is_refused_and_kept(stage: Stage) -> None:
    """The path is right, the source is not on the list."""
    deposit, token, checkout = await prompted_deposit(stage)
    body = success_body(checkout)
    answer = await stage.call_back(token, body, source=OUTSIDE)

    assert 404 == answer.status_code
    assert ["REFUSED_SOURCE"] == await stage.webhook_outcomes()
    assert 1 == await stage.audited("webhook.refused")
    await _is_sealed(stage, body)
    assert "AWAITING_MPESA_CALLBACK" == (await stage.transaction(deposit))["status"]


async def test_a_true_path_of_a_request_that_does_not_exist_is_kept_and_moves_nothing(stage: Stage) -> None:
    """The signature is ours, the request is gone: answered, stored, told apart."""
    answer = await stage.call_back(stage.token_of(uuid4()), success_body("ws_CO_0"))

    assert 200 == answer.status_code
    assert ["UNKNOWN_SUBJECT"] == await stage.webhooks_settled(1)
    assert UNTOUCHED == await stage.books()


@pytest.mark.path(saga="deposit", step="callback", fault="unreadable", outcome="COMPLETED")
async def test_a_malformed_callback_is_kept_and_the_payment_is_found_by_asking(stage: Stage) -> None:
    """What came under a true path cannot be read: 200, stored as unreadable; the query brings the money."""
    deposit, token, _ = await prompted_deposit(stage)
    stage.fail(LostCallback())
    assert 200 == (await stage.call_back(token, b'{"Body": {"stkCallback": [[[')).status_code
    await stage.sandbox.daraja.phone(PHONE).give_pin(PIN)

    assert ["UNREADABLE"] == await stage.webhooks_settled(1)
    assert ("COMPLETED", None, "stk_query") == await stage.ended(deposit, advancing=ONE_SECOND)
    assert COMPLETED == await stage.books()


@pytest.mark.path(saga="deposit", step="callback", fault="forged failure, then paid", outcome="FAILED")
async def test_a_success_after_a_failure_is_asked_about_and_goes_to_suspense_once(stage: Stage) -> None:
    """A forged failure ends the deposit; then she pays, and three true callbacks come: suspense, one review."""
    deposit, token, checkout = await prompted_deposit(stage)
    await stage.call_back(token, failure_body(checkout))
    assert ("FAILED", "cancelled_by_user", None) == await stage.ended(deposit)
    stage.fail(RepeatedCallback(times=3))
    await stage.sandbox.daraja.phone(PHONE).give_pin(PIN)
    await stage.webhooks_settled(4)
    await stage.until(lambda: stage.is_push(deposit, "FAILED", due_at=None))
    assert 200 == (await stage.call_back(token, success_body(checkout))).status_code

    assert "REPEATED" == (await stage.webhooks_settled(5))[-1]
    assert ("FAILED", "cancelled_by_user", None) == await stage.outcome(deposit)
    assert [("CONTRADICTION", 132_100, "KES")] == await stage.reviews()
    assert IN_SUSPENSE == await stage.books()
    assert 0 == await stage.transfers_made()


@pytest.mark.path(saga="deposit", step="callback", fault="failure after success", outcome="COMPLETED")
async def test_a_failure_after_a_success_is_for_people_and_takes_nothing_back(stage: Stage) -> None:
    """The deposit is completed; a late "cancelled" opens a review and changes no book."""
    deposit, token, checkout = await prompted_deposit(stage)
    await stage.sandbox.daraja.phone(PHONE).give_pin(PIN)
    assert ("COMPLETED", None, None) == await stage.ended(deposit)
    await stage.call_back(token, failure_body(checkout))

    assert ["APPLIED", "CONTRADICTS"] == await stage.webhooks_settled(2)
    assert ("COMPLETED", None, None) == await stage.outcome(deposit)
    assert [("CONTRADICTION", 132_100, "KES")] == await stage.reviews()
    assert COMPLETED == await stage.books()


@pytest.mark.path(saga="deposit", step="callback", fault="another payment's receipt", outcome="IN_REVIEW")
async def test_one_receipt_for_two_requests_is_not_booked_twice(stage: Stage) -> None:
    """The receipt of a completed deposit is told for another one, whose payer then cancels."""
    first = await stage.paid_deposit()
    assert ("COMPLETED", None, None) == await stage.ended(first)
    receipt = (await stage.transaction(first))["receipt"]
    second = await stage.deposit(key="second")
    await stage.prompted()
    await stage.until(lambda: stage.is_push(second, "ACCEPTED"))
    stage.fail(LostCallback())
    await stage.call_back(await stage.token(second), success_body(await stage.checkout_request_id(), receipt=receipt))
    await stage.sandbox.daraja.phone(PHONE).cancel()

    assert "IN_REVIEW" == (await stage.ended(second, advancing=ONE_SECOND))[0]
    assert [("AMOUNT_OR_PHONE_MISMATCH", 0, "KES")] == await stage.reviews()
    assert COMPLETED == await stage.books()


async def test_a_forged_payer_is_told_from_a_masked_one(stage: Stage) -> None:
    """A callback naming a stranger's phone is disputed even though amount and prompt are right."""
    deposit, token, checkout = await prompted_deposit(stage)
    stage.fail(LostCallback())
    await stage.call_back(token, success_body(checkout, phone=PhoneNumber.parse("254711111111")))
    await stage.sandbox.daraja.phone(PHONE).cancel()

    assert "IN_REVIEW" == (await stage.ended(deposit, advancing=ONE_SECOND))[0]
    assert [("AMOUNT_OR_PHONE_MISMATCH", 0, "KES")] == await stage.reviews()
    assert UNTOUCHED == await stage.books()


async def _is_sealed(stage: Stage, body: bytes) -> None:
    """Every stored message is that body, encrypted."""
    async with stage.system.engine.connect() as connection:
        rows = (await connection.execute(select(webhook_logs))).all()
    assert rows
    for row in rows:
        assert hashlib.sha256(body).hexdigest() == row.body_hash
        assert b"stkCallback" not in row.body_sealed
        assert body == stage.system._payments.webhooks.body(row)
