"""M-Pesa refuses, keeps silent, repeats or contradicts itself: a phone is paid once at most, or the dollars go back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from penpay.application.payments.fx import ApproveRate, EnterRate, parse_mid
from penpay.application.payments.results import PAYOUT_SOURCE, STATUS_SOURCE
from penpay.domain.shared.money import Currency
from penpay.sandbox.daraja.switches import AfterTimeout
from penpay.sandbox.deriv.faults import Refuse
from penpay.sandbox.faults import (
    DarajaCall,
    ForcedResult,
    LateCallback,
    LostCallback,
    QueuedTooLong,
    RepeatedCallback,
    Spoilt,
    SpoiltReply,
)
from tests.end_to_end.withdrawals.stage import (
    COMPLETED,
    PAID_UNSEEN,
    UNTOUCHED,
    WithdrawalStage,
)

ONE_SECOND = timedelta(seconds=1)
FULL_WALLET = ForcedResult(code="8", text="Declined due to limit rule: would exceed the maximum balance.")


@pytest.mark.path(saga="withdrawal", step="payout", fault="receiver's balance cap", outcome="REVERSED")
async def test_a_payout_m_pesa_refuses_goes_back_to_deriv(each_stage: WithdrawalStage) -> None:
    """The Result tells a failure, our own question confirms it, and every cent stands where it began."""
    stage = each_stage
    stage.fail_at_mpesa(FULL_WALLET)
    withdrawal = await stage.started()

    assert ("REVERSED", "payout_failed", None) == await stage.ended(withdrawal)
    assert UNTOUCHED == await stage.books()
    assert [("PAYOUT", "FAILED")] == await stage.payouts(withdrawal)
    assert "CONFIRMED" == await stage.base.transfer_state(withdrawal)
    assert {"PayoutFailed", "ReturnInitiated", "TransactionReversed"} <= set(await stage.base.events(withdrawal))


@pytest.mark.path(saga="withdrawal", step="payout", fault="refused at once", outcome="REVERSED")
async def test_a_payout_refused_at_once_goes_back(stage: WithdrawalStage) -> None:
    """M-Pesa does not take the request: that answer, to the only sending, is believed."""
    board = stage.sandbox.daraja.switches
    board.now = replace(board.now, strict_callback_urls=True)
    withdrawal = await stage.started()

    assert ("REVERSED", "payout_failed", None) == await stage.ended(withdrawal)
    assert UNTOUCHED == await stage.books()
    assert "400.002.02" == (await stage.payout(withdrawal)).code


@pytest.mark.path(saga="withdrawal", step="payout", fault="our PayBill has too little", outcome="REVERSED")
async def test_a_payout_our_paybill_cannot_pay_goes_back(stage: WithdrawalStage) -> None:
    """The Result tells that our account is too low, and our question confirms it."""
    stage.fail_at_mpesa(ForcedResult(code="1", text="The balance is insufficient for the transaction."))
    withdrawal = await stage.started()

    assert ("REVERSED", "payout_failed", None) == await stage.ended(withdrawal)
    assert UNTOUCHED == await stage.books()


@pytest.mark.path(saga="withdrawal", step="payout", fault="queued out, never paid", outcome="REVERSED")
async def test_a_payout_that_waited_too_long_and_was_dropped_goes_back(stage: WithdrawalStage) -> None:
    """The notice is asked about, and M-Pesa says that it will not be paid."""
    board = stage.sandbox.daraja.switches
    board.now = replace(board.now, after_timeout=AfterTimeout.DROPPED)
    stage.fail_at_mpesa(QueuedTooLong())
    withdrawal = await stage.started()

    assert ("REVERSED", "payout_failed", None) == await stage.ended(withdrawal, advancing=ONE_SECOND)
    assert UNTOUCHED == await stage.books()


@pytest.mark.path(saga="withdrawal", step="payout", fault="duplicate id", outcome="COMPLETED")
async def test_a_payout_sent_again_is_known_by_its_id(stage: WithdrawalStage) -> None:
    """M-Pesa took it, denied it when asked, and is sent it once more: "duplicate" means that it has it already."""
    stage.fail_at_mpesa(SpoiltReply(call=DarajaCall.B2C, reply=Spoilt.CUT, done=True), LostCallback())
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_payout(withdrawal, "UNKNOWN"))
    await stage.until_books(PAID_UNSEEN)
    stage.fail_at_mpesa(ForcedResult(code="2032", text="The transaction is not known."))

    assert ("COMPLETED", None, "mpesa_status") == await stage.ended(withdrawal, advancing=ONE_SECOND)
    await stage.until_books(COMPLETED)
    assert "500.002.1001" == (await stage.payout(withdrawal)).code


@pytest.mark.path(saga="withdrawal", step="payout", fault="unknown for a day", outcome="IN_REVIEW")
async def test_a_payout_nobody_can_tell_of_is_for_people(stage: WithdrawalStage) -> None:
    """M-Pesa took it and is out of reach for a day: the shillings stay in flight, where the books show them."""
    stage.fail_at_mpesa(LostCallback())
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_payout(withdrawal, "ACCEPTED"))
    await stage.base.daraja_down()

    assert "IN_REVIEW" == (await stage.ended(withdrawal, advancing=timedelta(hours=1)))[0]
    assert [("DISBURSEMENT_UNRESOLVED", 126_900, "KES")] == await stage.base.reviews()
    assert PAID_UNSEEN == await stage.books()


@pytest.mark.path(saga="withdrawal", step="result", fault="an hour late", outcome="COMPLETED")
async def test_a_result_after_the_question_tells_nothing_new(stage: WithdrawalStage) -> None:
    """M-Pesa, asked, has told of the payment; the Result that comes an hour later is a repeat."""
    stage.fail_at_mpesa(LateCallback(milliseconds=3_600_000))
    withdrawal = await stage.started()
    assert ("COMPLETED", None, "mpesa_status") == await stage.ended(withdrawal, advancing=ONE_SECOND)
    stage.clock.advance(timedelta(hours=1))

    assert "REPEATED" == (await stage.base.webhooks_settled(2))[-1]
    await stage.until_books(COMPLETED)


@pytest.mark.path(saga="withdrawal", step="result", fault="lost", outcome="COMPLETED")
async def test_a_lost_result_is_asked_for(stage: WithdrawalStage) -> None:
    """The phone is paid and nobody tells us: after a minute M-Pesa is asked, by our own id."""
    stage.fail_at_mpesa(LostCallback())
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_payout(withdrawal, "ACCEPTED"))
    await stage.until_books(PAID_UNSEEN)

    assert ("COMPLETED", None, "mpesa_status") == await stage.ended(withdrawal, advancing=ONE_SECOND)
    assert COMPLETED == await stage.books()


@pytest.mark.path(saga="withdrawal", step="payout", fault="its answer is lost", outcome="COMPLETED")
async def test_an_answer_that_is_lost_is_not_a_reason_to_pay_again(stage: WithdrawalStage) -> None:
    """M-Pesa took it and its answer never came: the Result settles it, and there is one payment."""
    stage.fail_at_mpesa(SpoiltReply(call=DarajaCall.B2C, reply=Spoilt.CUT, done=True))
    withdrawal = await stage.started()

    assert "COMPLETED" == (await stage.ended(withdrawal, advancing=ONE_SECOND))[0]
    await stage.until_books(COMPLETED)


@pytest.mark.path(saga="withdrawal", step="payout", fault="lost on the way", outcome="COMPLETED")
async def test_a_payout_m_pesa_never_heard_of_is_sent_again_under_the_same_id(stage: WithdrawalStage) -> None:
    """The connection broke before anything was done: asked by our id M-Pesa knows nothing, and is told once more."""
    stage.fail_at_mpesa(SpoiltReply(call=DarajaCall.B2C, reply=Spoilt.CUT))
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_payout(withdrawal, "UNKNOWN"))
    before = (await stage.payout(withdrawal)).originator_conversation_id

    assert "COMPLETED" == (await stage.ended(withdrawal, advancing=ONE_SECOND))[0]
    await stage.until_books(COMPLETED)
    assert before == (await stage.payout(withdrawal)).originator_conversation_id
    assert [("PAYOUT", "CONFIRMED")] == await stage.payouts(withdrawal)


@pytest.mark.path(saga="withdrawal", step="result", fault="twice", outcome="COMPLETED")
async def test_a_result_told_twice_is_booked_once(stage: WithdrawalStage) -> None:
    """The same Result again is a repeat."""
    stage.fail_at_mpesa(RepeatedCallback(times=2))
    withdrawal = await stage.started()

    assert ("COMPLETED", None, None) == await stage.ended(withdrawal)
    await stage.base.webhooks_settled(2)
    assert COMPLETED == await stage.books()


@pytest.mark.path(saga="withdrawal", step="payout", fault="queued out, paid afterwards", outcome="COMPLETED")
async def test_a_time_out_says_nothing_of_the_money(stage: WithdrawalStage) -> None:
    """M-Pesa tells that it waited too long, and pays it afterwards: asked, not believed."""
    stage.fail_at_mpesa(QueuedTooLong(milliseconds=1_000))
    withdrawal = await stage.started()

    assert "COMPLETED" == (await stage.ended(withdrawal, advancing=ONE_SECOND))[0]
    await stage.until_books(COMPLETED)


@pytest.mark.path(saga="withdrawal", step="payout", fault="M-Pesa is down", outcome="COMPLETED")
async def test_m_pesa_is_away_when_the_payout_is_due(stage: WithdrawalStage) -> None:
    """Nothing has left: it is sent when M-Pesa is back."""
    withdrawal = await stage.asked()
    await stage.base.daraja_down()
    await stage.give_code(withdrawal)
    await stage.base.until(lambda: stage.is_payout(withdrawal, "INTENDED"))
    await stage.base.daraja_up()

    assert "COMPLETED" == (await stage.ended(withdrawal, advancing=ONE_SECOND))[0]
    assert COMPLETED == await stage.books()


@pytest.mark.path(saga="withdrawal", step="return", fault="refused", outcome="IN_REVIEW")
async def test_dollars_deriv_does_not_take_back_wait_in_suspense(stage: WithdrawalStage) -> None:
    """M-Pesa refuses the shillings and Deriv the dollars: they are kept apart, under a review."""
    stage.fail_at_mpesa(FULL_WALLET)
    stage.fail_at_deriv(
        Refuse("You cannot transfer to account CR123456, as their cashier is locked."), "paymentagent_transfer"
    )
    withdrawal = await stage.started()

    assert "IN_REVIEW" == (await stage.ended(withdrawal))[0]
    assert [("NOT_RETURNED", 1_000, "USD")] == await stage.base.reviews()
    books = await stage.books()
    assert (
        replace(UNTOUCHED, agent=1_001_000, suspense_usd=1_000, at_deriv_agent=1_001_000, at_deriv_client=19_000)
        == books
    )


@pytest.mark.parametrize("code", [8, 17, "SFC_IC0003"])
@pytest.mark.path(saga="withdrawal", step="result", fault="forged failure", outcome="COMPLETED")
async def test_a_forged_failure_gives_nothing_back(stage: WithdrawalStage, code: object) -> None:
    """Somebody knows the address of the Result and tells a failure: we ask, and M-Pesa has paid."""
    stage.fail_at_mpesa(LostCallback())
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_payout(withdrawal, "ACCEPTED"))
    payout = await stage.payout(withdrawal)
    body = {"ResultCode": code, "OriginatorConversationID": payout.originator_conversation_id}
    assert 200 == (await _post(stage, "results", PAYOUT_SOURCE, payout.id, body)).status_code

    assert ("COMPLETED", None, "mpesa_status") == await stage.ended(withdrawal)
    await stage.until_books(COMPLETED)


async def test_an_answer_to_a_question_that_is_not_out_is_not_listened_to(stage: WithdrawalStage) -> None:
    """The token of the payout opens no question's address, and that of another question none of ours."""
    stage.fail_at_mpesa(LostCallback())
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_payout(withdrawal, "ACCEPTED"))
    payout = await stage.payout(withdrawal)
    declined = {"ResultCode": 0, "ResultParameters": _items(TransactionStatus="Declined"), "ConversationID": "AG_1"}
    await _post(stage, "results", STATUS_SOURCE, payout.id, declined)
    assert 404 == (await _posted_to(stage, "results", "0" * 64, declined)).status_code

    assert ("COMPLETED", None, "mpesa_status") == await stage.ended(withdrawal, advancing=ONE_SECOND)
    await stage.until_books(COMPLETED)


@pytest.mark.path(saga="withdrawal", step="result", fault="another amount", outcome="COMPLETED")
async def test_a_result_of_another_amount_is_asked_about(stage: WithdrawalStage) -> None:
    """It says paid, and not what we sent: nothing is cleared before M-Pesa has told."""
    stage.fail_at_mpesa(LostCallback())
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_payout(withdrawal, "ACCEPTED"))
    payout = await stage.payout(withdrawal)
    forged = _paid(payout, amount=10)
    await _post(stage, "results", PAYOUT_SOURCE, payout.id, forged)

    assert ("COMPLETED", None, "mpesa_status") == await stage.ended(withdrawal)
    await stage.until_books(COMPLETED)


@pytest.mark.path(saga="withdrawal", step="result", fault="forged success", outcome="COMPLETED")
async def test_a_forged_success_is_found_out(stage: WithdrawalStage) -> None:
    """The Result says paid, our question says declined: nothing was sent anywhere, and people look at it."""
    stage.fail_at_mpesa(replace(FULL_WALLET, after_ms=3_000), LostCallback())
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_payout(withdrawal, "ACCEPTED"))
    payout = await stage.payout(withdrawal)
    await _post(stage, "results", PAYOUT_SOURCE, payout.id, _paid(payout, amount=1_269))
    assert ("COMPLETED", None, None) == await stage.ended(withdrawal)
    await stage.base.until(lambda: _is_contradicted(stage), advancing=ONE_SECOND)

    assert [("CONTRADICTION", 126_900, "KES")] == await stage.base.reviews()
    assert 5_000_000 == (await stage.books()).at_operator_payee


async def test_a_forged_success_of_a_payout_m_pesa_never_got_is_for_people(stage: WithdrawalStage) -> None:
    """The connection broke before M-Pesa heard of it, and somebody posts that it is paid: for a day nobody says so."""
    stage.fail_at_mpesa(SpoiltReply(call=DarajaCall.B2C, reply=Spoilt.CUT))
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_payout(withdrawal, "UNKNOWN"))
    payout = await stage.payout(withdrawal)
    await _post(stage, "results", PAYOUT_SOURCE, payout.id, _paid(payout, amount=1_269))
    assert ("COMPLETED", None, None) == await stage.ended(withdrawal)
    await stage.base.until(lambda: _is_contradicted(stage), advancing=timedelta(hours=1))

    assert [("DISBURSEMENT_UNRESOLVED", 126_900, "KES")] == await stage.base.reviews()
    assert 5_000_000 == (await stage.books()).at_operator_payee


@pytest.mark.path(saga="withdrawal", step="process", fault="stopped while the payout is out", outcome="COMPLETED")
async def test_the_process_dies_while_the_payout_is_on_its_way(stage: WithdrawalStage) -> None:
    """Another one takes over on the same database; the phone is paid once."""
    stage.fail_at_mpesa(LostCallback())
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_payout(withdrawal, "ACCEPTED"))
    await stage.base.restart()

    assert "COMPLETED" == (await stage.ended(withdrawal, advancing=ONE_SECOND))[0]
    await stage.until_books(COMPLETED)


@pytest.mark.path(saga="withdrawal", step="quote", fault="expired, and the rate moved far", outcome="REVERSED")
async def test_a_rate_that_moved_too_far_sends_the_dollars_back(stage: WithdrawalStage) -> None:
    """Deriv took them after the quote had expired, and the rate is 3 % lower: nobody is paid what she did not see."""
    withdrawal = await _debited_late(stage, "125.6")

    assert ("REVERSED", "rate_moved", None) == await stage.ended(withdrawal, advancing=ONE_SECOND)
    assert UNTOUCHED == await stage.books()


@pytest.mark.path(saga="withdrawal", step="quote", fault="expired, and the rate moved a little", outcome="COMPLETED")
async def test_a_rate_that_moved_a_little_is_taken_anew(stage: WithdrawalStage) -> None:
    """At 129.0 less 2 % it is KES 1,264.20: 1,264 shillings, 0.4 % less than was shown, and paid."""
    withdrawal = await _debited_late(stage, "129.0")

    assert ("COMPLETED", None, None) == await stage.ended(withdrawal, advancing=ONE_SECOND)
    assert 126_400 == (await stage.base.transaction(withdrawal))["kes_cents"]
    assert "WithdrawalRequoted" in await stage.base.events(withdrawal)
    assert (await stage.system.ledger_books.balance("mpesa:utility")).balance.currency is Currency.KES
    assert 5_126_400 == (await stage.books()).at_operator_payee


async def _debited_late(stage: WithdrawalStage, rate: str) -> str:
    """A withdrawal confirmed in time, which Deriv carries out when the quote has expired and the rate is another."""
    withdrawal = await stage.asked()
    code = await stage.code()
    await stage.base.deriv_down()
    stage.clock.advance(timedelta(minutes=8))
    await stage.give_code(withdrawal, code)
    entered = await stage.system.executor.execute(
        EnterRate(
            base=Currency.USD,
            quote=Currency.KES,
            mid_e8=parse_mid(rate),
            source="test",
            entered_by="test-maker",
            valid_from=None,
        )
    )
    await stage.system.executor.execute(ApproveRate(rate_id=entered.id, approved_by="test-checker", confirm_move=True))
    stage.clock.advance(timedelta(minutes=8))
    await stage.base.deriv_up()
    return withdrawal


async def _is_contradicted(stage: WithdrawalStage) -> bool:
    return bool(await stage.base.reviews())


def _paid(payout: Any, *, amount: int) -> dict[str, object]:
    return {
        "ResultCode": 0,
        "OriginatorConversationID": payout.originator_conversation_id,
        "TransactionID": "UKL0FORGED",
        "ResultParameters": _items(TransactionAmount=amount, TransactionReceipt="UKL0FORGED"),
    }


def _items(**values: object) -> dict[str, object]:
    return {"ResultParameter": [{"Key": key, "Value": value} for key, value in values.items()]}


async def _post(
    stage: WithdrawalStage, where: str, purpose: str, subject: Any, result: dict[str, object]
) -> httpx.Response:
    return await _posted_to(stage, where, stage.system._tokens.sign(purpose, subject), result)


async def _posted_to(stage: WithdrawalStage, where: str, token: str, result: dict[str, object]) -> httpx.Response:
    body = json.dumps({"Result": result}).encode()
    return await stage.base.api.post(f"/api/v1/callbacks/{where}/{token}", content=body)
