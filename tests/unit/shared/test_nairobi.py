"""Days of business are days in Nairobi."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from penpay.domain.shared.nairobi import day_bounds, nairobi_day


@pytest.mark.parametrize(
    ("utc", "day"),
    [
        (datetime(2026, 2, 2, 20, 59, 59, 999_999, tzinfo=UTC), date(2026, 2, 2)),
        (datetime(2026, 2, 2, 21, tzinfo=UTC), date(2026, 2, 3)),
        (datetime(2025, 12, 31, 21, tzinfo=UTC), date(2026, 1, 1)),
        (datetime(2028, 2, 28, 23, tzinfo=UTC), date(2028, 2, 29)),
    ],
)
def test_a_day_begins_at_nine_in_the_evening_utc(utc: datetime, day: date) -> None:
    """A payment at half past midnight in Nairobi belongs to the new day, though it is still yesterday in UTC."""
    begin, end = day_bounds(day)

    assert day == nairobi_day(utc)
    assert begin <= utc < end


def test_days_follow_each_other_without_a_gap() -> None:
    """The end of a day is the beginning of the next one, over the end of a year too."""
    assert (
        day_bounds(date(2025, 12, 31))[1] == day_bounds(date(2026, 1, 1))[0] == datetime(2025, 12, 31, 21, tzinfo=UTC)
    )
