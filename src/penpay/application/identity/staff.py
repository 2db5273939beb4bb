"""Who is on the staff, and logging in and out.

Comparing a password takes too long for a unit of work, so it is done before; what it showed is weighed here, with the
rows of the attempts locked, so that a hundred guesses at once are still counted one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from penpay.application.identity.rows import LOGIN_ATTEMPTS, STAFF, STAFF_BY_EMAIL, STAFF_BY_ROLE, STAFF_SESSIONS
from penpay.application.shared.executor import Refused
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.domain.identity.errors import LastOwner, StaffExists, StaffNotFound
from penpay.domain.identity.staff import (
    SESSION_LIFETIME,
    AttemptLimit,
    LoginAttempts,
    Staff,
    StaffRole,
    StaffSession,
)
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import Forbidden, Unauthorized, WrongCredentials
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.ids import StaffId, StaffSessionId

ACCOUNT_LIMIT: Final = AttemptLimit(wrong=5, within=timedelta(minutes=15))
SOURCE_LIMIT: Final = AttemptLimit(wrong=30, within=timedelta(minutes=15))
"""Of one address or network: a whole shop may share one, and must not lock itself out over a few slips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateStaff:
    """Somebody new on the staff."""

    email: Email
    role: StaffRole
    password_hash: str
    """From `application.identity.staff_access.Passwords`."""
    by: StaffId | None
    """The owner who says so; None: whoever has the terminal, which is how the first owner comes to be."""


class CreateStaffHandler:
    async def footprint(self, commands: Sequence[CreateStaff], find: Find) -> Footprint:
        await find(STAFF_BY_EMAIL, {command.email for command in commands})
        return Footprint().add(STAFF, *(command.by for command in commands if command.by is not None))

    def handle(self, command: CreateStaff, work: Work) -> Staff:
        """Raises StaffExists, also for a repeat, and Forbidden for anybody but an owner."""
        require_owner(command.by, work)
        if work.found(STAFF_BY_EMAIL, command.email) is not None:
            raise StaffExists
        staff = Staff(
            id=StaffId(work.ids.new()),
            email=command.email,
            password_hash=command.password_hash,
            role=command.role,
            created_at=work.now,
        )
        work.add(STAFF, staff.id, staff)
        work.record(DomainEvent("StaffCreated", "Staff", staff.id, staff.version, {"role": staff.role.value}))
        work.audit(actor(command.by), "staff.created", "staff", staff.id, role=staff.role.value)
        return staff


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeStaff:
    """Another role, another password, or no more access. What is None stays as it is."""

    staff_id: StaffId
    by: StaffId | None
    """As for `CreateStaff`."""
    role: StaffRole | None = None
    password_hash: str | None = None
    disabled: bool | None = None


class ChangeStaffHandler:
    async def footprint(self, commands: Sequence[ChangeStaff], find: Find) -> Footprint:
        """With every owner, so that two who dismiss each other wait for one another."""
        owners = (await find(STAFF_BY_ROLE, [StaffRole.OWNER])).get(StaffRole.OWNER, ())
        footprint = Footprint().add(STAFF, *owners)
        for command in commands:
            footprint.add(STAFF, command.staff_id)
            if command.by is not None:
                footprint.add(STAFF, command.by)
        return footprint

    def handle(self, command: ChangeStaff, work: Work) -> Staff:
        """The person as she is now; every session of hers has ended. What is so already changes nothing.

        Raises StaffNotFound, LastOwner, and Forbidden for anybody but an owner.
        """
        require_owner(command.by, work)
        before = work.get(STAFF, command.staff_id)
        if before is None:
            raise StaffNotFound
        facts: dict[str, object] = {}
        if command.role is not None and command.role is not before.role:
            facts["role"] = command.role
        if command.disabled is not None and command.disabled is (before.disabled_at is None):
            facts["disabled_at"] = work.now if command.disabled else None
        if command.password_hash is not None:
            facts["password_hash"] = command.password_hash
        if not facts:
            return before
        after = before.changed(**facts)
        if before.is_active_owner and not after.is_active_owner:
            self._require_another_owner(before, work)
        work.put(STAFF, after.id, after)
        told = {"role": after.role.value, "disabled": after.disabled_at is not None}
        password_changed = command.password_hash is not None
        payload = {**told, "password_changed": password_changed}
        work.record(DomainEvent("StaffChanged", "Staff", after.id, after.version, payload))
        work.audit(actor(command.by), "staff.changed", "staff", after.id, **payload)
        return after

    @staticmethod
    def _require_another_owner(leaving: Staff, work: Work) -> None:
        """Counts those who were owners when the batch began and still are: an owner made since may be missed."""
        for owner_id in work.found(STAFF_BY_ROLE, StaffRole.OWNER) or ():
            owner = work.get(STAFF, owner_id)
            if owner_id != leaving.id and owner is not None and owner.is_active_owner:
                return
        raise LastOwner


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIn:
    """What comparing a password has shown."""

    staff_id: StaffId | None
    """Whose address it is; None for one that nobody has."""
    password_hash: str | None
    """What the password was compared with."""
    right: bool
    account: str
    """The address as a subject of `LoginAttempts`, and so is the next."""
    source: str
    token_hash: str


class LogInHandler:
    async def footprint(self, commands: Sequence[LogIn], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint()
        for command in commands:
            footprint.add(LOGIN_ATTEMPTS, command.account, command.source)
            if command.staff_id is not None:
                footprint.add(STAFF, command.staff_id)
        return footprint

    def handle(self, command: LogIn, work: Work) -> StaffSession | Refused:
        """A session for twelve hours.

        Raises LoginLocked. A wrong password, an unknown address and a disabled person are refused alike with
        WrongCredentials, counted and audited.
        """
        account, source = (_attempts(subject, work) for subject in (command.account, command.source))
        account.require_open(work.now)
        source.require_open(work.now)
        staff = None if command.staff_id is None else work.get(STAFF, command.staff_id)
        current = staff is not None and staff.disabled_at is None and staff.password_hash == command.password_hash
        if staff is None or not current or not command.right:
            work.put(LOGIN_ATTEMPTS, account.subject, account.missed(ACCOUNT_LIMIT, work.now))
            work.put(LOGIN_ATTEMPTS, source.subject, source.missed(SOURCE_LIMIT, work.now))
            who = "unknown" if staff is None else str(staff.id)
            work.audit("anonymous", "staff.login_refused", "staff", who, source=source.subject)
            return Refused(WrongCredentials())
        if account.wrong or account.locked_until is not None:
            # Those from the source stay: whoever has one right password could otherwise go on guessing others.
            work.put(LOGIN_ATTEMPTS, account.subject, LoginAttempts.none(account.subject, work.now))
        session = StaffSession(
            id=StaffSessionId(work.ids.new()),
            staff_id=staff.id,
            token_hash=command.token_hash,
            generation=staff.generation,
            created_at=work.now,
            expires_at=work.now + SESSION_LIFETIME,
        )
        work.add(STAFF_SESSIONS, session.id, session)
        work.audit(actor(staff.id), "staff.logged_in", "staff_session", session.id, source=source.subject)
        return session


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOut:
    """End one session."""

    session_id: StaffSessionId


class LogOutHandler:
    async def footprint(self, commands: Sequence[LogOut], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(STAFF_SESSIONS, *(command.session_id for command in commands))

    def handle(self, command: LogOut, work: Work) -> None:
        """A session that has ended stays so. Raises Unauthorized for one that is gone."""
        session = work.get(STAFF_SESSIONS, command.session_id)
        if session is None:
            raise Unauthorized
        if session.ended_at is None:
            work.put(STAFF_SESSIONS, session.id, replace(session, ended_at=work.now))
            work.audit(actor(session.staff_id), "staff.logged_out", "staff_session", session.id)


def actor(staff_id: StaffId | None) -> str:
    """How audit rows name somebody on the staff; None: whoever has the terminal."""
    return "terminal" if staff_id is None else f"staff:{staff_id}"


def require_owner(by: StaffId | None, work: Work) -> None:
    """Raises Forbidden unless this is an owner who is not disabled, or the terminal."""
    owner = None if by is None else work.get(STAFF, by)
    if by is not None and (owner is None or not owner.is_active_owner):
        raise Forbidden("Only an owner may do that.")


def _attempts(subject: str, work: Work) -> LoginAttempts:
    return work.get(LOGIN_ATTEMPTS, subject) or LoginAttempts.none(subject, work.now)
