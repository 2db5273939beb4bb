"""Float: issued to super agents against money at the trust bank, evidenced by bank deposits; and what is taken out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from penpay.application.mobile_money import messages
from penpay.application.mobile_money.approving import Actor, administrator, do_or_ask
from penpay.application.mobile_money.moving import next_receipt, record_transaction
from penpay.application.mobile_money.notices import tell
from penpay.application.mobile_money.rows import (
    ADMINISTRATORS,
    BANK_DEPOSITS,
    CUSTOMERS,
    FLOAT_ISSUES,
    RECEIPT_COUNTER,
    RECEIPTS,
    UNEVIDENCED,
    BankDeposit,
    BankDepositState,
    FloatIssue,
)
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings
from penpay.domain.mobile_money.administrator import AdministratorId, Right
from penpay.domain.mobile_money.approval import Approval, ApprovalKind
from penpay.domain.mobile_money.customer import Customer, CustomerId, CustomerType, wallet_of
from penpay.domain.mobile_money.errors import (
    BankDepositExists,
    CommissionNotCovered,
    CustomerNotFound,
    NotAnAgent,
    NotASuperAgent,
    SweepTooLarge,
)
from penpay.domain.mobile_money.policy import OperatorPolicy
from penpay.domain.mobile_money.transaction import Operation, OperatorTransaction, OperatorTransactionId
from penpay.domain.shared.errors import InvalidRequest, Overdrawn
from penpay.domain.shared.events import DomainEvent, Fact
from penpay.domain.shared.money import Currency, Money

_NOTHING: Final = Money.zero(Currency.KES)
_BANK_REFERENCE: Final = re.compile(r"[!-~]{1,64}", re.ASCII)
_EXPLAINS: Final[Mapping[BankDepositState, str]] = {
    BankDepositState.FLOAT: postings.TRUST_UNEVIDENCED,
    BankDepositState.OWN_FUNDS: "equity:owner:KES",
    BankDepositState.SUSPENSE: postings.SUSPENSE_KES,
}


def check_bank_reference(text: str) -> str:
    """Return it if it has 1 to 64 printable characters without spaces; raises InvalidRequest."""
    if not _BANK_REFERENCE.fullmatch(text):
        raise InvalidRequest(
            "A bank reference has 1 to 64 printable characters without spaces.", fields=["bankReference"]
        )
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignFloat:
    """Float for a super agent; with `bank_reference` against that bank deposit, else against evidence to come."""

    holder: CustomerId
    amount: Money
    bank_reference: str | None
    by: AdministratorId


class AssignFloatHandler:
    """Directly, or by approval above the limit."""

    kind = ApprovalKind.FLOAT_ASSIGNMENT

    def __init__(self, policy: OperatorPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[AssignFloat], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint().add(RECEIPTS, RECEIPT_COUNTER)
        for command in commands:
            footprint.add(ADMINISTRATORS, command.by).add(CUSTOMERS, command.holder)
            postings.float_footprint(footprint, holder=wallet_of(CustomerType.AGENT, command.holder))
            if command.bank_reference is not None:
                footprint.add(BANK_DEPOSITS, command.bank_reference)
        return footprint

    def handle(self, command: AssignFloat, work: Work) -> Answer:
        """Raises CustomerNotFound, NotASuperAgent, CustomerNotActive, BankDepositExists, InvalidAmount."""
        administrator(work, command.by, Right.FLOAT)
        command.amount.require_positive()
        self._holder(command, work)
        by = Actor.administrator(command.by)
        return do_or_ask(self, command, work, policy=self._policy, amount=command.amount, by=by)

    def facts(self, command: AssignFloat) -> Mapping[str, Fact]:
        return {"holder": str(command.holder), "bank_reference": command.bank_reference}

    def command(self, approval: Approval) -> AssignFloat:
        reference = approval.facts["bank_reference"]
        return AssignFloat(
            holder=CustomerId(UUID(str(approval.facts["holder"]))),
            amount=approval.amount,
            bank_reference=None if reference is None else str(reference),
            by=AdministratorId(Actor.parse(approval.requested_by).id),
        )

    def perform(self, command: AssignFloat, work: Work) -> Answer:
        """See `handle`."""
        holder = self._holder(command, work)
        transaction = OperatorTransaction(
            id=OperatorTransactionId(work.ids.new()),
            receipt=next_receipt(work),
            operation=Operation.FLOAT_ASSIGNMENT,
            source_id=None,
            target_id=holder.id,
            amount=command.amount,
            payer_fee=_NOTHING,
            payee_fee=_NOTHING,
            excise=_NOTHING,
            commission=_NOTHING,
            happened_at=work.now,
        )
        record_transaction(work, transaction, f"administrator:{command.by}")
        against = _evidence(command, work)
        postings.float_assigned(work, holder=holder.wallet, amount=command.amount, against=against, id_=transaction.id)
        issue = FloatIssue(transaction.id, command.amount, work.now, command.bank_reference)
        work.add(FLOAT_ISSUES, issue.transaction_id, issue)
        balance = postings.balance(work, holder.wallet, Currency.KES)
        text = messages.float_assigned_message(
            receipt=transaction.receipt, amount=command.amount, at=work.now, balance=balance
        )
        tell(work, holder.id, text, transaction.id)
        return {
            "transactionId": str(transaction.id),
            "receipt": transaction.receipt,
            "balanceCents": balance.cents,
            "evidenced": issue.bank_reference is not None,
        }

    def _holder(self, command: AssignFloat, work: Work) -> Customer:
        holder = work.get(CUSTOMERS, command.holder)
        if holder is None:
            raise CustomerNotFound
        if holder.type is not CustomerType.AGENT or not holder.is_super_agent:
            raise NotASuperAgent
        holder.require_receiving()
        return holder


def _evidence(command: AssignFloat, work: Work) -> str:
    """What the issue is booked against; a bank deposit that is named is taken, and can be taken once."""
    reference = command.bank_reference
    if reference is None:
        return postings.TRUST_UNEVIDENCED
    known = work.get(BANK_DEPOSITS, reference)
    if known is None:
        by = f"administrator:{command.by}"
        deposit = BankDeposit(reference, command.amount, by, work.now, BankDepositState.FLOAT)
        work.put(BANK_DEPOSITS, reference, deposit)
        return postings.TRUST_BANK
    if known.state is not BankDepositState.SUSPENSE or known.amount != command.amount:
        raise BankDepositExists
    work.put(BANK_DEPOSITS, reference, known._replace(state=BankDepositState.FLOAT, version=known.version + 1))
    return postings.SUSPENSE_KES


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterBankDeposit:
    """Money that the bank says has reached the trust account."""

    reference: str
    amount: Money
    own_funds: bool
    """It is the operator's own, to pay commission from; else it stands behind float."""
    by: str


class EnterBankDepositHandler:
    """Evidence for the oldest float issue of the same amount; what fits none waits in suspense."""

    async def footprint(self, commands: Sequence[EnterBankDeposit], find: Find) -> Footprint:
        amounts = Counter(command.amount.cents for command in commands)
        waiting = await find(UNEVIDENCED, set(amounts))
        footprint = Footprint()
        for cents, issues in waiting.items():
            footprint.add(FLOAT_ISSUES, *(issue.transaction_id for issue in issues[: amounts[cents]]))
        footprint.add(BANK_DEPOSITS, *(command.reference for command in commands))
        return postings.bank_deposit_footprint(footprint)

    def handle(self, command: EnterBankDeposit, work: Work) -> Answer:
        """A repeat of the same deposit changes nothing. Raises BankDepositExists for another amount, InvalidAmount."""
        amount = command.amount.require_positive()
        known = work.get(BANK_DEPOSITS, command.reference)
        if known is not None:
            if known.amount != amount:
                raise BankDepositExists
            return _deposit_view(known)
        state = self._state(command, work)
        deposit = BankDeposit(command.reference, amount, command.by, work.now, state)
        work.put(BANK_DEPOSITS, deposit.reference, deposit)
        postings.bank_deposit(work, amount=amount, reference=deposit.reference, explains=_EXPLAINS[state])
        facts = {"amount_cents": amount.cents, "state": state.value}
        work.audit(command.by, "bank_deposit.entered", "bank_deposit", deposit.reference, **facts)
        return _deposit_view(deposit)

    def _state(self, command: EnterBankDeposit, work: Work) -> BankDepositState:
        if command.own_funds:
            return BankDepositState.OWN_FUNDS
        waiting = work.found(UNEVIDENCED, command.amount.cents) or ()
        issues = (work.seen(FLOAT_ISSUES, one.transaction_id) for one in waiting)
        issue = next((one for one in issues if one is not None and one.bank_reference is None), None)
        if issue is None:
            return BankDepositState.SUSPENSE
        evidenced = issue._replace(bank_reference=command.reference, version=issue.version + 1)
        work.put(FLOAT_ISSUES, issue.transaction_id, evidenced)
        return BankDepositState.FLOAT


def _deposit_view(deposit: BankDeposit) -> Answer:
    return {
        "bankReference": deposit.reference,
        "amountCents": deposit.amount.cents,
        "state": deposit.state.value,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Take earnings, or excise that is due, out of the trust account."""

    amount: Money
    excise: bool
    by: AdministratorId


class SweepHandler:
    async def footprint(self, commands: Sequence[Sweep], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint().add(ADMINISTRATORS, *(command.by for command in commands))
        return postings.own_funds_footprint(footprint)

    def handle(self, command: Sweep, work: Work) -> Answer:
        """Raises SweepTooLarge, InvalidAmount."""
        administrator(work, command.by, Right.FLOAT)
        amount = command.amount.require_positive()
        id_ = work.ids.new()
        if command.excise:
            try:
                postings.excise_paid(work, amount=amount, id_=id_)
            except Overdrawn:
                raise SweepTooLarge from None
        elif amount > postings.own_funds(work):
            raise SweepTooLarge
        else:
            postings.fees_swept(work, amount=amount, id_=id_)
        what = "excise" if command.excise else "fees"
        work.audit(f"administrator:{command.by}", f"{what}.swept", "sweep", id_, amount_cents=amount.cents)
        return {"sweepId": str(id_), "amountCents": amount.cents}


@dataclass(frozen=True, slots=True, kw_only=True)
class PayCommission:
    """Give an agent what she has earned so far."""

    agent: CustomerId
    by: AdministratorId


class PayCommissionHandler:
    async def footprint(self, commands: Sequence[PayCommission], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint().add(RECEIPTS, RECEIPT_COUNTER)
        for command in commands:
            footprint.add(ADMINISTRATORS, command.by).add(CUSTOMERS, command.agent)
            postings.commission_footprint(footprint, agent=command.agent)
            postings.operator_payment_footprint(
                footprint,
                payer=postings.commission_account(command.agent),
                payee=wallet_of(CustomerType.AGENT, command.agent),
            )
        return postings.own_funds_footprint(footprint)

    def handle(self, command: PayCommission, work: Work) -> Answer:
        """Raises CustomerNotFound, NotAnAgent, CustomerNotActive, and InvalidAmount when nothing is owed.

        Raises CommissionNotCovered while the operator has earned less than it has promised.
        """
        administrator(work, command.by, Right.FLOAT)
        agent = work.get(CUSTOMERS, command.agent)
        if agent is None:
            raise CustomerNotFound
        if agent.type is not CustomerType.AGENT:
            raise NotAnAgent
        agent.require_receiving()
        owed = postings.balance(work, postings.commission_account(agent.id), Currency.KES).require_positive()
        if postings.own_funds(work) < _NOTHING:
            raise CommissionNotCovered
        transaction = OperatorTransaction(
            id=OperatorTransactionId(work.ids.new()),
            receipt=next_receipt(work),
            operation=Operation.COMMISSION,
            source_id=None,
            target_id=agent.id,
            amount=owed,
            payer_fee=_NOTHING,
            payee_fee=_NOTHING,
            excise=_NOTHING,
            commission=_NOTHING,
            happened_at=work.now,
        )
        postings.commission_paid(work, agent=agent.id, wallet=agent.wallet, amount=owed, id_=transaction.id)
        record_transaction(work, transaction, f"administrator:{command.by}")
        return {"transactionId": str(transaction.id), "amountCents": owed.cents}


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueToSubscriber:
    """Money for a wallet in the sandbox, or for a merchant there, against no evidence; once per reference."""

    customer_id: CustomerId
    amount: Money
    reference: str
    type: CustomerType = CustomerType.SUBSCRIBER


class IssueToSubscriberHandler:
    async def footprint(self, commands: Sequence[IssueToSubscriber], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint().add(CUSTOMERS, *(command.customer_id for command in commands))
        for command in commands:
            wallet = wallet_of(command.type, command.customer_id)
            postings.float_issued_footprint(footprint, holder=wallet, reference=command.reference)
        return footprint

    def handle(self, command: IssueToSubscriber, work: Work) -> None:
        """Raises CustomerNotFound, InvalidAmount, and DuplicateJournal for a reference used for something else."""
        customer = work.get(CUSTOMERS, command.customer_id)
        if customer is None:
            raise CustomerNotFound
        if postings.float_issued(
            work,
            holder=customer.wallet,
            amount=command.amount.require_positive(),
            reference=command.reference,
        ):
            facts = {"amount_cents": command.amount.cents}
            work.record(DomainEvent("FloatIssued", "FloatIssue", work.ids.new(), 1, facts))
            work.audit("operator", "float.issued", "customer", customer.id, **facts)
