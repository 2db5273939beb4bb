"""What moves money at the operator: who may move it to whom, and the record that every statement is read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from penpay.domain.mobile_money.customer import Customer, CustomerId, CustomerType
from penpay.domain.mobile_money.errors import (
    BelowMinimum,
    DepositNotAllowed,
    NotAnAgent,
    NothingToReverse,
    OperationNotOffered,
    SameAccount,
    SuperAgentNotAllowed,
)
from penpay.domain.mobile_money.policy import OperatorPolicy
from penpay.domain.mobile_money.tariff import Service
from penpay.domain.shared.money import Currency, Money

OperatorTransactionId = NewType("OperatorTransactionId", UUID)
ChargeId = NewType("ChargeId", UUID)


class Operation(StrEnum):
    DEPOSIT = "DEPOSIT"
    WITHDRAW = "WITHDRAW"
    TRANSFER = "TRANSFER"
    FLOAT_ASSIGNMENT = "FLOAT_ASSIGNMENT"
    COMMISSION = "COMMISSION"
    REVERSAL = "REVERSAL"
    PAYOUT = "PAYOUT"
    """A merchant pays a customer through Daraja (B2C)."""
    BUSINESS_PAYMENT = "BUSINESS_PAYMENT"
    """A merchant pays another, or moves money between its own accounts (B2B)."""
    CHARGES_SETTLED = "CHARGES_SETTLED"
    """A merchant has paid what its payouts cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The flat fee of one operation between two kinds of customers, in force where no banded tariff is."""

    id: ChargeId
    operation: Operation
    source_type: CustomerType
    target_type: CustomerType
    fee: Money
    version: int = 0


ChargeKey = tuple[Operation, CustomerType, CustomerType]
_A, _M, _S = CustomerType.AGENT, CustomerType.MERCHANT, CustomerType.SUBSCRIBER
CHARGED: Final[tuple[ChargeKey, ...]] = (
    (Operation.WITHDRAW, _S, _A),
    (Operation.WITHDRAW, _M, _A),
    (Operation.WITHDRAW, _A, _A),
    (Operation.TRANSFER, _A, _A),
    (Operation.TRANSFER, _S, _S),
    (Operation.TRANSFER, _M, _S),
    (Operation.TRANSFER, _S, _M),
    (Operation.TRANSFER, _A, _M),
)
"""The eight charges there are; what is not among them is not offered (earlier_systems.md 1A)."""
_BANDED: Final[Mapping[ChargeKey, Service]] = {
    (Operation.WITHDRAW, _S, _A): Service.WITHDRAW_AT_AGENT,
    (Operation.TRANSFER, _S, _S): Service.SEND_MONEY,
    (Operation.TRANSFER, _M, _S): Service.SEND_MONEY,
    (Operation.TRANSFER, _S, _M): Service.PAY_BILL,
    (Operation.TRANSFER, _A, _M): Service.PAY_BILL,
}


def banded_service(operation: Operation, source: CustomerType, target: CustomerType) -> Service | None:
    """The service of the public tariff that this is; None for one that only has a flat charge.

    Money sent from a till or a PayBill to a customer costs what sending costs (kenya.md §3A).
    """
    return _BANDED.get((operation, source, target))


def check_allowed(
    operation: Operation, source: Customer, target: Customer, amount: Money, policy: OperatorPolicy
) -> None:
    """Raises the first rule that this movement breaks, in the order of the original interface.

    SameAccount, BelowMinimum, NotAnAgent, SuperAgentNotAllowed, DepositNotAllowed, OperationNotOffered.
    """
    if source.id == target.id:
        raise SameAccount
    smallest = {
        Operation.DEPOSIT: policy.smallest_deposit,
        Operation.WITHDRAW: policy.smallest_withdrawal,
        Operation.TRANSFER: policy.smallest_transfer,
    }[operation]
    if amount < smallest:
        raise BelowMinimum(smallest_cents=smallest.cents)
    if operation is Operation.DEPOSIT:
        _check_deposit(source, target)
        return
    if source.is_super_agent or target.is_super_agent:
        raise SuperAgentNotAllowed
    if operation is Operation.WITHDRAW and target.type is not CustomerType.AGENT:
        raise NotAnAgent
    if (operation, source.type, target.type) not in CHARGED:
        raise OperationNotOffered


def _check_deposit(source: Customer, target: Customer) -> None:
    if source.type is not CustomerType.AGENT:
        raise NotAnAgent
    if source.is_super_agent and target.type is not CustomerType.AGENT:
        raise SuperAgentNotAllowed
    if target.type is CustomerType.MERCHANT or target.is_super_agent:
        raise DepositNotAllowed


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTransaction:
    """One movement of money. It is in the ledger under its id; fees include excise."""

    id: OperatorTransactionId
    receipt: str
    operation: Operation
    source_id: CustomerId | None
    """None for float from the trust account."""
    target_id: CustomerId | None
    amount: Money
    """What the target is sent, before `payee_fee`."""
    payer_fee: Money
    payee_fee: Money
    excise: Money
    """The part of both fees that is owed to the tax authority."""
    commission: Money
    """What the agent has earned with it."""
    happened_at: datetime
    short_code: str | None = None
    bill_reference: str | None = None
    """As the payer gave it."""
    reverses_id: OperatorTransactionId | None = None
    reversed: Money = Money(0, Currency.KES)
    """How much of the amount has been given back so far."""
    version: int = 0

    @property
    def fees(self) -> Money:
        return self.payer_fee + self.payee_fee

    def reversible(self, held_by_target: Money) -> Money:
        """How much can be given back now: what is left of it, and not more than the target still holds.

        Raises NothingToReverse when that is nothing, and for what is no deposit, withdrawal, transfer or payout.
        """
        if self.operation not in {Operation.DEPOSIT, Operation.WITHDRAW, Operation.TRANSFER, Operation.PAYOUT}:
            raise NothingToReverse
        left = min(self.amount - self.reversed, held_by_target, key=lambda money: money.cents)
        if left.cents <= 0:
            raise NothingToReverse
        return left

    def give_back(self, amount: Money) -> OperatorTransaction:
        """This much of it has been given back."""
        return replace(self, reversed=self.reversed + amount, version=self.version + 1)
