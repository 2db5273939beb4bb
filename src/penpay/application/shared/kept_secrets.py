"""Secrets that must be used again, each until a moment: sealed in the database, deleted on use, named nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from penpay.application.shared.unit_of_work import Kind


class SecretPurpose(StrEnum):
    """What a kept secret is for."""

    DERIV_TOKEN = "DERIV_TOKEN"  # noqa: S105  (a purpose, not a secret)
    """A client's token at Deriv; its subject is her Deriv account."""
    VERIFICATION_CODE = "VERIFICATION_CODE"
    """What Deriv mailed for one withdrawal, its subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSecret:
    """One secret; it counts for nothing from `expires_at` on."""

    purpose: SecretPurpose
    subject_id: UUID
    value: str = field(repr=False)
    created_at: datetime
    expires_at: datetime

    def at(self, now: datetime) -> str | None:
        """The secret, while it has not expired."""
        return self.value if now < self.expires_at else None


SECRETS: Final[Kind[tuple[SecretPurpose, UUID], KeptSecret]] = Kind("secrets")
