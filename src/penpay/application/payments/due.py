"""What is found of work that is due; nothing is locked, a claim decides."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from penpay.domain.shared.ids import (
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
