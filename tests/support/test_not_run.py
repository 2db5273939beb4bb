"""The loud end of a run that left something out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.not_run import not_run, skip_not_run


def skipped(reason: str) -> Any:
    """The report of a test skipped for `reason`, of which `not_run` reads nothing else."""
    return pytest.TestReport(
        nodeid="t",
        location=("t.py", 1, "t"),
        keywords={},
        outcome="skipped",
        longrepr=("t.py", 1, reason),
        when="setup",
    )


def test_skips_are_counted_by_reason() -> None:
    """Each server that could not run is named once, with the number of tests that this cost."""
    with pytest.raises(pytest.skip.Exception) as skip:
        skip_not_run("PostgreSQL", "there is none")
    report = skipped(f"Skipped: {skip.value.msg}")

    assert ["NOT RUN: PostgreSQL, because there is none (2 tests)"] == not_run([report, report])


def test_an_ordinary_skip_is_not_shouted() -> None:
    """Only what this machine could not run is repeated."""
    assert [] == not_run([skipped("Skipped: on another system only")])
