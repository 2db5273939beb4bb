"""Another merchant in the simulation: it does everything, learns what became of it, and is in a share of seeds."""

from __future__ import annotations

import pytest

from penpay.simulation.profile import MERCHANTS, Hazard, profile_of
from penpay.simulation.replay import Narrowing
from penpay.simulation.run import Outcome, Simulator


def test_it_asks_for_everything_and_is_told_of_it(simulator: Simulator) -> None:
    """Three calm seeds hold payments, payouts and reversals, validations, confirmations and Results."""
    reached = sum(
        (_run(simulator, seed, Hazard.MERCHANT).reached for seed in range(1, 4)),
        start=_run(simulator, 4, "nothing").reached,
    )

    for what in ("bill ACCEPTED", "payout ACCEPTED", "payout ACCEPTED existed", "reversal ACCEPTED"):
        assert reached[f"merchant {what}"], what
    for where in ("validated", "confirmed", "results"):
        assert reached[f"merchant is told at {where}"], where
    assert not reached["merchant payout UNKNOWN"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 11, 21])
def test_with_everything_wrong_what_it_was_told_still_fits_the_books(simulator: Simulator, seed: int) -> None:
    """Crashes, lost answers and messages that are lost, doubled, late or early leave nothing paid twice or untold."""
    outcome = _run(simulator, seed, ",".join(f"{one}+" for one in sorted(MERCHANTS)))

    assert outcome.reached["merchant payout UNKNOWN"]


def test_many_seeds_have_none(simulator: Simulator) -> None:
    """Where there is no other merchant nothing goes wrong with it, and its part of the world is not made."""
    profiles = [profile_of(seed) for seed in range(1, 401)]
    without = [profile for profile in profiles if not profile.level(Hazard.MERCHANT)]

    assert 240 < len(without) < 340
    assert all(not MERCHANTS & profile.hazards.keys() for profile in without)
    assert not [what for what in _run(simulator, 1, "nothing").reached if what.startswith("merchant ")]


def test_the_same_seed_is_the_same_run(simulator: Simulator) -> None:
    """No chance of a library's own comes into what the merchant sends."""
    assert _run(simulator, 2, Hazard.MERCHANT).trace_hash == _run(simulator, 2, Hazard.MERCHANT).trace_hash


def _run(simulator: Simulator, seed: int, only: str) -> Outcome:
    world = Narrowing(users=1, deposits=1, processes=1, only=only).of(profile_of(seed))
    outcome = simulator.run(seed, profile=world)
    assert () == outcome.broken
    return outcome
