"""Somebody forges M-Pesa's word that a payout was made: people find out, and the money goes where it should."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from penpay.application.payments.deciding import ApproveDecision, ProposeDecision
from penpay.application.payments.results import PAYOUT_SOURCE
from penpay.application.payments.rows import Decision
from penpay.demo.world import LOGIN_ID
from penpay.domain.shared.errors import DecisionNotPossible
from penpay.sandbox.faults import DarajaCall, LostCallback, Spoilt, SpoiltReply
from tests.end_to_end.withdrawals.stage import COMPLETED, CONVERTED, UNTOUCHED, WithdrawalStage
from tests.end_to_end.withdrawals.test_mpesa_goes_wrong import FULL_WALLET, ONE_SECOND, _paid, _post
from tests.end_to_end.withdrawals.test_people_are_told import told
from tests.end_to_end.withdrawals.test_people_decide import _decide, _has_reviews, _open, _possible

ONE_HOUR: Final = timedelta(hours=1)
HERS_AGAIN: Final = replace(CONVERTED, wallet_kes=126_900)
"""Deriv was debited, and the shillings are on her wallet here: nothing of the forged payout is left."""


@pytest.mark.path(saga="withdrawal", step="result", fault="forged success, people pay again", outcome="COMPLETED")
async def test_a_payout_m_pesa_declined_is_paid_again(each_stage: WithdrawalStage) -> None:
    """A forged Result ended it, M-Pesa says declined: two persons take it back, two more pay it out, with a receipt."""
    stage = each_stage
    withdrawal = await _declined(stage)
    assert {Decision.ACCEPT, Decision.IT_DID_NOT} == await _possible(stage)
    assert "UKL0FORGED" == (await stage.base.transaction(withdrawal))["receipt"]
    await _decide(stage, Decision.IT_DID_NOT)

    assert ("IN_REVIEW", None, None) == await stage.base.outcome(withdrawal)
    assert None is (await stage.base.transaction(withdrawal))["receipt"]
    assert [("NOT_RETURNED", 126_900, "KES")] == await stage.base.reviews()
    assert HERS_AGAIN == await stage.books()
    assert {Decision.PAY_OUT, Decision.RETURN, Decision.SUSPEND} == await _possible(stage)
    await _decide(stage, Decision.PAY_OUT)

    assert ("COMPLETED", None, None) == await stage.ended(withdrawal)
    assert [("PAYOUT", "FAILED"), ("PAYOUT", "CONFIRMED")] == await stage.payouts(withdrawal)
    assert (await stage.payout(withdrawal)).receipt == (await stage.base.transaction(withdrawal))["receipt"]
    assert COMPLETED == await stage.books()
    statuses = [status for status, _ in await told(stage, withdrawal)]
    assert ["COMPLETED", "IN_REVIEW", "COMPLETED"] == statuses


@pytest.mark.path(saga="withdrawal", step="result", fault="forged success, people return", outcome="REVERSED")
async def test_a_payout_m_pesa_never_got_is_returned(stage: WithdrawalStage) -> None:
    """It never reached M-Pesa, and a forger says paid: after a day people look, and send the dollars back."""
    stage.fail_at_mpesa(SpoiltReply(call=DarajaCall.B2C, reply=Spoilt.CUT))
    withdrawal = await _forged(stage, "UNKNOWN")
    await stage.base.until(lambda: _has_reviews(stage), advancing=ONE_HOUR)
    assert [("DISBURSEMENT_UNRESOLVED", 126_900, "KES")] == await stage.base.reviews()
    assert {Decision.ACCEPT, Decision.IT_DID_NOT} == await _possible(stage)
    await _decide(stage, Decision.IT_DID_NOT)
    assert HERS_AGAIN == await stage.books()
    await _decide(stage, Decision.RETURN)

    assert "REVERSED" == (await stage.ended(withdrawal))[0]
    assert UNTOUCHED == await stage.books()
    assert [] == await stage.base.reviews()


@pytest.mark.path(saga="deposit", step="refund", fault="forged success, people pay again", outcome="REVERSED")
async def test_a_deposit_told_as_given_back_is_given_back(stage: WithdrawalStage) -> None:
    """Deriv refused the dollars and M-Pesa the refund, and a forger told that it was paid: it is paid in the end."""
    await stage.sandbox.deriv_book.set_statuses(LOGIN_ID, frozenset({"cashier_locked"}))
    before = await stage.books()
    await stage.base.deriv_down()
    deposit = await stage.base.paid_deposit()
    await stage.base.until(lambda: stage.base.is_in(deposit, "AWAITING_DERIV_CONFIRMATION"))
    stage.fail_at_mpesa(replace(FULL_WALLET, after_ms=3_000), LostCallback())
    await stage.base.deriv_up()
    await stage.base.until(lambda: stage.is_payout(deposit, "ACCEPTED"))
    receipt = (await stage.base.transaction(deposit))["receipt"]
    await _tell_paid(stage, deposit, amount=1_321)
    assert "REVERSED" == (await stage.ended(deposit))[0]
    await stage.base.until(lambda: _has_reviews(stage), advancing=ONE_SECOND)
    await _decide(stage, Decision.IT_DID_NOT)

    assert "IN_REVIEW" == (await stage.base.outcome(deposit))[0]
    assert receipt == (await stage.base.transaction(deposit))["receipt"]
    assert {Decision.REFUND, Decision.SUSPEND} == await _possible(stage)
    await _decide(stage, Decision.REFUND)

    assert "REVERSED" == (await stage.ended(deposit))[0]
    assert before.at_operator_payee == (await stage.books()).at_operator_payee
    assert [] == await stage.base.reviews()


async def test_what_m_pesa_has_confirmed_cannot_be_refuted(stage: WithdrawalStage) -> None:
    """A day without an answer, and a proposal that it was not paid; then M-Pesa says paid: nobody can approve it."""
    withdrawal = await _unconfirmed(stage)
    review = (await _open(stage)).id
    propose = ProposeDecision(review_id=review, decision=Decision.IT_DID_NOT, note="not there", proposed_by="ann")
    await stage.system.executor.execute(propose)
    await _asked_again(stage, withdrawal)

    with pytest.raises(DecisionNotPossible):
        await stage.system.executor.execute(ApproveDecision(review_id=review, approved_by="bob"))
    assert {Decision.ACCEPT} == await _possible(stage)
    assert "COMPLETED" == (await stage.base.outcome(withdrawal))[0]
    assert COMPLETED == await stage.books()


async def test_a_phone_that_was_paid_after_all_owes_it_to_us(stage: WithdrawalStage) -> None:
    """Two persons erred: the dollars went back, and M-Pesa tells that the phone was paid. People must recover it."""
    withdrawal = await _unconfirmed(stage)
    await _decide(stage, Decision.IT_DID_NOT)
    await _decide(stage, Decision.RETURN)
    assert "REVERSED" == (await stage.ended(withdrawal))[0]
    await _asked_again(stage, withdrawal)
    await stage.base.until(lambda: _has_reviews(stage), advancing=ONE_SECOND)

    assert [("CONTRADICTION", 126_900, "KES")] == await stage.base.reviews()
    books = await stage.books()
    assert (126_900, 5_126_900) == (books.recovery, books.at_operator_payee)
    assert {Decision.ACCEPT} == await _possible(stage)


async def _forged(stage: WithdrawalStage, state: str) -> str:
    """A withdrawal that a forged Result has ended while its payout was in this state."""
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_payout(withdrawal, state))
    await _tell_paid(stage, withdrawal, amount=1_269)
    assert "COMPLETED" == (await stage.ended(withdrawal))[0]
    return withdrawal


async def _declined(stage: WithdrawalStage) -> str:
    """The same, where M-Pesa has declined the payout and, asked by us, said so."""
    stage.fail_at_mpesa(replace(FULL_WALLET, after_ms=3_000), LostCallback())
    withdrawal = await _forged(stage, "ACCEPTED")
    await stage.base.until(lambda: _has_reviews(stage), advancing=ONE_SECOND)
    assert [("CONTRADICTION", 126_900, "KES")] == await stage.base.reviews()
    return withdrawal


async def _unconfirmed(stage: WithdrawalStage) -> str:
    """The same, where M-Pesa has paid, and could not be asked for a day."""
    stage.fail_at_mpesa(LostCallback())
    withdrawal = await _forged(stage, "ACCEPTED")
    await stage.base.daraja_down()
    await stage.base.until(lambda: _has_reviews(stage), advancing=ONE_HOUR)
    assert {Decision.ACCEPT, Decision.IT_DID_NOT} == await _possible(stage)
    await stage.base.daraja_up()
    return withdrawal


async def _asked_again(stage: WithdrawalStage, withdrawal: str) -> None:
    """A Result of another tenor makes us ask M-Pesa, which says what became of the first payout."""
    payout: Any = await stage.payout(withdrawal)
    await _post(
        stage,
        "results",
        PAYOUT_SOURCE,
        payout.id,
        {"ResultCode": 1, "OriginatorConversationID": payout.originator_conversation_id},
    )
    await stage.base.until(lambda: stage.is_verified(withdrawal), advancing=ONE_SECOND)


async def _tell_paid(stage: WithdrawalStage, transaction: str, *, amount: int) -> None:
    payout: Any = await stage.payout(transaction)
    await _post(stage, "results", PAYOUT_SOURCE, payout.id, _paid(payout, amount=amount))
