"""A merchant of the operator: a PayBill number, the name shown on prompts and the account its money lands on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType
from uuid import UUID

from penpay.domain.mobile_money.errors import InvalidShortCode
from penpay.domain.shared.money import Currency

MerchantId = NewType("MerchantId", UUID)

_SHORT_CODE = re.compile(r"[1-9][0-9]{4,6}", re.ASCII)


def parse_short_code(text: str) -> str:
    """The PayBill number if it is five to seven digits (daraja.md §2.1); raises InvalidShortCode."""
    if _SHORT_CODE.fullmatch(text) is None:
        raise InvalidShortCode
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Merchant:
    id: MerchantId
    short_code: str
    name: str
    """As prompts and messages show it."""

    @property
    def account(self) -> str:
        """The ledger code of what the operator holds for this merchant."""
        return f"merchant:{self.id}:{Currency.KES.value}"
