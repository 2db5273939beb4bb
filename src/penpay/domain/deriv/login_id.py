"""The login id of a Deriv account, such as CR123456."""

from __future__ import annotations

import re
from dataclasses import dataclass

from penpay.domain.shared.errors import InvalidDerivLoginId

_LOGIN_ID = re.compile(r"(?=.{7,20}\Z)[A-Z]{2,6}[0-9]+", re.ASCII)
_VIRTUAL_PREFIX = "VR"
"""Demo accounts: VRTC, VRW and their kin (their money is not money)."""


@dataclass(frozen=True, slots=True)
class DerivLoginId:
    """A broker code of two to six capital letters and a number, 7 to 20 characters (deriv.md §1.2, §2.10).

    An id of digits alone names an account of another Deriv platform, which v3's `transfer_to` cannot address; it is
    refused here rather than by Deriv after the payer has paid.
    """

    value: str

    def __post_init__(self) -> None:
        if _LOGIN_ID.fullmatch(self.value) is None:
            raise InvalidDerivLoginId

    @classmethod
    def parse(cls, text: str) -> DerivLoginId:
        """Read an id in either case, so that cr123456 and CR123456 are one account; raises InvalidDerivLoginId."""
        if not text.isascii():
            raise InvalidDerivLoginId
        return cls(text.upper())

    @property
    def is_virtual(self) -> bool:
        """Whether this is a demo account, which can neither give nor take real money."""
        return self.value.startswith(_VIRTUAL_PREFIX)

    def __str__(self) -> str:
        return self.value
