"""Finding payments somebody must act on now; nothing here is locked, a claim decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from penpay.domain.shared.ids import (
    DerivTransferId,
    DerivWithdrawalId,
    MpesaDisbursementId,
    MpesaRequestId,
    WebhookId,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueWebhook:
    """A stored callback that has not been applied yet."""

    webhook_id: WebhookId
    source: str
    subject_id: UUID
    body: bytes | None
    """None when it cannot be opened with the keys this process has."""


class DuePayments(Protocol):
    """What is due at a moment, longest due first."""

    async def due_mpesa_requests(self, at: datetime, limit: int) -> Sequence[MpesaRequestId]:
        """Pushes to send or to ask about."""
        ...

    async def due_deriv_transfers(self, at: datetime, limit: int) -> Sequence[DerivTransferId]:
        """Transfers to send or to look for."""
        ...

    async def due_deriv_withdrawals(self, at: datetime, limit: int) -> Sequence[DerivWithdrawalId]:
        """Withdrawals whose code must be asked for, which must be sent, or whose credit must be looked for."""
        ...

    async def due_mpesa_disbursements(self, at: datetime, limit: int) -> Sequence[MpesaDisbursementId]:
        """Payouts to send or to ask about."""
        ...

    async def due_webhooks(self, at: datetime, limit: int) -> Sequence[DueWebhook]:
        """Callbacks that were stored and not applied."""
        ...
