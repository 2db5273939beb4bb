"""The deposit saga: asking the payer, funding Deriv, and what each verdict does to states and books.

`DepositOrchestrator` names which command answers which event; every command here is one handler in one unit of work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from penpay.application.payments.fx import lock_rate
from penpay.application.payments.giving_back import RefundDeposit, intend_transfer
from penpay.application.payments.policy import PaymentsPolicy
from penpay.application.payments.reviewing import open_review
from penpay.application.payments.rows import (
    CURRENT_RATES,
    MPESA_REQUESTS,
    PAYERS,
    TRANSACTIONS,
    ReviewReason,
)
from penpay.application.payments.views import transaction_view
from penpay.application.shared.unit_of_work import Find, Footprint, StoredEvent, Work
from penpay.application.wallet import postings
from penpay.domain.payments.evidence import EvidenceState, MpesaRequest, Purpose, short_reference
from penpay.domain.payments.transaction import Transaction, TransactionStatus, TransactionType, create_transaction
from penpay.domain.shared.errors import AccountNotYours, Forbidden, NotFound
from penpay.domain.shared.ids import MpesaRequestId, TransactionId, UserId
from penpay.domain.shared.money import Currency, Money

DEPOSIT_WORKER = "deposit"
"""The consumer of the events that move a deposit on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDeposit:
    """A user asks for a deposit: `amount` in USD is what must reach Deriv, in KES what is charged to the phone."""

    user_id: UserId
    amount: Money
    deriv_login_id: str


class CreateDepositHandler:
    def __init__(self, policy: PaymentsPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[CreateDeposit], find: Find) -> Footprint:
        await find(PAYERS, {command.user_id for command in commands})
        await find(CURRENT_RATES, [(Currency.USD, Currency.KES)])
        return Footprint()

    def handle(self, command: CreateDeposit, work: Work) -> dict[str, object]:
        """Lock the rate and create the transaction; its view is the answer.

        Raises AccountNotYours, Forbidden (phone not verified), FxUnavailable, InvalidAmount, AmountOutOfRange.
        """
        payer = work.found(PAYERS, command.user_id)
        if payer is None:
            raise NotFound
        if command.deriv_login_id not in payer.deriv_login_ids:
            raise AccountNotYours
        if not payer.phone_verified:
            raise Forbidden("The phone number is not verified.")
        command.amount.require_positive()
        rate = lock_rate(
            work.found(CURRENT_RATES, (Currency.USD, Currency.KES)),
            now=work.now,
            max_age=self._policy.rate_max_age,
            spread_bps=self._policy.spread_bps,
            lock_for=self._policy.rate_locked_for,
        )
        quote = rate.quote_deposit(command.amount)
        self._policy.limits.check(quote)
        transaction, event = create_transaction(
            transaction_id=TransactionId(work.ids.new()),
            user_id=command.user_id,
            amount=command.amount,
            deriv_login_id=command.deriv_login_id,
            rate=rate,
            quote=quote,
            at=work.now,
        )
        work.add(TRANSACTIONS, transaction.id, transaction)
        work.record(event)
        work.audit(f"user:{command.user_id}", "deposit.created", "transaction", transaction.id)
        return transaction_view(transaction)


@dataclass(frozen=True, slots=True, kw_only=True)
class InitiateDeposit:
    """Decide on the prompt for a new deposit."""

    transaction_id: TransactionId
    user_id: UserId


class InitiateDepositHandler:
    async def footprint(self, commands: Sequence[InitiateDeposit], find: Find) -> Footprint:
        await find(PAYERS, {command.user_id for command in commands})
        return Footprint().add(TRANSACTIONS, *(command.transaction_id for command in commands))

    def handle(self, command: InitiateDeposit, work: Work) -> None:
        """Record the intent to prompt the payer; a withdrawal, or a deposit that is past this, is left as it is."""
        transaction = _known(work, command.transaction_id)
        if transaction.status is not TransactionStatus.PENDING or transaction.type is not TransactionType.DEPOSIT:
            return
        payer = work.found(PAYERS, command.user_id)
        if payer is None:
            raise NotFound
        request_id = MpesaRequestId(work.ids.new())
        request = MpesaRequest(
            id=request_id,
            purpose=Purpose.DEPOSIT,
            subject_id=transaction.id,
            state=EvidenceState.INTENDED,
            amount=transaction.quote.kes,
            due_at=work.now,
            created_at=work.now,
            account_reference="PX" + short_reference(request_id.int, 10),
            phone=payer.phone,
        )
        work.add(MPESA_REQUESTS, request.id, request)
        after, event = transaction.moved(
            "DepositInitiated", TransactionStatus.PROCESSING, work.now, mpesa_request_id=str(request.id)
        )
        work.put(TRANSACTIONS, after.id, after)
        work.record(event)
        work.audit("worker:deposit", "mpesa_request.intended", "mpesa_request", request.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class FundDeposit:
    """Convert a verified payment and decide on the transfer to Deriv."""

    transaction_id: TransactionId
    user_id: UserId


class FundDepositHandler:
    def __init__(self, forward_within: timedelta) -> None:
        self._forward_within = forward_within

    async def footprint(self, commands: Sequence[FundDeposit], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint().add(TRANSACTIONS, *(command.transaction_id for command in commands))
        for command in commands:
            postings.deposit_footprint(footprint, command.user_id)
        return footprint

    def handle(self, command: FundDeposit, work: Work) -> None:
        """Post the conversion and the intended transfer; money confirmed too late goes to review instead."""
        transaction = _known(work, command.transaction_id)
        if transaction.status is not TransactionStatus.VERIFYING_MPESA_PAYMENT:
            return
        if work.now - transaction.created_at > self._forward_within:
            open_review(work, transaction, ReviewReason.CONFIRMED_LATE, transaction.quote.kes)
            work.audit("worker:deposit", "deposit.late", "transaction", transaction.id)
            return
        postings.deposit_converted(
            work, user=command.user_id, transaction=transaction.id, quote=transaction.deposit_quote
        )
        transfer = intend_transfer(work, transaction, Purpose.DEPOSIT)
        after, event = transaction.moved(
            "DerivTransferInitiated",
            TransactionStatus.AWAITING_DERIV_CONFIRMATION,
            work.now,
            deriv_transfer_id=str(transfer.id),
        )
        work.put(TRANSACTIONS, after.id, after)
        work.record(event)
        work.audit("worker:deposit", "deriv_transfer.intended", "deriv_transfer", transfer.id)


class DepositOrchestrator:
    """The process manager of a deposit: which command answers which event."""

    SUBSCRIPTIONS: Final = ("TransactionCreated", "MpesaPaymentVerified", "DerivTransferRefused")

    def next_command(self, stored: StoredEvent) -> InitiateDeposit | FundDeposit | RefundDeposit:
        """What to do about an event of a deposit; raises ValueError for one it did not subscribe to."""
        event = stored.event
        transaction_id = TransactionId(event.aggregate_id)
        user_id = UserId(UUID(str(event.payload["user_id"])))
        if event.name == "TransactionCreated":
            return InitiateDeposit(transaction_id=transaction_id, user_id=user_id)
        if event.name == "MpesaPaymentVerified":
            return FundDeposit(transaction_id=transaction_id, user_id=user_id)
        if event.name == "DerivTransferRefused":
            return RefundDeposit(transaction_id=transaction_id, user_id=user_id)
        raise ValueError(event.name)


def _known(work: Work, transaction_id: TransactionId) -> Transaction:
    transaction = work.get(TRANSACTIONS, transaction_id)
    if transaction is None:
        raise NotFound
    return transaction
