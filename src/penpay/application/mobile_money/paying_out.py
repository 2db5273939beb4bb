"""Merchants' money moved at their own request: to customers, to other merchants, and back to who paid it.

Each class moves it one way, or raises the code by which Daraja tells why nothing moves. A merchant has three accounts:
Utility, into which customers pay and from which they are paid; Working, from which other merchants are paid; and
Charges Paid, which runs below zero until the charges are settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penpay.application.mobile_money import messages
from penpay.application.mobile_money.moving import Mover, Parties, next_receipt, record_transaction
from penpay.application.mobile_money.notices import tell
from penpay.application.mobile_money.reversing import give_back
from penpay.application.mobile_money.rows import (
    ALL,
    CUSTOMERS,
    LOADED_TARIFFS,
    TRANSACTION_OF_RECEIPT,
    TRANSACTIONS,
)
from penpay.application.shared.unit_of_work import Find, Work
from penpay.application.wallet import postings
from penpay.domain.mobile_money import daraja_request as results
from penpay.domain.mobile_money.customer import Customer, CustomerStatus, CustomerType, today
from penpay.domain.mobile_money.daraja_request import Command, DarajaRequest, RequestResult
from penpay.domain.mobile_money.errors import CustomerNotActive
from penpay.domain.mobile_money.merchant import Merchant
from penpay.domain.mobile_money.tariff import Service, tariff_in_force
from penpay.domain.mobile_money.transaction import Operation, OperatorTransaction, OperatorTransactionId
from penpay.domain.shared.errors import AmountOutOfRange, LimitExceeded
from penpay.domain.shared.money import Currency, Money

_NOTHING: Final = Money.zero(Currency.KES)


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantParty:
    """A merchant, and the number by which it was named."""

    customer: Customer
    number: Merchant


class Declined(Exception):
    """Why nothing moves; raised before anything has."""

    def __init__(self, result: RequestResult) -> None:
        super().__init__(result.code)
        self.result = result


class PayingOut:
    """A merchant pays a customer from its Utility account, and bears the fee (B2C, daraja.md §4)."""

    def __init__(self, mover: Mover) -> None:
        self._mover = mover

    async def prepare(self, find: Find) -> None:
        """Look up what the price will need."""
        await self._mover.prepare((), find)

    def carry_out(
        self, work: Work, request: DarajaRequest, own: MerchantParty, receiver: Customer | None
    ) -> OperatorTransaction:
        """Raises Declined with the first reason of daraja.md §4.6 that holds."""
        amount, merchant = _amount(request), own.customer
        _require(merchant.status is CustomerStatus.ACTIVE, results.DEBIT_PARTY_INVALID)
        _require(own.number.is_paybill, results.NOT_PERMITTED)
        fee = self._fee(work, amount)
        customer = self._receiver(work, receiver, amount)
        _require(amount <= postings.balance(work, merchant.wallet, Currency.KES), results.INSUFFICIENT_FUNDS)
        transaction = _moved(work, Operation.PAYOUT, merchant, customer, amount, fee=fee)
        _post(work, transaction, payer=merchant.wallet, payee=customer.wallet)
        if fee.cents:
            postings.charge_incurred(work, merchant=merchant.id, amount=fee, id_=transaction.id)
        record_transaction(work, transaction, f"merchant:{request.short_code}")
        _tell_receiver(work, transaction, customer, own.number)
        return transaction

    def _fee(self, work: Work, amount: Money) -> Money:
        """By the tariff in force; nothing without one."""
        policy = self._mover.policy
        _require(amount >= policy.smallest_payout, results.BELOW_MINIMUM)
        _require(policy.largest_payout is None or amount <= policy.largest_payout, results.ABOVE_MAXIMUM)
        loaded = work.found(LOADED_TARIFFS, ALL)
        tariff = None if loaded is None else tariff_in_force(loaded, today(work.now))
        try:
            return _NOTHING if tariff is None else tariff.fees(Service.PAY_CUSTOMER, amount).total
        except AmountOutOfRange:
            raise Declined(results.ABOVE_MAXIMUM) from None

    def _receiver(self, work: Work, receiver: Customer | None, amount: Money) -> Customer:
        if receiver is None:
            raise Declined(results.NOT_REGISTERED)
        _require(receiver.status is not CustomerStatus.CLOSED, results.NO_SUCH_RECEIVER)
        try:
            self._mover.require_room(work, receiver, amount)
        except CustomerNotActive:
            raise Declined(results.ACCOUNT_RULE) from None
        except LimitExceeded:
            raise Declined(results.ABOVE_MAXIMUM_BALANCE) from None
        return receiver


class PayingMerchants:
    """A merchant pays another from its Working account, or moves money between its own (B2B, daraja.md §5.4)."""

    def carry_out(
        self, work: Work, request: DarajaRequest, own: MerchantParty, receiver: MerchantParty | None
    ) -> OperatorTransaction:
        """Raises Declined with the first reason of daraja.md §4.6 that holds."""
        amount, command = _amount(request), Command(request.details.command)
        _require(own.customer.status is CustomerStatus.ACTIVE, results.DEBIT_PARTY_INVALID)
        if receiver is None or receiver.customer.status is CustomerStatus.CLOSED:
            raise Declined(results.NO_SUCH_RECEIVER)
        _require(_fits(command, own, receiver), results.NOT_PERMITTED)
        _require(receiver.customer.status.may_receive, results.ACCOUNT_RULE)
        payer, payee = postings.working_account(own.customer.id), receiver.customer.wallet
        if command is Command.MERCHANT_TO_WORKING:
            payer, payee = own.customer.wallet, postings.working_account(receiver.customer.id)
        _require(amount <= postings.balance(work, payer, Currency.KES), results.INSUFFICIENT_FUNDS)
        transaction = _moved(
            work,
            Operation.BUSINESS_PAYMENT,
            own.customer,
            receiver.customer,
            amount,
            short_code=receiver.number.short_code,
            bill_reference=request.details.reference or None,
        )
        _post(work, transaction, payer=payer, payee=payee)
        record_transaction(work, transaction, f"merchant:{request.short_code}")
        if own.customer.id != receiver.customer.id:
            _tell_receiver(work, transaction, receiver.customer, own.number)
        return transaction


class ReversingByReceipt:
    """A merchant gives a customer's payment back, whole or in part, once (daraja.md §5.3)."""

    def carry_out(self, work: Work, request: DarajaRequest, own: MerchantParty) -> OperatorTransaction:
        """Raises Declined. Only what this merchant was paid by a customer can be given back; the fee stays."""
        amount, merchant = _amount(request), own.customer
        original, payer = self._original(work, request, merchant)
        _require(not original.reversed.cents, results.ALREADY_REVERSED)
        _require(amount <= original.amount, results.INVALID_PARAMETERS)
        _require(merchant.status is CustomerStatus.ACTIVE, results.DEBIT_PARTY_INVALID)
        _require(payer.status is not CustomerStatus.CLOSED, results.ACCOUNT_RULE)
        _require(amount <= postings.balance(work, merchant.wallet, Currency.KES), results.INSUFFICIENT_FUNDS)
        parties = Parties(source=payer, target=merchant)
        return give_back(work, original, parties, amount, f"merchant:{request.short_code}")

    def _original(self, work: Work, request: DarajaRequest, merchant: Customer) -> tuple[OperatorTransaction, Customer]:
        known = work.found(TRANSACTION_OF_RECEIPT, request.details.reference)
        original = None if known is None else work.get(TRANSACTIONS, known.id)
        payer = None if original is None or original.source_id is None else work.get(CUSTOMERS, original.source_id)
        if original is None or payer is None:
            raise Declined(results.NOT_REVERSIBLE)
        was_paid = original.operation is Operation.TRANSFER and original.target_id == merchant.id
        _require(was_paid and payer.type is CustomerType.SUBSCRIBER, results.NOT_REVERSIBLE)
        return original, payer


def _require(holds: bool, otherwise: RequestResult) -> None:  # noqa: FBT001  (reads as the sentence it is)
    if not holds:
        raise Declined(otherwise)


def _fits(command: Command, own: MerchantParty, receiver: MerchantParty) -> bool:
    """Whether this command pays this kind of number, of another merchant or of the same one."""
    itself, is_paybill = own.customer.id == receiver.customer.id, receiver.number.is_paybill
    match command:
        case Command.BUSINESS_PAY_BILL:
            return is_paybill and not itself
        case Command.BUSINESS_BUY_GOODS:
            return not is_paybill and not itself
        case Command.BUSINESS_PAY_TO_BULK:
            return is_paybill
        case Command.MERCHANT_TO_WORKING:
            return itself


def _amount(request: DarajaRequest) -> Money:
    if request.amount is None:
        raise AssertionError("A request that moves money names an amount.")
    return request.amount


def _moved(
    work: Work,
    operation: Operation,
    source: Customer,
    target: Customer,
    amount: Money,
    *,
    fee: Money = _NOTHING,
    short_code: str | None = None,
    bill_reference: str | None = None,
) -> OperatorTransaction:
    """The record. Its excise is nothing: duty on a charge falls due when the charge is settled."""
    return OperatorTransaction(
        id=OperatorTransactionId(work.ids.new()),
        receipt=next_receipt(work),
        operation=operation,
        source_id=source.id,
        target_id=target.id,
        amount=amount,
        payer_fee=fee,
        payee_fee=_NOTHING,
        excise=_NOTHING,
        commission=_NOTHING,
        happened_at=work.now,
        short_code=short_code,
        bill_reference=bill_reference,
    )


def _post(work: Work, transaction: OperatorTransaction, *, payer: str, payee: str) -> None:
    """The amount alone: a payout's fee is a charge, booked beside it."""
    postings.operator_payment(
        work,
        payer=payer,
        payee=payee,
        amount=transaction.amount,
        payer_fee=_NOTHING,
        payee_fee=_NOTHING,
        excise=_NOTHING,
        id_=transaction.id,
    )


def _tell_receiver(work: Work, transaction: OperatorTransaction, receiver: Customer, payer: Merchant) -> None:
    text = messages.received_message(
        receipt=transaction.receipt,
        amount=transaction.amount,
        from_name=payer.name,
        from_phone=None,
        at=work.now,
        balance=postings.balance(work, receiver.wallet, Currency.KES),
    )
    tell(work, receiver.id, text, transaction.id)
