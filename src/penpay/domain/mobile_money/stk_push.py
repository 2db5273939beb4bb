"""A payment that a merchant pushes to a subscriber's phone, from the prompt to its result.

    PROMPTED ──(right PIN, enough money, no limit)──▶ PAID
        └────(anything else, silence included)──────▶ FAILED

Both ends are final. The result codes are the operator's own words, as Daraja hands them on (daraja.md §2.3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from penpay.domain.mobile_money.customer import CustomerId, CustomerType, wallet_of
from penpay.domain.mobile_money.errors import PushEnded
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber

StkPushId = NewType("StkPushId", UUID)


@dataclass(frozen=True, slots=True)
class PushResult:
    """Why a push ended: a code that is mostly a number but not always, and its text."""

    code: str
    text: str


PAID = PushResult("0", "The service request is processed successfully.")
INSUFFICIENT_FUNDS = PushResult("1", "The balance is insufficient for the transaction.")
ABOVE_MAXIMUM = PushResult("3", "Declined due to limit rule: greater than the maximum transaction amount.")
ABOVE_DAILY_LIMIT = PushResult("4", "Declined due to limit rule: would exceed daily transfer limit.")
REPEATED = PushResult("17", "Rule limited.")
CANCELLED = PushResult("1032", "Request cancelled by user")
WRONG_STORE = PushResult("2002", "Agent number and Store number do not match")
NO_RESPONSE = PushResult("1037", "No response from user.")
UNREACHABLE = PushResult("1037", "DS timeout user cannot be reached.")
WRONG_PIN = PushResult("2001", "The initiator information is invalid.")
NOT_PERMITTED = PushResult("2028", "The request is not permitted according to product assignment.")
PIN_LOCKED = PushResult("8006", "The security credential is locked.")


class PushState(StrEnum):
    PROMPTED = "PROMPTED"
    PAID = "PAID"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class StkPush:
    """One push. `customer_id` is None for a number without a wallet: nobody sees the prompt, it runs into silence."""

    id: StkPushId
    merchant_request_id: str
    checkout_request_id: str
    short_code: str
    phone: PhoneNumber
    customer_id: CustomerId | None
    amount: Money
    account_reference: str
    callback_url: str
    state: PushState
    accepted_at: datetime
    due_at: datetime
    """When silence ends it."""
    result: PushResult | None = None
    receipt: str | None = None
    ended_at: datetime | None = None
    version: int = 0
    till: str | None = None
    """The till that is paid; None: the PayBill number that asked, `short_code`."""

    @property
    def wallet(self) -> str | None:
        """The ledger code of the wallet it is paid from."""
        return None if self.customer_id is None else wallet_of(CustomerType.SUBSCRIBER, self.customer_id)

    @property
    def paid_number(self) -> str:
        """The number that the money is for."""
        return self.till or self.short_code

    @property
    def silence(self) -> PushResult:
        """The result of an answer that never came: with a handset and without one."""
        return UNREACHABLE if self.customer_id is None else NO_RESPONSE

    def pay(self, receipt: str, at: datetime) -> StkPush:
        """The money has moved under this receipt. Raises PushEnded on a push that is over."""
        self._require_open()
        return replace(self, state=PushState.PAID, result=PAID, receipt=receipt, ended_at=at, version=self.version + 1)

    def fail(self, result: PushResult, at: datetime) -> StkPush:
        """No money has moved and none will. Raises PushEnded on a push that is over."""
        self._require_open()
        return replace(self, state=PushState.FAILED, result=result, ended_at=at, version=self.version + 1)

    def _require_open(self) -> None:
        if self.state is not PushState.PROMPTED:
            raise PushEnded(state=self.state.value)
