"""What happens to the debit of a client's account at Deriv: having the code mailed, the licence, the answer, the wait.

The dollars themselves are the credit on our own account, which `crediting` books.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from penpay.application.payments.policy import (
    CODE_BACKOFF_SECONDS,
    SEND_BACKOFF_SECONDS,
    STATEMENT_BACKOFF_SECONDS,
    STATEMENT_UNREADABLE_AFTER,
    TRANSFER_UNRESOLVED_AFTER,
    UNREADABLE_BACKOFF_SECONDS,
    backoff,
)
from penpay.application.payments.reviewing import open_review
from penpay.application.payments.rows import DERIV_WITHDRAWALS, TOKEN_SUBJECTS, TRANSACTIONS, ReviewReason
from penpay.application.shared.kept_secrets import SECRETS, SecretPurpose
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.domain.deriv.gateway import TransferAnswer, TransferOutcome
from penpay.domain.payments.evidence import DerivWithdrawal, EvidenceState
from penpay.domain.payments.transaction import Transaction, TransactionStatus
from penpay.domain.shared.errors import NotFound
from penpay.domain.shared.ids import DerivWithdrawalId, TransactionId

_ACTOR: Final = "worker:deriv_withdrawal"
_TOLD: Final = frozenset(
    {"wrong_verification_code", "deriv_token_refused", "deriv_token_missing", "not_confirmed", "code_expired"}
)
"""Codes that users are told as they are; any other is a refusal of Deriv's."""


@dataclass(frozen=True, slots=True)
class WithdrawalTask:
    """A claimed withdrawal with what its one call needs: the token to have the code mailed, or token and code."""

    withdrawal: DerivWithdrawal
    token: str | None = field(default=None, repr=False)
    verification_code: str | None = field(default=None, repr=False)


async def withdrawals_footprint(withdrawals: Collection[DerivWithdrawalId], find: Find) -> Footprint:
    """The withdrawals, their transactions, and the secrets their calls need."""
    footprint = Footprint().add(DERIV_WITHDRAWALS, *withdrawals)
    footprint.add(TRANSACTIONS, *map(TransactionId, withdrawals))
    footprint.add(SECRETS, *((SecretPurpose.VERIFICATION_CODE, withdrawal) for withdrawal in withdrawals))
    accounts = await find(TOKEN_SUBJECTS, withdrawals)
    return footprint.add(SECRETS, *((SecretPurpose.DERIV_TOKEN, account) for account in accounts.values()))


def withdrawal_and_transaction(work: Work, withdrawal_id: DerivWithdrawalId) -> tuple[DerivWithdrawal, Transaction]:
    """The debit and the withdrawal it is for; raises NotFound."""
    withdrawal = work.get(DERIV_WITHDRAWALS, withdrawal_id)
    transaction = work.get(TRANSACTIONS, withdrawal.subject_id) if withdrawal is not None else None
    if withdrawal is None or transaction is None:
        raise NotFound
    return withdrawal, transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimDerivWithdrawal:
    """Take the licence to act on a withdrawal: to have the code mailed, to send it, or to look for the credit."""

    withdrawal_id: DerivWithdrawalId


class ClaimDerivWithdrawalHandler:
    def __init__(self, lease: timedelta) -> None:
        self._lease = lease

    async def footprint(self, commands: Sequence[ClaimDerivWithdrawal], find: Find) -> Footprint:
        return await withdrawals_footprint({command.withdrawal_id for command in commands}, find)

    def handle(self, command: ClaimDerivWithdrawal, work: Work) -> WithdrawalTask | None:
        """The claimed withdrawal; None when it has ended instead, with nothing sent. Raises LostLicence."""
        withdrawal, transaction = withdrawal_and_transaction(work, command.withdrawal_id)
        token = _secret(work, SecretPurpose.DERIV_TOKEN, withdrawal)
        code = _secret(work, SecretPurpose.VERIFICATION_CODE, withdrawal)
        waits_for_code = withdrawal.state is EvidenceState.INTENDED and transaction.status is TransactionStatus.PENDING
        ended = None
        if withdrawal.state is EvidenceState.INTENDED and withdrawal.is_due(work.now):
            ended = _why_not(transaction, work.now, token=token, code=None if waits_for_code else code)
        if ended is not None:
            fail_withdrawal(work, withdrawal, transaction, ended)
            return None
        if waits_for_code:
            claimed = withdrawal.claimed_to_ask_for_code(work.now, self._lease)
        else:
            claimed = withdrawal.claimed(work.now, self._lease)
        work.put(DERIV_WITHDRAWALS, claimed.id, claimed)
        work.audit(_ACTOR, "deriv_withdrawal.claimed", "deriv_withdrawal", claimed.id, state=claimed.state.value)
        if claimed.state is EvidenceState.UNKNOWN:
            forget_code(work, claimed)
        return WithdrawalTask(claimed, token, code)


def _why_not(transaction: Transaction, now: datetime, *, token: str | None, code: str | None) -> str | None:
    """Why a withdrawal that nothing was sent of is over; None when it is not."""
    if token is None:
        return "deriv_token_missing"
    if transaction.status is TransactionStatus.PENDING:
        return "not_confirmed" if transaction.rate.is_expired(now) else None
    return "code_expired" if code is None else None


def _secret(work: Work, purpose: SecretPurpose, withdrawal: DerivWithdrawal) -> str | None:
    subject = withdrawal.id if purpose is SecretPurpose.VERIFICATION_CODE else work.found(TOKEN_SUBJECTS, withdrawal.id)
    kept = None if subject is None else work.get(SECRETS, (purpose, subject))
    return None if kept is None else kept.at(work.now)


def forget_code(work: Work, withdrawal: DerivWithdrawal) -> None:
    """Delete the code; it has been used, or never will be."""
    key = (SecretPurpose.VERIFICATION_CODE, withdrawal.id)
    if work.get(SECRETS, key) is not None:
        work.put(SECRETS, key, None)


def fail_withdrawal(work: Work, withdrawal: DerivWithdrawal, transaction: Transaction, code: str | None) -> None:
    """Deriv debited nobody and will not: it is over, unless people are looking at it or it has ended."""
    forget_code(work, withdrawal)
    failed = withdrawal.moved(EvidenceState.FAILED, work.now, due_at=None, code=code)
    work.put(DERIV_WITHDRAWALS, failed.id, failed)
    work.audit(_ACTOR, "deriv_withdrawal.failed", "deriv_withdrawal", failed.id, code=code)
    if transaction.is_terminal or transaction.status is TransactionStatus.IN_REVIEW:
        return
    after, event = transaction.moved(
        "TransactionFailed",
        TransactionStatus.FAILED,
        work.now,
        failure_code=code if code in _TOLD else "deriv_refused",
        code=code,
    )
    work.put(TRANSACTIONS, after.id, after)
    work.record(event)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCodeAnswer:
    """What Deriv answered when it was asked to mail the code."""

    withdrawal_id: DerivWithdrawalId
    fence: int
    answer: TransferAnswer


class RecordCodeAnswerHandler:
    async def footprint(self, commands: Sequence[RecordCodeAnswer], find: Find) -> Footprint:
        return await withdrawals_footprint({command.withdrawal_id for command in commands}, find)

    def handle(self, command: RecordCodeAnswer, work: Work) -> None:
        """Wait for the user once it was asked for; a refusal ends the withdrawal. Raises LostLicence.

        An answer that comes when it is over changes nothing.
        """
        withdrawal, transaction = withdrawal_and_transaction(work, command.withdrawal_id)
        withdrawal.check_fence(command.fence)
        answer, now = command.answer, work.now
        work.audit(
            _ACTOR,
            "deriv_withdrawal.code_asked",
            "deriv_withdrawal",
            withdrawal.id,
            outcome=answer.outcome.value,
            code=answer.code,
        )
        confirmed = transaction.status is not TransactionStatus.PENDING
        if withdrawal.is_final:
            work.put(DERIV_WITHDRAWALS, withdrawal.id, withdrawal.moved(withdrawal.state, now, due_at=None))
        elif answer.outcome is TransferOutcome.CONFIRMED:
            due_at = now if confirmed else transaction.rate.expires_at
            asked = replace(withdrawal, code_asked_at=now).moved(withdrawal.state, now, due_at=due_at)
            work.put(DERIV_WITHDRAWALS, asked.id, asked)
        elif answer.outcome is TransferOutcome.FAILED and not confirmed:
            fail_withdrawal(work, withdrawal, transaction, answer.code)
        else:
            pause = (
                timedelta(0) if confirmed else backoff(CODE_BACKOFF_SECONDS, withdrawal.fence, answer.retry_after_ms)
            )
            later = withdrawal.moved(withdrawal.state, now, due_at=now + pause, code=answer.code)
            work.put(DERIV_WITHDRAWALS, later.id, later)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWithdrawalAnswer:
    """What Deriv answered to the withdrawal sent under this fence."""

    withdrawal_id: DerivWithdrawalId
    fence: int
    answer: TransferAnswer


class RecordWithdrawalAnswerHandler:
    async def footprint(self, commands: Sequence[RecordWithdrawalAnswer], find: Find) -> Footprint:
        return await withdrawals_footprint({command.withdrawal_id for command in commands}, find)

    def handle(self, command: RecordWithdrawalAnswer, work: Work) -> None:
        """Note what the answer tells; only the credit on our account is money. Raises LostLicence.

        The code is forgotten, unless nothing has left.
        """
        withdrawal, transaction = withdrawal_and_transaction(work, command.withdrawal_id)
        withdrawal.check_fence(command.fence)
        answer, now = command.answer, work.now
        work.audit(
            _ACTOR,
            "deriv_withdrawal.answered",
            "deriv_withdrawal",
            withdrawal.id,
            outcome=answer.outcome.value,
            code=answer.code,
        )
        if answer.outcome is not TransferOutcome.NOT_SENT:
            forget_code(work, withdrawal)
        if withdrawal.state is not EvidenceState.SENDING:
            self._after_the_credit(withdrawal, transaction, answer, work)
        elif answer.outcome is TransferOutcome.FAILED:
            fail_withdrawal(work, withdrawal, transaction, answer.code)
        elif answer.outcome is TransferOutcome.NOT_SENT:
            due_at = now + backoff(SEND_BACKOFF_SECONDS, withdrawal.fence, answer.retry_after_ms)
            waiting = withdrawal.moved(EvidenceState.INTENDED, now, due_at=due_at, code=answer.code)
            work.put(DERIV_WITHDRAWALS, waiting.id, waiting)
        else:
            self._made(withdrawal, transaction, answer, work)

    @staticmethod
    def _made(withdrawal: DerivWithdrawal, transaction: Transaction, answer: TransferAnswer, work: Work) -> None:
        taken = answer.outcome is TransferOutcome.CONFIRMED
        due_at = work.now + backoff(STATEMENT_BACKOFF_SECONDS, 1, answer.retry_after_ms)
        told = replace(withdrawal, client_row_id=answer.provider_id).moved(
            EvidenceState.ACCEPTED if taken else EvidenceState.UNKNOWN, work.now, due_at=due_at, code=answer.code
        )
        work.put(DERIV_WITHDRAWALS, told.id, told)
        if transaction.status is TransactionStatus.PROCESSING:
            after, event = transaction.moved(
                "DerivWithdrawalAccepted" if taken else "DerivWithdrawalUnanswered",
                TransactionStatus.AWAITING_DERIV_CONFIRMATION,
                work.now,
            )
            work.put(TRANSACTIONS, after.id, after)
            work.record(event)

    @staticmethod
    def _after_the_credit(
        withdrawal: DerivWithdrawal, transaction: Transaction, answer: TransferAnswer, work: Work
    ) -> None:
        """The credit was faster: it stands, and a refusal that contradicts it is for people."""
        if answer.outcome is TransferOutcome.FAILED and withdrawal.state is EvidenceState.CONFIRMED:
            open_review(work, transaction, ReviewReason.CONTRADICTION, withdrawal.amount, code=answer.code)
        told = replace(
            withdrawal,
            client_row_id=answer.provider_id or withdrawal.client_row_id,
            lease_until=None,
            version=withdrawal.version + 1,
        )
        work.put(DERIV_WITHDRAWALS, told.id, told)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCreditSearch:
    """The statement was looked through for the credit, and all it shows is booked; `read` False: it could not be."""

    withdrawal_id: DerivWithdrawalId
    fence: int
    read: bool


class RecordCreditSearchHandler:
    async def footprint(self, commands: Sequence[RecordCreditSearch], find: Find) -> Footprint:
        return await withdrawals_footprint({command.withdrawal_id for command in commands}, find)

    def handle(self, command: RecordCreditSearch, work: Work) -> None:
        """Look again later while the credit has not come, until it is for people. Raises LostLicence."""
        withdrawal, transaction = withdrawal_and_transaction(work, command.withdrawal_id)
        withdrawal.check_fence(command.fence)
        work.audit(_ACTOR, "deriv_withdrawal.searched", "deriv_withdrawal", withdrawal.id, read=command.read)
        now = work.now
        if withdrawal.is_final:
            work.put(DERIV_WITHDRAWALS, withdrawal.id, withdrawal.moved(withdrawal.state, now, due_at=None))
            return
        too_long = TRANSFER_UNRESOLVED_AFTER if command.read else STATEMENT_UNREADABLE_AFTER
        if now - (withdrawal.sent_at or withdrawal.created_at) >= too_long:
            work.put(DERIV_WITHDRAWALS, withdrawal.id, withdrawal.moved(withdrawal.state, now, due_at=None))
            open_review(
                work,
                transaction,
                ReviewReason.DERIV_UNRESOLVED,
                withdrawal.amount,
                reference=withdrawal.reference,
                statement_read=command.read,
            )
            return
        pause = STATEMENT_BACKOFF_SECONDS if command.read else UNREADABLE_BACKOFF_SECONDS
        due_at = now + backoff(pause, withdrawal.attempts, None)
        work.put(DERIV_WITHDRAWALS, withdrawal.id, withdrawal.moved(withdrawal.state, now, due_at=due_at))
