"""Whoever carries messages to people, and what is concluded from the answers.

Who carries a message may take it and not say so. Then it is sent again under the same id, so that it comes twice only
where the carrier does not look at ids.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from penpay.domain.shared.delivery import Delivery

D = TypeVar("D", bound=Delivery)

TRIES: Final = 10
"""With the pauses below: given up after some six hours."""
PAUSES_SECONDS: Final = (5, 30, 120, 600, 1800, 3600)


class Carried(StrEnum):
    """What whoever carries a message made of it."""

    TAKEN = "TAKEN"
    LATER = "LATER"
    """Not now, or nobody knows: it is tried again under the same id."""
    REFUSED = "REFUSED"
    """Never, whatever is done."""


@dataclass(frozen=True, slots=True)
class CarrierAnswer:
    """An answer, with a code that may be kept and shown: nothing of the message or the address."""

    outcome: Carried
    code: str
    provider_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """A message on its way to somebody."""

    message_id: str
    to: str = field(repr=False)
    """An E.164 number or a mail address, as the channel has it."""
    title: str
    text: str


class Carrier(Protocol):
    """Carries messages on one channel."""

    async def carry(self, message: OutgoingMessage) -> CarrierAnswer:
        """Hand it over, once. Raises nothing that the wire does: silence is LATER."""
        ...


def concluded(found: D, answer: CarrierAnswer, at: datetime) -> D:
    """The message after an answer: what was not taken is tried again with pauses, and in the end given up."""
    if answer.outcome is Carried.TAKEN:
        return found.sent(at, answer.provider_id, answer.code)
    if answer.outcome is Carried.REFUSED or found.attempts >= TRIES:
        return found.given_up(answer.code)
    pause = PAUSES_SECONDS[min(max(found.attempts - 1, 0), len(PAUSES_SECONDS) - 1)]
    return found.later(at + timedelta(seconds=pause), answer.code)
