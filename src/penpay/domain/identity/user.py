"""Users, their two contacts, and the Deriv accounts that are theirs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from penpay.domain.shared.email import Email
from penpay.domain.shared.ids import DerivAccountId, UserId
from penpay.domain.shared.money import Currency
from penpay.domain.shared.phone import PhoneNumber


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
