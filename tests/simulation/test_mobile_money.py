"""The simulated operator: people use it under faults, and what they were answered is held against its books."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from penpay.domain.mobile_money.transaction import Operation
from penpay.simulation.mobile_money.checks import Claims
from penpay.simulation.mobile_money.installation import uncovered
from penpay.simulation.mobile_money.members import Member
from penpay.simulation.mobile_money.oracle import OperatorOracle
from penpay.simulation.mobile_money.prices import Cost, cost_of
from penpay.simulation.mobile_money.wishes import Movement, What, Wish
from penpay.simulation.profile import OPERATORS, Hazard, Level, profile_of
from penpay.simulation.replay import Narrowing
from penpay.simulation.run import Simulator

PAYER = Member("subscriber_1", "subscriber", "00000000-0000-0000-0000-000000000001", None)
PAYEE = Member("subscriber_2", "subscriber", "00000000-0000-0000-0000-000000000002", None)
PAID = "00000000-0000-0000-0000-00000000000a"
PAID_TOO = "00000000-0000-0000-0000-00000000000b"


class Silent:
    """Notes that nobody reads."""

    def trace(self, line: str) -> None: ...

    def reach(self, place: str) -> None: ...


def wish(**given: Any) -> Wish:
    """A transfer of five shillings, sent once."""
    movement = Movement(operation=Operation.TRANSFER, source=PAYER, target=PAYEE, cents=500)
    made = Wish(what=What.TRANSFER, asker=PAYER, path="/", body={}, key="a-key-000", movement=movement)
    return replace(made, **given)


def row(name: str, **changed: Any) -> Any:
    """The transaction that such a transfer makes."""
    return {
        "id": name,
        "operation": "TRANSFER",
        "source_id": PAYER.id,
        "target_id": PAYEE.id,
        "amount_cents": 500,
        "receipt": "UA1",
        "reverses_id": None,
        **changed,
    }


def answered(**data: Any) -> Wish:
    """A transfer that was answered as done."""
    return wish(content=b"{}", answer={"transactionId": PAID, "receipt": "UA1", "amountCents": 500, **data})


def test_days_without_faults_are_clean_and_everybody_is_served(simulator: Simulator) -> None:
    """Everything can be done, wrong PINs lock, keys hold, and nothing is asked in vain for want of an answer."""
    reached = Counter[str]()
    for seed in (1, 2, 3):
        calm = Narrowing(users=1, deposits=1, processes=1, only="mobile_money+").of(profile_of(seed))
        outcome = simulator.run(seed, profile=calm)
        assert () == outcome.broken
        reached.update(outcome.reached)

    for what in ("transfer", "deposit", "withdrawal", "redemption", "decision", "float"):
        assert reached[f"operator {what} done"], what
    assert reached["operator refused pin_locked"]
    assert reached["operator refused idempotency_conflict"]
    assert not reached["operator client hears nothing"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_with_everything_wrong_the_books_still_fit_what_was_answered(simulator: Simulator, seed: int) -> None:
    """Crashes, lost commits and lost answers leave each wish done whole, or not at all."""
    world = Narrowing(users=1, deposits=1, only=",".join(OPERATORS)).of(profile_of(seed))

    outcome = simulator.run(seed, profile=world)

    assert () == outcome.broken
    assert outcome.reached["operator client hears nothing"]
    assert outcome.reached["operator transfer done"]


def test_many_seeds_have_deposits_alone(simulator: Simulator) -> None:
    """Where nobody uses the operator nothing goes wrong there, and its part of the world is not made."""
    profiles = [profile_of(seed) for seed in range(1, 401)]
    without = [profile for profile in profiles if not profile.level(Hazard.MOBILE_MONEY)]

    assert 240 < len(without) < 340
    assert all(not OPERATORS & profile.hazards.keys() for profile in without)
    levels = {profile.level(Hazard.MOBILE_MONEY) for profile in profiles}
    assert {Level.OFF, Level.MILD, Level.EXTREME} == levels
    calm = Narrowing(users=1, deposits=1, only="nothing").of(profile_of(1))
    assert not [what for what in simulator.run(1, profile=calm).reached if what.startswith("operator ")]


def test_prices_are_computed_past_the_product() -> None:
    """Fee, commission and the duty inside the fee, as an accountant would write them down."""
    free = cost_of(Operation.TRANSFER, "subscriber", "subscriber", 100_00)
    sent = cost_of(Operation.TRANSFER, "subscriber", "subscriber", 101_00)
    paid = cost_of(Operation.TRANSFER, "subscriber", "merchant", 100_00)
    cash = cost_of(Operation.WITHDRAW, "subscriber", "agent", 100_00)

    assert (Cost(), Cost(23_00), Cost(5_00, 2_00), Cost(29_00, 0, 12_00)) == (free, sent, paid, cash)
    assert [0, 3_00, 91, 3_78] == [cost.excise for cost in (free, sent, paid, cash)]


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, None),
        ({"subscriber:1:KES": 701}, "is owed"),
        ({"subscriber:1:KES": -1, "trust:bank": 299}, "subscriber holds -1"),
        ({"expense:agent_commission": 500, "commission:2:KES": 100, "trust:bank": 600}, "not covered"),
    ],
)
def test_the_trust_account_is_looked_into(changed: dict[str, int], found: str | None) -> None:
    """Held is owed, nobody is below zero, and what is owed to others is covered."""
    held = {"trust:bank": 1_000, "subscriber:1:KES": 700, "equity:owner:KES": 300, "commission:2:KES": 0, **changed}

    findings = uncovered(held.items())

    assert [] == findings if found is None else any(found in finding for finding in findings)


def test_an_answer_has_its_transaction_once() -> None:
    """What was answered as done must be in the books, as it was told, and answer to nobody else."""
    assert [] == Claims([answered()], [row(PAID)]).broken
    assert "is not in the books" in Claims([answered()], []).broken[0]
    assert "two wishes" in Claims([answered(), answered()], [row(PAID)]).broken[0]
    assert "moved 600" in Claims([answered()], [row(PAID, amount_cents=600)]).broken[0]
    assert "another receipt" in Claims([answered()], [row(PAID, receipt="UA2")]).broken[0]


def test_what_nobody_has_answered_happened_at_most_once() -> None:
    """A wish without an answer may have its transaction, and not two; a refused one has none."""
    unheard = wish(unknown=2)

    assert [] == Claims([unheard], []).broken
    assert [] == Claims([unheard], [row(PAID)]).broken
    assert "nobody has asked for" in Claims([unheard], [row(PAID), row(PAID_TOO)]).broken[0]
    assert "nobody has asked for" in Claims([wish(refusal="insufficient_funds")], [row(PAID)]).broken[0]


def test_whoever_has_enough_is_not_refused() -> None:
    """A refusal for want of funds counts as wrong only when the money must be there, whatever is unanswered."""
    found = []
    for held, others in ((500, 0), (499, 0), (1_000, 2), (1_500, 2)):
        oracle = OperatorOracle(Silent(), {PAYER.wallet: held})
        for _ in range(others):
            oracle.sends(wish())
        asked = wish(refusals=frozenset({"insufficient_funds"}))
        oracle.sends(asked)
        asked.unknown -= 1
        oracle.refused(asked, "insufficient_funds", is_repeat=False)
        found.append(bool(oracle.broken))

    assert [True, False, False, True] == found


def test_what_is_known_to_be_done_is_not_refused_afterwards() -> None:
    """One of two requests under a key may be refused before the other is done; none that came after its answer."""
    together, afterwards = (OperatorOracle(Silent(), {PAYER.wallet: 499}) for _ in range(2))
    twice = wish(refusals=frozenset({"insufficient_funds"}))
    for oracle in (together, afterwards):
        asked = replace(twice)
        oracle.sends(asked)
        oracle.done(asked, b'{"data": {"transactionId": "1", "amountCents": 500}}')
        oracle.refused(asked, "insufficient_funds", is_repeat=oracle is afterwards)

    assert [] == together.broken
    assert ["O4"] == [finding[:2] for finding in afterwards.broken]


def test_of_two_requests_under_way_together_none_is_refused_for_money_that_was_there() -> None:
    """Whoever had enough all along was refused although the first was done, or for no reason."""
    oracle = OperatorOracle(Silent(), {PAYER.wallet: 500})
    asked = wish(refusals=frozenset({"insufficient_funds"}))
    oracle.sends(asked)
    oracle.done(asked, b'{"data": {"transactionId": "1", "amountCents": 500}}')
    oracle.refused(asked, "insufficient_funds", is_repeat=False)

    assert ["O6"] == [finding[:2] for finding in oracle.broken]


def test_wrong_pins_are_counted_by_whoever_gave_them() -> None:
    """The third answered one must have locked it, and none before may, unless one went unanswered."""
    careful, careless, unsure = (OperatorOracle(Silent(), {}) for _ in range(3))
    for left, code in ((2, "wrong_pin"), (1, "wrong_pin"), (None, "pin_locked")):
        careful.pin_missed(PAYER, code, left)
    for _ in range(3):
        careless.pin_missed(PAYER, "wrong_pin", 2)
    unsure.sends(wish())
    unsure.pin_missed(PAYER, "pin_locked", None)

    assert [] == careful.broken
    assert "it is not locked" in " ".join(careless.broken)
    assert [] == unsure.broken
