"""What a merchant's number has said about payments to it: where they are told, and whether they may be pulled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from penpay.domain.shared.phone import PhoneNumber


class C2bVersion(StrEnum):
    """The version of the API that registered; it decides how the payer's number is told (daraja.md §3.1)."""

    V1 = "v1"
    V2 = "v2"


class DefaultAction(StrEnum):
    """What happens to a payment whose validation nobody answers."""

    COMPLETED = "Completed"
    CANCELLED = "Cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class C2bUrls:
    """Where payments to one number are asked about and told."""

    short_code: str
    api: C2bVersion
    default_action: DefaultAction
    confirmation_url: str
    validation_url: str
    registered_at: datetime
    """The first time; payments before it are told nobody."""
    version: int = 0

    def replaced_by(self, newer: C2bUrls) -> C2bUrls:
        """The same registration with other addresses."""
        return replace(newer, registered_at=self.registered_at, version=self.version + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRegistration:
    """One number whose payments may be pulled."""

    short_code: str
    nominated: PhoneNumber
    callback_url: str
    registered_at: datetime
