"""People who work for the business: what each role may do, how they log in, and for how long.

A session is opaque to whoever holds it: what stands behind its token is read anew on every request, so that a changed
role or a disabled person is known at once.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from penpay.domain.identity.errors import WeakPassword
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import LoginLocked, Unauthorized
from penpay.domain.shared.ids import StaffId, StaffSessionId

SESSION_LIFETIME: Final = timedelta(hours=12)
"""A working day: whoever comes again tomorrow logs in again."""
TOKEN_BYTES: Final = 32
_TOKEN: Final = re.compile(r"pps_[A-Z2-7]{52}", re.ASCII)
_PASSWORD_LETTERS: Final = range(12, 129)


class StaffRole(StrEnum):
    """What somebody is there for; an owner may do whatever the others may."""

    CASHIER = "cashier"
    """Sells, looks up, picks the payment of a sale."""
    ACCOUNTANT = "accountant"
    """Invoices, allocates, credits, reports, proposes refunds."""
    OWNER = "owner"
    """Approves, and decides who else is on the staff."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """Somebody on the staff."""

    id: StaffId
    email: Email
    password_hash: str
    role: StaffRole
    created_at: datetime
    disabled_at: datetime | None = None
    """Since when she may not log in any more."""
    generation: int = 1
    """Of her sessions: those of an earlier one have ended."""
    version: int = 1

    @property
    def is_active_owner(self) -> bool:
        return self.role is StaffRole.OWNER and self.disabled_at is None

    def changed(self, **facts: object) -> Staff:
        """The same person with other facts; every session of hers ends."""
        return replace(self, **facts, generation=self.generation + 1, version=self.version + 1)  # type: ignore[arg-type]  # names are checked by replace


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffSession:
    """The time between logging in and logging out."""

    id: StaffSessionId
    staff_id: StaffId
    token_hash: str
    generation: int
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    """When she logged out."""


@dataclass(frozen=True, slots=True)
class AttemptLimit:
    """How many wrong passwords are borne within a time, which is also how long the lock lasts after that."""

    wrong: int
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAttempts:
    """Wrong passwords for one address, known or not, or from one source."""

    subject: str
    """A keyed digest: neither addresses nor sources are kept."""
    wrong: int
    since: datetime
    """When the first of them was given."""
    locked_until: datetime | None

    @classmethod
    def none(cls, subject: str, now: datetime) -> LoginAttempts:
        return cls(subject=subject, wrong=0, since=now, locked_until=None)

    def require_open(self, now: datetime) -> None:
        """Raises LoginLocked while the lock lasts."""
        if self.locked_until is not None and now < self.locked_until:
            raise LoginLocked

    def missed(self, limit: AttemptLimit, now: datetime) -> LoginAttempts:
        """One more wrong password; the last one that is borne begins the lock. What is long ago is forgotten."""
        since, wrong = (self.since, self.wrong + 1) if now < self.since + limit.within else (now, 1)
        if wrong < limit.wrong:
            return replace(self, wrong=wrong, since=since, locked_until=None)
        return replace(self, wrong=0, since=now, locked_until=now + limit.within)


def check_password(password: str) -> str:
    """Return the password if it has 12 to 128 characters; raises WeakPassword.

    Length is all that is asked for: rules about kinds of letters make passwords easier to guess, not harder.
    """
    if len(password) not in _PASSWORD_LETTERS or "\x00" in password:
        raise WeakPassword
    return password


def session_token(chance: bytes) -> str:
    """The token as its holder gets it: `pps_`, by which a leaked one is recognised, and 32 bytes nobody can guess."""
    if len(chance) != TOKEN_BYTES:
        raise ValueError(f"A session token is made of {TOKEN_BYTES} bytes.")
    return f"pps_{base64.b32encode(chance).decode('ascii').rstrip('=')}"


def session_token_hash(token: str) -> str:
    """What is stored of a token: 64 hex digits of SHA-256. Raises Unauthorized for a text that is no token.

    Without salt and fast for the reason that `credential.api_key_hash` gives.
    """
    if not _TOKEN.fullmatch(token):
        raise Unauthorized
    return hashlib.sha256(token.encode("ascii")).hexdigest()
