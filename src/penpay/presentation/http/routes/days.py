"""Days in what is asked: written as 2026-02-03, and meant in Nairobi."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Final

from fastapi import Query

from penpay.domain.shared.errors import InvalidRequest

_DAY: Final = re.compile(r"2[01][0-9]{2}-[0-9]{2}-[0-9]{2}", re.ASCII)


def day_query(name: str, told: str) -> Any:
    """What documents a parameter that is a day."""
    return Query(alias=name, description=f"{told} YYYY-MM-DD in Nairobi.", json_schema_extra={"format": "date"})


def day(name: str, text: str) -> date:
    """A day of the years 2000 to 2199; raises InvalidRequest."""
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:  # the 30th of February
        pass
    reason = "must be a day such as 2026-02-03"
    raise InvalidRequest(f"{name} {reason}.", fields=[name], reasons={name: reason})


def optional_day(name: str, text: str | None) -> date | None:
    """The same where it may be left out."""
    return None if text is None else day(name, text)
