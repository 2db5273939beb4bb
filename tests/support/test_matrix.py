"""The table of faults says what the reports of a run say, whatever process ran them."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.support.matrix import table

LOST = ("deposit", "callback", "lost", "COMPLETED")
WRONG = ("withdrawal", "code", "wrong", "FAILED")


def report(
    name: str,
    when: Literal["setup", "call", "teardown"],
    outcome: Literal["passed", "failed", "skipped"],
    *properties: tuple[str, object],
) -> pytest.TestReport:
    return pytest.TestReport(name, (name, 0, name), {}, outcome, None, when, user_properties=list(properties))


def test_cells_stand_in_the_order_of_the_sagas_with_what_the_books_told() -> None:
    """One line for each, whoever told it how often; on one line both ways in which it came about."""
    told = [
        report("w", "teardown", "passed", ("path", list(WRONG)), ("path_found", "wrong_verification_code")),
        report("a", "teardown", "passed", ("path", list(LOST)), ("path_found", "by stk_query")),
        report("b", "teardown", "passed", ("path", list(LOST)), ("path_found", "by pull")),
        report("b", "call", "passed", ("path", list(LOST))),
        report("other", "teardown", "passed"),
    ]

    assert [
        "saga        step      fault  outcome",
        "deposit     callback  lost   COMPLETED / by pull / by stk_query",
        "withdrawal  code      wrong  FAILED / wrong_verification_code",
    ] == table({"": told})


def test_a_story_that_failed_is_no_outcome() -> None:
    """Neither one that failed itself nor one whose books did not agree afterwards."""
    failed = report("a", "call", "failed", ("path", LOST))
    over = [
        report("a", "teardown", "passed", ("path", LOST)),
        report("w", "teardown", "failed", ("path", WRONG), ("path_found", "wrong_verification_code")),
    ]

    lines = table({"failed": [failed], "": over[:1], "error": over[1:]})
    assert [True, True] == [line.endswith(" / DID NOT END SO") for line in lines[1:]]


def test_a_run_without_stories_has_no_table() -> None:
    """Nothing is printed where nothing was told."""
    assert [] == table({"passed": [report("a", "teardown", "passed")]})
