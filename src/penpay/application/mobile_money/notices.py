"""Who is told what, in the words of `messages`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TypedDict

from penpay.application.mobile_money import messages
from penpay.application.mobile_money.rows import MESSAGES, Message
from penpay.application.shared.unit_of_work import Work
from penpay.domain.mobile_money.customer import Bar, Customer, CustomerId
from penpay.domain.mobile_money.merchant import Merchant
from penpay.domain.mobile_money.policy import OperatorPolicy
from penpay.domain.mobile_money.transaction import Operation, OperatorTransaction, OperatorTransactionId
from penpay.domain.shared.money import Money


def tell(work: Work, customer: CustomerId, text: str, transaction: OperatorTransactionId | None = None) -> None:
    """Put a message for a customer's phone into the outbox."""
    work.append(MESSAGES, Message(customer, text, transaction, work.now))


def of_movement(
    transaction: OperatorTransaction,
    *,
    source: Customer,
    target: Customer,
    merchant: Merchant | None,
    source_balance: Money,
    target_balance: Money,
    day_left: Money | None,
) -> Iterator[tuple[CustomerId, str]]:
    """What both sides of a deposit, withdrawal or transfer are told. `day_left` is the source's."""
    receipt, amount, at = transaction.receipt, transaction.amount, transaction.happened_at
    if transaction.operation is Operation.DEPOSIT:
        text = messages.deposited_message(
            receipt=receipt, amount=amount, agent=source.name, at=at, balance=target_balance
        )
    else:
        text = messages.received_message(
            receipt=receipt,
            amount=amount - transaction.payee_fee,
            from_name=source.name,
            from_phone=source.phone,
            at=at,
            balance=target_balance,
        )
    yield target.id, text
    paying = _Paying(
        receipt=receipt,
        amount=amount,
        at=at,
        balance=source_balance,
        fee=transaction.payer_fee,
        day_left=day_left,
    )
    yield source.id, _to_payer(transaction, target, merchant, paying)


class _Paying(TypedDict):
    """What every message to a payer tells."""

    receipt: str
    amount: Money
    at: datetime
    balance: Money
    fee: Money
    day_left: Money | None


def _to_payer(transaction: OperatorTransaction, target: Customer, merchant: Merchant | None, paying: _Paying) -> str:
    if transaction.operation is Operation.WITHDRAW:
        return messages.withdrawn_message(**paying, agent=target.name)
    if transaction.operation is Operation.DEPOSIT or merchant is None:
        return messages.sent_message(**paying, to_name=target.name, to_phone=target.phone)
    if transaction.bill_reference is None:
        return messages.paid_to_till_message(**paying, merchant=merchant.name)
    return messages.paid_message(**paying, merchant=merchant.name, account_reference=transaction.bill_reference)


def of_wrong_pin(customer: Customer, policy: OperatorPolicy) -> str:
    """What follows a wrong PIN: how many more are forgiven, or that it is locked now."""
    if customer.pin_locked:
        return messages.pin_locked_message()
    return messages.wrong_pin_message(attempts_left=policy.pin_attempts - customer.wrong_pins)


def of_bar(
    bar: Bar, payer: Customer, *, amount: Money, fee: Money, balance: Money, policy: OperatorPolicy, at: datetime
) -> str | None:
    """Why a payment that was confirmed with the right PIN did not go through; None where nobody is told."""
    limits = policy.limits_of(payer.tier)
    if bar is Bar.INSUFFICIENT_FUNDS:
        return messages.short_of_funds_message(amount=amount, fee=fee, balance=balance)
    if bar is Bar.PIN_LOCKED:
        return messages.pin_locked_message()
    if bar is Bar.ABOVE_MAXIMUM and limits.transaction is not None:
        return messages.above_maximum_message(amount=amount, maximum=limits.transaction)
    left = payer.left_today(policy, at)
    if bar is Bar.ABOVE_DAILY_LIMIT and left is not None:
        return messages.above_daily_limit_message(amount=amount, day_left=left)
    return None
