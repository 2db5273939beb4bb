"""Telling users how their transactions stand: the message is written with the state, and delivered afterwards.

Whoever carries messages may take one and not say so. Then it is sent again under the same id, so that it comes twice
only where the carrier does not look at ids.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from penpay.application.payments.messages import words
from penpay.application.payments.rows import MPESA_DISBURSEMENTS, TRANSACTIONS
from penpay.application.shared.carrying import CarrierAnswer, OutgoingMessage, concluded
from penpay.application.shared.unit_of_work import Find, Footprint, Index, Kind, Work
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.payments.notification import NOTED, Notification, NotificationKey
from penpay.domain.payments.transaction import Transaction, TransactionStatus
from penpay.domain.shared.delivery import Channel, NotificationState
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import NotFound
from penpay.domain.shared.ids import TransactionId, UserId
from penpay.domain.shared.phone import PhoneNumber

NOTIFICATIONS: Final[Kind[NotificationKey, Notification]] = Kind("notifications")
ACTOR: Final = "worker:notification"


@dataclass(frozen=True, slots=True)
class Contact:
    """Where a user is told."""

    phone: PhoneNumber
    email: Email


CONTACTS: Final[Index[UserId, Contact]] = Index("contacts")


class NoteStates:
    """Writes a message for each transaction that a command has brought to a state its user is told of."""

    def __init__(self, carried: Collection[Channel]) -> None:
        """`carried`: the channels on which somebody delivers."""
        self._carried = frozenset(carried)

    def __call__(self, work: Work) -> None:
        """For an executor to call after each command, in its commit."""
        for change in work.changed_by_command(TRANSACTIONS):
            transaction = change.after
            if transaction is None or transaction.status not in NOTED:
                continue
            if change.before is None or change.before.status is not transaction.status:
                self._note(work, transaction)

    def _note(self, work: Work, transaction: Transaction) -> None:
        written = words(transaction, work.now, _refund_receipt(work, transaction))
        for channel in Channel:
            key = NotificationKey(transaction.id, transaction.version, channel)
            carried = channel in self._carried
            notification = Notification(
                key=key,
                user_id=transaction.user_id,
                status=transaction.status,
                title=written.title,
                text=written.text,
                state=NotificationState.WAITING if carried else NotificationState.KEPT,
                due_at=work.now if carried else None,
                created_at=work.now,
            )
            work.add(NOTIFICATIONS, key, notification)


def _refund_receipt(work: Work, transaction: Transaction) -> str | None:
    """M-Pesa's receipt of what this command knows to have been paid back."""
    if transaction.status is not TransactionStatus.REVERSED:
        return None
    paid = (
        change.after.receipt
        for change in work.changed_by_command(MPESA_DISBURSEMENTS)
        if change.after is not None
        and change.after.subject_id == transaction.id
        and change.after.state is EvidenceState.CONFIRMED
    )
    return next(paid, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimNotification:
    """Take the licence to deliver a message that is due."""

    key: NotificationKey
    user_id: UserId


class ClaimNotificationHandler:
    def __init__(self, lease: timedelta) -> None:
        self._lease = lease

    async def footprint(self, commands: Sequence[ClaimNotification], find: Find) -> Footprint:
        await find(CONTACTS, {command.user_id for command in commands})
        return Footprint().add(NOTIFICATIONS, *(command.key for command in commands))

    def handle(self, command: ClaimNotification, work: Work) -> tuple[Notification, OutgoingMessage | None]:
        """The claimed message, and what is to be sent; None where its user cannot be reached: it is given up.

        Raises LostLicence, and NotFound.
        """
        found = _known(work, command.key)
        contact = work.found(CONTACTS, found.user_id)
        claimed = found.claimed(work.now, self._lease)
        if contact is None:
            claimed = claimed.given_up("no_contact")
            work.audit(ACTOR, "notification.given_up", "notification", claimed.message_id, code=claimed.code)
        work.put(NOTIFICATIONS, command.key, claimed)
        if contact is None:
            return claimed, None
        to = contact.phone.e164 if command.key.channel is Channel.SMS else contact.email.address
        return claimed, OutgoingMessage(message_id=claimed.message_id, to=to, title=claimed.title, text=claimed.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDelivery:
    """What became of a message that was handed over under this fence."""

    key: NotificationKey
    fence: int
    answer: CarrierAnswer


class RecordDeliveryHandler:
    async def footprint(self, commands: Sequence[RecordDelivery], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(NOTIFICATIONS, *(command.key for command in commands))

    def handle(self, command: RecordDelivery, work: Work) -> Notification:
        """Record it; what was not taken is tried again with pauses, and in the end given up. Raises LostLicence."""
        found = _known(work, command.key)
        found.check_fence(command.fence)
        after = concluded(found, command.answer, work.now)
        if after.state is NotificationState.GIVEN_UP:
            work.audit(ACTOR, "notification.given_up", "notification", after.message_id, code=after.code)
        work.put(NOTIFICATIONS, command.key, after)
        return after


def _known(work: Work, key: NotificationKey) -> Notification:
    found = work.get(NOTIFICATIONS, key)
    if found is None:
        raise NotFound
    return found


@dataclass(frozen=True, slots=True)
class DueNotification:
    """A message somebody must deliver now."""

    key: NotificationKey
    user_id: UserId


class NotificationBooks(Protocol):
    """Questions about messages."""

    async def due(self, at: datetime, limit: int, channels: Collection[Channel]) -> Sequence[DueNotification]:
        """Those to deliver at a moment on one of these channels, longest due first."""
        ...

    async def newest(self, limit: int, *, state: NotificationState | None = None) -> Sequence[Notification]:
        """The newest messages, of all states or one."""
        ...

    async def of_transaction(self, transaction_id: TransactionId) -> Sequence[Notification]:
        """All messages about one transaction, oldest first."""
        ...

    async def contact(self, user_id: UserId) -> Contact | None:
        """Where a user is told."""
        ...
