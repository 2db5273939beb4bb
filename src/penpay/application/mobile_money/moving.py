"""Money moving between two customers: every rule, the fee, the journals, the record, the messages.

Transfers, deposits and withdrawals, payments confirmed on a phone, cash-out by code and float that an agent buys all
come through here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from penpay.application.mobile_money import messages, notices
from penpay.application.mobile_money.notices import tell
from penpay.application.mobile_money.pins import PinAnswer, check_pin_answer
from penpay.application.mobile_money.rows import (
    ALL,
    CHARGE_OF,
    CUSTOMERS,
    DESTINATIONS,
    LOADED_TARIFFS,
    RECEIPT_COUNTER,
    RECEIPTS,
    TRANSACTIONS,
    Address,
)
from penpay.application.shared.executor import Refused
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings
from penpay.domain.mobile_money.customer import Bar, Customer, CustomerId, CustomerType, today, wallet_of
from penpay.domain.mobile_money.errors import (
    BillReferenceRefused,
    CustomerNotActive,
    CustomerNotFound,
    InsufficientFunds,
    PinLocked,
)
from penpay.domain.mobile_money.merchant import Merchant, check_bill_reference
from penpay.domain.mobile_money.policy import OperatorPolicy
from penpay.domain.mobile_money.receipt import ReceiptCounter
from penpay.domain.mobile_money.tariff import (
    ExciseRates,
    Fees,
    PayBillPlan,
    Service,
    excise_in,
    tariff_in_force,
)
from penpay.domain.mobile_money.transaction import (
    CHARGED,
    ChargeKey,
    Operation,
    OperatorTransaction,
    OperatorTransactionId,
    banded_service,
    check_allowed,
)
from penpay.domain.shared.errors import AmountOutOfRange, DomainError, LimitExceeded, Unauthorized
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.money import Currency, Money

_NOTHING: Final = Money.zero(Currency.KES)
_NO_FEES: Final = Fees(payer=_NOTHING, payee=_NOTHING)
_BARRED: Final[Mapping[Bar, type[DomainError]]] = {
    Bar.NOT_ACTIVE: CustomerNotActive,
    Bar.PIN_LOCKED: PinLocked,
    Bar.ABOVE_MAXIMUM: AmountOutOfRange,
    Bar.ABOVE_DAILY_LIMIT: LimitExceeded,
    Bar.REPEATED: LimitExceeded,
    Bar.INSUFFICIENT_FUNDS: InsufficientFunds,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """Who pays whom, and by which number of a merchant, if by one."""

    source: Customer
    target: Customer
    merchant: Merchant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a movement costs whom, and what the agent earns."""

    fees: Fees
    excise: Money
    commission: Money


class Mover:
    """The one way money moves between customers."""

    def __init__(self, policy: OperatorPolicy, excise: ExciseRates) -> None:
        self.policy = policy
        self._excise = excise

    async def prepare(self, keys: Iterable[ChargeKey], find: Find) -> None:
        """Look up what `price` will need."""
        await find(CHARGE_OF, {key for key in keys if key in CHARGED})
        await find(LOADED_TARIFFS, {ALL})

    def footprint(
        self, footprint: Footprint, source: tuple[CustomerType, CustomerId], target: tuple[CustomerType, CustomerId]
    ) -> Footprint:
        """Every row a movement between these two may touch."""
        footprint.add(CUSTOMERS, source[1], target[1]).add(RECEIPTS, RECEIPT_COUNTER)
        for kind, customer in (source, target):
            if kind is CustomerType.AGENT:
                postings.commission_footprint(footprint, agent=customer)
        return postings.operator_payment_footprint(footprint, payer=wallet_of(*source), payee=wallet_of(*target))

    def price(self, work: Work, operation: Operation, parties: Parties, amount: Money) -> Price:
        """By the public tariff in force, or by the flat charge where there is none. Deposits are free.

        Raises AmountOutOfRange for an amount that the tariff has no band for.
        """
        day = today(work.now)
        loaded = work.found(LOADED_TARIFFS, ALL)
        tariff = None if loaded is None else tariff_in_force(loaded, day)
        source, target = parties.source.type, parties.target.type
        if operation is Operation.DEPOSIT:
            earns = Service.DEPOSIT_AT_AGENT if target is CustomerType.SUBSCRIBER else None
            commission = _NOTHING if tariff is None or earns is None else tariff.commission(earns, amount)
            return Price(fees=_NO_FEES, excise=_NOTHING, commission=commission)
        service = banded_service(operation, source, target)
        if parties.merchant is not None and not parties.merchant.is_paybill:
            service = Service.BUY_GOODS
        if tariff is None or service is None:
            charge = work.found(CHARGE_OF, (operation, source, target))
            fees = Fees(payer=_NOTHING if charge is None else charge.fee, payee=_NOTHING)
            commission = _NOTHING
        else:
            plan = PayBillPlan.CUSTOMER_PAYS if parties.merchant is None else parties.merchant.plan
            fees = tariff.fees(service, amount, plan=plan)
            commission = tariff.commission(service, amount)
        excise = excise_in(fees.payer + fees.payee, self._excise.rate_on(day))
        return Price(fees=fees, excise=excise, commission=commission)

    def bar_to(self, work: Work, parties: Parties, amount: Money, fee: Money) -> Bar | None:
        """What forbids the source to pay this now."""
        source, merchant = parties.source, parties.merchant
        return source.bar_to(
            amount,
            fee=fee,
            balance=postings.balance(work, source.wallet, Currency.KES),
            policy=self.policy if source.type is CustomerType.SUBSCRIBER else replace(self.policy, limits={}),
            at=work.now,
            short_code=None if merchant is None else merchant.short_code,
        )

    def require(self, work: Work, operation: Operation, parties: Parties, amount: Money) -> Price:
        """What it costs, if every rule allows it; raises the refusal of the first that does not."""
        check_allowed(operation, parties.source, parties.target, amount, self.policy)
        self.require_room(work, parties.target, amount)
        price = self.price(work, operation, parties, amount)
        bar = self.bar_to(work, parties, amount, price.fees.payer)
        if bar is not None:
            raise _BARRED[bar](bar=bar.value)
        return price

    def require_room(self, work: Work, target: Customer, amount: Money) -> None:
        """Raises CustomerNotActive, and LimitExceeded when the target would hold more than its tier allows."""
        target.require_receiving()
        largest = self.policy.limits_of(target.tier).balance
        if largest is None or target.type is not CustomerType.SUBSCRIBER:
            return
        if postings.balance(work, target.wallet, Currency.KES) + amount > largest:
            raise LimitExceeded("The receiving account would hold more than it may.", bar="ABOVE_MAXIMUM_BALANCE")

    def carry_out(
        self,
        work: Work,
        operation: Operation,
        parties: Parties,
        amount: Money,
        price: Price,
        *,
        bill_reference: str | None = None,
        receipt: str | None = None,
    ) -> OperatorTransaction:
        """Move it: journals, the record, the sender's day, the messages to both. The rules were asked before.

        `receipt`: one that was reserved; None: the next one.
        """
        source, target, merchant = parties.source, parties.target, parties.merchant
        transaction = OperatorTransaction(
            id=OperatorTransactionId(work.ids.new()),
            receipt=receipt or next_receipt(work),
            operation=operation,
            source_id=source.id,
            target_id=target.id,
            amount=amount,
            payer_fee=price.fees.payer,
            payee_fee=price.fees.payee,
            excise=price.excise,
            commission=price.commission,
            happened_at=work.now,
            short_code=None if merchant is None else merchant.short_code,
            bill_reference=bill_reference,
        )
        postings.operator_payment(
            work,
            payer=source.wallet,
            payee=target.wallet,
            amount=amount,
            payer_fee=price.fees.payer,
            payee_fee=price.fees.payee,
            excise=price.excise,
            id_=transaction.id,
        )
        if price.commission.cents:
            agent = source if operation is Operation.DEPOSIT else target
            postings.commission_accrued(work, agent=agent.id, amount=price.commission, id_=transaction.id)
        source = source.paid(amount, work.now, transaction.short_code)
        work.put(CUSTOMERS, source.id, source)
        record_transaction(work, transaction, f"customer:{source.id}")
        self._tell(work, transaction, replace(parties, source=source))
        return transaction

    def _tell(self, work: Work, transaction: OperatorTransaction, parties: Parties) -> None:
        for customer, text in notices.of_movement(
            transaction,
            source=parties.source,
            target=parties.target,
            merchant=parties.merchant,
            source_balance=postings.balance(work, parties.source.wallet, Currency.KES),
            target_balance=postings.balance(work, parties.target.wallet, Currency.KES),
            day_left=parties.source.left_today(self.policy, work.now),
        ):
            tell(work, customer, text, transaction.id)
        self._warn_of_low_float(work, transaction, parties.source)

    def _warn_of_low_float(self, work: Work, transaction: OperatorTransaction, agent: Customer) -> None:
        """Once, when a payment takes an agent's float below the line."""
        if agent.type is not CustomerType.AGENT:
            return
        after = postings.balance(work, agent.wallet, Currency.KES)
        before = after + transaction.amount + transaction.payer_fee
        if after < self.policy.low_float <= before:
            tell(
                work,
                agent.id,
                messages.low_float_message(balance=after, threshold=self.policy.low_float, at=work.now),
                transaction.id,
            )
            facts = {"balance_cents": after.cents}
            work.record(DomainEvent("FloatRanLow", "OperatorTransaction", transaction.id, 2, facts))


def next_receipt(work: Work) -> str:
    """The next receipt number of the day in Nairobi."""
    day = today(work.now)
    counter, receipt = (work.get(RECEIPTS, RECEIPT_COUNTER) or ReceiptCounter(day=day, used=0)).next(day)
    work.put(RECEIPTS, RECEIPT_COUNTER, counter)
    return receipt


def record_transaction(work: Work, transaction: OperatorTransaction, actor: str) -> None:
    """Keep what statements are read from, and say who did it."""
    work.add(TRANSACTIONS, transaction.id, transaction)
    facts = {
        "operation": transaction.operation.value,
        "receipt": transaction.receipt,
        "source_id": None if transaction.source_id is None else str(transaction.source_id),
        "target_id": None if transaction.target_id is None else str(transaction.target_id),
        "amount_cents": transaction.amount.cents,
        "fee_cents": transaction.fees.cents,
    }
    work.record(DomainEvent("OperatorTransactionCompleted", "OperatorTransaction", transaction.id, 1, facts))
    work.audit(actor, f"operator.{transaction.operation.value.lower()}", "operator_transaction", transaction.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A customer's wish to deposit, withdraw or transfer."""

    operation: Operation
    source: CustomerId
    source_type: CustomerType
    target: Address
    amount: Money
    bill_reference: str | None = None
    pin: PinAnswer | None = None
    """None: no PIN was given."""
    receipt: str | None = None
    """One that was reserved for it."""


class MoveHandler:
    """Does it, whole or not at all."""

    def __init__(self, mover: Mover) -> None:
        self._mover = mover

    async def footprint(self, commands: Sequence[Move], find: Find) -> Footprint:
        await self._mover.prepare({_charge_key(command) for command in commands}, find)
        found = await find(DESTINATIONS, {command.target for command in commands})
        footprint = Footprint()
        for command in commands:
            footprint.add(CUSTOMERS, command.source)
            destination = found.get(command.target)
            if destination is not None:
                target = (command.target.user_type.customer_type, destination.customer_id)
                self._mover.footprint(footprint, (command.source_type, command.source), target)
        return footprint

    def handle(self, command: Move, work: Work) -> Answer | Refused:
        """Returns the transaction's id and receipt, and what it did to the source, in cents.

        Raises Unauthorized for a source that may no longer act; CustomerNotFound; PinRequired, PinLocked; the bill
        reference's refusals; everything `Mover.require` raises. A wrong PIN is counted and refused with WrongPin.
        """
        source = acting(work, command.source)
        refused = check_pin_answer(work, source, command.pin, self._mover.policy)
        if refused is not None:
            return refused
        parties = self.parties(command, source, work)
        price = self._mover.require(work, command.operation, parties, command.amount)
        transaction = self._mover.carry_out(
            work,
            command.operation,
            parties,
            command.amount,
            price,
            bill_reference=command.bill_reference,
            receipt=command.receipt,
        )
        return receipt_view(work, transaction, source.wallet)

    def parties(self, command: Move, source: Customer, work: Work) -> Parties:
        """Who pays whom. Raises CustomerNotFound and the bill reference's refusals."""
        destination = work.found(DESTINATIONS, command.target)
        target = None if destination is None else work.get(CUSTOMERS, destination.customer_id)
        if destination is None or target is None:
            raise CustomerNotFound
        if destination.merchant is not None:
            destination.merchant.check_reference(command.bill_reference)
        elif command.bill_reference is not None:
            if target.type is not CustomerType.MERCHANT:
                raise BillReferenceRefused
            check_bill_reference(command.bill_reference)
        return Parties(source=source, target=target, merchant=destination.merchant)


def receipt_view(work: Work, transaction: OperatorTransaction, wallet: str) -> Answer:
    """What whoever moved the money is told."""
    return {
        "transactionId": str(transaction.id),
        "receipt": transaction.receipt,
        "amountCents": transaction.amount.cents,
        "feeCents": transaction.payer_fee.cents,
        "balanceCents": postings.balance(work, wallet, Currency.KES).cents,
    }


def acting(work: Work, customer: CustomerId) -> Customer:
    """The customer who asks; raises Unauthorized for one who may not even log in."""
    found = work.get(CUSTOMERS, customer)
    if found is None or not found.status.may_log_in:
        raise Unauthorized
    return found


def _charge_key(command: Move) -> ChargeKey:
    return command.operation, command.source_type, command.target.user_type.customer_type
