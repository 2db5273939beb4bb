"""The business day: the calendar of Nairobi, which has kept one offset from UTC since 1960."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final

EAST_AFRICA: Final = timezone(timedelta(hours=3), "EAT")


def nairobi_day(at: datetime) -> date:
    """The day in Nairobi at an aware moment."""
    return at.astimezone(EAST_AFRICA).date()


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """When a day of Nairobi begins and when the next one does, in UTC."""
    begin = datetime.combine(day, time(), EAST_AFRICA).astimezone(UTC)
    return begin, begin + timedelta(days=1)
