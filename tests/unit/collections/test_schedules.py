"""The days on which a recurring invoice is issued, in the calendar of Nairobi."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from penpay.domain.collections.recurring import Every, Schedule
from penpay.domain.shared.errors import InvalidRequest


def days(schedule: Schedule, most: int = 10) -> list[str]:
    return [schedule.day(number).isoformat() for number in range(most) if schedule.has(number)]


def test_the_31st_is_the_last_day_where_a_month_has_none() -> None:
    """And the 31st again in the months after it."""
    monthly = Schedule(every=Every.MONTH, starts_on=date(2027, 12, 31), times=5)

    assert ["2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"] == days(monthly)


@pytest.mark.parametrize(
    ("every", "interval", "expected"),
    [
        (Every.DAY, 10, ["2026-01-31", "2026-02-10", "2026-02-20"]),
        (Every.WEEK, 2, ["2026-01-31", "2026-02-14", "2026-02-28"]),
        (Every.MONTH, 3, ["2026-01-31", "2026-04-30", "2026-07-31"]),
    ],
)
def test_every_so_many_days_weeks_or_months(every: Every, interval: int, expected: list[str]) -> None:
    assert expected == days(Schedule(every=every, interval=interval, starts_on=date(2026, 1, 31), times=3))


def test_it_ends_with_its_last_day_or_its_last_bill_whichever_is_first() -> None:
    """The last day counts; without an end it goes on."""
    weekly = Schedule(every=Every.WEEK, starts_on=date(2026, 1, 1))

    assert 3 == len(days(replace(weekly, ends_on=date(2026, 1, 15))))
    assert 2 == len(days(replace(weekly, ends_on=date(2026, 1, 15), times=2)))
    assert 10 == len(days(weekly))


@pytest.mark.parametrize("wrong", [{"interval": 0}, {"interval": 367}, {"times": 0}, {"ends_on": date(2025, 12, 31)}])
def test_a_schedule_that_never_comes_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        replace(Schedule(every=Every.DAY, starts_on=date(2026, 1, 1)), **wrong)
