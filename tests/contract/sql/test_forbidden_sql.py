"""What the database itself refuses, whoever sends the SQL: changing what is append-only, and rows that cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from penpay.application.shared.unit_of_work import ConstraintViolated
from penpay.domain.shared.errors import Forbidden
from penpay.infrastructure.sql.engine import translated
from penpay.infrastructure.sql.tables import (
    APPEND_ONLY,
    audit_checkpoints,
    audit_logs,
    audit_seals,
    command_batches,
    deliveries,
    domain_events,
    event_positions,
    leases,
    ledger_accounts,
    ledger_entries,
    ledger_journals,
)
from tests.contract.sql.commands import Knock, Move, wallet
from tests.contract.sql.publishers import Press
from tests.contract.sql.world import World

A, B = wallet(1), wallet(2)
NEW, OTHER = UUID(int=71), UUID(int=72)


@pytest.fixture
async def kept(world: World) -> World:
    """Books with something in every append-only table."""
    await world.fund(A)
    await world.execute(Move(A, B, 1, "m"))
    with pytest.raises(Forbidden):
        await world.execute(Knock("mallory"))
    await Press(world).run()
    return world


def attempts(table: Table, engine: str) -> list[str]:
    """Every way to change or lose a row of this table."""
    name, columns = table.name, [column.name for column in table.columns]
    key = [column.name for column in table.primary_key]
    last, copy = columns[-1], f"INSERT INTO {name} SELECT * FROM {name} WHERE true"
    found = [
        *(f"UPDATE {name} SET {column} = {column}" for column in columns),
        f"DELETE FROM {name}",
        f"DELETE FROM {name} WHERE {key[0]} IN (SELECT {key[0]} FROM {name} LIMIT 1)",
        f"{copy} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {last} = excluded.{last}",
    ]
    if engine == "mysql":
        again = f"INSERT INTO {name} SELECT * FROM {name} AS old"
        limited = f"DELETE FROM {name} ORDER BY {key[0]} LIMIT 1"
        return [
            *found[:-2],
            limited,
            f"DELETE one FROM {name} AS one JOIN {name} AS other USING ({', '.join(key)})",
            f"{again} ON DUPLICATE KEY UPDATE {last} = old.{last}",
            f"REPLACE INTO {name} SELECT * FROM {name}",
        ]
    if engine == "sqlite":
        return [
            *found,
            f"INSERT OR REPLACE INTO {name} SELECT * FROM {name}",
            f"REPLACE INTO {name} SELECT * FROM {name}",
            f"UPDATE OR REPLACE {name} SET {last} = {last}",
        ]
    same = " AND ".join(f"t.{column} = s.{column}" for column in key)
    return [
        *found,
        f"TRUNCATE {name} CASCADE",
        f"WITH gone AS (DELETE FROM {name} RETURNING 1) SELECT count(*) FROM gone",
        f"MERGE INTO {name} t USING {name} s ON {same} WHEN MATCHED THEN DELETE",
    ]


@pytest.mark.parametrize("table", APPEND_ONLY, ids=lambda table: table.name)
async def test_what_is_written_stays_written(kept: World, table: Table) -> None:
    """No UPDATE, DELETE, REPLACE, upsert, MERGE or TRUNCATE gets past the database."""
    everything = f"SELECT * FROM {table.name} ORDER BY {', '.join(column.name for column in table.primary_key)}"
    before = await kept.rows(everything)
    assert [] != before

    for statement in attempts(table, kept.engine.dialect.name):
        with pytest.raises(DBAPIError, match=f"{table.name} is append-only"):
            await kept.change(statement)
        assert before == await kept.rows(everything), statement


async def test_a_journal_is_not_replaced_by_one_of_the_same_reference(kept: World) -> None:
    """A new row that collides on another unique key than its id does not push the old one out."""
    taken = "ledger_journals SELECT {id}, kind, reference, NULL, NULL, happened_at, recorded_at FROM ledger_journals"
    engine = kept.engine.dialect.name
    row = taken.format(id={"sqlite": f"'{NEW}'", "mysql": f"x'{NEW.hex}'"}.get(engine, f"CAST('{NEW}' AS uuid)"))
    statement = {
        "sqlite": f"INSERT OR REPLACE INTO {row} LIMIT 1",
        "mysql": f"REPLACE INTO {row} LIMIT 1",
        "postgresql": f"INSERT INTO {row} LIMIT 1 ON CONFLICT (kind, reference) DO UPDATE SET id = excluded.id",
    }[engine]
    with pytest.raises(DBAPIError, match="ledger_journals is append-only"):
        await kept.change(statement)


CHANGES: list[tuple[Table, Mapping[str, Any], str]] = [
    (ledger_entries, {"account_seq": 99, "amount_cents": 0}, "ck_ledger_entries_amount"),
    (ledger_entries, {"account_seq": 99, "amount_cents": -1}, "ck_ledger_entries_amount"),
    (ledger_entries, {"account_seq": 99, "side": "BOTH"}, "ck_ledger_entries_side"),
    (ledger_entries, {"account_seq": 99, "account_id": NEW}, "fk_ledger_entries_account_id"),
    (ledger_entries, {"account_seq": 99, "journal_id": NEW}, "fk_ledger_entries_journal_id"),
    (ledger_entries, {"amount_cents": 7}, "pk_ledger_entries"),
    (ledger_journals, {"id": NEW}, "uq_ledger_journals_kind_reference"),
    (ledger_journals, {"reference": "other"}, "pk_ledger_journals"),
    (ledger_journals, {"id": NEW, "reference": "other", "reverses_id": OTHER}, "fk_ledger_journals_reverses_id"),
    (ledger_accounts, {"id": NEW}, "uq_ledger_accounts_code"),
    (ledger_accounts, {"id": NEW, "code": "x", "type": "CASH"}, "ck_ledger_accounts_type"),
    (
        ledger_accounts,
        {"id": NEW, "code": "x", "balance_cents": -1, "may_go_negative": False},
        "ck_ledger_accounts_no_overdraft",
    ),
    (domain_events, {"id": NEW}, "uq_domain_events_aggregate_id_sequence"),
    (domain_events, {"aggregate_id": NEW}, "pk_domain_events"),
    (deliveries, {"fence": 7}, "pk_deliveries"),
    (deliveries, {"event_id": NEW}, "fk_deliveries_event_id"),
    (audit_logs, {"actor": "somebody else"}, "pk_audit_logs"),
    (command_batches, {"state": "ABANDONED"}, "pk_command_batches"),
    (command_batches, {"batch_id": NEW, "state": "PERHAPS"}, "ck_command_batches_state"),
    (event_positions, {"event_id": NEW}, "pk_event_positions"),
    (event_positions, {"position": 99}, "uq_event_positions_event_id"),
    (event_positions, {"position": 99, "event_id": NEW}, "fk_event_positions_event_id"),
    (audit_seals, {"batch_id": NEW}, "pk_audit_seals"),
    (audit_seals, {"position": 99}, "uq_audit_seals_batch_id"),
    (audit_seals, {"position": 99, "batch_id": NEW}, "fk_audit_seals_batch_id"),
    (audit_checkpoints, {"seal": "x"}, "pk_audit_checkpoints"),
    (audit_checkpoints, {"position": 99}, "fk_audit_checkpoints_position"),
    (leases, {"fence": 7}, "pk_leases"),
]
KINDS = {"ck": "CHECK constraint", "fk": "FOREIGN KEY constraint", "pk": "UNIQUE constraint", "uq": "UNIQUE constraint"}


@pytest.mark.parametrize(("table", "change", "constraint"), CHANGES, ids=[row[2] for row in CHANGES])
async def test_a_row_that_cannot_be_is_refused(
    kept: World, table: Table, change: Mapping[str, Any], constraint: str
) -> None:
    """A row of the books with one thing wrong does not come in, and the constraint says what is wrong."""
    row = await any_row(kept, table)
    engine = kept.engine.dialect.name
    said = constraint
    if engine == "sqlite" and not constraint.startswith("ck"):
        said = KINDS[constraint[:2]]
    if engine == "mysql" and constraint.startswith("pk"):
        said = "PRIMARY"  # whatever it was called

    with pytest.raises(DBAPIError, match=said) as refused:
        await added(kept, table, {**row, **change})
    meaning = translated(refused.value)
    assert isinstance(meaning, ConstraintViolated)
    if engine != "sqlite":
        assert said == str(meaning)


async def test_a_journal_is_reversed_once(kept: World) -> None:
    """Two journals cannot both undo a third."""
    row = await any_row(kept, ledger_journals)
    undone = {**row, "id": NEW, "reference": "first", "reverses_id": row["id"]}
    await added(kept, ledger_journals, undone)
    with pytest.raises(IntegrityError, match=r"uq_ledger_journals_reverses_id|UNIQUE constraint.*reverses_id"):
        await added(kept, ledger_journals, {**undone, "id": OTHER, "reference": "second"})


@pytest.mark.parametrize(
    ("code", "refused"), [(A, True), ("trust:unevidenced", True), ("revenue:rounding", True), ("fx:KES", False)]
)
async def test_no_statement_overdraws_an_account(kept: World, code: str, *, refused: bool) -> None:
    """Not even one of our own with the arithmetic wrong; the mirrors of accounts elsewhere may fall below zero."""
    row = await any_row(kept, ledger_accounts)
    for number, other in enumerate(("revenue:rounding", "fx:KES"), 1):
        new = {**row, "id": UUID(int=number), "code": other, "may_go_negative": other == "fx:KES"}
        await added(kept, ledger_accounts, {**new, "balance_cents": 0})
    statement = "UPDATE ledger_accounts SET balance_cents = -1 WHERE code = :code"

    if refused:
        with pytest.raises(DBAPIError, match="ck_ledger_accounts_no_overdraft"):
            await kept.change(statement, code=code)
    else:
        assert 1 == await kept.change(statement, code=code)


PUBLISHED = (event_positions, audit_seals, audit_checkpoints)
REQUIRED = [
    (table, column.name)
    for table in (ledger_entries, ledger_journals, ledger_accounts, domain_events, audit_logs, deliveries, *PUBLISHED)
    for column in table.columns
    if not column.nullable
]


async def test_nothing_that_must_be_known_is_left_out(kept: World) -> None:
    """A ledger, event or audit row with a hole in it is refused, whichever column it is."""
    for table, column in REQUIRED:
        quote = kept.engine.dialect.identifier_preparer.quote
        quoted = quote(table.name)
        values = ", ".join("NULL" if each.name == column else quote(each.name) for each in table.columns)
        with pytest.raises(IntegrityError, match=rf"(?i)not.null.*{column}|{column}.*(not|cannot be).null"):
            await kept.change(f"INSERT INTO {quoted} SELECT {values} FROM {quoted}")


async def any_row(world: World, table: Table) -> dict[str, Any]:
    """A row as it stands."""
    async with world.engine.connect() as connection:
        row = (await connection.execute(select(table))).mappings().first()
    assert row is not None
    return dict(row)


async def added(world: World, table: Table, row: Mapping[str, Any]) -> None:
    async with world.engine.begin() as connection:
        await connection.execute(insert(table).values(row))
