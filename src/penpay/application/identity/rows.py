"""The rows of identity as commands lock them, each under what must be unique about it."""

from __future__ import annotations

from typing import Final

from penpay.application.shared.unit_of_work import Kind
from penpay.domain.identity.credential import ApiKey
from penpay.domain.identity.user import DerivAccount, User, UserPhone
from penpay.domain.shared.email import Email
from penpay.domain.shared.ids import ApiKeyId
from penpay.domain.shared.phone import PhoneNumber

USERS: Final[Kind[Email, User]] = Kind("users")
USER_PHONES: Final[Kind[PhoneNumber, UserPhone]] = Kind("user_phone_verification")
DERIV_ACCOUNTS: Final[Kind[str, DerivAccount]] = Kind("deriv_accounts")
"""By Deriv login id."""
API_KEYS: Final[Kind[ApiKeyId, ApiKey]] = Kind("api_keys")
