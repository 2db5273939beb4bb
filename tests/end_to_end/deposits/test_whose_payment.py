"""Pushes whose answers are lost: an id that only a callback named proves nothing while it may be another push's."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from penpay.demo.world import LOGIN_ID, PHONE, PIN
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.faults import DarajaCall, LostCallback, Spoilt, SpoiltReply, StuckPending
from tests.end_to_end.deposits.callbacks import failure_body, success_body
from tests.end_to_end.deposits.stage import Person, Stage, read

LOST_ANSWER = SpoiltReply(call=DarajaCall.PUSH, reply=Spoilt.CUT, done=True)
ONE_SECOND = timedelta(seconds=1)
_UNLISTED = 7777
"""A result code that decides nothing, so that we ask."""


async def test_another_payers_id_does_not_make_a_deposit_paid(each_stage: Stage) -> None:
    """Both answers are lost, she pays, and a forger tells her id to his push: nothing is forwarded, people decide."""
    stage = each_stage
    await _listed(stage)
    hers, his, her = await _two_unanswered(stage)
    stage.fail(LostCallback(), times=2)
    told = success_body(await _pay(stage, her.phone))
    await stage.sandbox.daraja.phone(PHONE).cancel()
    await stage.call_back(await stage.token(his), told)

    assert ("IN_REVIEW", None, None) == await _after_two_days(stage, his)
    assert ("PAYMENT_UNRESOLVED", 132_100, "KES") in await stage.reviews()
    assert 0 == await stage.transfers_made()
    await stage.until(lambda: _in_review(stage, her, hers))


async def test_payments_of_unanswered_pushes_are_proven_by_our_reference_in_the_list(each_stage: Stage) -> None:
    """Both answers are lost and both pay: either id may be either's, and M-Pesa's list names both references."""
    stage = each_stage
    await _listed(stage)
    hers, his, her = await _two_unanswered(stage)
    await _pay(stage, her.phone)
    await _pay(stage, PHONE)

    assert ("COMPLETED", None, None) == await stage.ended(his, advancing=ONE_SECOND)
    await stage.until(lambda: _completed(stage, her, hers), advancing=ONE_SECOND)
    assert 2 == await stage.transfers_made()
    assert [] == await stage.reviews()


@pytest.mark.path(saga="deposit", step="question", fault="whose payment it is cannot be told", outcome="IN_REVIEW")
async def test_without_the_list_they_wait_two_days_and_go_to_people(each_stage: Stage) -> None:
    """Both pay the same, both callbacks come, and M-Pesa lists nothing: both are booked, and neither is forwarded."""
    stage = each_stage
    stage.fail(SpoiltReply(call=DarajaCall.PULL, reply=Spoilt.HTML_503), times=None)
    hers, his, her = await _two_unanswered(stage)
    await _pay(stage, her.phone)
    await _pay(stage, PHONE)
    await stage.until(lambda: _asked(stage, his), advancing=ONE_SECOND)
    assert "VERIFYING_MPESA_PAYMENT" == (await stage.transaction(his))["status"]

    assert ("IN_REVIEW", None, None) == await _after_two_days(stage, his)
    await _after_two_days(stage, hers, her)
    assert [("PAYMENT_UNRESOLVED", 132_100, "KES")] * 2 == await stage.reviews()
    assert 264_200 == (await stage.books()).wallet_kes
    assert 0 == await stage.transfers_made()


async def test_a_payment_found_in_the_list_alone_has_its_receipt(stage: Stage) -> None:
    """His callback says nothing that decides; the query's answer may be hers, and the list tells receipt and all."""
    await _listed(stage)
    _, his, _ = await _two_unanswered(stage)
    stage.fail(LostCallback())
    told = failure_body(await _pay(stage, PHONE), _UNLISTED)
    await stage.call_back(await stage.token(his), told)

    assert ("COMPLETED", None, "pull") == await stage.ended(his, advancing=ONE_SECOND)
    assert (await stage.transaction(his))["receipt"] == (await stage.push(his)).receipt is not None


async def test_a_failure_that_may_be_anothers_counts_once_the_list_is_complete(stage: Stage) -> None:
    """He cancels; that the list lacks his reference means nothing before every prompt is long over."""
    await _listed(stage)
    _, his, _ = await _two_unanswered(stage)
    stage.fail(LostCallback())
    told = failure_body(_checkout_at(stage, PHONE), _UNLISTED)
    await stage.sandbox.daraja.phone(PHONE).cancel()
    await stage.call_back(await stage.token(his), told)
    await stage.until(lambda: _asked(stage, his))
    assert "AWAITING_MPESA_CALLBACK" == (await stage.transaction(his))["status"]
    stage.clock.advance(timedelta(hours=2))

    assert ("FAILED", "cancelled_by_user", "stk_query") == await stage.ended(his, advancing=ONE_SECOND)


async def test_one_unanswered_push_alone_needs_no_list(stage: Stage) -> None:
    """No other push can own the id, and so the query is proof; from then on the id is certain."""
    stage.fail(LOST_ANSWER, StuckPending())
    his = await stage.deposit()
    await stage.until(lambda: stage.is_push(his, "UNKNOWN"))
    await stage.give_pin()

    assert ("COMPLETED", None, None) == await stage.ended(his, advancing=ONE_SECOND)
    assert "" == (await stage.push(his)).merchant_request_id


async def _listed(stage: Stage) -> None:
    answer = await stage.system.receipts.register_pull(
        nominated_phone=PHONE, callback_url="https://penpay.example/pulled"
    )
    assert "ACCEPTED" == answer.outcome, answer


async def _two_unanswered(stage: Stage) -> tuple[str, str, Person]:
    """Her deposit and his, both prompted, and both answers lost; and her."""
    her = await stage.person(1)
    stage.fail(LOST_ANSWER, times=2)
    async with stage.client(her.api_key) as client:
        body = stage.request(1_000, "USD", "hers") | {"deriv_login_id": her.login_id}
        created = await client.post("/api/v1/deposits", json=body)
    hers = str(read(created)["id"])
    his = await stage.deposit()
    assert LOGIN_ID != her.login_id
    await stage.until(lambda: stage.is_push(hers, "UNKNOWN"))
    await stage.until(lambda: stage.is_push(his, "UNKNOWN"))
    await stage.prompted()
    await stage.sandbox.daraja.phone(her.phone).next_prompt()
    return hers, his, her


async def _pay(stage: Stage, phone: PhoneNumber) -> str:
    """The CheckoutRequestID of what was paid."""
    checkout = _checkout_at(stage, phone)
    await stage.sandbox.daraja.phone(phone).give_pin(PIN)
    return checkout


def _checkout_at(stage: Stage, phone: PhoneNumber) -> str:
    prompt = stage.sandbox.daraja.phone(phone).prompt
    assert prompt is not None
    return prompt.checkout_request_id


async def _seen_by(stage: Stage, person: Person, transaction_id: str) -> dict[str, object]:
    async with stage.client(person.api_key) as client:
        answer: httpx.Response = await client.get(f"/api/v1/transactions/{transaction_id}")
    return read(answer)


async def _completed(stage: Stage, person: Person, transaction_id: str) -> bool:
    return (await _seen_by(stage, person, transaction_id))["status"] == "COMPLETED"


async def _in_review(stage: Stage, person: Person, transaction_id: str) -> bool:
    return (await _seen_by(stage, person, transaction_id))["status"] == "IN_REVIEW"


async def _after_two_days(stage: Stage, transaction_id: str, of: Person | None = None) -> tuple[str, object, object]:
    """How it stands once M-Pesa has been asked often enough, and for long enough."""

    async def is_waiting() -> bool:
        due_at = (await stage.push(transaction_id)).due_at
        return due_at is None or due_at > stage.clock.now()

    while (await stage.push(transaction_id)).due_at is not None:
        stage.clock.advance(timedelta(hours=8))
        await stage.until(is_waiting)
    if of is not None:
        await stage.until(lambda: _in_review(stage, of, transaction_id))
        return "IN_REVIEW", None, None
    return await stage.ended(transaction_id)


async def _asked(stage: Stage, transaction_id: str) -> bool:
    """Whether our question was answered by something that may be another push's."""
    return bool((await stage.push(transaction_id)).code == "identity_unproven")
