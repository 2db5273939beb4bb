"""Phone numbers of Kenyan subscribers, in E.164."""

from __future__ import annotations

import re
from dataclasses import dataclass

from penpay.domain.shared.errors import InvalidPhoneNumber

_NATIONAL = re.compile(r"(?:\+?254|0)?(?P<subscriber>[17][0-9]{8})", re.ASCII)


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A number such as +254712345678. `repr` shows only the last three digits, so that none reaches a log whole."""

    e164: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\+254[17][0-9]{8}", self.e164, re.ASCII):
            raise InvalidPhoneNumber

    @classmethod
    def parse(cls, text: str) -> PhoneNumber:
        """Read +2547…, 2547…, 07… or 7… (and the same with 1), with single blanks or hyphens between digits.

        Raises InvalidPhoneNumber for anything else, non-ASCII digits and invisible characters included.
        """
        if not re.fullmatch(r"\+?[0-9]+(?:[ -][0-9]+)*", text, re.ASCII):
            raise InvalidPhoneNumber
        match = _NATIONAL.fullmatch(re.sub(r"[ -]", "", text))
        if match is None:
            raise InvalidPhoneNumber
        return cls("+254" + match["subscriber"])

    @property
    def msisdn(self) -> str:
        """The twelve digits M-Pesa speaks, without the plus: 2547XXXXXXXX (daraja.md §6.8)."""
        return self.e164[1:]

    @property
    def masked(self) -> str:
        """The form shown to people: +2547******78."""
        return f"{self.e164[:5]}******{self.e164[-2:]}"

    def __repr__(self) -> str:
        return f"PhoneNumber(…{self.e164[-3:]})"
