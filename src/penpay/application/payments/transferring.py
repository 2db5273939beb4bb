"""What happens to a transfer to Deriv: the licence to send it, its answer, and what the statement shows of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from penpay.application.payments.policy import (
    SEND_BACKOFF_SECONDS,
    STATEMENT_BACKOFF_SECONDS,
    STATEMENT_UNREADABLE_AFTER,
    TRANSFER_REFUSED_AFTER,
    TRANSFER_UNRESOLVED_AFTER,
    TRIES_BEFORE_GIVING_UP,
    UNREADABLE_BACKOFF_SECONDS,
    backoff,
)
from penpay.application.payments.reviewing import open_review
from penpay.application.payments.rows import DERIV_TRANSFERS, SUBJECTS_OF_TRANSFERS, TRANSACTIONS, ReviewReason
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings, withdrawal_postings
from penpay.domain.deriv.gateway import FoundTransfer, TransferAnswer, TransferOutcome
from penpay.domain.payments.evidence import DerivTransfer, EvidenceState, Purpose
from penpay.domain.payments.transaction import Transaction, TransactionStatus
from penpay.domain.shared.errors import NotFound
from penpay.domain.shared.ids import DerivTransferId

_ACTOR = "worker:deriv_transfer"


async def transfers_footprint(transfers: Collection[DerivTransferId], find: Find) -> Footprint:
    """The transfers, their transactions, and every account and journal that a verdict about them can touch."""
    footprint = Footprint().add(DERIV_TRANSFERS, *transfers)
    for subject, reference in (await find(SUBJECTS_OF_TRANSFERS, transfers)).values():
        footprint.add(TRANSACTIONS, subject.transaction_id)
        withdrawal_postings.payout_footprint(footprint, subject.user_id)
        postings.journal_footprint(footprint, (postings.TRANSFER_INTENDED, reference))
    return footprint


def transfer_and_transaction(work: Work, transfer_id: DerivTransferId) -> tuple[DerivTransfer, Transaction]:
    """The transfer and the deposit it is for; raises NotFound."""
    transfer = work.get(DERIV_TRANSFERS, transfer_id)
    transaction = work.get(TRANSACTIONS, transfer.subject_id) if transfer is not None else None
    if transfer is None or transaction is None:
        raise NotFound
    return transfer, transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimDerivTransfer:
    """Take the licence to act on a transfer that is due: to send it, or to look for it."""

    transfer_id: DerivTransferId


class ClaimDerivTransferHandler:
    def __init__(self, lease: timedelta) -> None:
        self._lease = lease

    async def footprint(self, commands: Sequence[ClaimDerivTransfer], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(DERIV_TRANSFERS, *(command.transfer_id for command in commands))

    def handle(self, command: ClaimDerivTransfer, work: Work) -> DerivTransfer:
        """The claimed transfer. Raises LostLicence when it is not due or another worker holds it."""
        transfer = work.get(DERIV_TRANSFERS, command.transfer_id)
        if transfer is None:
            raise NotFound
        claimed = transfer.claimed(work.now, self._lease)
        work.put(DERIV_TRANSFERS, transfer.id, claimed)
        work.audit(_ACTOR, "deriv_transfer.claimed", "deriv_transfer", transfer.id, state=claimed.state.value)
        return claimed


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTransferAnswer:
    """What Deriv answered to the transfer sent under this fence."""

    transfer_id: DerivTransferId
    fence: int
    answer: TransferAnswer


class RecordTransferAnswerHandler:
    def __init__(self, *, refunds: bool) -> None:
        """`refunds`: a deposit that Deriv refuses is paid back without people."""
        self._refunds = refunds

    async def footprint(self, commands: Sequence[RecordTransferAnswer], find: Find) -> Footprint:
        return await transfers_footprint({command.transfer_id for command in commands}, find)

    def handle(self, command: RecordTransferAnswer, work: Work) -> None:
        """Settle what the answer decides; look for the transfer later where it decides nothing. Raises LostLicence."""
        transfer, transaction = transfer_and_transaction(work, command.transfer_id)
        transfer.check_fence(command.fence)
        answer, now = command.answer, work.now
        work.audit(
            _ACTOR,
            "deriv_transfer.answered",
            "deriv_transfer",
            transfer.id,
            outcome=answer.outcome.value,
            code=answer.code,
        )
        if answer.outcome is TransferOutcome.CONFIRMED:
            confirm_transfer(work, transfer, transaction, answer.provider_id, happened_at=now)
        elif answer.outcome is TransferOutcome.FAILED or (
            answer.outcome is TransferOutcome.NOT_SENT and _was_tried_long_enough(transfer, now)
        ):
            refuse_transfer(work, transfer, transaction, answer.code, refunds=self._refunds)
        elif answer.outcome is TransferOutcome.NOT_SENT:
            due_at = now + backoff(SEND_BACKOFF_SECONDS, transfer.fence, answer.retry_after_ms)
            waiting = transfer.moved(EvidenceState.INTENDED, now, due_at=due_at, code=answer.code)
            work.put(DERIV_TRANSFERS, transfer.id, waiting)
        else:
            due_at = now + backoff(STATEMENT_BACKOFF_SECONDS, 1, answer.retry_after_ms)
            unknown = transfer.moved(EvidenceState.UNKNOWN, now, due_at=due_at, code=answer.code)
            work.put(DERIV_TRANSFERS, transfer.id, unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTransferSearch:
    """What the statement shows under the transfer's reference; None when it could not be read."""

    transfer_id: DerivTransferId
    fence: int
    found: tuple[FoundTransfer, ...] | None


class RecordTransferSearchHandler:
    async def footprint(self, commands: Sequence[RecordTransferSearch], find: Find) -> Footprint:
        return await transfers_footprint({command.transfer_id for command in commands}, find)

    def handle(self, command: RecordTransferSearch, work: Work) -> None:
        """Settle what was found; absence is no proof, so look again until it is for people. Raises LostLicence.

        A statement that could not be read shows nothing, not even absence.
        """
        transfer, transaction = transfer_and_transaction(work, command.transfer_id)
        transfer.check_fence(command.fence)
        rows = None if command.found is None else len(command.found)
        found = command.found or ()
        work.audit(_ACTOR, "deriv_transfer.searched", "deriv_transfer", transfer.id, rows=rows)
        exact = [row for row in found if row.amount == transfer.amount and row.login_id == transfer.deriv_login_id]
        if len(found) == 1 and exact:
            confirm_transfer(
                work,
                transfer,
                transaction,
                exact[0].provider_id,
                happened_at=min(exact[0].happened_at, work.now),
                recovered_by="deriv_statement",
            )
        elif found:
            _hand_over(work, transfer, transaction, ReviewReason.DERIV_DUPLICATE, rows=len(found))
        elif work.now - (transfer.sent_at or transfer.created_at) >= (
            STATEMENT_UNREADABLE_AFTER if rows is None else TRANSFER_UNRESOLVED_AFTER
        ):
            _hand_over(work, transfer, transaction, ReviewReason.DERIV_UNRESOLVED, rows=rows)
        else:
            pause = STATEMENT_BACKOFF_SECONDS if command.found is not None else UNREADABLE_BACKOFF_SECONDS
            due_at = work.now + backoff(pause, transfer.attempts, None)
            work.put(DERIV_TRANSFERS, transfer.id, transfer.moved(transfer.state, work.now, due_at=due_at))


def _was_tried_long_enough(transfer: DerivTransfer, now: datetime) -> bool:
    """Whether it is time to give up what never left; the time in which we stood still ourselves is not enough."""
    return transfer.fence >= TRIES_BEFORE_GIVING_UP and now - transfer.created_at >= TRANSFER_REFUSED_AFTER


def confirm_transfer(
    work: Work,
    transfer: DerivTransfer,
    transaction: Transaction,
    provider_id: str | None,
    *,
    happened_at: datetime,
    recovered_by: str | None = None,
) -> None:
    """Deriv has moved the dollars: a deposit is completed by it, a withdrawal that was returned is reversed."""
    confirmed = replace(transfer, provider_id=provider_id).moved(EvidenceState.CONFIRMED, work.now, due_at=None)
    work.put(DERIV_TRANSFERS, transfer.id, confirmed)
    postings.transfer_confirmed(
        work,
        transaction=transaction.id,
        reference=transfer.reference,
        amount=transfer.amount,
        happened_at=happened_at,
    )
    returned = transfer.purpose is Purpose.RETURN
    after, event = transaction.moved(
        "TransactionReversed" if returned else "TransactionCompleted",
        TransactionStatus.REVERSED if returned else TransactionStatus.COMPLETED,
        work.now,
        deriv_transaction_id=provider_id,
        recovered_by=recovered_by,
    )
    work.put(TRANSACTIONS, after.id, after)
    work.record(event)


def refuse_transfer(
    work: Work, transfer: DerivTransfer, transaction: Transaction, code: str | None, *, refunds: bool
) -> None:
    """Deriv moved nothing and will not: the dollars are the user's again, and are paid back by us or by people."""
    work.put(DERIV_TRANSFERS, transfer.id, transfer.moved(EvidenceState.FAILED, work.now, due_at=None, code=code))
    postings.transfer_failed(work, reference=transfer.reference)
    returned = transfer.purpose is Purpose.RETURN
    transaction, event = transaction.moved(
        "ReturnRefused" if returned else "DerivTransferRefused",
        transaction.status,
        work.now,
        user_id=str(transaction.user_id),
        code=code,
        **({} if returned else {"failure_code": "deriv_refused"}),
    )
    work.put(TRANSACTIONS, transaction.id, transaction)
    work.record(event)
    if returned:
        # Neither M-Pesa nor Deriv takes it: it must not stay where the user's other business could use it.
        withdrawal_postings.put_in_suspense(
            work,
            user=transaction.user_id,
            transaction=transaction.id,
            reference=transfer.reference,
            amount=transfer.amount,
        )
        open_review(work, transaction, ReviewReason.NOT_RETURNED, transfer.amount, code=code)
    elif not refunds or transaction.status is TransactionStatus.IN_REVIEW:
        open_review(work, transaction, ReviewReason.DERIV_REFUSED, transfer.amount, code=code)


def _hand_over(
    work: Work, transfer: DerivTransfer, transaction: Transaction, reason: ReviewReason, *, rows: int | None
) -> None:
    """People take over; the money stays in flight, where the books show it as in doubt.

    `rows` is how many the statement showed, None where it could not be read.
    """
    work.put(DERIV_TRANSFERS, transfer.id, transfer.moved(transfer.state, work.now, due_at=None))
    open_review(work, transaction, reason, transfer.amount, statement_rows=rows, reference=transfer.reference)
