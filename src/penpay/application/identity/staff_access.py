"""How the staff get in: passwords compared off the unit of work, tokens recognised, and the commands behind both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import NamedTuple, Protocol

from penpay.application.identity.staff import ChangeStaff, CreateStaff, LogIn, LogOut
from penpay.application.shared.executor import Executor
from penpay.application.shared.ports import Clock, Random
from penpay.domain.identity.errors import StaffNotFound
from penpay.domain.identity.staff import (
    TOKEN_BYTES,
    LoginAttempts,
    Staff,
    StaffRole,
    StaffSession,
    check_password,
    session_token,
    session_token_hash,
)
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import Unauthorized
from penpay.domain.shared.ids import StaffId, StaffSessionId

TERMINAL = "terminal"
"""The source of those who log in where the program runs."""


class Passwords(Protocol):
    """Passwords as they are stored: slow to guess, and so slow to compare that it is awaited."""

    async def hash(self, password: str) -> str:
        """What to store; two hashes of one password differ. Raises Overloaded when too many wait."""
        ...

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether this is what was stored; for None it takes as long and is never so. Raises Overloaded."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffPerson:
    """Somebody on the staff, as she is now, and the session she acts in."""

    id: StaffId
    email: Email
    role: StaffRole
    session_id: StaffSessionId
    expires_at: datetime


class LoginSubjects(NamedTuple):
    """Keyed digests under which attempts are counted."""

    account: str
    source: str


class StaffBooks(Protocol):
    """Reading who is on the staff; nothing is locked."""

    def subjects(self, email: Email, source: str) -> LoginSubjects: ...

    async def by_email(self, email: Email) -> Staff | None: ...

    async def by_token_hash(self, token_hash: str, now: datetime) -> StaffPerson | None:
        """Whose session this is; None for one that is over, and for anybody disabled or changed since."""
        ...

    async def attempts(self, subjects: Sequence[str]) -> Sequence[LoginAttempts]: ...

    async def everybody(self) -> Sequence[Staff]:
        """The whole staff, oldest first, the disabled too."""
        ...


class StaffAccess:
    """The staff's way in, for HTTP and the terminal."""

    def __init__(
        self, *, executor: Executor, books: StaffBooks, passwords: Passwords, clock: Clock, random: Random
    ) -> None:
        self.books = books
        self._executor = executor
        self._passwords = passwords
        self._clock = clock
        self._random = random

    async def log_in(self, email: Email, password: str, source: str) -> tuple[str, StaffPerson]:
        """The token of a new session, and whose it is. `source` is a network address or TERMINAL.

        Raises WrongCredentials alike for an unknown address, a wrong password and a disabled person; LoginLocked after
        too many of either for this address or from this source, whether or not the address is known.
        """
        subjects = self.books.subjects(email, network_of(source))
        for attempts in await self.books.attempts(subjects):
            attempts.require_open(self._clock.now())  # before the comparison, which is dear
        staff = await self.books.by_email(email)
        stored = None if staff is None else staff.password_hash
        right = await self._passwords.matches(password, stored)
        token = session_token(self._random.token_bytes(TOKEN_BYTES))
        token_hash = session_token_hash(token)
        command = LogIn(
            staff_id=None if staff is None else staff.id,
            password_hash=stored,
            right=right,
            account=subjects.account,
            source=subjects.source,
            token_hash=token_hash,
        )
        session: StaffSession = await self._executor.execute(command)
        person = await self.books.by_token_hash(token_hash, session.created_at)
        if person is None:  # disabled, or given another role, in this very moment
            raise Unauthorized
        return token, person

    async def log_out(self, person: StaffPerson) -> None:
        """The token is worth nothing from now on."""
        await self._executor.execute(LogOut(session_id=person.session_id))

    async def recognise(self, token: str) -> StaffPerson:
        """Who this is. Raises Unauthorized."""
        person = await self.books.by_token_hash(session_token_hash(token), self._clock.now())
        if person is None:
            raise Unauthorized
        return person

    async def create(self, email: Email, role: StaffRole, password: str, *, by: StaffId | None) -> Staff:
        """Put somebody on the staff. Raises WeakPassword, StaffExists, Forbidden."""
        hashed = await self._passwords.hash(check_password(password))
        created: Staff = await self._executor.execute(CreateStaff(email=email, role=role, password_hash=hashed, by=by))
        return created

    async def change(
        self,
        staff_id: StaffId,
        *,
        by: StaffId | None,
        role: StaffRole | None = None,
        password: str | None = None,
        disabled: bool | None = None,
    ) -> Staff:
        """See `ChangeStaff`. Raises WeakPassword as well."""
        hashed = None if password is None else await self._passwords.hash(check_password(password))
        command = ChangeStaff(staff_id=staff_id, by=by, role=role, password_hash=hashed, disabled=disabled)
        changed: Staff = await self._executor.execute(command)
        return changed

    async def require(self, email: Email) -> Staff:
        """Who has this address. Raises StaffNotFound."""
        staff = await self.books.by_email(email)
        if staff is None:
            raise StaffNotFound
        return staff


def network_of(source: str) -> str:
    """What attempts from a source are counted under: its address, in IPv6 the network of 64 bits that one line has."""
    try:
        address = ip_address(source)
    except ValueError:
        return source
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address)
