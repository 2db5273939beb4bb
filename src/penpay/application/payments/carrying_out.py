"""Carrying out what two persons have decided, in the commit that closes the review."""

from __future__ import annotations

from penpay.application.payments.disbursing import (
    complete_payout,
    disbursement_and_subject,
    fail_payout,
    intend_payout,
    refute_payout,
)
from penpay.application.payments.giving_back import intend_transfer, refund_by_mpesa, return_to_deriv
from penpay.application.payments.payout_subjects import OfTransaction, RefundBooks
from penpay.application.payments.policy import PaymentsPolicy
from penpay.application.payments.reviewing import open_review
from penpay.application.payments.rows import (
    DERIV_TRANSFERS,
    DERIV_WITHDRAWALS,
    MPESA_DISBURSEMENTS,
    PAYERS,
    TRANSACTIONS,
    Decision,
    Review,
    ReviewReason,
)
from penpay.application.payments.situation import SUSPENSE_KES, SUSPENSE_USD, WALLET_KES, WALLET_USD, Situation
from penpay.application.payments.transferring import confirm_transfer, refuse_transfer
from penpay.application.payments.withdrawing import fail_withdrawal
from penpay.application.shared.kept_secrets import SECRETS, SecretPurpose
from penpay.application.shared.unit_of_work import Footprint, Work
from penpay.application.wallet import postings, withdrawal_postings
from penpay.domain.payments.evidence import Purpose
from penpay.domain.payments.transaction import Transaction, TransactionStatus
from penpay.domain.shared.errors import DecisionNotPossible, NotFound
from penpay.domain.shared.ids import DerivTransferId, DerivWithdrawalId, MpesaDisbursementId
from penpay.domain.shared.money import Currency, Money


def footprint_of(footprint: Footprint, situation: Situation) -> Footprint:
    """Every row that a decision about this transaction can touch."""
    footprint.add(TRANSACTIONS, situation.transaction_id)
    footprint.add(DERIV_TRANSFERS, *(DerivTransferId(one.id) for one in situation.transfers))
    footprint.add(MPESA_DISBURSEMENTS, *(MpesaDisbursementId(one.id) for one in situation.disbursements))
    if situation.debit is not None:
        footprint.add(DERIV_WITHDRAWALS, DerivWithdrawalId(situation.debit.id))
        footprint.add(SECRETS, (SecretPurpose.VERIFICATION_CODE, situation.debit.id))
    withdrawal_postings.payout_footprint(footprint, situation.user_id)
    withdrawal_postings.conversion_footprint(footprint, situation.transaction_id)
    transfers = ((postings.TRANSFER_INTENDED, one.reference) for one in situation.transfers)
    payouts = (
        (kind, one.reference)
        for kind in (withdrawal_postings.PAYOUT_INTENDED, withdrawal_postings.PAYOUT_CONFIRMED)
        for one in situation.disbursements
    )
    return postings.journal_footprint(footprint, *transfers, *payouts)


def carry_out(
    work: Work,
    review: Review,
    situation: Situation | None,
    policy: PaymentsPolicy,
    refunds: RefundBooks,
    *,
    by: str,
) -> None:
    """Do what was decided; `situation` must offer it. Raises DecisionNotPossible where it has changed in this batch."""
    if situation is None:
        if review.decision is Decision.OWNERS:
            withdrawal_postings.owners_credit(work, reference=str(review.id), amount=review.amount)
        elif review.decision in {Decision.IT_ARRIVED, Decision.IT_DID_NOT}:
            arrived = review.decision is Decision.IT_ARRIVED
            _settle_refund(work, MpesaDisbursementId(review.subject_id), refunds, arrived=arrived)
        return
    transaction = work.get(TRANSACTIONS, situation.transaction_id)
    if transaction is None:
        raise NotFound
    if transaction.status is not situation.status:
        raise DecisionNotPossible("The transaction has moved on; look again.")
    transaction, event = transaction.moved(
        "ReviewResolved",
        transaction.status,
        work.now,
        review_id=str(review.id),
        reason=review.reason.value,
        decision=review.decision and review.decision.value,
        by=by,
    )
    work.put(TRANSACTIONS, transaction.id, transaction)
    work.record(event)
    if review.decision is Decision.IT_DID_NOT and transaction.is_terminal:
        _refute(work, transaction, situation)
    elif review.decision in {Decision.IT_ARRIVED, Decision.IT_DID_NOT}:
        _settle(work, transaction, situation, arrived=review.decision is Decision.IT_ARRIVED)
    elif review.decision is Decision.ACCEPT:
        _accept(work, transaction, situation)
    else:
        _take_from_suspense(work, review, transaction, situation)
        _send(work, review, transaction, situation, policy)


def _settle_refund(work: Work, payout_id: MpesaDisbursementId, refunds: RefundBooks, *, arrived: bool) -> None:
    """People know what became of the payout of a refund."""
    payout, subject = disbursement_and_subject(work, payout_id, refunds)
    if payout.is_unproven and not arrived:
        refute_payout(work, payout, subject, "people")
        return
    if payout.is_final:
        raise DecisionNotPossible("It has been settled meanwhile; look again.")
    if arrived:
        complete_payout(work, payout, subject, happened_at=work.now, due_at=None, recovered_by="people")
    else:
        fail_payout(work, payout, subject, "people")


def _settle(work: Work, transaction: Transaction, situation: Situation, *, arrived: bool) -> None:
    """People know what became of what was in doubt."""
    if situation.transfer_in_doubt is not None:
        transfer = work.get(DERIV_TRANSFERS, situation.transfer_in_doubt)
        if transfer is None or transfer.is_final:
            raise DecisionNotPossible("It has been settled meanwhile; look again.")
        if arrived:
            confirm_transfer(work, transfer, transaction, None, happened_at=work.now, recovered_by="people")
        else:
            refuse_transfer(work, transfer, transaction, "people", refunds=False)
    elif situation.disbursement_in_doubt is not None:
        payout = work.get(MPESA_DISBURSEMENTS, situation.disbursement_in_doubt)
        if payout is None or payout.is_final:
            raise DecisionNotPossible("It has been settled meanwhile; look again.")
        if arrived:
            subject = OfTransaction(transaction)
            complete_payout(work, payout, subject, happened_at=work.now, due_at=None, recovered_by="people")
            return
        fail_payout(work, payout, OfTransaction(transaction), "people")
        after = work.get(TRANSACTIONS, transaction.id)
        if payout.purpose is Purpose.PAYOUT and after is not None:
            open_review(work, after, ReviewReason.NOT_RETURNED, payout.amount, code="people")
    elif situation.debit_in_doubt is not None:
        debit = work.get(DERIV_WITHDRAWALS, situation.debit_in_doubt)
        if debit is None or debit.is_final:
            raise DecisionNotPossible("It has been settled meanwhile; look again.")
        fail_withdrawal(work, debit, transaction, "people")
        _fail(work, transaction)


def _refute(work: Work, transaction: Transaction, situation: Situation) -> None:
    """People know that what the transaction ended by never was."""
    payout = None if situation.unproven is None else work.get(MPESA_DISBURSEMENTS, situation.unproven)
    if payout is None or not payout.is_unproven:
        raise DecisionNotPossible("M-Pesa has told of it meanwhile; look again.")
    refute_payout(work, payout, OfTransaction(transaction), "people")


def _accept(work: Work, transaction: Transaction, situation: Situation) -> None:
    """Nothing moves; a transaction without money that nobody looks at any more has failed."""
    if transaction.status is TransactionStatus.IN_REVIEW and not situation.held and situation.open_reviews <= 1:
        _fail(work, transaction)


def _fail(work: Work, transaction: Transaction) -> None:
    after, event = transaction.moved(
        "TransactionFailed", TransactionStatus.FAILED, work.now, failure_code="decided_by_people"
    )
    work.put(TRANSACTIONS, after.id, after)
    work.record(event)


def _take_from_suspense(work: Work, review: Review, transaction: Transaction, situation: Situation) -> None:
    """Money that is to be sent somewhere is the user's again first."""
    for place, currency in ((SUSPENSE_KES, Currency.KES), (SUSPENSE_USD, Currency.USD)):
        cents = situation.held.get(place, 0)
        if cents:
            withdrawal_postings.taken_from_suspense(
                work,
                user=transaction.user_id,
                transaction=transaction.id,
                reference=_reference(review, currency),
                amount=Money(cents, currency),
            )


def _reference(review: Review, currency: Currency) -> str:
    """What this decision's journal in this currency goes by; the same review may be open, and decided, again."""
    return f"{review.id}.{review.version}.{currency.value}"


def _send(work: Work, review: Review, transaction: Transaction, situation: Situation, policy: PaymentsPolicy) -> None:
    if review.decision is Decision.REFUND:
        refund_by_mpesa(work, transaction, policy)
    elif review.decision is Decision.RETURN:
        return_to_deriv(work, transaction, "decided_by_people")
    elif review.decision is Decision.FORWARD:
        if not situation.converted:
            postings.deposit_converted(
                work, user=transaction.user_id, transaction=transaction.id, quote=transaction.deposit_quote
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
    elif review.decision is Decision.PAY_OUT:
        _pay_out(work, transaction, situation, policy)
    else:
        _suspend(work, review, transaction, situation)


def _pay_out(work: Work, transaction: Transaction, situation: Situation, policy: PaymentsPolicy) -> None:
    payer = work.found(PAYERS, transaction.user_id)
    if payer is None:
        raise NotFound
    if not situation.converted:
        withdrawal_postings.withdrawal_converted(
            work, user=transaction.user_id, transaction=transaction.id, quote=transaction.withdrawal_quote
        )
    intend_payout(
        work,
        transaction,
        Purpose.PAYOUT,
        phone=payer.phone,
        policy=policy,
        event="MpesaDisbursementInitiated",
        status=TransactionStatus.AWAITING_MPESA_DISBURSEMENT,
    )


def _suspend(work: Work, review: Review, transaction: Transaction, situation: Situation) -> None:
    for place, currency in ((WALLET_KES, Currency.KES), (WALLET_USD, Currency.USD)):
        amount = Money(situation.held.get(place, 0), currency)
        if amount.cents:
            withdrawal_postings.put_in_suspense(
                work,
                user=transaction.user_id,
                transaction=transaction.id,
                reference=_reference(review, currency),
                amount=amount,
            )
            open_review(work, transaction, ReviewReason.NOT_RETURNED, amount, type=transaction.type.value)
