"""Withdrawals in the simulation: they run under faults, and what three books and the wire say of them must agree."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from penpay.simulation.mutants.hunting import PlantedRun, finding_of, named
from penpay.simulation.mutants.withdrawing import WITHDRAWING
from penpay.simulation.network import FOREIGN, Delivered
from penpay.simulation.profile import PAYOUTS, Hazard, Level, profile_of
from penpay.simulation.replay import Narrowing
from penpay.simulation.run import Outcome, Simulator
from penpay.simulation.withdrawals.checks import payouts_begun
from penpay.simulation.withdrawals.tally import RESULTS, Tally

QUICK = ("timeout_as_failure", "rounding_dropped", "return_forgotten")
ADDRESS = "http://127.0.0.1:8000/api/v1/callbacks/results/token-of-one"


def run(simulator: Simulator, seed: int, only: str) -> Outcome:
    return simulator.run(seed, profile=Narrowing(only=only).of(profile_of(seed)))


def sent(payout: str) -> Delivered:
    """A payout as it reaches Daraja."""
    body = {"OriginatorConversationID": payout, "Amount": 1_269, "PartyB": 254712000001, "ResultURL": ADDRESS}
    return Delivered("/mpesa/b2c/v3/paymentrequest", "127.0.0.1", json.dumps(body).encode())


def result(code: int, address: str = "127.0.0.1") -> Delivered:
    return Delivered(f"{RESULTS}token-of-one", address, json.dumps({"Result": {"ResultCode": code}}).encode())


def test_a_calm_withdrawal_reaches_its_end(simulator: Simulator) -> None:
    """Where nothing goes wrong, what users withdraw is debited, converted and paid, and nobody needs people.

    Our PayBill has too little for the largest: those are given back.
    """
    outcome = run(simulator, 1, "withdrawals+")

    assert outcome.broken == ()
    paid, given_back = (outcome.reached[f"journal payout_{end}"] for end in ("confirmed", "intended.reversed"))
    assert outcome.reached["journal withdrawal_converted"] == paid + given_back
    assert paid > 0
    assert [] == [what for what in outcome.reached if what.startswith("review ")]
    assert {"fault withdrawals"} == {what for what in outcome.reached if what.startswith("fault ")}


@pytest.mark.parametrize(
    ("wrong", "reached"),
    [
        ((Hazard.PAYOUT_SPOILT, Hazard.CALLBACK_LOST), "evidence UNKNOWN → CONFIRMED"),
        ((Hazard.PAYOUT_FAILED,), "status AWAITING_MPESA_DISBURSEMENT → RETURNING"),
        ((Hazard.FORGED_RESULT, Hazard.CALLBACK_REPEATED), "webhook CONTRADICTS"),
        ((Hazard.STRANGE_CREDIT,), "decision OWNERS"),
        ((Hazard.FORGED_RESULT, Hazard.PAYOUT_FAILED), "status COMPLETED → IN_REVIEW"),
    ],
)
def test_withdrawals_live_through_what_goes_wrong(
    simulator: Simulator, wrong: tuple[Hazard, ...], reached: str
) -> None:
    """Each of these, as often as can be, strikes within eight seeds and breaks nothing."""
    only = ",".join(f"{one}+" for one in (Hazard.WITHDRAWALS, *wrong))
    outcomes = [run(simulator, 1, only)]
    while not outcomes[-1].reached[reached] and len(outcomes) < 8:
        outcomes.append(run(simulator, len(outcomes) + 1, only))

    assert [()] * len(outcomes) == [outcome.broken for outcome in outcomes]
    assert outcomes[-1].reached[reached] > 0


def test_the_same_seed_is_the_same_run(simulator: Simulator) -> None:
    """The password of our initiator is sealed by chance of OpenSSL's own, which comes into no trace."""
    first, again = (run(simulator, 5, "withdrawals+,crash") for _ in range(2))

    assert first.trace_hash == again.trace_hash


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found(simulator: Simulator, name: str) -> None:
    """Money out both ways, not booked, not split or not sent back is found within five seeds."""
    mutant = named(name)
    seeds = range(1, 6)
    runs = (PlantedRun(seed, mutant.profile(profile_of(seed)), mutant=name).live(simulator) for seed in seeds)

    assert any(finding_of(mutant, outcome) for outcome in runs)


def test_every_bug_is_hunted_where_users_withdraw() -> None:
    """Nothing goes wrong in their worlds but what is named, and that there are withdrawals."""
    for mutant in WITHDRAWING:
        assert mutant.alone
        assert mutant.hazards[Hazard.WITHDRAWALS] is Level.EXTREME


def test_one_seed_of_five_has_withdrawals_and_only_a_business_has_their_faults_too() -> None:
    """They are drawn last, so that a seed without them is the one it was; a business pays refunds out."""
    profiles = [profile_of(seed) for seed in range(1, 1_001)]
    having = [one for one in profiles if one.level(Hazard.WITHDRAWALS)]

    assert 150 <= len(having) <= 250
    others = [one for one in profiles if not one.level(Hazard.WITHDRAWALS) and not one.level(Hazard.COLLECTIONS)]
    assert not any(PAYOUTS & one.hazards.keys() for one in others)
    assert {hazard for one in having for hazard in PAYOUTS & one.hazards.keys()} == PAYOUTS


def test_what_was_taken_is_told_from_what_only_came() -> None:
    """A message counts as taken with its answer, as forged without a sender, and not at all from a foreign address."""
    tally = Tally(lambda: 7)
    tally.request(sent("174379-one"))
    for message in (result(0), result(0), result(1), result(0, FOREIGN)):
        tally.request(message)
    tally.answered_with(None, result(0), 200)
    tally.answered_with(None, result(1), 500)

    assert [("174379-one", 126_900, 7)] == [(one.id, one.cents, one.at_us) for one in tally.sent]
    assert 3 == tally.posted.total()
    assert 1 == tally.answered.total() == len(tally.heard)
    assert [True] == [one.is_forged for one in tally.heard]


def event(name: str, **payload: str) -> Any:
    """What the books keep of one transaction's events."""
    return {"name": name, "aggregate_id": "one", "decision": None, "status": "IN_REVIEW", **payload}


def test_each_decision_that_was_carried_out_begins_a_payout() -> None:
    """A review decided twice for a refund, and then for Deriv, has begun two; so does each refusal by Deriv, alone."""
    decided = [event("ReviewResolved", decision=what) for what in ("SUSPEND", "REFUND", "REFUND", "FORWARD")]
    refused = event("DerivTransferRefused", status="AWAITING_DERIV_CONFIRMATION")
    told_by_people = event("DerivTransferRefused")

    assert 2 == payouts_begun(decided)["one"]
    assert 3 == payouts_begun([*decided, refused])["one"]
    assert 0 == payouts_begun([told_by_people])["one"]


def test_a_narrowed_world_keeps_its_withdrawals() -> None:
    """What reduces a failing seed may take their faults one by one."""
    profile = replace(profile_of(1), hazards={Hazard.WITHDRAWALS: Level.MILD, Hazard.PAYOUT_FAILED: Level.MILD})

    assert {Hazard.WITHDRAWALS: Level.MILD} == profile.without(Hazard.PAYOUT_FAILED).hazards
