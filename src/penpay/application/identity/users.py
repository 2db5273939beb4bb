"""Creating a user together with her phone, her Deriv account and her first API key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penpay.application.identity.rows import API_KEYS, DERIV_ACCOUNTS, USER_PHONES, USERS
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.identity.credential import ApiKey
from penpay.domain.identity.errors import DerivAccountTaken, UserExists
from penpay.domain.identity.user import DerivAccount, User, UserPhone, UserStatus
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import InvalidDerivLoginId
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.ids import ApiKeyId, DerivAccountId, UserId
from penpay.domain.shared.money import Currency
from penpay.domain.shared.phone import PhoneNumber

_ACTOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateUser:
    """A user whose contacts and Deriv account an operator vouches for; the API key comes hashed."""

    email: Email
    phone: PhoneNumber
    phone_verified: bool
    deriv_login_id: DerivLoginId
    """Her USD account."""
    api_key_hash: str
    """From `domain.identity.credential.api_key_hash`."""


class CreateUserHandler:
    """Everything of a user in one commit, or nothing."""

    async def footprint(self, commands: Sequence[CreateUser], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return (
            Footprint()
            .add(USERS, *(command.email for command in commands))
            .add(USER_PHONES, *(command.phone for command in commands))
            .add(DERIV_ACCOUNTS, *(command.deriv_login_id.value for command in commands))
        )

    def handle(self, command: CreateUser, work: Work) -> User:
        """Create her once; a repeat is refused.

        Raises UserExists naming the field that is taken, DerivAccountTaken, and InvalidDerivLoginId for a demo account
        at Deriv, which could never be paid real money.
        """
        login_id = command.deriv_login_id
        if login_id.is_virtual:
            raise InvalidDerivLoginId("A demo account at Deriv cannot receive money.")
        if work.get(USERS, command.email) is not None:
            raise UserExists("Another user has this e-mail address.", field="email")
        if work.get(USER_PHONES, command.phone) is not None:
            raise UserExists("Another user has this phone number.", field="phone")
        if work.get(DERIV_ACCOUNTS, login_id.value) is not None:
            raise DerivAccountTaken
        user = User(id=UserId(work.ids.new()), email=command.email, status=UserStatus.ACTIVE, created_at=work.now)
        account = DerivAccount(
            id=DerivAccountId(work.ids.new()),
            user_id=user.id,
            deriv_login_id=login_id.value,
            currency=Currency.USD,
            created_at=work.now,
        )
        key = ApiKey(id=ApiKeyId(work.ids.new()), user_id=user.id, key_hash=command.api_key_hash, created_at=work.now)
        verified_at = work.now if command.phone_verified else None
        work.put(USERS, user.email, user)
        work.put(USER_PHONES, command.phone, UserPhone(user_id=user.id, phone=command.phone, verified_at=verified_at))
        work.put(DERIV_ACCOUNTS, login_id.value, account)
        work.add(API_KEYS, key.id, key)
        ids = {"deriv_account_id": str(account.id), "api_key_id": str(key.id)}
        work.record(DomainEvent("UserRegistered", "User", user.id, 1, ids))
        work.audit(_ACTOR, "user.registered", "user", user.id, phone_verified=command.phone_verified)
        return user
