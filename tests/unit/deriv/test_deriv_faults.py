"""The fault plan strikes whom it should, as often as it should, and the same way again under the same seed."""

from __future__ import annotations

import random

from penpay.infrastructure.deriv.backoff import Backoff
from penpay.sandbox.deriv.faults import (
    AnswerAfter,
    CallFault,
    DropBeforeCommit,
    DuplicatePush,
    FaultPlan,
    FaultRule,
    LosePush,
    RateLimited,
)


class Seeded:
    """A Random from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, limit: int) -> int:
        return self._random.randrange(limit)

    def token_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)


def strike(plan: FaultPlan, call: str = "paymentagent_transfer", *, dry_run: bool = False) -> list[CallFault]:
    return plan.strike_call(call, parties=("CR1", "CR2"), amount_cents=10_00, dry_run=dry_run)


def test_a_one_shot_strikes_once() -> None:
    """The first call that fits uses it up; calls that do not fit leave it alone."""
    plan = FaultPlan(Seeded(1))
    plan.add(FaultRule(fault=DropBeforeCommit()))

    assert [] == strike(plan, "statement")
    assert [] == strike(plan, dry_run=True)
    assert [[DropBeforeCommit()], []] == [strike(plan), strike(plan)]


def test_rules_name_a_party_and_an_amount() -> None:
    """Another account or another amount is spared."""
    plan = FaultPlan(Seeded(1))
    plan.add(FaultRule(fault=DropBeforeCommit(), login_id="CR9", times=None))
    plan.add(FaultRule(fault=RateLimited(), login_id="CR2", amount_cents=10_00, times=None))
    plan.add(FaultRule(fault=AnswerAfter(5), amount_cents=99, times=None))

    assert [[RateLimited()]] * 3 == [strike(plan) for _ in range(3)]
    plan.clear()
    assert [] == strike(plan)


def test_push_faults_and_call_faults_do_not_use_each_other_up() -> None:
    """A rule for a stream's pushes is not spent by the call that opens the stream."""
    plan = FaultPlan(Seeded(1))
    plan.add(FaultRule(fault=LosePush(), call="balance"))
    plan.add(FaultRule(fault=DuplicatePush(), call="balance"))
    plan.add(FaultRule(fault=RateLimited(), call="balance"))

    assert [RateLimited()] == strike(plan, "balance")
    assert [LosePush(), DuplicatePush()] == plan.strike_push("balance", login_id="CR1", amount_cents=1)
    assert [] == plan.strike_push("balance", login_id="CR1", amount_cents=1)


def test_chance_is_drawn_from_the_seed() -> None:
    """A third of the calls, the same ones again under the same seed."""

    def history(seed: int) -> list[bool]:
        plan = FaultPlan(Seeded(seed))
        plan.add(FaultRule(fault=DropBeforeCommit(), times=None, chance_ppm=333_333))
        return [bool(strike(plan)) for _ in range(600)]

    assert history(5) == history(5)
    assert history(5) != history(6)
    assert 150 < sum(history(5)) < 250


def test_back_off_grows_to_half_a_minute_and_starts_over() -> None:
    """Waits lie between one second and a ceiling that doubles up to thirty."""
    waits = Backoff(Seeded(1))
    ceilings = [2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]

    drawn = [waits.next_ms() for _ in ceilings]
    assert all(1_000 <= wait <= ceiling for wait, ceiling in zip(drawn, ceilings, strict=True))
    assert max(drawn) > 16_000
    waits.reset()
    assert waits.next_ms() <= 2_000
