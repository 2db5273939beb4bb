"""What an operator does at a terminal, on a real database of each engine."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.identity.users import CreateUser
from penpay.application.payments.rows import CURRENT_RATES, PAYERS
from penpay.bootstrap import build
from penpay.config import load_settings
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.identity.credential import api_key_hash
from penpay.domain.identity.user import Email
from penpay.domain.shared.errors import Unauthorized
from penpay.domain.shared.ids import UserId
from penpay.domain.shared.money import Currency
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.fx import CurrentRateFinder
from penpay.infrastructure.sql.identity import PayerFinder, SqlUsers
from penpay.infrastructure.system import SystemClock, SystemRandom
from tests.integration.cli.conftest import Terminal

WANJIKU = ("--email", "Wanjiku@Example.com", "--phone", "0712 345 678", "--deriv-login-id", "cr900001")
OTIENO = ("--email", "otieno@example.com", "--phone", "0722000000", "--deriv-login-id", "CR900002")
RATE = ("fx", "set", "129.50", "--source", "central bank", "--by", "wanjiku")


def in_database(terminal: Terminal, work: Callable[[AsyncConnection], Awaitable[Any]]) -> Any:
    """Look into the terminal's database."""

    async def look() -> Any:
        engine = open_engine(terminal.env["DATABASE_URL"])
        try:
            async with engine.begin() as connection:
                return await work(connection)
        finally:
            await engine.dispose()

    return asyncio.run(look())


def authenticate(terminal: Terminal, api_key: str) -> UUID:
    """Who the system takes the holder of this key for."""

    async def ask() -> UUID:
        engine = open_engine(terminal.env["DATABASE_URL"])
        try:
            return await SqlUsers(engine).authenticate(api_key)
        finally:
            await engine.dispose()

    return asyncio.run(ask())


# -- db


def test_a_database_is_migrated_once(empty: Terminal) -> None:
    """Status says what migrate will do and has done, to people and to scripts."""
    before = empty.json("db", "status", status=1)
    migrated = empty.json("db", "migrate")
    empty.run("db", "migrate")
    after = empty.json("db", "status")

    assert (None, False) == (before["revision"], before["current"])
    assert {"revision": before["head"]} == migrated
    assert (before["head"], True) == (after["revision"], after["current"])


def test_books_of_an_unmigrated_database_are_not_read(empty: Terminal) -> None:
    """Reading waits for the migration, and says so by a stable code."""
    assert "schema_behind" == empty.refused("ledger", "verify")


def test_a_database_of_a_newer_version_is_left_alone(terminal: Terminal) -> None:
    """An older program touches nothing of a newer one's."""
    in_database(
        terminal, lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    )

    assert "schema_ahead" == terminal.refused("ledger", "verify")
    assert "schema_ahead" == terminal.refused("db", "migrate")
    assert "schema_ahead" == terminal.refused("users", "create", *WANJIKU)


def test_a_database_that_is_not_there_is_told_without_its_password(empty: Terminal) -> None:
    """A wrong address ends in one line, which does not quote the address."""
    url = "postgresql://penpay:hunter2@127.0.0.1:1/none"

    result = empty.run("db", "status", status=1, DATABASE_URL=url)

    assert result.stderr.startswith("error: database_unavailable: ")
    assert "hunter2" not in result.output


# -- users


def test_a_new_user_can_use_her_key(terminal: Terminal) -> None:
    """The key shown once is recognised as hers; the database holds neither it nor her contacts in clear."""
    created = terminal.json("users", "create", *WANJIKU)

    assert created["user_id"] == str(authenticate(terminal, created["api_key"]))
    dump = str(in_database(terminal, _everything_personal))
    for secret in (created["api_key"], "wanjiku", "712345678"):
        assert secret not in dump


async def _everything_personal(connection: AsyncConnection) -> list[Any]:
    tables = ("users", "user_phone_verification", "api_keys", "domain_events", "audit_logs")
    return [(await connection.execute(text(f"SELECT * FROM {table}"))).all() for table in tables]


def test_people_see_the_key_once(terminal: Terminal) -> None:
    """Without --json the answer is for reading, and the warning is beside it, not in it."""
    result = terminal.run("users", "create", *WANJIKU)

    assert ["user", "API"] == [line.split()[0] for line in result.stdout.splitlines()]
    assert "cannot be shown again" in result.stderr


def test_what_payments_need_of_a_user_is_found(terminal: Terminal) -> None:
    """The number and the Deriv accounts of each user are opened for payments, and of nobody else."""
    wanjiku, otieno = (UserId(UUID(terminal.json("users", "create", *who)["user_id"])) for who in (WANJIKU, OTIENO))
    cipher = FieldCipher(load_settings(terminal.env).key_ring, SystemRandom())

    async def look(connection: AsyncConnection) -> Mapping[UserId, Any]:
        return await PayerFinder(cipher).find(connection, [wanjiku, otieno, UserId(UUID(int=1))])

    payers = in_database(terminal, look)

    assert PAYERS == PayerFinder.index
    assert {wanjiku, otieno} == set(payers)
    assert ("+254712345678", True, {"CR900001"}) == (
        payers[wanjiku].phone.e164,
        payers[wanjiku].phone_verified,
        payers[wanjiku].deriv_login_ids,
    )


REFUSED_USERS = (
    (("--email", "WANJIKU@example.com", *OTIENO[2:]), "user_exists"),
    ((*OTIENO[:2], "--phone", "+254712345678", *OTIENO[4:]), "user_exists"),
    ((*OTIENO[:4], "--deriv-login-id", "CR900001"), "deriv_account_taken"),
    ((*OTIENO[:4], "--deriv-login-id", "VRTC900001"), "invalid_deriv_login_id"),
    (("--email", "nobody", *OTIENO[2:]), "invalid_email"),
    ((*OTIENO[:2], "--phone", "12", *OTIENO[4:]), "invalid_phone_number"),
)


def test_a_user_who_cannot_be_is_refused(terminal: Terminal) -> None:
    """What is taken or malformed is refused by a stable code, and nothing is kept."""
    terminal.run("users", "create", *WANJIKU)

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
                *(system.executor.execute(_wanjiku(number)) for number, system in enumerate(systems)),
                return_exceptions=True,
            )
            return outcomes
        finally:
            for system in systems:
                await system.stop()

    names = {type(outcome).__name__ for outcome in asyncio.run(both())}

    # Which of her things is found taken first depends on how far the other one has come.
    assert names in ({"User", "UserExists"}, {"User", "DerivAccountTaken"})


def _wanjiku(number: int) -> object:

    return CreateUser(
        email=Email("wanjiku@example.com"),
        phone=PhoneNumber("+254712345678"),
        phone_verified=True,
        deriv_login_id=DerivLoginId("CR900001"),
        api_key_hash=str(number) * 64,
    )


def test_a_key_ends_with_its_revocation_or_its_user(terminal: Terminal) -> None:
    """A revoked key, the key of a user who is no longer active, and a key nobody has open nothing."""
    keys = [terminal.json("users", "create", *who)["api_key"] for who in (WANJIKU, OTIENO)]
    changes = (
        f"UPDATE api_keys SET revoked_at = created_at WHERE key_hash = '{api_key_hash(keys[0])}'",
        f"UPDATE users SET status = 'CLOSED' WHERE id = '{authenticate(terminal, keys[1])}'",
    )
    for api_key, change in zip(keys, changes, strict=True):
        assert authenticate(terminal, api_key)
        in_database(terminal, partial(_execute, change))
        with pytest.raises(Unauthorized):
            authenticate(terminal, api_key)

    with pytest.raises(Unauthorized):
        authenticate(terminal, "A" * 52)


async def _execute(statement: str, connection: AsyncConnection) -> None:
    await connection.execute(text(statement))


# -- fx


def current(terminal: Terminal) -> Any:
    """The rate deposits are quoted at."""

    async def look(connection: AsyncConnection) -> Any:
        pair = (Currency.USD, Currency.KES)
        return (await CurrentRateFinder(SystemClock()).find(connection, [pair])).get(pair)

    return in_database(terminal, look)


def test_a_rate_counts_once_two_people_agree(terminal: Terminal) -> None:
    """Wanjiku enters, Otieno approves, and then it is the current rate, exactly as typed."""
    entered = terminal.json(*RATE)
    assert None is current(terminal)
    assert "rate_not_approvable" == terminal.refused("fx", "approve", entered["id"], "--by", "wanjiku")

    approved = terminal.json("fx", "approve", entered["id"], "--by", "otieno")

    assert ("129.5", 12_950_000_000, "otieno") == (approved["mid"], approved["mid_e8"], approved["approved_by"])
    assert 12_950_000_000 == current(terminal).mid_e8
    assert CURRENT_RATES == CurrentRateFinder.index
    assert [approved] == terminal.json("fx", "show")
    assert "129.5" in terminal.run("fx", "show").stdout


def test_the_database_keeps_maker_and_checker_apart(terminal: Terminal) -> None:
    """Whoever gets past the program meets the CHECK of the table."""
    terminal.run(*RATE)

    with pytest.raises(Exception, match="maker_checker"):
        in_database(
            terminal, lambda connection: connection.execute(text("UPDATE fx_rates SET approved_by = entered_by"))
        )


def test_a_slip_of_a_digit_is_held_up(terminal: Terminal) -> None:
    """A rate far from the last approved one is approved only by somebody who says that it is right."""
    terminal.run("fx", "approve", terminal.json(*RATE)["id"], "--by", "otieno")
    slipped = terminal.json("fx", "set", "192.5", "--source", "central bank", "--by", "wanjiku")["id"]

    assert "rate_not_approvable" == terminal.refused("fx", "approve", slipped, "--by", "otieno")
    assert 12_950_000_000 == current(terminal).mid_e8

    terminal.run("fx", "approve", slipped, "--by", "otieno", "--confirm-move")
    assert 19_250_000_000 == current(terminal).mid_e8


def test_of_approved_rates_the_latest_valid_one_is_current(terminal: Terminal) -> None:
    """A rate for next year does not count yet, and one for last year no more, whenever they were approved."""
    for rate, valid_from in (("129.5", None), ("130.5", "2099-01-01T00:00:00Z"), ("128.5", "2020-01-01T00:00:00Z")):
        more = () if valid_from is None else ("--valid-from", valid_from)
        entered = terminal.json("fx", "set", rate, "--source", "central bank", "--by", "wanjiku", *more)
        terminal.run("fx", "approve", entered["id"], "--by", "otieno")

    assert 12_950_000_000 == current(terminal).mid_e8


REFUSED_RATES = (
    (("fx", "set", "1e2", "--source", "x", "--by", "wanjiku"), "invalid_request"),
    (("fx", "set", "129.5", "--source", "x", "--by", "Wanjiku"), "invalid_request"),
    (("fx", "set", "129.5", "--source", "x", "--by", "wanjiku", "--quote", "EUR"), "unknown_currency"),
    (("fx", "approve", str(UUID(int=1)), "--by", "otieno"), "not_found"),
)


def test_a_malformed_rate_is_refused(terminal: Terminal) -> None:
    """Each mistake has its stable code, and nothing is kept."""
    for arguments, code in REFUSED_RATES:
        assert (arguments, code) == (arguments, terminal.refused(*arguments))

    assert [] == terminal.json("fx", "show")


# -- ledger and reviews


def test_empty_books_are_sound(terminal: Terminal) -> None:
    """A new installation verifies, balances at nothing, and has nothing for people to decide."""
    assert {"sound": True, "findings": []} == terminal.json("ledger", "verify")
    assert {"accounts": [], "totals": [], "balanced": True} == terminal.json("ledger", "trial-balance")
    assert [] == terminal.json("reviews", "list")
    assert "account_not_found" == terminal.refused("ledger", "balance", "mpesa:collection")
    assert "sound" in terminal.run("ledger", "verify").stdout


def test_books_that_are_not_sound_fail_the_command(terminal: Terminal) -> None:
    """A balance somebody wrote into the table is found, shown, and ends the command with 1."""
    in_database(terminal, lambda connection: connection.execute(text(_FORGED)))

    answer = terminal.json("ledger", "verify", status=1)
    shown = terminal.run("ledger", "verify", status=1).stdout

    assert not answer["sound"]
    assert {"equity:owner"} <= {finding["subject"] for finding in answer["findings"]}
    assert "equity:owner" in shown
    trial = terminal.json("ledger", "trial-balance")
    assert ([{"currency": "KES", "debit_cents": 0, "credit_cents": 12_345}], False) == (
        trial["totals"],
        trial["balanced"],
    )
    assert "KES 123.45" in terminal.run("ledger", "trial-balance").stdout
    assert {"code": "equity:owner", "currency": "KES", "balance_cents": 12_345} == terminal.json(
        "ledger", "balance", "equity:owner"
    )
    assert "KES 0.00" in terminal.run("ledger", "balance", "equity:owner", "--as-of", "2020-01-01T00:00:00Z").stdout


_FORGED = (
    "INSERT INTO ledger_accounts (id, code, name, type, currency, owner_id, may_go_negative, balance_cents, version,"
    f" last_recorded_at) VALUES ('{UUID(int=7)}', 'equity:owner', 'Owner', 'EQUITY', 'KES', NULL, FALSE, 12345, 1,"
    " '2026-11-20 09:00:00')"
)


def test_a_review_is_shown(terminal: Terminal) -> None:
    """What waits for people is listed with its reason and what it holds up."""
    in_database(
        terminal,
        lambda connection: connection.execute(
            text(
                "INSERT INTO reviews (id, transaction_id, reason, amount_cents, currency, facts, opened_at)"
                f" VALUES ('{UUID(int=8)}', NULL, 'DELIVERY_DEAD', 500000, 'KES', '{{}}', '2026-11-20 09:00:00')"
            )
        ),
    )

    (review,) = terminal.json("reviews", "list")

    assert ("DELIVERY_DEAD", 500_000, None) == (review["reason"], review["amount_cents"], review["transaction_id"])
    assert "KES 5,000.00" in terminal.run("reviews", "list").stdout


# -- usage


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("users", "create"),
        ("fx", "approve", "not-an-id", "--by", "otieno"),
        ("ledger", "balance", "equity:owner", "--as-of", "yesterday"),
        ("ledger", "balance", "equity:owner", "--as-of", "2026-11-20T09:00:00"),
        ("fx", "show", "--limit", "0"),
    ],
)
def test_what_is_not_understood_ends_with_2(arguments: tuple[str, ...], fresh_sqlite_url: str) -> None:
    """Bad usage is told from refusal by its exit status, before anything is opened."""
    Terminal({"DATABASE_URL": fresh_sqlite_url}).run(*arguments, status=2)
    assert not Path(fresh_sqlite_url.partition("///")[2]).exists()


def test_missing_settings_are_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings the command that needs them says which ones, and looking after the database still works."""
    monkeypatch.chdir(tmp_path)
    bare = Terminal({"DATABASE_URL": f"sqlite:///{tmp_path}/new/folder/penpay.db"})

    assert "invalid_settings" == bare.refused("users", "create", *WANJIKU)
    bare.run("db", "migrate")
    bare.run("ledger", "verify")


def test_the_program_runs_as_a_process(tmp_path: Path) -> None:
    """`python -m penpay` is the same command, with the same exit status."""
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/penpay.db"}

    done = [
        subprocess.run(  # noqa: S603  (our own program)
            [sys.executable, "-m", "penpay", *arguments], env=env, capture_output=True, text=True, check=False
        )
        for arguments in (("db", "migrate"), ("ledger", "balance", "x"))
    ]

    assert [0, 1] == [process.returncode for process in done]
    assert "error: account_not_found: There is no such ledger account.\n" == done[-1].stderr
