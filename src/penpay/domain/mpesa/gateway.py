"""The port to M-Pesa: what we ask of it, and the few things its answers can mean for money."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from penpay.domain.mpesa.pulled import PulledTransaction
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber


class PushOutcome(StrEnum):
    """What the answer to an STK push says about the prompt."""

    ACCEPTED = "ACCEPTED"
    """The prompt is on its way; whether money moves is told by callback or query only."""
    FAILED = "FAILED"
    """Refused by a listed code: no prompt, no money. Final."""
    NOT_SENT = "NOT_SENT"
    """No prompt was made and trying again is safe: no byte left, or a listed try-later answer."""
    UNKNOWN = "UNKNOWN"
    """We cannot tell. Never push again; wait for the callback or for other evidence."""


class PaymentOutcome(StrEnum):
    """What a query or a callback says about the money of an STK push."""

    PAID = "PAID"
    """M-Pesa says the payer's money is in our collection account."""
    FAILED = "FAILED"
    """A listed code: the payer was not charged. Final."""
    PENDING = "PENDING"
    """Still on its way; ask again later."""
    UNKNOWN = "UNKNOWN"
    """The answer does not tell (unlisted code, error, HTML, silence); ask again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StkPush:
    """One prompt on a payer's handset."""

    callback_token: str
    """The signed last segment of the callback URL; names our MpesaRequest."""
    account_reference: str
    """Unique, at most 12 characters; returns as BillRefNumber in a C2B confirmation."""
    phone: PhoneNumber
    amount: Money
    """Whole KES (daraja.md §2.1: fractions are not supported)."""
    description: str
    """At most 13 characters; Daraja refuses a push without one."""
    till: str | None = None
    """The till that is paid, of the organisation whose short code asks; None pays that PayBill number (§2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushAnswer:
    outcome: PushOutcome
    checkout_request_id: str | None = None
    merchant_request_id: str | None = None
    code: str | None = None
    """Daraja's errorCode or ResponseCode, or our own word for what went wrong on the wire."""
    message: str = ""
    """For people; tokens and credentials are cut out."""
    retry_after_ms: int | None = None
    """With NOT_SENT: how long to wait at least before another try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAnswer:
    outcome: PaymentOutcome
    code: str | None = None
    message: str = ""
    retry_after_ms: int | None = None
    """How long to wait at least before asking again, where the answer says or implies it."""
    receipt: str | None = None
    """With PAID, where the answer names it; that of a query does not."""

    @property
    def decides(self) -> bool:
        """Whether it says what became of the payment."""
        return self.outcome in {PaymentOutcome.PAID, PaymentOutcome.FAILED}


class CallOutcome(StrEnum):
    """What the answer to any other call says about that one sending of it; an earlier one is not spoken of."""

    ACCEPTED = "ACCEPTED"
    """Accepted for processing, or done where there is nothing to process. Money is told of by a Result only."""
    FAILED = "FAILED"
    """Refused by a listed code: nothing was done and nothing will be. Final for this request."""
    RETRY_LATER = "RETRY_LATER"
    """Nothing was done; the same may be sent again after `retry_after_ms`."""
    MISCONFIGURED = "MISCONFIGURED"
    """Nothing was done, and nothing will be until people change a setting or a right."""
    UNKNOWN = "UNKNOWN"
    """We cannot tell. Never send money again on it; ask for the status, or wait for the Result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswer:
    outcome: CallOutcome
    existed: bool = False
    """What was asked for was there before, and may differ from what was sent now.

    With ACCEPTED a payment under this OriginatorConversationID, whose outcome is pending, or a registration for
    pulling. With FAILED URLs of this short code: those stay in force.
    """
    originator_conversation_id: str | None = None
    conversation_id: str | None = None
    code: str | None = None
    """Daraja's errorCode or ResponseCode, or our own word for what went wrong on the wire."""
    message: str = ""
    """For people; tokens, credentials and phone numbers are cut out."""
    retry_after_ms: int | None = None
    """With RETRY_LATER and MISCONFIGURED: how long to wait at least before another try."""


class B2cCommand(StrEnum):
    """Why a customer is paid (daraja.md §4.1)."""

    SALARY = "SalaryPayment"
    BUSINESS = "BusinessPayment"
    PROMOTION = "PromotionPayment"


class B2bCommand(StrEnum):
    """What kind of number a business is paid at (daraja.md §5.4)."""

    PAY_BILL = "BusinessPayBill"
    BUY_GOODS = "BusinessBuyGoods"


@dataclass(frozen=True, slots=True, kw_only=True)
class B2cPayment:
    """A payment from our utility account to a customer."""

    originator_conversation_id: str
    """Ours, at most 64 letters, digits, hyphens or underscores; unique for ever, so begin with the short code.

    Sent again only with the very same payment, after an unknown outcome (daraja.md §4.3).
    """
    callback_token: str
    """The last segment of ResultURL and QueueTimeOutURL."""
    phone: PhoneNumber
    amount: Money
    """Whole KES."""
    remarks: str
    """2 to 100 characters."""
    command: B2cCommand = B2cCommand.BUSINESS
    occasion: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class B2bPayment:
    """A payment from our working account to another business. Daraja knows no repeat of it (daraja.md §5.4)."""

    callback_token: str
    command: B2bCommand
    receiver: str
    """A PayBill's or a till's number."""
    amount: Money
    """Whole KES."""
    account_reference: str
    """What the receiver knows the payment by; 1 to 13 letters, digits or hyphens."""
    remarks: str
    requester: PhoneNumber | None = None
    """The customer on whose behalf we pay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusQuestion:
    """What became of a payment. Exactly one of the two names it (daraja.md §5.1)."""

    callback_token: str
    receipt: str | None = None
    originator_conversation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """Give a customer's payment back to her; C2B and STK payments only (daraja.md §5.3)."""

    callback_token: str
    receipt: str
    amount: Money
    """Whole KES."""
    remarks: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPayment:
    """A payment a customer never made; exists in a sandbox only (daraja.md §3.2)."""

    phone: PhoneNumber
    amount: Money
    """Whole KES."""
    bill_reference: str | None
    """What the customer names beside a PayBill; None pays a till."""


class UnansweredValidation(StrEnum):
    """What M-Pesa does with a payment when our ValidationURL does not answer in time (daraja.md §3.3)."""

    COMPLETE = "Completed"
    CANCEL = "Cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class C2bAddresses:
    confirmation_url: str
    validation_url: str
    unanswered: UnansweredValidation


@dataclass(frozen=True, slots=True, kw_only=True)
class PullWindow:
    """Which payments to list: those between two moments, from the `offset`th on, a hundred at most."""

    since: datetime
    until: datetime
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PullAnswer:
    """`outcome` ACCEPTED: the list could be read, down to the rows in `unreadable`; else there is none."""

    outcome: CallOutcome
    transactions: tuple[PulledTransaction, ...] = ()
    unreadable: tuple[str, ...] = field(default=(), repr=False)
    """Rows that could not be read, as JSON: payments all the same, for people to look at."""
    next_offset: int | None = None
    """Where the following page begins; None after the last one."""
    code: str | None = None
    message: str = ""
    retry_after_ms: int | None = None


class MpesaGateway(Protocol):
    """M-Pesa over Daraja. Never raises for what the other side says or does; every call ends as an answer."""

    async def stk_push(self, push: StkPush) -> PushAnswer:
        """Ask for one prompt. Not idempotent: a repeat may prompt and charge twice."""
        ...

    async def stk_query(self, checkout_request_id: str) -> PaymentAnswer:
        """Ask what became of a push. Safe to repeat; rate limited by Daraja (daraja.md §2.4)."""
        ...


class MpesaDisbursements(Protocol):
    """What leaves our M-Pesa accounts, and what we ask about them. Never raises for what the other side says or does.

    An acceptance says only that a Result will be posted to us. Every call raises DomainError, before anything is
    sent, for what is no such request.
    """

    async def pay_customer(self, payment: B2cPayment) -> CallAnswer:
        """B2C. A repeat is told by `existed` and pays nothing, if it carries the same OriginatorConversationID."""
        ...

    async def pay_business(self, payment: B2bPayment) -> CallAnswer:
        """B2B. Not idempotent: a repeat may pay twice."""
        ...

    async def reverse(self, reversal: Reversal) -> CallAnswer:
        """Not idempotent by itself; M-Pesa refuses a second reversal of one receipt when it comes to it."""
        ...

    async def transaction_status(self, question: StatusQuestion) -> CallAnswer:
        """Safe to repeat."""
        ...

    async def account_balance(self, callback_token: str) -> CallAnswer:
        """Safe to repeat."""
        ...


class MpesaReceipts(Protocol):
    """Payments customers make of their own accord: where M-Pesa tells us of them, and the list of them.

    Never raises for what the other side says or does; raises DomainError, before anything is sent, for what is no
    such request.
    """

    async def register_addresses(self, addresses: C2bAddresses) -> CallAnswer:
        """Tell M-Pesa where to post. Production takes this once (daraja.md §3.1)."""
        ...

    async def simulate_payment(self, payment: SimulatedPayment) -> CallAnswer:
        """Pretend a customer paid. Raises InvalidRequest outside a sandbox. Not idempotent."""
        ...

    async def register_pull(self, *, nominated_phone: PhoneNumber, callback_url: str) -> CallAnswer:
        """Once for a short code; a repeat is told by `existed`."""
        ...

    async def pull(self, window: PullWindow) -> PullAnswer:
        """List payments of the last 48 hours. Safe to repeat."""
        ...
