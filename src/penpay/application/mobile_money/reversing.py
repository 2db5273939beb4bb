"""Giving money back: with the consent of whoever received it, or decided by administrators; fees stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from penpay.application.mobile_money import messages
from penpay.application.mobile_money.approving import Actor, administrator, ask, do_or_ask
from penpay.application.mobile_money.moving import Parties, acting, next_receipt, record_transaction
from penpay.application.mobile_money.notices import tell
from penpay.application.mobile_money.rows import (
    CUSTOMERS,
    KNOWN_TRANSACTIONS,
    RECEIPT_COUNTER,
    RECEIPTS,
    TRANSACTIONS,
)
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings
from penpay.domain.mobile_money.administrator import AdministratorId, Right
from penpay.domain.mobile_money.approval import Approval, ApprovalKind
from penpay.domain.mobile_money.customer import Customer, CustomerId, CustomerStatus
from penpay.domain.mobile_money.errors import CustomerNotActive, TransactionNotFound
from penpay.domain.mobile_money.policy import OperatorPolicy
from penpay.domain.mobile_money.transaction import Operation, OperatorTransaction, OperatorTransactionId
from penpay.domain.shared.events import Fact
from penpay.domain.shared.money import Currency, Money

_NOTHING: Final = Money.zero(Currency.KES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse:
    """Give back what is left of a transaction: all of it, or what the receiver still holds."""

    transaction_id: OperatorTransactionId
    by: Actor


class ReverseHandler:
    """A customer asks the one she paid; an administrator does it, or above the limit asks another one.

    An administrator's reversal takes money from a suspended or frozen account too: that is what such a status is for.
    """

    kind = ApprovalKind.REVERSAL

    def __init__(self, policy: OperatorPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[Reverse], find: Find) -> Footprint:
        known = await find(KNOWN_TRANSACTIONS, {command.transaction_id for command in commands})
        footprint = Footprint().add(RECEIPTS, RECEIPT_COUNTER)
        footprint.add(TRANSACTIONS, *(command.transaction_id for command in commands))
        parties = {id_ for one in known.values() for id_ in (one.source_id, one.target_id) if id_ is not None}
        footprint.add(CUSTOMERS, *parties)
        for command in commands:
            command.by.footprint(footprint)
        for customer in parties:
            postings.customer_footprint(footprint, customer)
        return footprint

    def handle(self, command: Reverse, work: Work) -> Answer:
        """Raises TransactionNotFound, also for somebody else's; NothingToReverse; CustomerNotActive; Unauthorized."""
        by = command.by
        if by.kind == "administrator":
            administrator(work, AdministratorId(by.id), Right.REVERSALS)
        else:
            acting(work, CustomerId(by.id))
        transaction, source, target = self._parties(command, work)
        amount = self._left(transaction, target, work)
        if by.kind == "administrator":
            return do_or_ask(self, command, work, policy=self._policy, amount=amount, by=by)
        if by.id != source.id:
            raise TransactionNotFound
        return ask(self, command, work, amount=amount, by=by, customer_id=target.id)

    def facts(self, command: Reverse) -> Mapping[str, Fact]:
        return {"transaction_id": str(command.transaction_id)}

    def command(self, approval: Approval) -> Reverse:
        id_ = OperatorTransactionId(UUID(str(approval.facts["transaction_id"])))
        return Reverse(transaction_id=id_, by=Actor.parse(approval.requested_by))

    def perform(self, command: Reverse, work: Work) -> Answer:
        """See `handle`; how much it is, is decided now."""
        original, source, target = self._parties(command, work)
        amount = self._left(original, target, work)
        reversal = give_back(work, original, Parties(source=source, target=target), amount, str(command.by))
        return {
            "transactionId": str(reversal.id),
            "receipt": reversal.receipt,
            "amountCents": amount.cents,
            "notReversedCents": (original.amount - original.reversed - amount).cents,
        }

    def _parties(self, command: Reverse, work: Work) -> tuple[OperatorTransaction, Customer, Customer]:
        transaction = work.get(TRANSACTIONS, command.transaction_id)
        if transaction is None or transaction.source_id is None or transaction.target_id is None:
            raise TransactionNotFound
        source, target = _customer(work, transaction.source_id), _customer(work, transaction.target_id)
        if CustomerStatus.CLOSED in {source.status, target.status}:
            raise CustomerNotActive
        return transaction, source, target

    def _left(self, transaction: OperatorTransaction, target: Customer, work: Work) -> Money:
        return transaction.reversible(postings.balance(work, target.wallet, Currency.KES))


def give_back(
    work: Work, original: OperatorTransaction, parties: Parties, amount: Money, actor: str
) -> OperatorTransaction:
    """Return this much of what the original's source has paid its target, and tell both.

    The rules were asked before.
    """
    source, target = parties.source, parties.target
    reversal = OperatorTransaction(
        id=OperatorTransactionId(work.ids.new()),
        receipt=next_receipt(work),
        operation=Operation.REVERSAL,
        source_id=target.id,
        target_id=source.id,
        amount=amount,
        payer_fee=_NOTHING,
        payee_fee=_NOTHING,
        excise=_NOTHING,
        commission=_NOTHING,
        happened_at=work.now,
        reverses_id=original.id,
    )
    work.put(TRANSACTIONS, original.id, original.give_back(amount))
    postings.operator_reversal(work, payer=target.wallet, payee=source.wallet, amount=amount, id_=reversal.id)
    record_transaction(work, reversal, actor)
    for customer, wording in ((source, messages.given_back_message), (target, messages.taken_back_message)):
        text = wording(
            receipt=reversal.receipt,
            reversed_receipt=original.receipt,
            amount=amount,
            at=work.now,
            balance=postings.balance(work, customer.wallet, Currency.KES),
        )
        tell(work, customer.id, text, reversal.id)
    return reversal


def _customer(work: Work, id_: CustomerId) -> Customer:
    found = work.get(CUSTOMERS, id_)
    if found is None:
        raise TransactionNotFound
    return found
