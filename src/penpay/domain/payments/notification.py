"""A message to a user about how her transaction stands, and what became of it.

    WAITING ─(lease)─▶ sent ─▶ SENT | WAITING, later | GIVEN_UP
    KEPT: nobody delivers on this channel; the message can be read here

There is one for each time a transaction comes to such a state, and channel: its id is made of the three, so that a
message sent again, since nobody knows whether it had left, is the same message to whoever carries it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from penpay.domain.payments.transaction import TransactionStatus
from penpay.domain.shared.delivery import Channel, Delivery
from penpay.domain.shared.ids import TransactionId, UserId

NOTED: Final = frozenset(
    {
        TransactionStatus.COMPLETED,
        TransactionStatus.FAILED,
        TransactionStatus.REVERSED,
        TransactionStatus.IN_REVIEW,
    }
)
"""The states a user is told of."""


class NotificationKey(NamedTuple):
    """What makes a message this one."""

    transaction_id: TransactionId
    sequence: int
    """The version with which the transaction came to its state."""
    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification(Delivery):
    """One message. It holds no address: that is looked up when it is sent."""

    key: NotificationKey
    user_id: UserId
    status: TransactionStatus
    """What the transaction has come to."""
    title: str
    text: str

    @property
    def message_id(self) -> str:
        """The same for every attempt, and no other message's."""
        return f"{self.key.transaction_id}.{self.key.sequence}.{self.key.channel.value.lower()}"
