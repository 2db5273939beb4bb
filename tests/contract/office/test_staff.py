"""The staff on every engine: logging in, being counted when guessing, and losing access at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from penpay.application.identity.staff import ACCOUNT_LIMIT, SOURCE_LIMIT
from penpay.domain.identity.errors import LastOwner, StaffExists, StaffNotFound, WeakPassword
from penpay.domain.identity.staff import SESSION_LIFETIME, StaffRole
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import DomainError, Forbidden, LoginLocked, Unauthorized, WrongCredentials
from penpay.domain.shared.ids import StaffId
from penpay.infrastructure.sql.housekeeping import forget_old_logins
from tests.contract.office.stage import CASHIER, OWNER, PASSWORD, SHOP, Office, opened

STRANGER = Email("stranger@example.com")
ELSEWHERE = "198.51.100.9"
NOBODY = StaffId(UUID(int=7))


async def tries(office: Office, email: Email, count: int, *, source: str = SHOP) -> list[type[DomainError]]:
    """How so many wrong passwords, one after the other, are refused."""
    found: list[type[DomainError]] = []
    for _ in range(count):
        with pytest.raises((WrongCredentials, LoginLocked)) as refused:
            await office.access.log_in(email, "wrong password", source)
        found.append(refused.type)
    return found


async def test_a_session_lasts_twelve_hours(office: Office) -> None:
    """The token says who she is until the moment it expires."""
    token, person = await office.access.log_in(OWNER, PASSWORD, SHOP)
    office.clock.moment += SESSION_LIFETIME - timedelta(microseconds=1)
    found = await office.access.recognise(token)
    office.clock.moment += timedelta(microseconds=1)

    assert (OWNER, StaffRole.OWNER, person) == (found.email, found.role, found)
    with pytest.raises(Unauthorized):
        await office.access.recognise(token)


async def test_neither_passwords_nor_tokens_nor_addresses_are_stored(office: Office) -> None:
    """Whoever has the database alone has nobody's password, session or e-mail address."""
    token, _ = await office.access.log_in(OWNER, PASSWORD, SHOP)
    await tries(office, STRANGER, 1)

    tables = ("staff", "staff_sessions", "login_attempts", "audit_logs", "domain_events")
    dump = "".join([str(await office.rows(name)) for name in tables])
    for secret in (token, token[4:], PASSWORD, "wrong password", "owner@", "stranger", SHOP):
        assert secret not in dump
    (staff,) = await office.rows("staff")
    assert staff.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_an_unknown_address_and_a_wrong_password_cannot_be_told_apart(office: Office) -> None:
    """Both are refused alike, as often, and locked alike."""
    known = await tries(office, OWNER, 6, source=SHOP)
    unknown = await tries(office, STRANGER, 6, source=ELSEWHERE)

    assert [WrongCredentials] * 5 + [LoginLocked] == known == unknown
    refused = await office.audited("staff.login_refused")
    assert ["unknown"] * 5 == [row.subject_id for row in refused if row.subject_id == "unknown"]
    assert 10 == len(refused)


async def test_a_lock_ends_and_a_right_password_forgives(office: Office) -> None:
    """After a quarter of an hour the right password opens again, and the count begins anew."""
    await tries(office, OWNER, ACCOUNT_LIMIT.wrong)
    with pytest.raises(LoginLocked):
        await office.access.log_in(OWNER, PASSWORD, ELSEWHERE)
    office.clock.moment += ACCOUNT_LIMIT.within
    await tries(office, OWNER, ACCOUNT_LIMIT.wrong - 1)
    await office.access.log_in(OWNER, PASSWORD, SHOP)

    assert [WrongCredentials] * 4 == await tries(office, OWNER, 4)


async def test_a_source_is_counted_over_all_addresses(office: Office) -> None:
    """Whoever tries one password on many addresses is stopped, in IPv6 with all of his network; others are not."""
    sources = ("2001:db8::1", "2001:db8::ffff")
    found = [
        (await tries(office, Email(f"guess{n}@example.com"), 1, source=sources[n % 2]))[0]
        for n in range(SOURCE_LIMIT.wrong)
    ]
    with pytest.raises(LoginLocked):
        await office.access.log_in(OWNER, PASSWORD, sources[0])
    await office.access.log_in(OWNER, PASSWORD, "2001:db8:1::1")

    assert [WrongCredentials] * SOURCE_LIMIT.wrong == found


async def test_guesses_at_once_are_counted_one_by_one(office: Office) -> None:
    """Of twenty wrong guesses in the same moment five are weighed, and then the right one is not."""
    results = await asyncio.gather(
        *(office.access.log_in(OWNER, f"wrong password {n}", SHOP) for n in range(20)), return_exceptions=True
    )

    kinds = [type(result) for result in results]
    assert (5, 15) == (kinds.count(WrongCredentials), kinds.count(LoginLocked))
    with pytest.raises(LoginLocked):
        await office.access.log_in(OWNER, PASSWORD, SHOP)
    assert [] == await office.rows("staff_sessions")


async def test_logging_out_ends_one_session(office: Office) -> None:
    """The token is worth nothing afterwards; the other session goes on."""
    (first, person), (second, _) = [await office.access.log_in(OWNER, PASSWORD, SHOP) for _ in range(2)]
    await office.access.log_out(person)
    await office.access.log_out(person)

    with pytest.raises(Unauthorized):
        await office.access.recognise(first)
    assert OWNER == (await office.access.recognise(second)).email
    assert 1 == len(await office.audited("staff.logged_out"))


@pytest.mark.parametrize(
    "change", [{"role": StaffRole.ACCOUNTANT}, {"disabled": True}, {"password": "another good password"}]
)
async def test_a_change_ends_every_session_at_once(office: Office, change: dict[str, Any]) -> None:
    """Another role, another password or no more access: the tokens she holds are worth nothing."""
    cashier = await office.hire(CASHIER, StaffRole.CASHIER)
    tokens = [(await office.access.log_in(CASHIER, PASSWORD, SHOP))[0] for _ in range(2)]
    changed = await office.access.change(cashier.id, by=None, **change)
    again = await office.access.change(cashier.id, by=None, **change) if "password" not in change else changed

    assert (2, changed) == (changed.version, again)
    for token in tokens:
        with pytest.raises(Unauthorized):
            await office.access.recognise(token)


async def test_somebody_disabled_cannot_log_in_until_she_is_enabled(office: Office) -> None:
    """She is refused like a stranger, and let in again when she is enabled."""
    cashier = await office.hire(CASHIER, StaffRole.CASHIER)
    await office.access.change(cashier.id, by=None, disabled=True)
    with pytest.raises(WrongCredentials):
        await office.access.log_in(CASHIER, PASSWORD, SHOP)
    await office.access.change(cashier.id, by=None, disabled=False)

    assert CASHIER == (await office.access.log_in(CASHIER, PASSWORD, SHOP))[1].email


async def test_the_last_owner_stays(office: Office) -> None:
    """She can be neither disabled nor given another role; of two, one can."""
    owner = office.people[StaffRole.OWNER]
    for change in ({"disabled": True}, {"role": StaffRole.CASHIER}):
        with pytest.raises(LastOwner):
            await office.access.change(owner.id, by=owner.id, **change)
    second = await office.hire(Email("second@example.com"), StaffRole.OWNER)
    await office.access.change(owner.id, by=second.id, disabled=True)

    with pytest.raises(LastOwner):
        await office.access.change(second.id, by=second.id, disabled=True)


async def test_two_owners_who_dismiss_each_other_at_once_are_not_both_gone(office: Office, url: str) -> None:
    """From two processes in the same moment: one is heard, the other is the last owner, or no owner any more."""
    first = office.people[StaffRole.OWNER]
    second = await office.hire(Email("second@example.com"), StaffRole.OWNER)
    async with opened(url, seed=2) as other:
        results = await asyncio.gather(
            office.access.change(second.id, by=first.id, disabled=True),
            other.access.change(first.id, by=second.id, disabled=True),
            return_exceptions=True,
        )

    refused = [result for result in results if isinstance(result, BaseException)]
    assert [Forbidden] == [type(error) for error in refused]
    assert 1 == sum(row.role == "owner" and row.disabled_at is None for row in await office.rows("staff"))


async def test_only_owners_decide_who_is_on_the_staff(office: Office) -> None:
    """Anybody else is refused, and so is an owner who has been disabled."""
    cashier = await office.hire(CASHIER, StaffRole.CASHIER)
    former = await office.hire(Email("former@example.com"), StaffRole.OWNER)
    await office.access.change(former.id, by=None, disabled=True)

    for by in (cashier.id, former.id, NOBODY):
        with pytest.raises(Forbidden):
            await office.access.create(STRANGER, StaffRole.OWNER, PASSWORD, by=by)
        with pytest.raises(Forbidden):
            await office.access.change(cashier.id, by=by, role=StaffRole.OWNER)
    assert 3 == len(await office.rows("staff"))


async def test_an_address_is_somebodys_once(office: Office) -> None:
    """In any case, also for two who come in the same moment; a password that is too short is refused before."""
    with pytest.raises(StaffExists):
        await office.hire(Email.parse("OWNER@example.com"), StaffRole.CASHIER)
    with pytest.raises(WeakPassword):
        await office.hire(CASHIER, StaffRole.CASHIER, "too short")
    results = await asyncio.gather(*(office.hire(CASHIER, StaffRole.CASHIER) for _ in range(3)), return_exceptions=True)

    assert [StaffExists] * 2 == [type(result) for result in results if isinstance(result, BaseException)]
    with pytest.raises(StaffNotFound):
        await office.access.change(NOBODY, by=None, disabled=True)


async def test_old_sessions_and_attempts_are_forgotten(office: Office) -> None:
    """Housekeeping leaves what still counts."""
    await office.access.log_in(OWNER, PASSWORD, SHOP)
    await tries(office, STRANGER, 1)
    early = await forget_old_logins(office.system.engine, office.clock.now())
    late = await forget_old_logins(office.system.engine, office.clock.now() + timedelta(days=1))

    assert (0, 3) == (early, late)
    assert [] == await office.rows("staff_sessions")
