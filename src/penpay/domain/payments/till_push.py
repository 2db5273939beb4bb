"""A push from the till: the customer at the counter is asked on her handset for what a sale still costs."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from penpay.domain.payments.evidence import EvidenceState, MpesaRequest
from penpay.domain.shared.errors import DomainError


class PushPending(DomainError):
    code = "push_pending"
    title = "A prompt for this sale may still be paid; wait for its end."


@dataclass(frozen=True, slots=True, kw_only=True)
class TillPush(MpesaRequest):
    """Money asked for by STK push for one sale; `subject_id` is the sale, `id` ours in the callback's path."""

    created_by: str

    @property
    def open_for(self) -> UUID | None:
        """The sale while this may still be paid; unique, so that two prompts never ask for one sale."""
        return None if self.is_final else self.subject_id

    @property
    def is_paid(self) -> bool:
        """Whether its payment is booked."""
        return self.verified_at is not None or self.state is EvidenceState.CONFIRMED
