"""Every way in which messages of our sandbox go wrong, and what our client makes of what comes and what it asks."""

from __future__ import annotations

import asyncio

import pytest

from penpay.domain.mpesa.b2b_result import parse_b2b_result
from penpay.domain.mpesa.b2c_result import parse_b2c_result
from penpay.domain.mpesa.callback import phone_matches
from penpay.domain.mpesa.gateway import CallOutcome, PaymentOutcome, PushOutcome, StatusQuestion
from penpay.domain.mpesa.queue_timeout import parse_queue_timeout, without_credential
from penpay.domain.mpesa.status_result import parse_status_result
from penpay.domain.mpesa.verdicts_results import ResultOutcome
from penpay.sandbox.daraja.switches import AfterTimeout, DarajaSwitches
from penpay.sandbox.faults import (
    AlteredCallback,
    CallbackFirst,
    DarajaCall,
    Fault,
    ForcedResult,
    LateCallback,
    LostCallback,
    QueuedTooLong,
    RepeatedCallback,
    SlowReply,
    SpoiltReply,
    StuckPending,
)
from tests.contract.daraja.both import RECEIVER, START, USER, Both
from tests.contract.daraja.every_call import SEND, prepared, times_moved
from tests.contract.daraja.test_both_stk import verdict
from tests.contract.sandbox.world import OTHER_PAYER, PAYER, kes

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOLD_OF = (DarajaCall.PUSH, DarajaCall.B2C, DarajaCall.B2B, DarajaCall.REVERSAL)
"""Calls that move money and are told of by a message under their token."""


def kind_of(call: DarajaCall) -> str:
    return "stk" if call is DarajaCall.PUSH else "result"


async def test_every_fault_has_its_story() -> None:
    """One that is added to the sandbox must be told here; answers have a table of their own."""
    here = {AlteredCallback, CallbackFirst, ForcedResult, LateCallback, LostCallback, QueuedTooLong, RepeatedCallback}
    assert {*here, StuckPending, SlowReply, SpoiltReply} == set(Fault.__args__)


@pytest.mark.parametrize(
    ("fault", "messages"),
    [
        (LostCallback(), 0),
        (LateCallback(milliseconds=100), 1),
        (RepeatedCallback(times=3), 3),
        (CallbackFirst(at_most_ms=3_000), 1),
    ],
)
@pytest.mark.parametrize("call", TOLD_OF)
async def test_a_message_is_lost_late_repeated_or_early_and_money_moves_once(
    both: Both, call: DarajaCall, fault: Fault, messages: int
) -> None:
    """The call is accepted; however often and whenever it is told, byte for byte the same, it is one payment."""
    ready = await prepared(both, call)
    if call is DarajaCall.PUSH:
        both.user_pays()
    both.goes_wrong(fault)

    sent = await SEND[call](both, both.client, ready)

    if isinstance(fault, CallbackFirst):
        assert 1 == len(both.inbox.bodies(kind_of(call), sent.token))
    assert "ACCEPTED" == sent.conclusion
    await both.world.settled()
    bodies = both.inbox.bodies(kind_of(call), sent.token)
    assert (messages, min(messages, 1)) == (len(bodies), len(set(bodies)))
    assert 1 == await times_moved(both, call)


async def test_of_a_lost_message_the_question_tells_the_truth(both: Both) -> None:
    """A push by query; a payout by our id; a payment to a business by the id it was answered with."""
    both.goes_wrong(LostCallback(), times=3)
    both.user_pays()
    pushed = await both.client.stk.stk_push(both.push())
    payment = both.payout()
    await both.client.pay.pay_customer(payment)
    billed = await both.client.pay.pay_business(both.bill())
    await both.world.settled()

    query = await both.client.stk.stk_query(pushed.checkout_request_id or "")
    statuses = [
        await both.status(id_=id_) for id_ in (payment.originator_conversation_id, billed.originator_conversation_id)
    ]

    assert PaymentOutcome.PAID is query.outcome
    assert [(PaymentOutcome.PAID, kes(100))] * 2 == [(one.payment, one.amount.money) for one in statuses]
    assert None not in {one.receipt for one in statuses}


async def test_a_callback_that_lies_about_amount_and_payer_is_found_out(both: Both) -> None:
    """It is read as it came; the query says paid, and the status tells the amount that moved."""
    both.goes_wrong(AlteredCallback(amount_cents=1_00, msisdn=OTHER_PAYER))
    answer, callback = await both.paid(300)
    assert (PaymentOutcome.PAID, kes(1)) == (verdict(callback), callback.amount)
    assert (False, True) == (phone_matches(callback.phone_text, USER), phone_matches(callback.phone_text, RECEIVER))
    assert PaymentOutcome.PAID is (await both.client.stk.stk_query(answer.checkout_request_id or "")).outcome
    status = await both.status(receipt=callback.receipt)
    assert (PaymentOutcome.PAID, kes(300)) == (status.payment, status.amount.money)
    assert 3 == await times_moved(both, DarajaCall.PUSH)


async def test_a_query_that_is_stuck_is_pending_and_the_receipt_settles_it(both: Both) -> None:
    """Pending is not failed: the status by the callback's receipt says paid."""
    both.goes_wrong(StuckPending(), times=None)
    answer, callback = await both.paid()
    assert PaymentOutcome.PENDING is (await both.client.stk.stk_query(answer.checkout_request_id or "")).outcome
    assert PaymentOutcome.PAID is (await both.status(receipt=callback.receipt)).payment
    assert 1 == await times_moved(both, DarajaCall.PUSH)


@pytest.mark.parametrize(
    ("code", "pushed", "paid_out", "billed"),
    [
        ("1", PaymentOutcome.FAILED, ResultOutcome.FAILED, ResultOutcome.UNKNOWN),
        ("8", PaymentOutcome.FAILED, ResultOutcome.FAILED, ResultOutcome.UNKNOWN),
        ("17", PaymentOutcome.FAILED, ResultOutcome.UNKNOWN, ResultOutcome.UNKNOWN),
        ("26", PaymentOutcome.FAILED, ResultOutcome.RETRY_LATER, ResultOutcome.UNKNOWN),
        ("1019", PaymentOutcome.FAILED, ResultOutcome.UNKNOWN, ResultOutcome.UNKNOWN),
        ("2001", PaymentOutcome.FAILED, ResultOutcome.MISCONFIGURED, ResultOutcome.UNKNOWN),
        ("SFC_IC0003", PaymentOutcome.FAILED, ResultOutcome.FAILED, ResultOutcome.FAILED),
        ("4242", PaymentOutcome.UNKNOWN, ResultOutcome.UNKNOWN, ResultOutcome.UNKNOWN),
    ],
)
async def test_a_forced_code_means_what_is_listed_for_its_call(
    both: Both, code: str, pushed: PaymentOutcome, paid_out: ResultOutcome, billed: ResultOutcome
) -> None:
    """One code, three meanings; nothing has moved, and the status says so also where the code does not."""
    both.goes_wrong(ForcedResult(code=code, text="Forced"), times=3)
    push, payment, bill = both.push(), both.payout(), both.bill()
    answers = [
        (await both.client.stk.stk_push(push)).outcome.value,
        (await both.client.pay.pay_customer(payment)).outcome.value,
    ]
    business = await both.client.pay.pay_business(bill)
    assert ["ACCEPTED"] * 3 == [*answers, business.outcome.value]

    assert (pushed, paid_out, billed) == (
        verdict(await both.told_stk(push)),
        (await both.told(payment.callback_token, parse_b2c_result)).outcome,
        (await both.told(bill.callback_token, parse_b2b_result)).outcome,
    )
    for id_ in (payment.originator_conversation_id, business.originator_conversation_id):
        assert PaymentOutcome.FAILED is (await both.status(id_=id_)).payment
    assert START == await both.books()


async def test_a_forced_code_can_come_late_and_the_payment_is_pending_until_then(both: Both) -> None:
    """Asked while it waits, the status says so."""
    both.goes_wrong(ForcedResult(code="1", text="Forced", after_ms=300))
    payment = both.payout()
    await both.client.pay.pay_customer(payment)
    waiting = await both.status(id_=payment.originator_conversation_id)
    assert (PaymentOutcome.PENDING, "Initiated") == (waiting.payment, waiting.status)
    assert ResultOutcome.FAILED is (await both.told(payment.callback_token, parse_b2c_result)).outcome
    assert START == await both.books()


@pytest.mark.parametrize("after", AfterTimeout)
async def test_a_payout_that_waited_too_long_is_unknown_until_it_is_asked_about(
    both: Both, after: AfterTimeout
) -> None:
    """The echo names it and no outcome; its status is pending and then paid, or it has expired and never will be."""
    both.world.sandbox.switches.now = DarajaSwitches(after_timeout=after)
    both.goes_wrong(QueuedTooLong(milliseconds=300))
    payment = both.payout()
    assert CallOutcome.ACCEPTED is (await both.client.pay.pay_customer(payment)).outcome

    raw = await both.inbox.next("timeout", payment.callback_token)

    echo = parse_queue_timeout(raw)
    assert (payment.originator_conversation_id, "BusinessPayment", None) == (
        echo.originator_conversation_id,
        echo.command,
        echo.result,
    )
    assert b"SecurityCredential" in raw
    assert both.client.pay._initiator.credential.encode() in raw
    assert both.client.pay._initiator.credential.encode() not in without_credential(raw)
    status = await both.status(id_=payment.originator_conversation_id)
    if after is AfterTimeout.DROPPED:
        assert (PaymentOutcome.FAILED, "Expired") == (status.payment, status.status)
        assert 0 == await times_moved(both, DarajaCall.B2C)
        assert [] == both.inbox.bodies("result", payment.callback_token)
    else:
        assert (PaymentOutcome.PENDING, "Initiated") == (status.payment, status.status)
        assert ResultOutcome.SUCCEEDED is (await both.told(payment.callback_token, parse_b2c_result)).outcome
        assert PaymentOutcome.PAID is (await both.status(id_=payment.originator_conversation_id)).payment
        assert 1 == await times_moved(both, DarajaCall.B2C)


async def test_other_calls_that_waited_too_long_are_echoed_too(both: Both) -> None:
    """The reader tells which call it was, and the receipt it was about."""
    receipt = await both.earned()
    both.world.sandbox.switches.now = DarajaSwitches(after_timeout=AfterTimeout.DROPPED)
    bill, reversal = both.bill(), both.reversal(receipt)
    question = StatusQuestion(callback_token=both.name(), receipt=receipt)
    await both.begin()
    echoes = []
    for token, asking in (
        (bill.callback_token, both.client.pay.pay_business(bill)),
        (reversal.callback_token, both.client.pay.reverse(reversal)),
        (question.callback_token, both.client.pay.transaction_status(question)),
    ):
        both.goes_wrong(QueuedTooLong())
        assert CallOutcome.ACCEPTED is (await asking).outcome
        echo = parse_queue_timeout(await both.inbox.next("timeout", token))
        echoes.append((echo.command, echo.receipt, echo.originator_conversation_id))
    assert [
        ("BusinessPayBill", None, None),
        ("TransactionReversal", receipt, None),
        ("TransactionStatusQuery", receipt, None),
    ] == echoes
    assert START == await both.books()


async def test_a_result_that_overtakes_its_answer_is_read_all_the_same(both: Both) -> None:
    """Of a payout and of a question: the message is there while the call still waits."""
    both.goes_wrong(SlowReply(call=DarajaCall.B2C, milliseconds=400))
    both.goes_wrong(SlowReply(call=DarajaCall.STATUS, milliseconds=400))
    payment = both.payout()
    paying = asyncio.create_task(both.client.pay.pay_customer(payment))
    result = await both.told(payment.callback_token, parse_b2c_result)
    assert (ResultOutcome.SUCCEEDED, False) == (result.outcome, paying.done())
    assert CallOutcome.ACCEPTED is (await paying).outcome
    question = StatusQuestion(callback_token=both.name(), receipt=result.receipt)
    asking = asyncio.create_task(both.client.pay.transaction_status(question))
    status = await both.told(question.callback_token, parse_status_result)
    assert (PaymentOutcome.PAID, False) == (status.payment, asking.done())
    assert CallOutcome.ACCEPTED is (await asking).outcome
    assert 1 == await times_moved(both, DarajaCall.B2C)


async def test_a_prompt_nobody_answers_lets_the_answer_go_first(both: Both) -> None:
    """With callback first, the push is accepted after a while, and paid later."""
    both.goes_wrong(CallbackFirst(at_most_ms=50))
    push = both.push()
    assert PushOutcome.ACCEPTED is (await both.client.stk.stk_push(push)).outcome
    assert [] == both.inbox.bodies("stk", push.callback_token)
    await both.world.phone(PAYER).give_pin("1234")
    assert PaymentOutcome.PAID is verdict(await both.told_stk(push))
    assert 1 == await times_moved(both, DarajaCall.PUSH)
