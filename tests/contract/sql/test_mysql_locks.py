"""MySQL and MariaDB lock what they read while they read it: in one order, by an index, and never for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Select, select, text, tuple_, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.shared.kept_secrets import SecretPurpose
from penpay.application.shared.unit_of_work import Transient
from penpay.infrastructure.sql import due, mysql, payouts, publication
from penpay.infrastructure.sql.engine import connection_lost, open_engine, translated
from penpay.infrastructure.sql.snapshot import snapshot
from penpay.infrastructure.sql.tables import deliveries, idempotency_keys, ledger_accounts, ledger_journals
from penpay.infrastructure.sql.unit_of_work import among, for_update
from tests.contract.sql.commands import Move, wallet
from tests.contract.sql.world import World, opened

A, B = wallet(1), wallet(2)


@pytest.fixture
async def other(mysql_like_url: str) -> AsyncIterator[AsyncEngine]:
    """Somebody else on the same database."""
    made = open_engine(mysql_like_url)
    yield made
    await made.dispose()


async def take(connection: AsyncConnection, code: str) -> None:
    await connection.execute(select(ledger_accounts).where(ledger_accounts.c.code == code).with_for_update())


async def test_a_lock_that_is_not_given_up_is_waited_for_and_asked_for_again(
    mysql_like_url: str, other: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch waits as long as it may, starts anew, and is done once when the lock is free."""
    monkeypatch.setattr(
        mysql, "SESSION", mysql.SESSION.replace("innodb_lock_wait_timeout = 5", "innodb_lock_wait_timeout = 1")
    )
    async with opened(mysql_like_url) as world:
        await world.fund(A, B)
        async with other.connect() as holder:
            await take(holder, A)
            waiting = world.executor.enqueue(Move(A, B, 1, "m"))
            while world.executor.counters.transient_retries == 0:
                await asyncio.sleep(0.05)
            await holder.rollback()

        assert "m" == (await waiting)["reference"]
        assert 100_001 == await world.balance(B)
        await world.books_agree()


async def test_the_loser_of_a_deadlock_starts_anew(mysql_like_url: str, other: AsyncEngine) -> None:
    """The server ends the transaction that has done less, which is ours; the command is done all the same, once."""
    async with opened(mysql_like_url) as world:
        await world.fund(A, B)
        async with other.connect() as rival:
            await _weigh(rival)
            await take(rival, B)
            waiting = world.executor.enqueue(Move(A, B, 1, "m"))
            await _until_somebody_waits(rival)
            await take(rival, A)
            await rival.rollback()

        assert "m" == (await waiting)["reference"]
        assert 1 == world.executor.counters.transient_retries
        await world.books_agree()


async def _weigh(connection: AsyncConnection) -> None:
    """Changes of its own, which would be dearer to take back than a batch that has only locked."""
    for number in range(50):
        row = {"key_hash": f"k{number}", "caller": "c", "route": "r", "field_digests": "{}", "status": 1, "answer": ""}
        moments = {"created_at": datetime.now(UTC), "expires_at": datetime.now(UTC)}
        await connection.execute(idempotency_keys.insert().values({**row, **moments}))


async def _until_somebody_waits(connection: AsyncConnection) -> None:
    waits = text("SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")
    while not await connection.scalar(waits):
        await asyncio.sleep(0.2)  # asked more often, InnoDB shows again what it has shown


@pytest.mark.parametrize(("statement", "lost"), [("KILL CONNECTION_ID()", True), ("KILL QUERY CONNECTION_ID()", False)])
async def test_what_an_administrator_ends_may_be_tried_again(other: AsyncEngine, statement: str, *, lost: bool) -> None:
    """A killed connection is lost, a killed query is not; neither is a fault of the command."""

    async def ended_by_itself() -> None:
        async with other.begin() as connection:
            await connection.execute(text(statement))
            await connection.execute(text("SELECT SLEEP(1)"))

    with pytest.raises(DBAPIError) as ended:
        await ended_by_itself()

    assert isinstance(translated(ended.value), Transient)
    assert lost == connection_lost(ended.value)


async def test_one_reads_everything_as_of_one_moment(mysql_like_url: str, other: AsyncEngine) -> None:
    """What is committed in between is not seen by a walk through the books, and by the next one it is."""
    async with opened(mysql_like_url) as world:
        await world.fund(A)
        held = select(ledger_accounts.c.balance_cents).where(ledger_accounts.c.code == A)
        async with snapshot(other) as connection:
            before = await connection.scalar(held)
            await world.fund(B)
            await world.execute(Move(A, B, 1, "m"))
            assert before == await connection.scalar(held) == 100_000
        async with snapshot(other) as connection:
            assert 99_999 == await connection.scalar(held)


@pytest.fixture
async def grown(mysql_like_url: str) -> AsyncIterator[AsyncEngine]:
    """A database with a past: a thousand rows of a kind, of which hardly any is due."""
    made = open_engine(mysql_like_url)
    async with made.begin() as connection:
        await connection.execute(text("SET foreign_key_checks = 0"))
        for table, some in HISTORY.items():
            await connection.execute(text(f"INSERT INTO {table} {NUMBERS} SELECT {some} FROM n"))
    async with made.connect() as connection:
        for table in HISTORY:
            await connection.execute(text(f"ANALYZE TABLE {table}"))
    yield made
    await made.dispose()


NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)"
_ID = "UNHEX(LPAD(HEX(i), 32, '0'))"
_AT = "'2026-11-20 09:00:00'"
_DUE = f"IF(i < 5, {_AT}, NULL)"
_EVIDENCE = f"{_ID}, 'DEPOSIT', {_ID}, 'FAILED', 1, 'KES', {_DUE}, NULL, 1, 1, NULL, {_AT}, NULL, NULL, 1"
HISTORY = {
    "command_batches": f"{_ID}, 'COMMITTED', {_AT}, IF(i < 5, 1, NULL)",
    "deliveries": f"IF(i < 5, 'deposit', 'other'), {_ID}, {_ID}, 1, {_AT}, NULL, 1, 1, FALSE",
    "deriv_transfers": f"{_EVIDENCE}, i, 'CR1', NULL, NULL",
    "domain_events": f"{_ID}, 'E', 1, 'T', {_ID}, 1, '{{}}', {_AT}, {_ID}",
    "idempotency_keys": f"i, 'c', 'r', '{{}}', 200, '', {_AT}, {_AT}",
    "ledger_accounts": f"{_ID}, CONCAT('a:', i), 'n', 'ASSET', 'KES', NULL, TRUE, 0, 0, {_AT}",
    "ledger_journals": f"{_ID}, 'k', i, NULL, NULL, {_AT}, {_AT}",
    "mpesa_requests": f"{_EVIDENCE}, i, '', NULL, NULL, NULL, NULL, NULL, NULL",
    "secrets": f"IF(i < 450, 'DERIV_TOKEN', 'OTHER'), {_ID}, 'x', {_AT}, {_AT}",
    "webhook_logs": f"{_ID}, 's', NULL, 'r', '', 'h', IF(i < 5, 'RECEIVED', 'APPLIED'), {_DUE}, {_AT}, 1",
}
NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEYS = [f"a:{number}" for number in range(1, 200)]
PAIRS = [("k", str(number)) for number in range(1, 21)]
KEPT = [(SecretPurpose.DERIV_TOKEN, UUID(int=number)) for number in range(1, 5)]
OWED = [("deposit", UUID(int=number)) for number in range(1, 5)]


def statements(engine: AsyncEngine) -> dict[str, tuple[Select[Any], dict[str, Any]]]:
    """What is asked again and again, each with the index that must answer it."""
    accounts = select(ledger_accounts).where(among(ledger_accounts.c.code, KEYS, engine.dialect))
    accounts = accounts.with_hint(ledger_accounts, "FORCE INDEX (uq_ledger_accounts_code)", mysql.NAME)
    journals = tuple_(ledger_journals.c.kind, ledger_journals.c.reference).in_(PAIRS)
    owed = tuple_(deliveries.c.consumer, deliveries.c.event_id).in_(OWED)
    at = {"at": NOW, "limit": 100}
    return {
        "ix_mpesa_requests_due_at": (due._MPESA_REQUESTS.statement, at),
        "ix_deriv_transfers_due_at": (due._DERIV_TRANSFERS.statement, at),
        "ix_webhook_logs_due_at": (due._WEBHOOKS.statement, at),
        "ix_deliveries_consumer_key_sequence|PRIMARY": (due._DELIVERIES.statement, {**at, "consumer": "deposit"}),
        "ix_command_batches_pending_rows": (publication._WAITING, {}),
        "uq_ledger_accounts_code": (for_update(accounts.order_by(ledger_accounts.c.id), engine.dialect), {}),
        "uq_ledger_journals_kind_reference": (select(ledger_journals).where(journals), {}),
        "PRIMARY": (for_update(payouts.secrets_of(KEPT), engine.dialect), {}),
        "PRIMARY|fk_deliveries_event_id|ix_deliveries_consumer_key_sequence": (
            for_update(select(deliveries).where(owed), engine.dialect),
            {},
        ),
    }


async def test_what_is_looked_for_again_and_again_is_found_by_an_index(grown: AsyncEngine) -> None:
    """Neither due work nor a batch's rows are found, or locked, by walking through a whole table."""
    async with grown.connect() as connection:
        for indexes, (statement, values) in statements(grown).items():
            for table, kind, used in await explained(connection, statement, values):
                assert kind not in {"ALL", "index"}, (indexes, table)
                if table in {"deliveries", statement.get_final_froms()[0].description}:
                    assert set(used.split("|")) <= set(indexes.split("|")), (table, used)


async def explained(connection: AsyncConnection, statement: Any, values: dict[str, Any]) -> list[tuple[str, str, str]]:
    """How the server would go about it: table, way and index of each step."""
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    given = compiled.construct_params(values)
    converted = {name: compiled._bind_processors.get(name, lambda value: value)(value) for name, value in given.items()}
    order = tuple(converted[name] for name in compiled.positiontup)
    rows = (await connection.exec_driver_sql(f"EXPLAIN {compiled}", order)).mappings().all()
    return [(row["table"], row["type"], row["key"]) for row in rows]


async def test_changing_one_row_locks_no_other(mysql_like_url: str, other: AsyncEngine) -> None:
    """While somebody holds one account, another one's batch goes through at once."""
    async with opened(mysql_like_url) as world:
        await world.fund(A, B, wallet(3))
        async with other.connect() as holder:
            await holder.execute(update(ledger_accounts).where(ledger_accounts.c.code == A).values(name="held"))
            assert "m" == (await asyncio.wait_for(_moved(world), 2))["reference"]
            await holder.rollback()


async def _moved(world: World) -> Any:
    return await world.execute(Move(B, wallet(3), 1, "m"))
