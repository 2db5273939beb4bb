"""Proving at a terminal that nothing was altered."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.config import load_settings
from penpay.infrastructure.security.checkpoint_keys import CheckpointKey
from penpay.infrastructure.security.keys import KeyPurpose
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.publication import SqlPublication
from penpay.infrastructure.system import SystemClock, SystemRandom, UuidV7
from tests.integration.cli.conftest import Terminal
from tests.integration.cli.looking import USER_ONE, USER_TWO, in_database

FORGED = "UPDATE audit_logs SET actor = 'nobody' WHERE action = 'user.registered'"


@pytest.fixture
def trail(terminal: Terminal) -> Terminal:
    """Two users were registered, and all of it is published under a checkpoint."""
    terminal.run("users", "create", *USER_ONE)
    terminal.run("users", "create", *USER_TWO)
    asyncio.run(publish(terminal))
    return terminal


async def publish(terminal: Terminal) -> None:
    """What the publisher of a server does."""
    clock = SystemClock()
    signer = CheckpointKey(load_settings(terminal.env).derived_key(KeyPurpose.AUDIT_CHECKPOINT))
    engine = open_engine(terminal.env["DATABASE_URL"])
    try:
        publication = SqlPublication(engine)
        now = clock.now()
        lease = await publication.claim(UuidV7(clock, SystemRandom()).new(), now, now + timedelta(seconds=5))
        await publication.stamp(lease, now)
        await publication.checkpoint(lease, now, signer)
    finally:
        await engine.dispose()


def test_an_empty_trail_is_intact(terminal: Terminal) -> None:
    """A new installation has nothing that could be broken."""
    assert terminal.json("audit", "verify")["intact"]
    assert {"agrees", "differences"} <= terminal.json("events", "replay", "--check").keys()
    assert [] == terminal.json("events", "list")


def test_a_trail_is_verified_with_our_key_and_with_the_public_one(trail: Terminal) -> None:
    """An auditor needs neither the master key nor any provider's secret."""
    public_key = trail.json("audit", "key")["public_key"]
    stranger = Terminal({"APP_ENV": "testing", "DATABASE_URL": trail.env["DATABASE_URL"]})

    told = trail.json("audit", "verify")
    assert (True, 2, 1, 2, None) == (
        told["intact"],
        told["head"]["rows_count"],
        told["checkpoints"],
        told["checkpoint_position"],
        told["broken"],
    )
    assert told == stranger.json("audit", "verify", "--public-key", public_key)
    assert public_key == trail.run("audit", "key").stdout.strip()
    anchor = f"{told['head']['position']}:{told['head']['seal']}"
    shown = trail.run("audit", "verify", "--anchor", anchor).stdout
    assert "intact" in shown
    assert anchor in shown


def test_a_changed_row_fails_the_command_and_is_named(trail: Terminal) -> None:
    """The first break is told with its place, and the exit status is 1."""
    in_database(trail, without_guards)

    told = trail.json("audit", "verify", status=1)
    shown = trail.run("audit", "verify", status=1).stdout

    assert (False, 1, "0") == (told["intact"], told["broken"]["position"], told["broken"]["ordinal"])
    assert f"BROKEN at position 1, batch {told['broken']['batch_id']}, row 0" in shown


async def without_guards(connection: AsyncConnection) -> None:
    """Another actor in every row."""
    if connection.dialect.name != "postgresql":
        await connection.execute(text("DROP TRIGGER audit_logs_no_update"))
    else:
        await connection.execute(text("ALTER TABLE audit_logs DISABLE TRIGGER ALL"))
    await connection.execute(text(FORGED))


def test_an_anchor_that_does_not_fit_fails_the_command(trail: Terminal) -> None:
    """What somebody kept elsewhere decides, even where the database agrees with itself."""
    told = trail.json("audit", "verify", "--anchor", f"1:{'0' * 64}", status=1)

    assert "kept elsewhere" in told["broken"]["reason"]


@pytest.mark.parametrize("arguments", [("--anchor", "one:two"), ("--anchor", "0:" + "0" * 64), ("--public-key", "xyz")])
def test_what_cannot_be_read_is_bad_usage(trail: Terminal, arguments: tuple[str, str]) -> None:
    """A mistyped anchor or key is no broken trail."""
    trail.run("audit", "verify", *arguments, status=2)


def test_events_are_listed_by_position(trail: Terminal) -> None:
    """A reader goes on after the last position it has, and the rest follows without a gap."""
    everything = trail.json("events", "list")
    later = trail.json("events", "list", "--after", "1")

    assert [1, 2] == [event["position"] for event in everything]
    assert ["UserRegistered"] * 2 == [event["event"] for event in everything]
    assert everything[1:] == later
    assert everything[:1] == trail.json("events", "list", "--limit", "1")
    assert "UserRegi" in trail.run("events", "list").stdout


def test_a_table_that_says_otherwise_fails_the_replay(trail: Terminal) -> None:
    """A balance without an entry is told, and the exit status is 1."""
    assert "say the same" in trail.run("events", "replay", "--check").stdout
    trail.run("events", "replay", status=2)
    in_database(trail, forged_balance)

    told = trail.json("events", "replay", "--check", status=1)

    assert not told["agrees"]
    assert ("mpesa:collection", "balance_cents", "500", "0") == tuple(
        told["differences"][0][name] for name in ("subject", "field", "kept", "replayed")
    )
    assert "balance_cents" in trail.run("events", "replay", "--check", status=1).stdout


async def forged_balance(connection: AsyncConnection) -> Any:
    """Five shillings nobody booked."""
    return await connection.execute(
        text(
            "INSERT INTO ledger_accounts (id, code, name, type, currency, owner_id, may_go_negative, balance_cents,"
            f" version, last_recorded_at) VALUES ({literal(connection)}, 'mpesa:collection', 'M-Pesa', 'ASSET', 'KES',"
            " NULL, TRUE, 500, 0, '2026-11-20 09:00:00.000000')"
        )
    )


def literal(connection: AsyncConnection) -> str:
    """An id as the engine writes it."""
    return "gen_random_uuid()" if connection.dialect.name == "postgresql" else "x'00000000000000000000000000000007'"
