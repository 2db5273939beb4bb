"""The rows of identity as commands lock them, each under what must be unique about it."""

from __future__ import annotations

from typing import Final

from penpay.application.shared.unit_of_work import Index, Kind
from penpay.domain.identity.credential import ApiKey
from penpay.domain.identity.staff import LoginAttempts, Staff, StaffRole, StaffSession
from penpay.domain.identity.user import DerivAccount, User, UserPhone
from penpay.domain.shared.email import Email
from penpay.domain.shared.ids import ApiKeyId, StaffId, StaffSessionId
from penpay.domain.shared.phone import PhoneNumber

USERS: Final[Kind[Email, User]] = Kind("users")
USER_PHONES: Final[Kind[PhoneNumber, UserPhone]] = Kind("user_phone_verification")
DERIV_ACCOUNTS: Final[Kind[str, DerivAccount]] = Kind("deriv_accounts")
"""By Deriv login id."""
API_KEYS: Final[Kind[ApiKeyId, ApiKey]] = Kind("api_keys")
STAFF: Final[Kind[StaffId, Staff]] = Kind("staff")
STAFF_SESSIONS: Final[Kind[StaffSessionId, StaffSession]] = Kind("staff_sessions")
LOGIN_ATTEMPTS: Final[Kind[str, LoginAttempts]] = Kind("login_attempts")
"""By subject."""
STAFF_BY_EMAIL: Final[Index[Email, StaffId]] = Index("staff_by_email")
STAFF_BY_ROLE: Final[Index[StaffRole, tuple[StaffId, ...]]] = Index("staff_by_role")
"""Everybody with a role who is not disabled, by role."""
