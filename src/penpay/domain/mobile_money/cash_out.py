"""A one-time code with which a customer takes cash at any agent without a phone of her own in hand.

ACTIVE ──(right code, in time)──▶ USED        ACTIVE ──(wrong three times, or replaced)──▶ CANCELLED
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from penpay.domain.mobile_money.customer import CustomerId
from penpay.domain.mobile_money.errors import WrongCode
from penpay.domain.shared.money import Money

CODE_DIGITS: Final = 8
_WRONG_CODES: Final = 3


class CodeState(StrEnum):
    ACTIVE = "ACTIVE"
    USED = "USED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class CashOutCode:
    """A customer's newest code; she has one at a time."""

    customer_id: CustomerId
    digest: str
    """Keyed, so that the table does not tell the code."""
    amount: Money
    expires_at: datetime
    state: CodeState = CodeState.ACTIVE
    wrong_codes: int = 0
    version: int = 0

    def require_usable(self, amount: Money, at: datetime) -> None:
        """Raises WrongCode for one used, cancelled or too old, and for another amount."""
        if self.state is not CodeState.ACTIVE or at >= self.expires_at or amount != self.amount:
            raise WrongCode

    def missed(self) -> CashOutCode:
        """A wrong code was given; the third one cancels it."""
        wrong = self.wrong_codes + 1
        state = CodeState.CANCELLED if wrong >= _WRONG_CODES else self.state
        return replace(self, wrong_codes=wrong, state=state, version=self.version + 1)

    def used(self) -> CashOutCode:
        return replace(self, state=CodeState.USED, version=self.version + 1)
