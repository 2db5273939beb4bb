"""What an organisation asks of the operator through Daraja in its initiator's name, and how it ended.

    ACCEPTED ──(carried out)──────────────▶ DONE
        ├─────(refused, whatever the reason)─▶ FAILED
        └─────(too long in a queue)──────────▶ EXPIRED

All three ends are final. The result codes are the operator's own words, as Daraja hands them on (daraja.md §4.6, §5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from penpay.domain.mobile_money.errors import RequestEnded
from penpay.domain.mobile_money.transaction import OperatorTransactionId
from penpay.domain.shared.money import Money

DarajaRequestId = NewType("DarajaRequestId", UUID)


class RequestKind(StrEnum):
    """Which of Daraja's calls it was."""

    B2C = "B2C"
    B2B = "B2B"
    STATUS = "STATUS"
    BALANCE = "BALANCE"
    REVERSAL = "REVERSAL"


class RequestState(StrEnum):
    ACCEPTED = "ACCEPTED"
    DONE = "DONE"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    """It waited too long in a queue, and nothing will come of it."""


@dataclass(frozen=True, slots=True)
class RequestResult:
    """How a request ended: a code that is mostly a number but not always, and its text."""

    code: str
    text: str


DONE: Final = RequestResult("0", "The service request is processed successfully.")
INSUFFICIENT_FUNDS: Final = RequestResult("1", "The balance is insufficient for the transaction.")
BELOW_MINIMUM: Final = RequestResult("2", "Declined due to limit rule: less than the minimum transaction amount.")
ABOVE_MAXIMUM: Final = RequestResult("3", "Declined due to limit rule: greater than the maximum transaction amount.")
ABOVE_MAXIMUM_BALANCE: Final = RequestResult("8", "Declined due to limit rule: would exceed the maximum balance.")
DEBIT_PARTY_INVALID: Final = RequestResult("11", "The DebitParty is in an invalid state.")
UNKNOWN_INITIATOR: Final = RequestResult("20", "Unresolved Initiator")
NOT_ALLOWED: Final = RequestResult("21", "The initiator is not allowed to initiate this request")
INVALID_PARAMETERS: Final = RequestResult("25", "The format of parameter null is invalid.")
WRONG_INITIATOR: Final = RequestResult("2001", "The initiator information is invalid.")
ACCOUNT_RULE: Final = RequestResult(
    "2006", "Declined due to account rule: The account status does not allow this transaction."
)
NOT_PERMITTED: Final = RequestResult("2028", "The request is not permitted according to product assignment.")
UNKNOWN_RECEIPT: Final = RequestResult("2032", "The transaction receipt number does not exist.")
NOT_REGISTERED: Final = RequestResult(
    "2040",
    "Credit Party customer type (Unregistered or Registered Customer) can't be supported by the service.",
)
INITIATOR_LOCKED: Final = RequestResult("8006", "The security credential is locked")
NO_SUCH_RECEIVER: Final = RequestResult("SFC_IC0003", "The operator does not exist.")
ALREADY_REVERSED: Final = RequestResult("R000001", "The transaction has already been reversed.")
NOT_REVERSIBLE: Final = RequestResult("R000002", "The OriginalTransactionID is invalid.")
QUEUED_TOO_LONG: Final = RequestResult("TIMEOUT", "The request waited too long in a queue.")
"""Never told: instead of a result the request itself is sent back (daraja.md §4.5)."""


class Command(StrEnum):
    """What a payment to another organisation is (daraja.md §5.4): from which account to which."""

    BUSINESS_PAY_BILL = "BusinessPayBill"
    BUSINESS_BUY_GOODS = "BusinessBuyGoods"
    BUSINESS_PAY_TO_BULK = "BusinessPayToBulk"
    """Into the account that pays customers."""
    MERCHANT_TO_WORKING = "MerchantTransferFromMerchantToWorking"
    """From an organisation's Utility account into its own Working account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DarajaRequest:
    """One accepted request. What is in `details` holds phones, secrets and addresses: it is kept sealed."""

    id: DarajaRequestId
    kind: RequestKind
    short_code: str
    """Of the organisation that asks; whether there is one is found out when it is carried out."""
    originator_conversation_id: str
    """Chosen by the caller of a version that lets it, made by the gateway otherwise; unique among all requests."""
    conversation_id: str
    amount: Money | None
    """None for what asks only."""
    details: RequestDetails
    state: RequestState
    accepted_at: datetime
    result: RequestResult | None = None
    transaction_id: OperatorTransactionId | None = None
    """Of the money that moved."""
    finished_at: datetime | None = None
    version: int = 0

    def finish(
        self,
        state: RequestState,
        result: RequestResult,
        at: datetime,
        transaction_id: OperatorTransactionId | None = None,
    ) -> DarajaRequest:
        """It is over. Raises RequestEnded on one that was."""
        self.require_open()
        return replace(
            self,
            state=state,
            result=result,
            transaction_id=transaction_id,
            finished_at=at,
            version=self.version + 1,
        )

    def require_open(self) -> None:
        """Raises RequestEnded on a request that is over."""
        if self.state is not RequestState.ACCEPTED:
            raise RequestEnded(state=self.state.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDetails:
    command: str
    """Daraja's CommandID."""
    initiator: str
    security_credential: str
    party: str
    """The receiver: a phone number in E.164, a short code, or empty."""
    reference: str
    """The bill reference of a payment, or the receipt that a question or a reversal is about."""
    conversation: str
    """The OriginatorConversationID that a question is about, where it names no receipt."""
    occasion: str
    result_url: str
    queue_timeout_url: str
    body: str
    """The request as it came."""

    def as_text(self) -> Mapping[str, str]:
        """By name, for storing."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __repr__(self) -> str:
        return f"RequestDetails(command={self.command!r})"
