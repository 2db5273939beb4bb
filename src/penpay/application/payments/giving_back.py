"""Compensation: money that cannot be sent on goes back by the road it came, as a sub-flow with evidence of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penpay.application.payments.disbursing import intend_payout
from penpay.application.payments.policy import PaymentsPolicy
from penpay.application.payments.rows import DERIV_TRANSFERS, PAYERS, TRANSACTIONS
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings, withdrawal_postings
from penpay.domain.payments.evidence import DerivTransfer, EvidenceState, Purpose, short_reference
from penpay.domain.payments.transaction import Transaction, TransactionStatus
from penpay.domain.shared.errors import NotFound
from penpay.domain.shared.ids import DerivTransferId, TransactionId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundDeposit:
    """Deriv will not take the dollars of a deposit: pay the payer back."""

    transaction_id: TransactionId
    user_id: UserId


class RefundDepositHandler:
    def __init__(self, policy: PaymentsPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[RefundDeposit], find: Find) -> Footprint:
        await find(PAYERS, {command.user_id for command in commands})
        return going_back_footprint(commands)

    def handle(self, command: RefundDeposit, work: Work) -> None:
        """Undo the conversion and intend the payout; a deposit that is elsewhere, with people for one, stays there."""
        transaction = work.get(TRANSACTIONS, command.transaction_id)
        if transaction is None:
            raise NotFound
        if transaction.status is TransactionStatus.AWAITING_DERIV_CONFIRMATION:
            refund_by_mpesa(work, transaction, self._policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnWithdrawal:
    """M-Pesa will not pay the shillings of a withdrawal: send the dollars back to Deriv."""

    transaction_id: TransactionId
    user_id: UserId


class ReturnWithdrawalHandler:
    async def footprint(self, commands: Sequence[ReturnWithdrawal], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return going_back_footprint(commands)

    def handle(self, command: ReturnWithdrawal, work: Work) -> None:
        """Undo the conversion and intend the transfer; a withdrawal that is elsewhere stays there."""
        transaction = work.get(TRANSACTIONS, command.transaction_id)
        if transaction is None:
            raise NotFound
        if transaction.status is TransactionStatus.AWAITING_MPESA_DISBURSEMENT:
            return_to_deriv(work, transaction, "payout_failed")


def going_back_footprint(commands: Sequence[RefundDeposit | ReturnWithdrawal]) -> Footprint:
    """The transactions, and every account and journal that giving their money back can touch."""
    footprint = Footprint().add(TRANSACTIONS, *(command.transaction_id for command in commands))
    for command in commands:
        withdrawal_postings.payout_footprint(footprint, command.user_id)
        withdrawal_postings.conversion_footprint(footprint, command.transaction_id)
    return footprint


def refund_by_mpesa(work: Work, transaction: Transaction, policy: PaymentsPolicy) -> None:
    """Pay a deposit's whole charge back to the payer's phone; `PAYERS` must have been looked up."""
    payer = work.found(PAYERS, transaction.user_id)
    if payer is None:
        raise NotFound
    withdrawal_postings.conversion_undone(work, transaction=transaction.id)
    intend_payout(
        work,
        transaction,
        Purpose.REFUND,
        phone=payer.phone,
        policy=policy,
        event="RefundInitiated",
        status=TransactionStatus.RETURNING,
    )


def return_to_deriv(work: Work, transaction: Transaction, failure_code: str) -> None:
    """Send a withdrawal's dollars back to the account they came from, whatever the rate has done since."""
    withdrawal_postings.conversion_undone(work, transaction=transaction.id)
    transfer = intend_transfer(work, transaction, Purpose.RETURN)
    after, event = transaction.moved(
        "ReturnInitiated",
        TransactionStatus.RETURNING,
        work.now,
        deriv_transfer_id=str(transfer.id),
        failure_code=failure_code,
    )
    work.put(TRANSACTIONS, after.id, after)
    work.record(event)
    work.audit("worker:withdrawal", "deriv_transfer.intended", "deriv_transfer", transfer.id, purpose="RETURN")


def intend_transfer(work: Work, transaction: Transaction, purpose: Purpose) -> DerivTransfer:
    """Record the intent to transfer the transaction's dollars to its Deriv account; they leave the wallet now."""
    transfer_id = DerivTransferId(work.ids.new())
    transfer = DerivTransfer(
        id=transfer_id,
        purpose=purpose,
        subject_id=transaction.id,
        state=EvidenceState.INTENDED,
        amount=transaction.quote.usd,
        due_at=work.now,
        created_at=work.now,
        reference="PX" + short_reference(transfer_id.int, 20),
        deriv_login_id=transaction.deriv_login_id,
    )
    postings.transfer_intended(
        work,
        user=transaction.user_id,
        transaction=transaction.id,
        reference=transfer.reference,
        amount=transfer.amount,
    )
    work.add(DERIV_TRANSFERS, transfer.id, transfer)
    return transfer
