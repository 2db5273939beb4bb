"""Users, their two contacts, and the Deriv accounts that are theirs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from penpay.domain.shared.errors import InvalidEmail
from penpay.domain.shared.ids import DerivAccountId, UserId
from penpay.domain.shared.money import Currency
from penpay.domain.shared.phone import PhoneNumber

_LONGEST_EMAIL = 254
_EMAIL = re.compile(
    r"(?P<local>[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*)"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])",
    re.ASCII,
)
_LONGEST_LOCAL_PART = 64


@dataclass(frozen=True, slots=True)
class Email:
    """An address in lower case, so that one mailbox is one user. `repr` shows the domain alone."""

    address: str

    def __post_init__(self) -> None:
        match = _EMAIL.fullmatch(self.address)
        if match is None or len(self.address) > _LONGEST_EMAIL or len(match["local"]) > _LONGEST_LOCAL_PART:
            raise InvalidEmail

    @classmethod
    def parse(cls, text: str) -> Email:
        """Read an address in any case; raises InvalidEmail, also for blanks around it and for non-ASCII letters."""
        if not text.isascii():
            raise InvalidEmail
        return cls(text.lower())

    def __repr__(self) -> str:
        return f"Email(…{self.address[self.address.index('@') :]})"


class UserStatus(StrEnum):
    """Whether a user may do anything."""

    ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person with an account here."""

    id: UserId
    email: Email
    status: UserStatus
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPhone:
    """The one M-Pesa number of a user."""

    user_id: UserId
    phone: PhoneNumber
    verified_at: datetime | None
    """When she proved that it is hers; None before that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivAccount:
    """A Deriv account bound to a user: one a currency, and no account to two users."""

    id: DerivAccountId
    user_id: UserId
    deriv_login_id: str
    currency: Currency
    created_at: datetime
