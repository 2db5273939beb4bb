"""Messages that somebody posted to us: each kept as it came, before anything is read from it, and what became of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from penpay.application.shared.unit_of_work import Kind, Work
from penpay.domain.shared.ids import WebhookId

WEBHOOK_RETRY_AFTER: Final = timedelta(seconds=30)


class WebhookOutcome(StrEnum):
    """What became of a message somebody posted to us."""

    RECEIVED = "RECEIVED"
    """Stored; not applied yet."""
    APPLIED = "APPLIED"
    REPEATED = "REPEATED"
    """It told nothing new."""
    CONTRADICTS = "CONTRADICTS"
    """It contradicts what is final, and people are told; or it names another push, and nothing follows."""
    UNREADABLE = "UNREADABLE"
    REFUSED_TOKEN = "REFUSED_TOKEN"  # noqa: S105  (an outcome, not a secret)
    REFUSED_SOURCE = "REFUSED_SOURCE"
    UNKNOWN_SUBJECT = "UNKNOWN_SUBJECT"
    ACCEPTED = "ACCEPTED"
    """A question before a payment: let it happen."""
    REJECTED = "REJECTED"
    """A question before a payment: M-Pesa is to cancel it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One message as it arrived, before anything was read from it."""

    id: WebhookId
    source: str
    subject_id: UUID | None
    """The row of ours that a valid path token names."""
    remote_address: str
    body: bytes | None
    """As it came; None where the row was read for its outcome alone."""
    body_hash: str
    outcome: WebhookOutcome
    due_at: datetime | None
    """When it must be applied at the latest by whoever finds it; None when nothing is left to do."""
    created_at: datetime
    version: int = 1


WEBHOOKS: Final[Kind[WebhookId, Webhook]] = Kind("webhook_logs")


def keep_webhook(
    work: Work,
    webhook_id: WebhookId,
    *,
    source: str,
    remote_address: str,
    body: bytes,
    outcome: WebhookOutcome,
    subject_id: UUID | None = None,
) -> None:
    """Store a message; one that is RECEIVED is due to be applied. Audited, a refusal too."""
    received = outcome is WebhookOutcome.RECEIVED
    webhook = Webhook(
        id=webhook_id,
        source=source,
        subject_id=subject_id,
        remote_address=remote_address,
        body=body,
        body_hash=hashlib.sha256(body).hexdigest(),
        outcome=outcome,
        due_at=work.now + WEBHOOK_RETRY_AFTER if received else None,
        created_at=work.now,
    )
    work.add(WEBHOOKS, webhook.id, webhook)
    refused = outcome in {WebhookOutcome.REFUSED_TOKEN, WebhookOutcome.REFUSED_SOURCE}
    action = "webhook.refused" if refused else "webhook.received"
    work.audit("mpesa", action, "webhook", webhook.id, outcome=outcome.value)
