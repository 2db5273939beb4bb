"""The rows of the staff, who is on it, and whose session a token is.

E-mail addresses are sealed, with a blind index beside each; the subjects of attempts are blind indexes and nothing
else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.identity.rows import LOGIN_ATTEMPTS, STAFF, STAFF_BY_EMAIL, STAFF_BY_ROLE, STAFF_SESSIONS
from penpay.application.identity.staff_access import LoginSubjects, StaffPerson
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.identity.staff import LoginAttempts, Staff, StaffRole, StaffSession
from penpay.domain.shared.email import Email
from penpay.domain.shared.ids import StaffId, StaffSessionId
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.engine import translating
from penpay.infrastructure.sql.staff_tables import login_attempts, staff, staff_sessions
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import among, among_ids, fetch, for_update

_EMAIL_FIELD: Final = "staff.email"
_ACCOUNT_FIELD: Final = "login_attempts.account"
_SOURCE_FIELD: Final = "login_attempts.source"


class StaffRepository:
    """The staff by id, locked in id order."""

    kind = STAFF
    table = staff
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("password_hash", "role", "generation", "disabled_at", "version")

    def __init__(self, cipher: FieldCipher, index: BlindIndex) -> None:
        self._cipher = cipher
        self._index = index

    async def lock(self, connection: AsyncConnection, keys: Collection[StaffId]) -> Mapping[StaffId, Staff | None]:
        statement = select(staff).where(among_ids(staff.c.id, keys, connection.dialect)).order_by(staff.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(self.one, rows), lambda found: found.id, keys)

    def row(self, value: Staff) -> Row:
        address = value.email.address
        return (
            value.id,
            self._cipher.seal(address.encode(), _email_place(value.id)),
            self.email_index(value.email),
            value.password_hash,
            value.role.value,
            value.generation,
            value.created_at,
            value.disabled_at,
            value.version,
        )

    def identity(self, value: Staff) -> Row:
        return (value.id,)

    def email_index(self, email: Email) -> str:
        """What an address is found by."""
        return self._index.digest(email.address, field=_EMAIL_FIELD)

    def one(self, row: Any) -> Staff:
        """A row of the table."""
        return Staff(
            id=row.id,
            email=self.email(row),
            password_hash=row.password_hash,
            role=StaffRole(row.role),
            created_at=row.created_at,
            disabled_at=row.disabled_at,
            generation=row.generation,
            version=row.version,
        )

    def email(self, row: Any) -> Email:
        return Email(self._cipher.open(row.email_sealed, _email_place(row.id)).decode())


class StaffSessionRepository:
    """Sessions by id, locked in id order."""

    kind = STAFF_SESSIONS
    table = staff_sessions
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("ended_at",)

    async def lock(
        self, connection: AsyncConnection, keys: Collection[StaffSessionId]
    ) -> Mapping[StaffSessionId, StaffSession | None]:
        wanted = among_ids(staff_sessions.c.id, keys, connection.dialect)
        statement = select(staff_sessions).where(wanted).order_by(staff_sessions.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(_session, rows), lambda found: found.id, keys)

    def row(self, value: StaffSession) -> Row:
        return (
            value.id,
            value.staff_id,
            value.token_hash,
            value.generation,
            value.created_at,
            value.expires_at,
            value.ended_at,
        )

    def identity(self, value: StaffSession) -> Row:
        return (value.id,)


class LoginAttemptsRepository:
    """Wrong passwords by subject, locked in its order."""

    kind = LOGIN_ATTEMPTS
    table = login_attempts
    key: tuple[str, ...] = ("subject",)
    mutable: tuple[str, ...] = ("wrong", "since", "locked_until")

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, LoginAttempts | None]:
        wanted = among(login_attempts.c.subject, keys, connection.dialect)
        statement = select(login_attempts).where(wanted).order_by(login_attempts.c.subject)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(_attempts, rows), lambda found: found.subject, keys)

    def row(self, value: LoginAttempts) -> Row:
        return (value.subject, value.wrong, value.since, value.locked_until)

    def identity(self, value: LoginAttempts) -> Row:
        return (value.subject,)


class StaffByEmailFinder:
    """Who has an address."""

    index = STAFF_BY_EMAIL

    def __init__(self, repository: StaffRepository) -> None:
        self._repository = repository

    async def find(self, connection: AsyncConnection, keys: Collection[Email]) -> Mapping[Email, StaffId]:
        digests = {self._repository.email_index(email): email for email in keys}
        statement = select(staff.c.id, staff.c.email_index).where(staff.c.email_index.in_(sorted(digests)))
        return {digests[row.email_index]: row.id for row in await fetch(connection, statement)}


class StaffByRoleFinder:
    """Everybody with a role who is not disabled."""

    index = STAFF_BY_ROLE

    async def find(
        self, connection: AsyncConnection, keys: Collection[StaffRole]
    ) -> Mapping[StaffRole, tuple[StaffId, ...]]:
        wanted = staff.c.role.in_([role.value for role in keys])
        statement = select(staff.c.id, staff.c.role).where(wanted, staff.c.disabled_at.is_(None)).order_by(staff.c.id)
        rows = await fetch(connection, statement)
        return {role: tuple(row.id for row in rows if row.role == role.value) for role in keys}


class SqlStaffBooks:
    """`application.identity.staff_access.StaffBooks` over SQL."""

    def __init__(self, engine: AsyncEngine, repository: StaffRepository, index: BlindIndex) -> None:
        self._engine = engine
        self._repository = repository
        self._index = index

    def subjects(self, email: Email, source: str) -> LoginSubjects:
        return LoginSubjects(
            account=self._index.digest(email.address, field=_ACCOUNT_FIELD),
            source=self._index.digest(source, field=_SOURCE_FIELD),
        )

    async def by_email(self, email: Email) -> Staff | None:
        wanted = staff.c.email_index == self._repository.email_index(email)
        return next(map(self._repository.one, await self._rows(select(staff).where(wanted))), None)

    async def by_token_hash(self, token_hash: str, now: datetime) -> StaffPerson | None:
        statement = (
            select(staff, staff_sessions.c.id.label("session_id"), staff_sessions.c.expires_at)
            .join(staff_sessions, staff_sessions.c.staff_id == staff.c.id)
            .where(
                staff_sessions.c.token_hash == token_hash,
                staff_sessions.c.generation == staff.c.generation,
                staff_sessions.c.ended_at.is_(None),
                staff_sessions.c.expires_at > now,
                staff.c.disabled_at.is_(None),
            )
        )
        for row in await self._rows(statement):
            return StaffPerson(
                id=row.id,
                email=self._repository.email(row),
                role=StaffRole(row.role),
                session_id=row.session_id,
                expires_at=row.expires_at,
            )
        return None

    async def attempts(self, subjects: Sequence[str]) -> Sequence[LoginAttempts]:
        statement = select(login_attempts).where(login_attempts.c.subject.in_(subjects))
        return [_attempts(row) for row in await self._rows(statement)]

    async def everybody(self) -> Sequence[Staff]:
        return [self._repository.one(row) for row in await self._rows(select(staff).order_by(staff.c.id))]

    async def _rows(self, statement: Select[Any]) -> Sequence[Any]:
        async with translating(), self._engine.connect() as connection:
            return await fetch(connection, statement)


def _email_place(staff_id: StaffId) -> str:
    return f"staff.email_sealed:{staff_id}"


def _attempts(row: Any) -> LoginAttempts:
    return LoginAttempts(subject=row.subject, wrong=row.wrong, since=row.since, locked_until=row.locked_until)


def _session(row: Any) -> StaffSession:
    return StaffSession(
        id=row.id,
        staff_id=row.staff_id,
        token_hash=row.token_hash,
        generation=row.generation,
        created_at=row.created_at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
    )
