"""Charges of payouts, paid by the merchant who owes them: only then are they the operator's earnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from penpay.application.mobile_money.approving import administrator
from penpay.application.mobile_money.moving import next_receipt, record_transaction
from penpay.application.mobile_money.rows import ADMINISTRATORS, CUSTOMERS, RECEIPT_COUNTER, RECEIPTS
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings
from penpay.domain.mobile_money.administrator import AdministratorId, Right
from penpay.domain.mobile_money.customer import CustomerId, CustomerStatus, CustomerType, today, wallet_of
from penpay.domain.mobile_money.errors import CustomerNotActive, CustomerNotFound, InsufficientFunds
from penpay.domain.mobile_money.tariff import ExciseRates, excise_in
from penpay.domain.mobile_money.transaction import Operation, OperatorTransaction, OperatorTransactionId
from penpay.domain.shared.money import Currency, Money

_NOTHING: Final = Money.zero(Currency.KES)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleCharges:
    """Take what a merchant owes in charges from its account, or as much of it as is there."""

    merchant: CustomerId
    by: AdministratorId


class SettleChargesHandler:
    def __init__(self, excise: ExciseRates) -> None:
        self._excise = excise

    async def footprint(self, commands: Sequence[SettleCharges], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint().add(RECEIPTS, RECEIPT_COUNTER)
        for command in commands:
            footprint.add(ADMINISTRATORS, command.by).add(CUSTOMERS, command.merchant)
            postings.customer_footprint(footprint, command.merchant)
        return postings.charges_footprint(footprint)

    def handle(self, command: SettleCharges, work: Work) -> Answer:
        """The excise is that of the day of settlement.

        Raises CustomerNotFound, also for one who is no merchant; CustomerNotActive for one that is closed;
        InvalidAmount when nothing is owed, InsufficientFunds when there is nothing to pay it from.
        """
        administrator(work, command.by, Right.FLOAT)
        merchant = work.get(CUSTOMERS, command.merchant)
        if merchant is None or merchant.type is not CustomerType.MERCHANT:
            raise CustomerNotFound
        if merchant.status is CustomerStatus.CLOSED:
            raise CustomerNotActive
        wallet = wallet_of(CustomerType.MERCHANT, merchant.id)
        owed = (-postings.balance(work, postings.charges_account(merchant.id), Currency.KES)).require_positive()
        amount = min(owed, postings.balance(work, wallet, Currency.KES), key=lambda money: money.cents)
        if amount <= _NOTHING:
            raise InsufficientFunds
        transaction = OperatorTransaction(
            id=OperatorTransactionId(work.ids.new()),
            receipt=next_receipt(work),
            operation=Operation.CHARGES_SETTLED,
            source_id=merchant.id,
            target_id=None,
            amount=amount,
            payer_fee=_NOTHING,
            payee_fee=_NOTHING,
            excise=excise_in(amount, self._excise.rate_on(today(work.now))),
            commission=_NOTHING,
            happened_at=work.now,
        )
        postings.charges_settled(
            work, merchant=merchant.id, wallet=wallet, amount=amount, excise=transaction.excise, id_=transaction.id
        )
        record_transaction(work, transaction, f"administrator:{command.by}")
        return {
            "transactionId": str(transaction.id),
            "receipt": transaction.receipt,
            "amountCents": amount.cents,
            "notSettledCents": (owed - amount).cents,
        }
