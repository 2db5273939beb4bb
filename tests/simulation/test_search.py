"""Many seeds on several processes: each is run once, whatever becomes of the process that runs it."""

from __future__ import annotations

from collections import Counter

import pytest

from penpay.simulation import search
from penpay.simulation.profile import Hazard, Level, profile_of
from penpay.simulation.replay import Narrowing
from penpay.simulation.run import Outcome, Simulator
from penpay.simulation.search import Run, Tally, Workers

CALM = Narrowing(users=1, deposits=1, processes=1, only="nothing")
SEEDS = range(1, 7)


def calm(seed: int) -> Run:
    """A seed in whose world nothing goes wrong, which is soon run."""
    return Run(seed, CALM.of(profile_of(seed)))


def ended(outcome: Outcome) -> str:
    return outcome.broken[0] if outcome.broken else ", ".join(outcome.states)


def test_every_seed_is_run_once_and_as_anywhere_else(simulator: Simulator) -> None:
    """Two processes share the seeds, and each seed is the run it is here; their databases are gone afterwards."""
    with Workers(2) as workers:
        folder = workers._folder
        outcomes = {outcome.seed: outcome for outcome in workers.run(calm(seed) for seed in SEEDS)}
        assert folder.is_dir()

    assert set(SEEDS) == set(outcomes)
    assert {"COMPLETED"} == {ended(outcome) for outcome in outcomes.values()}
    assert simulator.run(3, profile=calm(3).profile).trace_hash == outcomes[3].trace_hash
    assert not folder.exists()


def test_a_process_is_replaced_before_it_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many seeds another process goes on with the rest."""
    monkeypatch.setattr(search, "SEEDS_PER_PROCESS", 2)

    with Workers(1) as workers:
        outcomes = list(workers.run(calm(seed) for seed in range(5)))

    assert (5, 3) == (len(outcomes), workers._started)
    assert {"COMPLETED"} == {ended(outcome) for outcome in outcomes}


def test_a_seed_that_takes_too_long_counts_as_broken() -> None:
    """Its process is killed, and nobody waits for it."""
    with Workers(2, seed_ms_at_most=1) as workers:
        outcomes = list(workers.run(calm(seed) for seed in (1, 2, 3)))

    assert {1, 2, 3} == {outcome.seed for outcome in outcomes}
    assert {"time: no end within 0 s of real time"} == {ended(outcome) for outcome in outcomes}


def test_a_process_that_dies_costs_its_seed_alone() -> None:
    """The seed it was at counts as broken; the rest are run by another."""
    with Workers(1) as workers:
        running = workers.run(calm(seed) for seed in (1, 2, 3))
        first = next(running)
        workers._workers[0].process.kill()
        rest = list(running)

    assert ["COMPLETED", "process: it ended without an answer", "COMPLETED"] == [ended(one) for one in (first, *rest)]
    assert [1, 2, 3] == [one.seed for one in (first, *rest)]


def outcome(seed: int, *states: str, reached: Counter[str] | None = None, broken: tuple[str, ...] = ()) -> Outcome:
    return Outcome(
        seed=seed, profile=profile_of(seed), broken=broken, states=states, reached=reached or Counter(), steps=10
    )


@pytest.mark.parametrize(
    ("states", "reached", "missing"),
    [
        ((), [], ["no transaction", "no commit", "no money moved"]),
        (("FAILED",), ["point after commit deposit.created"], ["no money moved"]),
        (("COMPLETED",), ["point before commit x", "journal deposit_paid"], ["no commit"]),
        (("COMPLETED",), ["point after commit x", "journal deposit_paid"], []),
    ],
)
def test_a_run_that_did_nothing_is_told(states: tuple[str, ...], reached: list[str], missing: list[str]) -> None:
    """Seeds in which nobody paid anything would all be clean."""
    tally = Tally()
    tally.add(outcome(1, *states, reached=Counter(reached)))

    assert missing == tally.missing_work()


def test_what_seeds_came_to_is_added_up() -> None:
    """Ends, places reached and failures of all seeds are counted together."""
    tally = Tally()
    tally.add(outcome(1, "COMPLETED", "FAILED", reached=Counter({"fault crash": 2})))
    tally.add(outcome(2, "COMPLETED", reached=Counter({"fault crash": 1}), broken=("I2: 100 missing",)))

    assert (2, {"COMPLETED": 2, "FAILED": 1}) == (tally.seeds, dict(tally.final_states))
    assert ({"fault crash": 3}, [2]) == (dict(tally.reached), [one.seed for one in tally.broken])


def test_a_lost_run_still_says_which_world_it_was() -> None:
    """What cannot be told by the process that died is known from the seed."""
    drawn, given = Run(7).lost("time: no end"), calm(7).lost("time: no end")

    assert (profile_of(7), CALM.of(profile_of(7))) == (drawn.profile, given.profile)
    assert Level.OFF is given.profile.level(Hazard.CRASH)
