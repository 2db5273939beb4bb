"""The fault plan strikes whom it names, as often as it says; the handset shows and answers."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

import pytest

from penpay.domain.mobile_money.stk_push import CANCELLED, PAID, PushResult
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.faults import (
    DarajaCall,
    FaultPlan,
    FaultRule,
    LateCallback,
    LostCallback,
    Spoilt,
    SpoiltReply,
)
from penpay.sandbox.phone import NoPrompt, Prompt, SimulatedPhone

NUMBER = PhoneNumber("+254712345678")


class Seeded:
    """A Random port whose draws repeat."""

    def __init__(self, seed: int) -> None:
        self._source = random.Random(seed)

    def below(self, limit: int) -> int:
        return self._source.randrange(limit)

    def token_bytes(self, count: int) -> bytes:
        return self._source.randbytes(count)


class RecordingOperator:
    """Takes answers as the operator does and remembers them."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, str]] = []

    async def enter_pin(self, checkout_request_id: str, pin: str) -> PushResult:
        self.answers.append((checkout_request_id, pin))
        return PAID

    async def cancel(self, checkout_request_id: str) -> PushResult:
        self.answers.append((checkout_request_id, "cancel"))
        return CANCELLED


def a_prompt(name: str) -> Prompt:
    return Prompt(
        checkout_request_id=name,
        merchant="PENPAY",
        amount=Money(500_00, Currency.KES),
        account_reference="A1",
        expires_at=datetime(2026, 11, 20, tzinfo=UTC),
    )


def test_a_rule_strikes_only_the_phone_and_the_amount_it_names() -> None:
    """Everybody else's call goes well, and does not use the rule up."""
    plan = FaultPlan(Seeded(1))
    plan.add(FaultRule(fault=LostCallback(), msisdn="254712345678", amount_cents=500_00))
    assert plan.take(LostCallback, msisdn="254712345679", amount_cents=500_00) is None
    assert plan.take(LostCallback, msisdn="254712345678", amount_cents=501_00) is None
    assert plan.take(LateCallback, msisdn="254712345678", amount_cents=500_00) is None
    assert LostCallback() == plan.take(LostCallback, msisdn="254712345678", amount_cents=500_00)


def test_a_rule_strikes_as_often_as_it_says() -> None:
    """Once, twice, or always; what is used up is no longer listed."""
    plan = FaultPlan(Seeded(1))
    twice = FaultRule(fault=LostCallback(), times=2)
    always = FaultRule(fault=LateCallback(milliseconds=5), times=None)
    plan.add(twice)
    plan.add(always)
    assert [True, True, False] == [plan.take(LostCallback) is not None for _ in range(3)]
    assert all(plan.take(LateCallback) is not None for _ in range(10))
    assert (always,) == plan.rules()
    plan.clear()
    assert plan.take(LateCallback) is None


def test_rules_strike_in_the_order_they_were_added() -> None:
    """The second waits until the first is used up."""
    plan = FaultPlan(Seeded(1))
    for milliseconds in (1, 2):
        plan.add(FaultRule(fault=LateCallback(milliseconds=milliseconds)))
    assert [LateCallback(milliseconds=1), LateCallback(milliseconds=2)] == [
        plan.take(LateCallback),
        plan.take(LateCallback),
    ]


def test_a_condition_passes_over_rules_for_another_call() -> None:
    """A rule for queries does not spoil a push."""
    plan = FaultPlan(Seeded(1))
    plan.add(FaultRule(fault=SpoiltReply(call=DarajaCall.QUERY, reply=Spoilt.CUT)))
    assert plan.take(SpoiltReply, where=lambda fault: fault.call is DarajaCall.PUSH) is None
    assert plan.take(SpoiltReply, where=lambda fault: fault.call is DarajaCall.QUERY) is not None


def test_chance_is_the_seeds() -> None:
    """The same seed strikes at the same calls, and a rule of 300 in 1000 strikes about that often."""

    def struck(seed: int) -> list[bool]:
        plan = FaultPlan(Seeded(seed))
        plan.add(FaultRule(fault=LostCallback(), times=None, permille=300))
        return [plan.take(LostCallback) is not None for _ in range(1000)]

    assert struck(7) == struck(7)
    assert struck(7) != struck(8)
    assert 250 < sum(struck(7)) < 350


async def test_next_prompt_waits_and_returns_each_prompt_once() -> None:
    """Who waits before the prompt comes gets it; who asks again waits for another."""
    phone = SimulatedPhone(NUMBER, RecordingOperator())
    waiting = asyncio.create_task(phone.next_prompt())
    await asyncio.sleep(0)
    assert not waiting.done()
    await phone.show(a_prompt("one"))
    assert "one" == (await waiting).checkout_request_id

    again = asyncio.create_task(phone.next_prompt())
    await asyncio.sleep(0)
    assert not again.done()
    await phone.dismiss("one")
    await phone.show(a_prompt("two"))
    assert "two" == (await again).checkout_request_id


async def test_answers_go_to_the_prompt_on_the_screen() -> None:
    """The PIN and the cancelling name the push they are for."""
    operator = RecordingOperator()
    phone = SimulatedPhone(NUMBER, operator)
    await phone.show(a_prompt("one"))
    assert PAID == await phone.give_pin("1234")
    await phone.show(a_prompt("two"))
    assert CANCELLED == await phone.cancel()
    assert [("one", "1234"), ("two", "cancel")] == operator.answers


async def test_a_dark_screen_takes_no_answer() -> None:
    """Before the first prompt and after it is gone; another push's end leaves the screen alone."""
    phone = SimulatedPhone(NUMBER, RecordingOperator())
    with pytest.raises(NoPrompt):
        await phone.give_pin("1234")
    await phone.show(a_prompt("one"))
    await phone.dismiss("another")
    assert a_prompt("one") == phone.prompt
    await phone.dismiss("one")
    with pytest.raises(NoPrompt):
        await phone.cancel()


async def test_a_dismissed_prompt_is_not_returned_later() -> None:
    """A prompt that expired unseen is gone."""
    phone = SimulatedPhone(NUMBER, RecordingOperator())
    await phone.show(a_prompt("one"))
    await phone.dismiss("one")
    await phone.show(a_prompt("two"))
    assert "two" == (await phone.next_prompt()).checkout_request_id
