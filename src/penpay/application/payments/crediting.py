"""Credits on our Deriv agent account: each is booked once, to the withdrawal it belongs to or else to suspense.

Deriv's id of the row on our account makes a credit unique, whatever it turns out to be: every credit is one journal of
one kind under that id. It belongs to the withdrawal whose reference stands in its remark; without one, to the only
withdrawal of that client and amount that waits for a credit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from penpay.application.payments.reviewing import open_review, open_review_of_credit
from penpay.application.payments.rows import (
    DERIV_WITHDRAWALS,
    SUBJECTS_OF_TRANSACTIONS,
    TRANSACTIONS,
    WAITING_WITHDRAWALS,
    WITHDRAWALS_BY_REFERENCE,
    ReviewReason,
)
from penpay.application.payments.withdrawing import forget_code
from penpay.application.shared.kept_secrets import SECRETS, SecretPurpose
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings, withdrawal_postings
from penpay.domain.deriv.gateway import IncomingCredit
from penpay.domain.payments.evidence import DerivWithdrawal, EvidenceState
from penpay.domain.payments.transaction import Transaction, TransactionStatus
from penpay.domain.shared.ids import DerivWithdrawalId, TransactionId

_REFERENCE: Final = re.compile(r"(?<![0-9A-Za-z-])PX[0-9A-Z]{20}(?![0-9A-Za-z-])", re.ASCII)
_SENDER: Final = re.compile(r"from ([A-Za-z]+[0-9]+) to Payment Agent", re.ASCII)
_WINDOW: Final = timedelta(hours=1)
"""A credit without our reference is a withdrawal's only if it comes so soon after the call."""
_CLOCKS_DIFFER: Final = timedelta(minutes=2)
_EXPECTING: Final = frozenset(
    {
        TransactionStatus.PENDING,
        TransactionStatus.PROCESSING,
        TransactionStatus.AWAITING_DERIV_CONFIRMATION,
        TransactionStatus.IN_REVIEW,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookIncomingCredit:
    """A credit Deriv shows on our agent account."""

    credit: IncomingCredit

    @property
    def references(self) -> frozenset[str]:
        """Words of the remark that may be references of ours."""
        return frozenset(_REFERENCE.findall(self.credit.remark))

    @property
    def sender(self) -> tuple[str, int] | None:
        """The client whose money it is and the amount in cents, where the remark has the known form."""
        found = _SENDER.search(self.credit.remark)
        return None if found is None else (found[1].upper(), self.credit.amount.cents)


class BookIncomingCreditHandler:
    async def footprint(self, commands: Sequence[BookIncomingCredit], find: Find) -> Footprint:
        by_reference = await find(WITHDRAWALS_BY_REFERENCE, {one for command in commands for one in command.references})
        senders = {command.sender for command in commands}
        waiting = await find(WAITING_WITHDRAWALS, {sender for sender in senders if sender is not None})
        possible = {*by_reference.values(), *(one for several in waiting.values() for one in several)}
        footprint = Footprint().add(DERIV_WITHDRAWALS, *possible).add(TRANSACTIONS, *map(TransactionId, possible))
        footprint.add(SECRETS, *((SecretPurpose.VERIFICATION_CODE, one) for one in possible))
        subjects = await find(SUBJECTS_OF_TRANSACTIONS, set(map(TransactionId, possible)))
        for subject in subjects.values():
            withdrawal_postings.payout_footprint(footprint, subject.user_id)
        for command in commands:
            postings.incoming_credit_footprint(footprint, reference=command.credit.provider_id)
        return footprint

    def handle(self, command: BookIncomingCredit, work: Work) -> bool:
        """Book it; False for one that is booked already."""
        credit = command.credit
        if postings.is_credit_booked(work, reference=credit.provider_id):
            return False
        happened_at = min(credit.happened_at, work.now)
        withdrawal = self._withdrawal(command, work)
        transaction = None if withdrawal is None else work.get(TRANSACTIONS, withdrawal.subject_id)
        if withdrawal is not None and transaction is not None and self._is_expected(withdrawal, transaction, credit):
            _debited(work, withdrawal, transaction, credit, happened_at)
            return True
        journal_id = postings.incoming_credit(
            work, amount=credit.amount, reference=credit.provider_id, happened_at=happened_at
        )
        work.audit("deriv", "credit.booked_to_suspense", "deriv_transaction", credit.provider_id)
        if transaction is not None:
            open_review(
                work,
                transaction,
                ReviewReason.CONTRADICTION,
                credit.amount,
                deriv_transaction_id=credit.provider_id,
                in_suspense=True,
            )
        else:
            open_review_of_credit(work, journal_id, credit.amount, deriv_transaction_id=credit.provider_id)
        return True

    @staticmethod
    def _withdrawal(command: BookIncomingCredit, work: Work) -> DerivWithdrawal | None:
        """The one it belongs to: by our reference, else the only one of that client and amount in time."""
        named = {work.found(WITHDRAWALS_BY_REFERENCE, one) for one in command.references} - {None}
        if named:
            (first, *others) = named
            return None if others or first is None else work.get(DERIV_WITHDRAWALS, first)
        ids: tuple[DerivWithdrawalId, ...] = ()
        if command.sender is not None and not command.references:
            ids = work.found(WAITING_WITHDRAWALS, command.sender) or ()
        at = command.credit.happened_at
        rows = [row for row in (work.get(DERIV_WITHDRAWALS, one) for one in ids) if row is not None]
        fitting = [
            row
            for row in rows
            if not row.is_final
            and row.sent_at is not None
            and row.sent_at - _CLOCKS_DIFFER <= at <= row.sent_at + _WINDOW
        ]
        return fitting[0] if len(fitting) == 1 else None

    @staticmethod
    def _is_expected(withdrawal: DerivWithdrawal, transaction: Transaction, credit: IncomingCredit) -> bool:
        """Whether it is the amount asked for, of a withdrawal that waits for it; a second one never is."""
        return not withdrawal.is_final and withdrawal.amount == credit.amount and transaction.status in _EXPECTING


def _debited(
    work: Work, withdrawal: DerivWithdrawal, transaction: Transaction, credit: IncomingCredit, happened_at: datetime
) -> None:
    """The dollars are the user's here, and what follows hangs on the event; people who were asked keep the decision."""
    state = withdrawal
    if state.state is EvidenceState.INTENDED:
        # Somebody has made it in another way, with our reference: it must not be made again.
        state = state.moved(EvidenceState.UNKNOWN, work.now, due_at=None)
    confirmed = replace(state, provider_id=credit.provider_id).moved(EvidenceState.CONFIRMED, work.now, due_at=None)
    work.put(DERIV_WITHDRAWALS, confirmed.id, confirmed)
    forget_code(work, confirmed)  # used; whoever sent it may have died before the answer
    withdrawal_postings.deriv_debited(
        work,
        user=transaction.user_id,
        transaction=transaction.id,
        amount=credit.amount,
        reference=credit.provider_id,
        happened_at=happened_at,
    )
    with_people = transaction.status is TransactionStatus.IN_REVIEW
    after, event = transaction.moved(
        "DerivDebited",
        TransactionStatus.IN_REVIEW if with_people else TransactionStatus.CONVERTING,
        work.now,
        user_id=str(transaction.user_id),
        deriv_transaction_id=credit.provider_id,
        debited_at=happened_at.isoformat(),
    )
    work.put(TRANSACTIONS, after.id, after)
    work.record(event)
    work.audit("deriv", "credit.booked", "deriv_transaction", credit.provider_id, transaction_id=str(transaction.id))
    if with_people:
        open_review(work, after, ReviewReason.CONFIRMED_LATE, credit.amount)
