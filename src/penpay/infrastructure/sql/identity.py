"""The rows of identity, what payments need to know of a user, and recognising an API key.

E-mail addresses and phone numbers are sealed; a blind index beside each finds it by equality.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.identity.rows import API_KEYS, DERIV_ACCOUNTS, USER_PHONES, USERS
from penpay.application.payments.notifying import Contact
from penpay.application.payments.rows import PAYERS, Payer
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.identity.credential import ApiKey, api_key_hash
from penpay.domain.identity.user import DerivAccount, User, UserPhone, UserStatus
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import Unauthorized
from penpay.domain.shared.ids import ApiKeyId, UserId
from penpay.domain.shared.money import Currency
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.engine import looking, translating
from penpay.infrastructure.sql.lookups import Lookup
from penpay.infrastructure.sql.tables import api_keys, deriv_accounts, user_phone_verification, users
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import fetch, for_update

_EMAIL_FIELD: Final = "users.email"
_PHONE_FIELD: Final = "user_phone_verification.phone"
_ACTIVE: Final = users.c.status == UserStatus.ACTIVE.value
_PAYERS: Final = Lookup(
    select(user_phone_verification, deriv_accounts.c.deriv_login_id)
    .join(users, users.c.id == user_phone_verification.c.user_id)
    .outerjoin(deriv_accounts, deriv_accounts.c.user_id == users.c.id)
    .where(_ACTIVE),
    users.c.id,
)
_CALLERS: Final = Lookup(
    select(api_keys.c.key_hash, users.c.id)
    .join(api_keys, api_keys.c.user_id == users.c.id)
    .where(api_keys.c.revoked_at.is_(None), _ACTIVE),
    api_keys.c.key_hash,
)


class UserRepository:
    """Users by e-mail address, locked in id order."""

    kind = USERS
    table = users
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ()

    def __init__(self, cipher: FieldCipher, index: BlindIndex) -> None:
        self._cipher = cipher
        self._index = index

    async def lock(self, connection: AsyncConnection, keys: Collection[Email]) -> Mapping[Email, User | None]:
        digests = _digests(self._index, _EMAIL_FIELD, (email.address for email in keys))
        statement = select(users).where(users.c.email_index.in_(digests)).order_by(users.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(self._user, rows), lambda user: user.email, keys)

    def row(self, value: User) -> Row:
        address = value.email.address
        return (
            value.id,
            value.status.value,
            self._cipher.seal(address.encode(), _email_place(value.id)),
            self._index.digest(address, field=_EMAIL_FIELD),
            value.created_at,
        )

    def identity(self, value: User) -> Row:
        return (value.id,)

    def _user(self, row: Any) -> User:
        email = Email(self._cipher.open(row.email_sealed, _email_place(row.id)).decode())
        return User(id=row.id, email=email, status=UserStatus(row.status), created_at=row.created_at)


class UserPhoneRepository:
    """Users' phones by number, locked in user order."""

    kind = USER_PHONES
    table = user_phone_verification
    key: tuple[str, ...] = ("user_id",)
    mutable: tuple[str, ...] = ()

    def __init__(self, cipher: FieldCipher, index: BlindIndex) -> None:
        self._cipher = cipher
        self._index = index

    async def lock(
        self, connection: AsyncConnection, keys: Collection[PhoneNumber]
    ) -> Mapping[PhoneNumber, UserPhone | None]:
        table = user_phone_verification
        digests = _digests(self._index, _PHONE_FIELD, (phone.e164 for phone in keys))
        statement = select(table).where(table.c.phone_index.in_(digests)).order_by(table.c.user_id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed((_user_phone(row, self._cipher) for row in rows), lambda found: found.phone, keys)

    def row(self, value: UserPhone) -> Row:
        number = value.phone.e164
        return (
            value.user_id,
            self._cipher.seal(number.encode(), _phone_place(value.user_id)),
            self._index.digest(number, field=_PHONE_FIELD),
            value.verified_at,
        )

    def identity(self, value: UserPhone) -> Row:
        return (value.user_id,)


class DerivAccountRepository:
    """Deriv accounts by login id, locked in id order."""

    kind = DERIV_ACCOUNTS
    table = deriv_accounts
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ()

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, DerivAccount | None]:
        table = deriv_accounts
        statement = select(table).where(table.c.deriv_login_id.in_(keys)).order_by(table.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(_deriv_account, rows), lambda found: found.deriv_login_id, keys)

    def row(self, value: DerivAccount) -> Row:
        return (value.id, value.user_id, value.deriv_login_id, value.currency.value, value.created_at)

    def identity(self, value: DerivAccount) -> Row:
        return (value.id,)


class ApiKeyRepository:
    """API keys by id, locked in id order."""

    kind = API_KEYS
    table = api_keys
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("revoked_at",)

    async def lock(self, connection: AsyncConnection, keys: Collection[ApiKeyId]) -> Mapping[ApiKeyId, ApiKey | None]:
        statement = select(api_keys).where(api_keys.c.id.in_(keys)).order_by(api_keys.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        found = (
            ApiKey(
                id=row.id,
                user_id=row.user_id,
                key_hash=row.key_hash,
                created_at=row.created_at,
                revoked_at=row.revoked_at,
            )
            for row in rows
        )
        return keyed(found, lambda key: key.id, keys)

    def row(self, value: ApiKey) -> Row:
        return (value.id, value.user_id, value.key_hash, value.created_at, value.revoked_at)

    def identity(self, value: ApiKey) -> Row:
        return (value.id,)


class PayerFinder:
    """What payments need to know of active users, by user id."""

    index = PAYERS

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    async def find(self, connection: AsyncConnection, keys: Collection[UserId]) -> Mapping[UserId, Payer]:
        rows = await _PAYERS.rows(connection, keys)
        login_ids: dict[UserId, set[str]] = {row.user_id: set() for row in rows}
        for row in rows:
            if row.deriv_login_id is not None:
                login_ids[row.user_id].add(row.deriv_login_id)
        phones = (_user_phone(row, self._cipher) for row in {row.user_id: row for row in rows}.values())
        return {
            found.user_id: Payer(
                user_id=found.user_id,
                phone=found.phone,
                phone_verified=found.verified_at is not None,
                deriv_login_ids=frozenset(login_ids[found.user_id]),
            )
            for found in phones
        }


def contact(row: Any, cipher: FieldCipher) -> Contact:
    """Where a user is told, from her id and the sealed address and number."""
    return Contact(
        phone=PhoneNumber(cipher.open(row.phone_sealed, _phone_place(row.id)).decode()),
        email=Email(cipher.open(row.email_sealed, _email_place(row.id)).decode()),
    )


class SqlUsers:
    """Recognises who is calling. Those who call at the same time are looked up together."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = looking(engine)
        self._asking: list[tuple[str, asyncio.Future[UserId | None]]] = []
        self._look = asyncio.Lock()

    async def authenticate(self, api_key: str) -> UserId:
        """The active user whose unrevoked key this is; raises Unauthorized."""
        answer: asyncio.Future[UserId | None] = asyncio.get_running_loop().create_future()
        self._asking.append((api_key_hash(api_key), answer))
        async with self._look:
            if not answer.done():
                await self._look_up()
        found = await answer
        if found is None:
            raise Unauthorized
        return found

    async def _look_up(self) -> None:
        """One look for everybody who asks; when it fails, each of the others looks for itself."""
        together, self._asking = self._asking, []
        digests = {digest for digest, _ in together}
        try:
            async with translating(), self._engine.connect() as connection:
                found = {row.key_hash: UserId(row.id) for row in await _CALLERS.rows(connection, digests)}
        except BaseException:
            self._asking += [asked for asked in together if not asked[1].done()]
            raise
        for digest, answer in together:
            if not answer.done():
                answer.set_result(found.get(digest))


def _digests(index: BlindIndex, field: str, values: Iterable[str]) -> list[str]:
    return [index.digest(value, field=field) for value in values]


def _email_place(user_id: UserId) -> str:
    return f"users.email_sealed:{user_id}"


def _phone_place(user_id: UserId) -> str:
    return f"user_phone_verification.phone_sealed:{user_id}"


def _user_phone(row: Any, cipher: FieldCipher) -> UserPhone:
    phone = PhoneNumber(cipher.open(row.phone_sealed, _phone_place(row.user_id)).decode())
    return UserPhone(user_id=row.user_id, phone=phone, verified_at=row.verified_at)


def _deriv_account(row: Any) -> DerivAccount:
    return DerivAccount(
        id=row.id,
        user_id=row.user_id,
        deriv_login_id=row.deriv_login_id,
        currency=Currency(row.currency),
        created_at=row.created_at,
    )
