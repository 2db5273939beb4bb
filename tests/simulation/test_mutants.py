"""The checker is checked: bugs planted on purpose are found, and what is planted is really there and really runs.

A share that falls within a few seeds is hunted here; `make simulate-mutants` hunts all of them and writes the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penpay.application.shared.executor import Executor
from penpay.simulation.mutants.catalogue import BY_NAME, MUTANTS
from penpay.simulation.mutants.hunting import PlantedRun, finding_of, hunt
from penpay.simulation.mutants.planting import Function, Mutant, Replacement
from penpay.simulation.mutants.table import page, plain
from penpay.simulation.profile import profile_of
from penpay.simulation.run import Outcome, Simulator
from penpay.simulation.search import Run

PAGE = Path(__file__).parents[2] / "docs" / "mutants.md"
SOON = (
    "wrong_amount_asked",
    "rounding_hidden",
    "posting_dropped",
    "audit_row_skipped",
    "audit_row_not_sealed",
    "event_not_published",
    "call_inside_a_transaction",
    "stored_never_applied",
    "deposit_for_another_amount",
    "price_shown_unrounded",
    "transfer_given_up_at_once",
    "callback_kept_cut",
    "refusal_not_kept",
    "database_fault_in_a_handler",
    "call_by_a_child_task",
    "operator_key_ignored",
    "result_with_another_amount",
    "operator_commit_made_again",
    "fee_dropped",
    "excise_not_split",
    "payer_not_told",
    "own_approval_taken",
    "code_redeemed_twice",
)
"""They fall within five seeds."""


def run_all(simulator: Simulator) -> Any:
    """Runs seeds one after another in this process."""

    def run(runs: Iterable[Run]) -> Iterator[Outcome]:
        for one in runs:
            yield one.live(simulator)

    return run


def nothing_planted(right: Function) -> Function:
    return right


def harmless(**changed: Any) -> Mutant:
    """A mutant without a bug: the right function in its own place."""
    given = {
        "name": "wrong_amount_asked",
        "bug": "None.",
        "breaks": ("I11",),
        "within": 2,
        "replacements": (Replacement(Executor, "enqueue", nothing_planted),),
        **changed,
    }
    return Mutant(**given)


@pytest.mark.slow
@pytest.mark.parametrize("name", SOON)
def test_a_planted_bug_is_found_within_five_seeds(simulator: Simulator, name: str) -> None:
    """The invariant that it must break breaks, and without the bug the seed that shows it is clean."""
    mutant = BY_NAME[name]

    catch = hunt(mutant, run_all(simulator), starts=(1,))

    assert not catch.escaped, catch
    (needed,) = catch.needed
    assert needed is not None
    assert needed <= 5
    assert simulator.run(needed, profile=mutant.profile(profile_of(needed))).broken == ()


@pytest.mark.parametrize("mutant", BY_NAME.values(), ids=lambda mutant: mutant.name)
def test_every_bug_replaces_what_is_there_and_puts_it_back(mutant: Mutant) -> None:
    """Each function that a mutant names exists, is another while it is planted, and is itself again afterwards."""
    before = [vars(one.owner)[one.name] for one in mutant.replacements]

    with mutant.planted():
        during = [vars(one.owner)[one.name] for one in mutant.replacements]

    assert all(right is not wrong for right, wrong in zip(before, during, strict=True))
    assert before == [vars(one.owner)[one.name] for one in mutant.replacements]


def test_what_is_not_there_cannot_be_replaced() -> None:
    """A mutant of a function that was renamed fails instead of planting nothing."""
    gone = harmless(replacements=(Replacement(Executor, "no_such_function", nothing_planted),))

    with pytest.raises(AttributeError, match="no_such_function"), gone.planted():
        pass


@pytest.mark.slow
def test_no_bug_escapes_notice_for_being_none(simulator: Simulator) -> None:
    """A mutant that changes nothing is not caught, so a catch means something."""
    mutant = harmless()

    def run(runs: Iterable[Run]) -> Iterator[Outcome]:
        for one in runs:
            with mutant.planted() as planted:
                outcome = simulator.run(one.seed, profile=one.profile)
            outcome.reached.update(planted.calls)
            yield outcome

    catch = hunt(mutant, run, starts=(1,))

    assert catch.needed == (None,)
    assert catch.escaped
    assert catch.idle == ()


def outcome_of(seed: int, *broken: str, calls: int = 1) -> Outcome:
    """What a run with `harmless` planted might have come to."""
    outcome = Outcome(seed=seed, profile=profile_of(seed), broken=broken)
    outcome.reached["Executor.enqueue"] = calls
    return outcome


def test_what_another_invariant_finds_does_not_count() -> None:
    """Only what a bug must break counts as having found it."""
    assert finding_of(harmless(), outcome_of(1, "I7: not decided", "I11: too late")) == "I11: too late"
    assert finding_of(harmless(), outcome_of(1, "I7: not decided")) is None


def test_a_bug_whose_code_never_ran_has_escaped() -> None:
    """A catch by a bug that was never reached would be somebody else's."""
    catch = hunt(harmless(), lambda runs: (outcome_of(run.seed, "I11: too late", calls=0) for run in runs))

    assert catch.idle == ("Executor.enqueue",)
    assert catch.escaped


def test_the_first_seed_counts_although_later_ones_end_before_it() -> None:
    """Seeds run side by side: the lowest that finds it is told, whichever is ready first."""

    def two_at_once(runs: Iterable[Run]) -> Iterator[Outcome]:
        taken = [run.seed for run, _ in zip(runs, range(2), strict=False)]
        yield from (outcome_of(seed, "I11: too late") for seed in reversed(taken))

    assert hunt(harmless(), two_at_once).needed == (1, 1, 1)


def test_no_seed_is_begun_after_a_bug_is_found() -> None:
    """A hunt ends with its catch; the rest of the seeds is not run."""
    begun = []

    def run(runs: Iterable[Run]) -> Iterator[Outcome]:
        for one in runs:
            begun.append(one.seed)
            yield outcome_of(one.seed, "I11: too late")

    hunt(harmless(within=50), run)

    assert begun == [1, 1_001, 2_001]


def test_a_bug_travels_to_another_process_by_its_name() -> None:
    """A run names its mutant, so that it can be sent to a process that plants it itself."""
    begun: list[Run] = []

    def run(runs: Iterable[Run]) -> Iterator[Outcome]:
        for one in runs:
            begun.append(one)
            yield outcome_of(one.seed)

    hunt(harmless(), run, starts=(1,))

    assert [one.mutant for one in begun if isinstance(one, PlantedRun)] == ["wrong_amount_asked"] * 2


def test_the_page_says_what_escaped() -> None:
    """An escape stands above the table, by name, and in the plain values."""
    caught = hunt(harmless(), lambda runs: (outcome_of(run.seed, "I11: too late") for run in runs))
    escaped = hunt(harmless(name="another"), lambda runs: (outcome_of(run.seed) for run in runs))

    assert "2 bugs. Escaped: another." in page([caught, escaped])
    assert "| I11 | 1, 1, 1 | 2 |" in page([caught, escaped])
    assert [one["escaped"] for one in plain([caught, escaped])] == [False, True]


def test_the_page_is_about_these_bugs() -> None:
    """Whoever plants another bug makes the page anew, and none may have escaped."""
    text = PAGE.read_text(encoding="utf-8")

    assert f"\n{len(MUTANTS)} bugs. None escaped.\n" in text
    assert ["bug", *(mutant.name for mutant in MUTANTS)] == re.findall(r"^\| ([a-z_]+) \|", text, re.MULTILINE)


def test_they_are_many_and_each_is_another() -> None:
    """At least twenty-five bugs, each with a name, a sentence and an invariant of its own to break."""
    planted = BY_NAME.values()
    assert len(MUTANTS) >= 25
    assert len(planted) == len({mutant.bug for mutant in planted})
    assert all(mutant.bug.endswith(".") and mutant.breaks and 0 < mutant.within <= 150 for mutant in planted)
