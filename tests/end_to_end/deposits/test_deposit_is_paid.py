"""What a payer does with the prompt, and what every book says afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from penpay.demo.world import PHONE
from tests.end_to_end.deposits.books import COMPLETED, PAID, UNTOUCHED
from tests.end_to_end.deposits.stage import Stage


@pytest.mark.path(saga="deposit", step="transfer", fault="none", outcome="COMPLETED")
async def test_dollars_asked_for_arrive_and_the_shillings_are_rounded_up(each_stage: Stage) -> None:
    """USD 10.00 cost 1,321 shillings, and every cent of them has a place in three books."""
    deposit = await each_stage.paid_deposit()

    assert ("COMPLETED", None, None) == await each_stage.ended(deposit)
    assert COMPLETED == await each_stage.books()
    assert [] == await each_stage.reviews()
    assert (1, 1) == (await each_stage.prompts_made(), await each_stage.transfers_made())
    assert (await each_stage.transaction(deposit))["receipt"] == (await each_stage.push(deposit)).receipt is not None
    assert [
        "TransactionCreated",
        "DepositInitiated",
        "MpesaPromptAccepted",
        "MpesaCallbackReceived",
        "MpesaPaymentReceived",
        "MpesaPaymentVerified",
        "DerivTransferInitiated",
        "TransactionCompleted",
    ] == await each_stage.events(deposit)


async def test_shillings_asked_for_are_charged_exactly(stage: Stage) -> None:
    """KES 2,000.00 at 132.09 buy USD 15.14; the mid of that is KES 1,960.63, the spread 39.21, the rounding 0.16."""
    deposit = await stage.deposit(200_000, "KES")
    await stage.give_pin()

    assert ("COMPLETED", None, None) == await stage.ended(deposit)
    expected = replace(
        UNTOUCHED,
        collection=200_000,
        agent=1_000_000 - 1_514,
        spread=3_921,
        rounding=16,
        at_operator_payer=4_800_000,
        at_operator_paybill=200_000,
        at_deriv_agent=1_000_000 - 1_514,
        at_deriv_client=1_514,
    )
    assert expected == await stage.books()


@pytest.mark.parametrize(
    ("usd_cents", "pin", "code"),
    [
        pytest.param(
            1_000,
            "9999",
            "wrong_pin",
            marks=pytest.mark.path(saga="deposit", step="prompt", fault="wrong PIN", outcome="FAILED"),
        ),
        pytest.param(
            45_000,
            "1234",
            "insufficient_funds",
            marks=pytest.mark.path(saga="deposit", step="prompt", fault="too little money", outcome="FAILED"),
        ),
    ],
)
async def test_a_prompt_that_ends_without_money_fails_the_deposit(
    stage: Stage, usd_cents: int, pin: str, code: str
) -> None:
    """A wrong PIN, or too little in the wallet: nothing was charged, nothing is booked, nobody must look."""
    deposit = await stage.deposit(usd_cents)
    await stage.give_pin(pin)

    assert ("FAILED", code, None) == await stage.ended(deposit)
    assert UNTOUCHED == await stage.books()
    assert [] == await stage.reviews()


@pytest.mark.path(saga="deposit", step="prompt", fault="cancelled", outcome="FAILED")
async def test_a_cancelled_prompt_fails_the_deposit(each_stage: Stage) -> None:
    """She presses cancel: nothing was charged."""
    deposit = await each_stage.deposit()
    await each_stage.cancel()

    assert ("FAILED", "cancelled_by_user", None) == await each_stage.ended(deposit)
    assert UNTOUCHED == await each_stage.books()
    assert [] == await each_stage.reviews()


@pytest.mark.path(saga="deposit", step="prompt", fault="ignored", outcome="FAILED")
async def test_a_prompt_nobody_answers_fails_the_deposit(stage: Stage) -> None:
    """After a minute of silence M-Pesa says 1037."""
    deposit = await stage.deposit()
    await stage.prompted()
    await stage.until(lambda: stage.is_push(deposit, "ACCEPTED"))
    stage.clock.advance(timedelta(seconds=61))

    status, code, _ = await stage.ended(deposit)
    assert ("FAILED", "no_response") == (status, code)
    assert UNTOUCHED == await stage.books()


@pytest.mark.path(saga="deposit", step="prompt", fault="another prompt is on the handset", outcome="COMPLETED")
async def test_a_second_deposit_waits_until_the_first_prompt_is_gone(stage: Stage) -> None:
    """M-Pesa shows one prompt a subscriber; the other is sent when it can be, once, and both are charged once."""
    first = await stage.deposit(key="first")
    await stage.prompted()
    second = await stage.deposit(key="second", amount_cents=500)
    await stage.until(lambda: stage.is_push(second, "INTENDED", attempts=0, code="500.001.1001"))
    await stage.sandbox.daraja.phone(PHONE).give_pin("1234")
    assert ("COMPLETED", None, None) == await stage.ended(first)
    stage.clock.advance(timedelta(seconds=61))
    await stage.give_pin()

    assert ("COMPLETED", None, None) == await stage.ended(second)
    assert 2 == await stage.prompts_made()
    books = await stage.books()
    # USD 5.00 cost KES 660.45, so 661.
    assert (132_100 + 66_100, 1_500) == (books.collection, books.at_deriv_client)


@pytest.mark.path(saga="deposit", step="process", fault="stopped while she pays", outcome="COMPLETED")
async def test_a_deposit_charged_while_our_program_was_down_is_finished_after_the_restart(stage: Stage) -> None:
    """The callback finds nobody listening; the new process asks M-Pesa itself."""
    deposit = await stage.deposit()
    await stage.prompted()
    await stage.until(lambda: stage.is_push(deposit, "ACCEPTED"))
    await stage.stop()
    await stage.sandbox.daraja.phone(PHONE).give_pin("1234")
    await stage.until(lambda: _paid(stage))
    await stage.restart()

    assert ("COMPLETED", None, "stk_query") == await stage.ended(deposit, advancing=timedelta(seconds=5))
    assert COMPLETED == await stage.books()


async def _paid(stage: Stage) -> bool:
    balances = await stage.sandbox.operator.books.balances()
    return PAID.at_operator_paybill == dict(balances.merchants)["174379"].cents
