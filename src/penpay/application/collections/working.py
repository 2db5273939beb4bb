"""What the workers of capture find to do; nothing here is locked, a claim or a command decides."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from penpay.domain.shared.ids import WebhookId


class DueMessage(NamedTuple):
    """A stored message that has not been applied yet."""

    webhook_id: WebhookId
    subject_id: UUID | None
    """What its path token named."""
    body: bytes | None
    """None when it cannot be opened with the keys this process has."""
