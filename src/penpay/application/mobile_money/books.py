"""What can be read of the operator's committed rows; nothing is locked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from penpay.application.mobile_money.rows import Address, BankDeposit, Destination, FloatIssue, UserType
from penpay.domain.mobile_money.administrator import Administrator, AdministratorId
from penpay.domain.mobile_money.approval import Approval
from penpay.domain.mobile_money.customer import Customer, CustomerId, CustomerType
from penpay.domain.mobile_money.daraja_request import DarajaRequest
from penpay.domain.mobile_money.merchant import Merchant
from penpay.domain.mobile_money.stk_push import StkPush
from penpay.domain.mobile_money.tariff import Tariff
from penpay.domain.mobile_money.transaction import Charge, OperatorTransaction, OperatorTransactionId
from penpay.domain.shared.email import Email
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorBalances:
    """The operator's whole book: what it holds for others, and the float it has issued without evidence."""

    trust_unevidenced: Money
    subscribers: Sequence[tuple[PhoneNumber, Money]]
    merchants: Sequence[tuple[str, Money]]
    """By short code; numbers of one merchant share an account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One entry on a customer's account, with what it belongs to."""

    sequence: int
    """Counts the account's entries from 1 without gaps."""
    happened_at: datetime
    credited: Money
    debited: Money
    """With the fee in it."""
    balance: Money
    """After this entry."""
    account_id: UUID
    transaction: OperatorTransaction | None
    """None for money that a sandbox put into a wallet."""
    counterparty: Customer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    id: UUID
    text: str
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantAccounts:
    """What the operator holds for a merchant, by account."""

    utility: Money
    """What customers have paid; customers are paid from it."""
    working: Money
    charges_paid: Money
    """Zero or below: charges that are not settled yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """Both sides of the trust account, read at one moment, in KES.

    Held: `bank` and `unevidenced`. Owed: everything else, `own_funds` being what the operator itself has in there.
    """

    bank: Money
    unevidenced: Money
    wallets: Money
    floats: Money
    merchants: Money
    commission_payable: Money
    excise_payable: Money
    own_funds: Money
    suspense: Money
    working: Money
    """Merchants' Working accounts."""
    charges_paid: Money
    """Merchants' charges that are not settled yet, below zero."""
    unsettled_charges: Money
    """The same, as the operator will earn them: nothing it could sweep."""
    issued: Money
    """All float ever issued."""
    evidenced: Money
    waiting: Sequence[FloatIssue]
    """Float issues without evidence, oldest first."""
    unexplained: Sequence[BankDeposit]
    """Bank deposits that stand behind nothing yet."""

    @property
    def held(self) -> Money:
        return self.bank + self.unevidenced

    @property
    def owed(self) -> Money:
        return (
            self.wallets
            + self.floats
            + self.merchants
            + self.commission_payable
            + self.excise_payable
            + self.own_funds
            + self.suspense
            + self.working
            + self.charges_paid
            + self.unsettled_charges
        )

    @property
    def is_covered(self) -> bool:
        """Whether everybody but the operator could be paid out now: its earnings cover what it has promised."""
        return (self.own_funds + self.commission_payable).cents >= 0

    @property
    def difference(self) -> Money:
        """What is held too much; zero in books that are in order."""
        return self.held - self.owed


class RequestBooks(Protocol):
    """Reading what merchants have asked through Daraja, and the money it moved; nothing is locked."""

    async def request(self, originator_conversation_id: str) -> DarajaRequest | None: ...

    async def request_of(self, transaction_id: OperatorTransactionId) -> DarajaRequest | None:
        """The request that moved this money; None for money that customers moved."""
        ...

    async def open_requests(self) -> Sequence[DarajaRequest]:
        """Every request that is not over, oldest first."""
        ...

    async def transaction(self, receipt: str) -> OperatorTransaction | None: ...

    async def accounts(self, merchant: Customer) -> MerchantAccounts: ...

    async def transaction_by_id(self, id_: OperatorTransactionId) -> OperatorTransaction | None: ...


class OperatorBooks(Protocol):
    """Reading the operator's committed rows; nothing is locked."""

    async def customer(self, customer_id: CustomerId) -> Customer | None: ...

    async def administrator(self, administrator_id: AdministratorId) -> Administrator | None: ...

    async def destination(self, address: Address) -> Destination | None: ...

    async def at(self, address: Address) -> Customer | None:
        """The customer whom an address leads to."""
        ...

    async def login(self, user_type: UserType, email: Email) -> Customer | Administrator | None:
        """Who logs in with this e-mail address."""
        ...

    async def customers(
        self, kind: CustomerType | None, limit: int, after: CustomerId | None
    ) -> Sequence[tuple[Customer, Money]]:
        """Customers and what each holds, oldest first."""
        ...

    async def idle_since(self, moment: datetime) -> Sequence[CustomerId]:
        """Active customers without a posting since, and registered before."""
        ...

    async def administrators(self) -> Sequence[Administrator]: ...

    async def merchant(self, short_code: str) -> Merchant | None: ...

    async def numbers(self, customer_id: CustomerId) -> Sequence[Merchant]:
        """A merchant's PayBill and till numbers."""
        ...

    async def balance(self, customer: Customer) -> Money: ...

    async def statement(
        self, customer: Customer, limit: int, before: int | None, account: str | None = None
    ) -> Sequence[StatementLine]:
        """Newest first; `before` is the sequence of the last line of the page before.

        `account`: the ledger code of another account of this customer than the wallet.
        """
        ...

    async def messages(self, customer_id: CustomerId, limit: int, before: UUID | None) -> Sequence[SentMessage]:
        """Newest first."""
        ...

    async def charges(self) -> Sequence[Charge]: ...

    async def tariffs(self) -> Sequence[Tariff]: ...

    async def approvals(self, customer_id: CustomerId | None, limit: int) -> Sequence[Approval]:
        """What waits for a decision, oldest first: for this customer, or all for administrators."""
        ...

    async def reconciliation(self) -> Reconciliation: ...

    async def push(self, checkout_request_id: str) -> StkPush | None: ...

    async def open_pushes(self) -> Sequence[StkPush]:
        """Every push that is not over, oldest first."""
        ...

    async def overdue_pushes(self, limit: int) -> Sequence[StkPush]:
        """Pushes that are not over although their time is, longest overdue first."""
        ...

    async def balances(self) -> OperatorBalances:
        """All balances at one moment."""
        ...
