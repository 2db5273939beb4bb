"""The numbers people know things by, such as CUST-001, and the series that give them out."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Final

from penpay.domain.collections.errors import InvalidNumber
from penpay.domain.collections.reference import fold

_NUMBER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9./-]{0,19}", re.ASCII)
_GIVEN: Final = re.compile(r"(?P<name>CUST|POS|INV|CN)(?P<day>[0-9]{8})?(?P<count>[0-9]{3,9})", re.ASCII)


class SeriesName(StrEnum):
    """The prefix of a series' numbers."""

    CUSTOMER = "CUST"
    SALE = "POS"
    INVOICE = "INV"
    CREDIT_NOTE = "CN"
    SHIFT = "SHIFT"
    RECURRING = "REC"

    @property
    def is_daily(self) -> bool:
        """Whether its numbers name their day and count from 1 on each."""
        return self in {SeriesName.INVOICE, SeriesName.CREDIT_NOTE}


def check_number(text: str) -> str:
    """Return a number somebody chose if it is one; raises InvalidNumber."""
    if not _NUMBER.fullmatch(text) or not fold(text):
        raise InvalidNumber
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSeries:
    """The last number given out. One row, taken by every command that needs a number in turn: none is given twice."""

    name: SeriesName
    day: str
    """ISO; "" for a series that goes on for ever."""
    last: int
    version: int = 0

    @classmethod
    def begin(cls, name: SeriesName) -> NumberSeries:
        return cls(name=name, day="", last=0)

    def next(self, today: date) -> tuple[NumberSeries, str]:
        """The series after one more number, and the number.

        `today` is the day in Nairobi. A clock that steps back stays on the newest day, so no day begins twice.
        """
        if not self.name.is_daily:
            after = replace(self, last=self.last + 1, version=self.version + 1)
            return after, f"{self.name.value}-{after.last:03d}"
        day = max(self.day, today.isoformat())
        after = replace(self, day=day, last=self.last + 1 if day == self.day else 1, version=self.version + 1)
        return after, f"{self.name.value}-{day.replace('-', '')}-{after.last:04d}"

    def without(self, number: str, today: date) -> NumberSeries:
        """The series after somebody chose a number of its own form: it will not give that one out again.

        Raises InvalidNumber for a number of a day to come, whose series has not begun.
        """
        given = _GIVEN.fullmatch(fold(number))
        if given is None or given["name"] != self.name.value or (given["day"] is not None) is not self.name.is_daily:
            return self
        count = int(given["count"])
        if not self.name.is_daily:
            return self if count <= self.last else replace(self, last=count, version=self.version + 1)
        newest, chosen = max(self.day, today.isoformat()).replace("-", ""), given["day"]
        if chosen > newest:
            raise InvalidNumber("A number of a day to come cannot be given yet.")
        used = self.last if newest == self.day.replace("-", "") else 0
        if chosen < newest or count <= used:
            return self
        return replace(self, day=max(self.day, today.isoformat()), last=count, version=self.version + 1)
