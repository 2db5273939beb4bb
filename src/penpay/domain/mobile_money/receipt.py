"""The receipt number of a mobile-money payment, whose first three characters tell its day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ALPHABET = "0123456789" + _LETTERS
_FIRST_YEAR = 2006
_DAYS = "123456789ABCDEFGHIJKLMNOPQRSTUV"
_OPAQUE = 7

RECEIPTS_PER_DAY = len(_ALPHABET) ** _OPAQUE - 1
"""How many receipts one day can have; the one ending in seven zeros is what failures carry, so it is left out."""

_STRIDE = 45_678_901_237
"""Neither even nor a multiple of three, so multiplying by it modulo 36**7 meets every number once."""


def receipt_number(day: date, number: int) -> str:
    """The receipt of the payment with this `number` in [1, RECEIPTS_PER_DAY] of a day in East Africa Time.

    Year A = 2006, month A = January, day 1 to 9 then A = 10 to V = 31 (daraja.md §6.7); then seven characters that
    differ for every number of the day and do not tell it at a glance. Raises ValueError for a number or a year (after
    2031) that the form cannot hold.
    """
    if not 1 <= number <= RECEIPTS_PER_DAY:
        raise ValueError(f"No receipt number for {day.isoformat()}, {number}.")
    rest = number * _STRIDE % (RECEIPTS_PER_DAY + 1)
    opaque = ""
    for _ in range(_OPAQUE):
        rest, digit = divmod(rest, len(_ALPHABET))
        opaque = _ALPHABET[digit] + opaque
    return _day(day) + opaque


def no_receipt(day: date) -> str:
    """What stands in the place of a receipt where no money has moved; the same all day (daraja.md §6.7)."""
    return _day(day) + "0" * _OPAQUE


def _day(day: date) -> str:
    years = day.year - _FIRST_YEAR
    if not 0 <= years < len(_LETTERS):
        raise ValueError(f"No receipt number for {day.isoformat()}.")
    return _LETTERS[years] + _LETTERS[day.month - 1] + _DAYS[day.day - 1]


@dataclass(frozen=True, slots=True)
class ReceiptCounter:
    """How many receipts the newest day has used. One row, taken by every payment of a batch in turn."""

    day: date
    used: int
    version: int = 0

    def next(self, today: date) -> tuple[ReceiptCounter, str]:
        """The counter after one more receipt, and the receipt; a clock that steps back stays on the newest day."""
        used = self.used + 1 if today <= self.day else 1
        counter = ReceiptCounter(max(self.day, today), used, self.version + 1)
        return counter, receipt_number(counter.day, used)
