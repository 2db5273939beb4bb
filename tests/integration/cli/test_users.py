"""Creating users at a terminal, and whom their keys open the door to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Update, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.identity.users import CreateUser
from penpay.application.payments.rows import PAYERS
from penpay.bootstrap import build
from penpay.config import load_settings
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.identity.credential import api_key_hash
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import Unauthorized
from penpay.domain.shared.ids import UserId
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.identity import PayerFinder
from penpay.infrastructure.sql.tables import api_keys, users
from penpay.infrastructure.system import SystemRandom
from tests.integration.cli.conftest import Terminal
from tests.integration.cli.looking import USER_ONE, USER_TWO, authenticate, in_database


def test_a_new_user_can_use_her_key(terminal: Terminal) -> None:
    """The key shown once is recognised as hers; the database holds neither it nor her contacts in clear."""
    created = terminal.json("users", "create", *USER_ONE)

    assert created["user_id"] == str(authenticate(terminal, created["api_key"]))
    dump = str(in_database(terminal, _everything_personal))
    for secret in (created["api_key"], "user_one", "712345678"):
        assert secret not in dump


async def _everything_personal(connection: AsyncConnection) -> list[Any]:
    tables = ("users", "user_phone_verification", "api_keys", "domain_events", "audit_logs")
    return [(await connection.execute(text(f"SELECT * FROM {table}"))).all() for table in tables]


def test_people_see_the_key_once(terminal: Terminal) -> None:
    """Without --json the answer is for reading, and the warning is beside it, not in it."""
    result = terminal.run("users", "create", *USER_ONE)

    assert ["user", "API"] == [line.split()[0] for line in result.stdout.splitlines()]
    assert "cannot be shown again" in result.stderr


def test_what_payments_need_of_a_user_is_found(terminal: Terminal) -> None:
    """The number and the Deriv accounts of each user are opened for payments, and of nobody else."""
    user_one, user_two = (
        UserId(UUID(terminal.json("users", "create", *who)["user_id"])) for who in (USER_ONE, USER_TWO)
    )
    cipher = FieldCipher(load_settings(terminal.env).key_ring, SystemRandom())

    async def look(connection: AsyncConnection) -> Mapping[UserId, Any]:
        return await PayerFinder(cipher).find(connection, [user_one, user_two, UserId(UUID(int=1))])

    payers = in_database(terminal, look)

    assert PAYERS == PayerFinder.index
    assert {user_one, user_two} == set(payers)
    assert ("+254712345678", True, {"CR900001"}) == (
        payers[user_one].phone.e164,
        payers[user_one].phone_verified,
        payers[user_one].deriv_login_ids,
    )


REFUSED_USERS = (
    (("--email", "USER_ONE@example.com", *USER_TWO[2:]), "user_exists"),
    ((*USER_TWO[:2], "--phone", "+254712345678", *USER_TWO[4:]), "user_exists"),
    ((*USER_TWO[:4], "--deriv-login-id", "CR900001"), "deriv_account_taken"),
    ((*USER_TWO[:4], "--deriv-login-id", "VRTC900001"), "invalid_deriv_login_id"),
    (("--email", "nobody", *USER_TWO[2:]), "invalid_email"),
    ((*USER_TWO[:2], "--phone", "12", *USER_TWO[4:]), "invalid_phone_number"),
)


def test_a_user_who_cannot_be_is_refused(terminal: Terminal) -> None:
    """What is taken or malformed is refused by a stable code, and nothing is kept."""
    terminal.run("users", "create", *USER_ONE)

    for arguments, code in REFUSED_USERS:
        assert (arguments, code) == (arguments, terminal.refused("users", "create", *arguments))

    assert 1 == in_database(terminal, _users)


async def _users(connection: AsyncConnection) -> int:
    return int((await connection.execute(text("SELECT count(*) FROM users"))).scalar_one())


def test_two_who_create_one_user_at_once(terminal: Terminal) -> None:
    """Of two programs creating the same user at the same moment one is refused."""

    async def both() -> list[object]:
        systems = [build(load_settings(terminal.env)) for _ in range(2)]
        try:
            for system in systems:
                await system.start_executor()
            outcomes: list[object] = await asyncio.gather(
                *(system.executor.execute(_user_one(number)) for number, system in enumerate(systems)),
                return_exceptions=True,
            )
            return outcomes
        finally:
            for system in systems:
                await system.stop()

    names = {type(outcome).__name__ for outcome in asyncio.run(both())}

    # Which of her things is found taken first depends on how far the other one has come.
    assert names in ({"User", "UserExists"}, {"User", "DerivAccountTaken"})


def _user_one(number: int) -> object:

    return CreateUser(
        email=Email("user_one@example.com"),
        phone=PhoneNumber("+254712345678"),
        phone_verified=True,
        deriv_login_id=DerivLoginId("CR900001"),
        api_key_hash=str(number) * 64,
    )


def test_a_key_ends_with_its_revocation_or_its_user(terminal: Terminal) -> None:
    """A revoked key, the key of a user who is no longer active, and a key nobody has open nothing."""
    keys = [terminal.json("users", "create", *who)["api_key"] for who in (USER_ONE, USER_TWO)]
    changes = (
        update(api_keys).where(api_keys.c.key_hash == api_key_hash(keys[0])).values(revoked_at=api_keys.c.created_at),
        update(users).where(users.c.id == authenticate(terminal, keys[1])).values(status="CLOSED"),
    )
    for api_key, change in zip(keys, changes, strict=True):
        assert authenticate(terminal, api_key)
        in_database(terminal, partial(_execute, change))
        with pytest.raises(Unauthorized):
            authenticate(terminal, api_key)

    with pytest.raises(Unauthorized):
        authenticate(terminal, "A" * 52)


async def _execute(statement: Update, connection: AsyncConnection) -> None:
    await connection.execute(statement)
