"""What seeds have reached is counted from the databases and the run, and held against all there is."""

from __future__ import annotations

import pytest

from penpay.simulation.coverage import universe
from penpay.simulation.profile import DRAWN_LAST, MERCHANTS, OPERATORS, Hazard, profile_of
from penpay.simulation.replay import Narrowing
from penpay.simulation.run import Simulator

ACCOMPANIED = {
    # The statement is read seldom, and more often where there is something to look for.
    Hazard.STATEMENT_UNREADABLE: (Hazard.DERIV_DROP_AFTER, Hazard.ENDURING),
    # What goes wrong at the operator needs somebody who uses it.
    **dict.fromkeys(OPERATORS, (Hazard.MOBILE_MONEY,)),
    # The same for another merchant's Daraja.
    **dict.fromkeys(MERCHANTS, (Hazard.MERCHANT,)),
}
HAPPY = {
    # A prompt, its payment confirmed by callback and by question, and a transfer to Deriv.
    "status PENDING": 1,
    "status PENDING → PROCESSING": 1,
    "status PROCESSING": 1,
    "status PROCESSING → AWAITING_MPESA_CALLBACK": 1,
    "status AWAITING_MPESA_CALLBACK": 1,
    "status AWAITING_MPESA_CALLBACK → VERIFYING_MPESA_PAYMENT": 1,
    "status VERIFYING_MPESA_PAYMENT": 1,
    "status VERIFYING_MPESA_PAYMENT → AWAITING_DERIV_CONFIRMATION": 1,
    "status AWAITING_DERIV_CONFIRMATION": 1,
    "status AWAITING_DERIV_CONFIRMATION → COMPLETED": 1,
    "status COMPLETED": 1,
    "evidence INTENDED": 2,
    "evidence INTENDED → SENDING": 2,
    "evidence SENDING": 2,
    "evidence SENDING → ACCEPTED": 1,
    "evidence SENDING → CONFIRMED": 1,
    "evidence ACCEPTED": 1,
    "evidence ACCEPTED → CONFIRMED": 1,
    "evidence CONFIRMED": 2,
    "push ACCEPTED": 1,
    "question PAID": 1,
    "transfer CONFIRMED": 1,
    "webhook APPLIED": 1,
    "webhook REPEATED": 1,  # at the end of a seed every callback is delivered once more
}

COUNTED = ("status ", "evidence ", "push ", "question ", "transfer ", "webhook ")


def test_two_deposits_that_go_well_reach_just_that(simulator: Simulator) -> None:
    """Each state and each move of either is counted once for every time it happened, and no fault is."""
    calm = Narrowing(users=2, deposits=1, processes=1, only="nothing")

    reached = simulator.run(1, profile=calm.of(profile_of(1))).reached

    assert {what: 2 * times for what, times in HAPPY.items()} == {
        what: times for what, times in reached.items() if what.startswith(COUNTED)
    }
    assert [] == [what for what in reached if what.startswith(("fault ", "review ", "crash "))]
    assert 2 == reached["journal deposit_paid"] == reached["journal deriv_transfer_confirmed"]


def test_faults_of_providers_count_when_they_strike(simulator: Simulator) -> None:
    """A fault in force counts when something meets it, under the name it has in the profile."""
    reached = {}
    for hazard in (Hazard.CALLBACK_LOST, Hazard.DERIV_DROP_AFTER, Hazard.COMMIT_LOST, Hazard.CRASH):
        world = Narrowing(users=3, deposits=2, only=f"{hazard}+").of(profile_of(1))
        found = simulator.run(1, profile=world).reached
        reached[hazard] = {what for what in found if what.startswith("fault ")}

    assert {hazard: {f"fault {hazard}"} for hazard in reached} == reached


@pytest.mark.slow
@pytest.mark.parametrize("hazard", sorted(DRAWN_LAST))
def test_what_lasts_strikes_and_does_no_harm(simulator: Simulator, hazard: Hazard) -> None:
    """Each of the later hazards, alone and as bad as can be, strikes within three seeds, and nothing breaks."""
    world = Narrowing(users=3, deposits=2, only=",".join(f"{one}+" for one in {hazard, *ACCOMPANIED.get(hazard, ())}))
    outcomes = [simulator.run(seed, profile=world.of(profile_of(seed))) for seed in range(1, 4)]

    assert [] == [found for outcome in outcomes for found in outcome.broken]
    assert any(outcome.reached[f"fault {hazard}"] for outcome in outcomes)


def test_a_callback_that_is_hours_late_arrives(simulator: Simulator) -> None:
    """A seed is not over before what is on its way has come, long after all else is done."""
    world = Narrowing(users=3, deposits=2, processes=1, only=f"{Hazard.CALLBACK_LATE}+")
    outcome = simulator.run(2, profile=world.of(profile_of(2)), keep_trace=True)

    late = outcome.reached[f"fault {Hazard.CALLBACK_LATE}"]
    told = [line for line in outcome.lines if "POST /api/v1/callbacks" in line and "-> " in line]
    assert () == outcome.broken
    assert late > 0
    assert len(told) >= outcome.reached["payer is told 0"] >= late


def test_everything_there_is_is_known() -> None:
    """The list of what ought to be reached is made from the code's own states, moves, reasons and hazards."""
    everything = universe()

    assert {"PENDING", "REVERSED", "PENDING → PROCESSING"} <= set(everything["status"])
    assert {"UNKNOWN", "UNKNOWN → CONFIRMED"} <= set(everything["evidence"])
    assert "CONFIRMED → FAILED" not in everything["evidence"]
    assert {"DELIVERY_DEAD"} <= set(everything["review"])
    assert {"REFUSED_SOURCE", "UNREADABLE"} <= set(everything["webhook"])
    assert {"NOT_SENT"} <= set(everything["push"]) & set(everything["transfer"])
    assert {"PENDING"} <= set(everything["question"])
    assert set(Hazard) == set(everything["fault"])
    assert {"transfer done", "refused own_approval", "commit is late"} <= set(everything["operator"])
