"""A merchant's number: a PayBill or a till, the name shown on prompts, and whose account its money lands on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType
from uuid import UUID

from penpay.domain.mobile_money.customer import CustomerId, CustomerType, wallet_of
from penpay.domain.mobile_money.errors import BillReferenceRefused, BillReferenceRequired, InvalidShortCode
from penpay.domain.mobile_money.tariff import PayBillPlan

MerchantId = NewType("MerchantId", UUID)

_SHORT_CODE = re.compile(r"[1-9][0-9]{4,6}", re.ASCII)
_BILL_REFERENCE = re.compile(r"[ -~]{1,20}", re.ASCII)


class NumberKind(StrEnum):
    PAYBILL = "PAYBILL"
    """The payer names the account the payment is for."""
    TILL = "TILL"
    """The payer names nothing but the till."""


def parse_short_code(text: str) -> str:
    """The PayBill or till number if it is five to seven digits (daraja.md §2.1); raises InvalidShortCode."""
    if _SHORT_CODE.fullmatch(text) is None:
        raise InvalidShortCode
    return text


def check_bill_reference(text: str) -> str:
    """Return it if it has 1 to 20 printable ASCII characters; raises BillReferenceRequired."""
    if _BILL_REFERENCE.fullmatch(text) is None:
        raise BillReferenceRequired
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Merchant:
    """One number of a merchant, who may have any number of them on one account."""

    id: MerchantId
    short_code: str
    name: str
    """As prompts and messages show it."""
    customer_id: CustomerId
    kind: NumberKind = NumberKind.PAYBILL
    plan: PayBillPlan = PayBillPlan.CUSTOMER_PAYS

    @property
    def account(self) -> str:
        """The ledger code of what the operator holds for this merchant."""
        return wallet_of(CustomerType.MERCHANT, self.customer_id)

    @property
    def is_paybill(self) -> bool:
        return self.kind is NumberKind.PAYBILL

    def check_reference(self, reference: str | None) -> None:
        """Raises BillReferenceRequired for a PayBill without an account, BillReferenceRefused for a till with one."""
        if self.kind is NumberKind.TILL and reference is not None:
            raise BillReferenceRefused
        if self.kind is NumberKind.PAYBILL:
            check_bill_reference(reference or "")
