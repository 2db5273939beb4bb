"""Tests that this machine could not run, as skips that the end of the run repeats loudly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NoReturn

import pytest

_PREFIX = "NOT RUN: "


def skip_not_run(server: str, reason: object) -> NoReturn:
    """Skip the test because `server` cannot be had here; never returns."""
    pytest.skip(f"{_PREFIX}{server}, because {reason}")


def not_run(skipped: Iterable[pytest.TestReport]) -> list[str]:
    """One line for each reason among the skipped tests, with the number of tests it kept from running.

    Read from the reports and not from what this process did, so that parallel workers' skips count as well.
    """
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ") for report in skipped if isinstance(report.longrepr, tuple)
    )
    return [f"{reason} ({count} tests)" for reason, count in reasons.items() if reason.startswith(_PREFIX)]
