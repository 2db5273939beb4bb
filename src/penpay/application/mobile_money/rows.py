"""The operator's rows as commands lock them, each under the key its callers know, and what is looked up unlocked."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from penpay.application.shared.unit_of_work import Appended, Index, Kind
from penpay.domain.mobile_money.administrator import Administrator, AdministratorId
from penpay.domain.mobile_money.approval import Approval, ApprovalId
from penpay.domain.mobile_money.cash_out import CashOutCode
from penpay.domain.mobile_money.customer import Customer, CustomerId, CustomerType
from penpay.domain.mobile_money.daraja_request import DarajaRequest
from penpay.domain.mobile_money.merchant import Merchant
from penpay.domain.mobile_money.receipt import ReceiptCounter
from penpay.domain.mobile_money.stk_push import StkPush
from penpay.domain.mobile_money.tariff import Tariff
from penpay.domain.mobile_money.transaction import (
    Charge,
    ChargeId,
    ChargeKey,
    OperatorTransaction,
    OperatorTransactionId,
)
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber


class UserType(StrEnum):
    """Who registers and logs in."""

    ADMINISTRATOR = "ADMINISTRATOR"
    AGENT = "AGENT"
    MERCHANT = "MERCHANT"
    SUBSCRIBER = "SUBSCRIBER"

    @property
    def customer_type(self) -> CustomerType:
        """The kind of customer; raises InvalidRequest for an administrator, who is none."""
        if self is UserType.ADMINISTRATOR:
            raise InvalidRequest("An administrator is no customer.")
        return CustomerType(self.value)

    @classmethod
    def of(cls, kind: CustomerType) -> UserType:
        return cls(kind.value)


class AddressKind(StrEnum):
    EMAIL = "EMAIL"
    PHONE = "PHONE"
    SHORT_CODE = "SHORT_CODE"
    """A merchant's PayBill or till number."""
    FIRST = "FIRST"
    """The place of the first administrator."""


class Address(NamedTuple):
    """What somebody is found by: e-mail addresses and phones are unique among users of one type."""

    user_type: UserType
    kind: AddressKind
    value: str
    """An e-mail address in lower case, a phone number in E.164, or a short code."""

    @classmethod
    def email(cls, user_type: UserType, email: Email) -> Address:
        return cls(user_type, AddressKind.EMAIL, email.address)

    @classmethod
    def phone(cls, user_type: UserType, phone: PhoneNumber) -> Address:
        return cls(user_type, AddressKind.PHONE, phone.e164)

    @classmethod
    def short_code(cls, short_code: str) -> Address:
        return cls(UserType.MERCHANT, AddressKind.SHORT_CODE, short_code)

    @classmethod
    def parse(cls, text: str, user_type: UserType) -> Address:
        """Whatever a client calls an account number: an e-mail address, a short code, or else a phone number.

        Raises InvalidEmail, InvalidPhoneNumber.
        """
        if "@" in text:
            return cls.email(user_type, Email.parse(text))
        if text.isascii() and text.isdigit() and 5 <= len(text) <= 7:  # noqa: PLR2004  (a short code's digits)
            return cls.short_code(text)
        return cls.phone(user_type, PhoneNumber.parse(text))


class OwnedAddress(NamedTuple):
    """An e-mail address or phone number and whose it is; numbers of merchants are rows of their own."""

    address: Address
    owner_id: UUID


class Destination(NamedTuple):
    """Whom an address leads to."""

    customer_id: CustomerId
    merchant: Merchant | None
    """For a short code."""


class Message(NamedTuple):
    """A short message to a customer."""

    customer_id: CustomerId
    text: str
    transaction_id: OperatorTransactionId | None
    sent_at: datetime


class FloatIssue(NamedTuple):
    """Float issued, and the bank deposit that stands behind it once it is known."""

    transaction_id: OperatorTransactionId
    amount: Money
    issued_at: datetime
    bank_reference: str | None
    version: int = 0


class BankDepositState(StrEnum):
    """What a bank deposit is for."""

    FLOAT = "FLOAT"
    """It stands behind a float issue."""
    OWN_FUNDS = "OWN_FUNDS"
    """It is the operator's own, to pay commission from."""
    SUSPENSE = "SUSPENSE"
    """Nobody knows yet: no float of this amount was issued without evidence."""


class BankDeposit(NamedTuple):
    """Money that has reached the trust account, by the bank's own reference."""

    reference: str
    amount: Money
    entered_by: str
    entered_at: datetime
    state: BankDepositState
    version: int = 0


CUSTOMERS: Kind[CustomerId, Customer] = Kind("operator_customers")
ADMINISTRATORS: Kind[AdministratorId, Administrator] = Kind("operator_administrators")
ADDRESSES: Kind[Address, OwnedAddress] = Kind("operator_addresses")
"""E-mail addresses and phone numbers, to be added and removed."""
MERCHANTS: Kind[str, Merchant] = Kind("operator_merchants")
"""Merchants' numbers, by short code."""
STK_PUSHES: Kind[str, StkPush] = Kind("stk_pushes")
"""By CheckoutRequestID."""
DARAJA_REQUESTS: Kind[str, DarajaRequest] = Kind("daraja_requests")
"""By OriginatorConversationID."""
RECEIPTS: Kind[str, ReceiptCounter] = Kind("operator_receipts")
RECEIPT_COUNTER = "mpesa"
"""The one row of RECEIPTS."""
TRANSACTIONS: Kind[OperatorTransactionId, OperatorTransaction] = Kind("operator_transactions")
CHARGES: Kind[ChargeId, Charge] = Kind("operator_charges")
TARIFFS: Kind[str, Tariff] = Kind("operator_tariffs")
"""By the day they begin, as YYYY-MM-DD."""
APPROVALS: Kind[ApprovalId, Approval] = Kind("operator_approvals")
CODES: Kind[CustomerId, CashOutCode] = Kind("operator_cash_out_codes")
"""Each customer's newest."""
FLOAT_ISSUES: Kind[OperatorTransactionId, FloatIssue] = Kind("operator_float_issues")
BANK_DEPOSITS: Kind[str, BankDeposit] = Kind("operator_bank_deposits")
"""By the bank's reference."""
MESSAGES: Appended[Message] = Appended("operator_messages")

DESTINATIONS: Index[Address, Destination] = Index("operator_destinations")
CHARGE_OF: Index[ChargeKey, Charge] = Index("operator_charge_of")
LOADED_TARIFFS: Index[str, tuple[Tariff, ...]] = Index("operator_loaded_tariffs")
"""All of them, under ALL."""
ALL = "all"
ASKED_FOR: Index[ApprovalId, Approval] = Index("operator_asked_for")
"""What a request for approval is about; its state is read from the locked row."""
KNOWN_TRANSACTIONS: Index[OperatorTransactionId, OperatorTransaction] = Index("operator_known_transactions")
"""Who took part in a transaction; how much of it was given back is read from the locked row."""
TRANSACTION_OF_RECEIPT: Index[str, OperatorTransaction] = Index("operator_transaction_of_receipt")
"""The same by receipt."""
UNEVIDENCED: Index[int, tuple[FloatIssue, ...]] = Index("operator_unevidenced")
"""By amount in cents: the float issues that no bank deposit stands behind, oldest first."""
