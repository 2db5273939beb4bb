"""The audit trail after somebody with every right in the database has been at it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, delete, insert, select, update

from penpay.application.shared.audit_chain import GENESIS, Anchor, next_seal
from penpay.infrastructure.security.checkpoint_keys import CheckpointKey, CheckpointPublicKey
from penpay.infrastructure.sql.audit_trail import SqlAuditTrail
from penpay.infrastructure.sql.tables import (
    audit_checkpoints,
    audit_logs,
    audit_seals,
    command_batches,
)
from penpay.infrastructure.sql.unit_of_work import audit_row_hash
from tests.contract.sql.commands import Knock, Move, wallet
from tests.contract.sql.publishers import KEY, Press, broken, move_some, rows_of, run, take_guards_away, verified
from tests.contract.sql.world import World, opened

_a, _s, _c, _b = audit_logs.c, audit_seals.c, audit_checkpoints.c, command_batches.c


@pytest.fixture
async def trail(world: World) -> World:
    """A trail on one engine after the other."""
    return await written(world)


async def written(world: World) -> World:
    """Eight sealed batches with nine rows, a checkpoint at the fourth and the last, and no guard any more.

    Position 1 funds a wallet, which is not audited; 2 to 7 hold a row each, 8 three rows.
    """
    await move_some(world, 3)
    await Press(world).run()
    await move_some(world, 3, start=3)
    await world.together([Move(wallet(1), wallet(2), 1, "t1"), Knock("mallory"), Move(wallet(1), wallet(2), 1, "t2")])
    world.clock.moment += timedelta(hours=1)
    await Press(world).run()
    await take_guards_away(world.engine)
    return world


def changed(value: Any) -> Any:
    """The value with its lowest bit turned over."""
    if isinstance(value, UUID):
        return UUID(int=value.int ^ 1)
    if isinstance(value, datetime):
        return value + timedelta(microseconds=1)
    if isinstance(value, int):
        return value ^ 1
    return value[:-1] + chr(ord(value[-1]) ^ 1)


async def sealed_batch(world: World, position: int) -> UUID:
    async with world.engine.connect() as connection:
        found: UUID = (await connection.execute(select(_s.batch_id).where(_s.position == position))).scalar_one()
    return found


async def test_an_untouched_trail_is_intact(trail: World) -> None:
    """Every batch is sealed once, and both checkpoints agree."""
    report = await verified(trail)

    assert None is report.broken
    assert (8, 9) == (report.head.position, report.head.rows_count)
    assert (2, 8, 0) == (report.checkpoints, report.checkpoint_position, report.waiting_rows)


async def test_what_waits_for_its_seal_is_told_and_checked(trail: World) -> None:
    """Rows of the last moment are no break; forged ones among them are."""
    await move_some(trail, 2, start=20)
    assert (None, 2) == ((await verified(trail)).broken, (await verified(trail)).waiting_rows)

    await run(trail, update(audit_logs).where(_a.batch_id.not_in(select(_s.batch_id))).values(actor="nobody"))
    assert "not what its hash says" in (await broken(trail)).reason


@pytest.mark.parametrize("column", [column.name for column in audit_logs.columns])
async def test_one_bit_of_any_column_of_any_row_is_found(trail: World, column: str) -> None:
    """Each row in turn is changed in this column by one bit, is told as the first break, and is put back."""
    positions = {seal["batch_id"]: seal["position"] for seal in await rows_of(trail, audit_seals)}
    for row in await rows_of(trail, audit_logs):
        value = row["ordinal"] ^ 8 if column == "ordinal" else changed(row[column])
        planted = {**row, column: value}
        await run(trail, gone(row), insert(audit_logs).values(planted))

        assert positions[row["batch_id"]] == (await broken(trail)).position

        await run(trail, gone(planted), insert(audit_logs).values(row))
    assert None is (await verified(trail)).broken


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column.name) for table in (audit_seals, audit_checkpoints) for column in table.columns],
    ids=str,
)
async def test_one_bit_of_any_seal_or_checkpoint_is_found(trail: World, table: Table, column: str) -> None:
    """The chain itself is no easier to change than what it seals."""
    for row in await rows_of(trail, table):
        value = -row[column] if column == "position" else changed(row[column])
        key = table.c.position
        planted = {**row, column: value}
        await run(trail, delete(table).where(key == row["position"]), insert(table).values(planted))

        assert None is not (await verified(trail)).broken, row

        await run(trail, delete(table).where(key == planted["position"]), insert(table).values(row))
    assert None is (await verified(trail)).broken


async def test_bits_under_what_is_read_are_found_too(sqlite_url: str) -> None:
    """A moment with fewer digits, bytes for text, bytes that are no text: what reads alike is not always the same."""
    async with opened(sqlite_url) as world:
        await written(world)
        (first, *_) = await rows_of(world, audit_logs)
        for column, expression in (
            ("recorded_at", "replace(recorded_at, '.000000', '')"),
            ("actor", "CAST(actor AS BLOB)"),
            ("facts", "CAST(x'ff7b7d' AS TEXT)"),
            ("batch_id", "CAST(hex(batch_id) AS TEXT)"),
            ("ordinal", "'first'"),
        ):
            planted = f"UPDATE audit_logs SET {column} = {expression} WHERE row_hash = :row_hash"
            await world.change(planted, row_hash=first["row_hash"])

            assert 2 == (await broken(world)).position, column

            await world.change("DELETE FROM audit_logs WHERE row_hash = :row_hash", row_hash=first["row_hash"])
            await run(world, insert(audit_logs).values(first))
        assert None is (await verified(world)).broken


async def test_a_row_taken_out_is_found(trail: World) -> None:
    """The first, the middle and the last row of a batch, and the only one of another."""
    batch = await sealed_batch(trail, 8)
    for ordinal in (0, 1, 2):
        row = [row for row in await rows_of(trail, audit_logs) if row["batch_id"] == batch][ordinal]
        await run(trail, gone(row))
        assert 8 == (await broken(trail)).position
        await run(trail, insert(audit_logs).values(row))
    await run(trail, delete(audit_logs).where(_a.batch_id == await sealed_batch(trail, 5)))
    assert (5, "1 rows were sealed, and 0 are there") == ((await broken(trail)).position, (await broken(trail)).reason)


async def test_two_rows_that_change_places_are_found(trail: World) -> None:
    """Within a batch and between two, even with their hashes computed anew."""
    batch, other = await sealed_batch(trail, 8), await sealed_batch(trail, 3)
    rows = {row["ordinal"]: row for row in await rows_of(trail, audit_logs) if row["batch_id"] == batch}
    (stranger,) = [row for row in await rows_of(trail, audit_logs) if row["batch_id"] == other]
    for one, two in ((rows[0], rows[1]), (rows[2], stranger)):
        places = [{name: row[name] for name in ("batch_id", "ordinal")} for row in (one, two)]
        for forge in (False, True):
            swapped = [{**one, **places[1]}, {**two, **places[0]}]
            planted = [rehashed(row) if forge else row for row in swapped]
            await run(trail, *(gone(row) for row in (one, two)), insert(audit_logs).values(planted))
            assert None is not (await verified(trail)).broken
            await run(trail, *(gone(row) for row in planted), insert(audit_logs).values([one, two]))
    assert None is (await verified(trail)).broken


async def test_a_row_put_in_later_is_found(trail: World) -> None:
    """A forged row with a right hash: at the end of a sealed batch, in a batch of its own, and with its own seal."""
    batch = await sealed_batch(trail, 8)
    last = [row for row in await rows_of(trail, audit_logs) if row["batch_id"] == batch][-1]
    for place in ({"ordinal": 3}, {"batch_id": UUID(int=7), "ordinal": 0}):
        forged = rehashed({**last, **place})
        await run(trail, insert(audit_logs).values(forged))
        assert None is not (await verified(trail)).broken
        await run(trail, gone(forged))

    head = {"batch_id": UUID(int=7), "state": "ABANDONED", "recorded_at": last["recorded_at"]}
    await run(trail, insert(command_batches).values(head), insert(audit_logs).values(forged))
    assert "no sealed or waiting batch" in (await broken(trail)).reason


async def test_a_row_put_back_changed_is_found(trail: World) -> None:
    """Deleted and inserted again under its old place and a new, right hash."""
    for row in await rows_of(trail, audit_logs):
        await run(trail, gone(row), insert(audit_logs).values(rehashed({**row, "actor": "somebody else"})))
        assert "does not fit" in (await broken(trail)).reason
        await run(trail, gone(row), insert(audit_logs).values(row))
    assert None is (await verified(trail)).broken


async def test_a_chain_computed_anew_is_found_by_the_checkpoints(trail: World) -> None:
    """Who can write everything can make a chain that fits itself, but cannot sign it."""
    await forge_from(trail, 3)

    found = await broken(trail)
    assert (4, "the checkpoint tells another chain") == (found.position, found.reason)

    await run(trail, delete(audit_checkpoints))
    assert None is (await verified(trail)).broken, "without any checkpoint nobody could tell"


async def test_a_checkpoint_signed_with_another_key_is_found(trail: World) -> None:
    """A forged checkpoint needs a key, and it is not ours."""
    thief = CheckpointKey(bytes(32))
    assert 4 == (await SqlAuditTrail(trail.engine).verify(CheckpointPublicKey(thief.public_key))).broken.position  # type: ignore[union-attr]  # there is a break

    await run(trail, update(audit_checkpoints).values(key_id=KEY.key_id, signature="00" * 64))
    assert "signature is not valid" in (await broken(trail)).reason


@pytest.mark.parametrize("start", [8, 5, 4, 1])
async def test_a_tail_cut_off_is_found(trail: World, start: int) -> None:
    """First its rows alone, then their seals too, then their checkpoints; and at last only an outsider can tell."""
    kept = [Anchor(seal["position"], seal["seal"]) for seal in await rows_of(trail, audit_seals)]
    batches = [seal["batch_id"] for seal in await rows_of(trail, audit_seals) if seal["position"] >= start]
    await run(trail, delete(audit_logs).where(_a.batch_id.in_(batches)))
    assert max(start, 2) == (await broken(trail)).position

    await run(trail, delete(audit_seals).where(_s.position >= start))
    assert (start, "a checkpoint tells") == ((await broken(trail)).position, (await broken(trail)).reason[:18])

    await run(trail, delete(audit_checkpoints).where(_c.position >= start))
    assert "its seal is gone" in (await broken(trail)).reason

    await run(trail, delete(command_batches).where(_b.batch_id.in_(batches)))
    assert None is (await verified(trail)).broken
    assert start == (await broken(trail, kept[-1])).position


async def test_what_was_kept_elsewhere_finds_what_the_database_cannot_tell(trail: World) -> None:
    """The whole chain computed anew without its checkpoints fits itself; a seal kept by an outsider does not fit it."""
    kept = await rows_of(trail, audit_seals)
    held = [Anchor(seal["position"], seal["seal"]) for seal in kept]
    assert None is (await verified(trail, *held)).broken

    await run(trail, delete(audit_checkpoints))
    await forge_from(trail, 6)

    assert None is (await verified(trail)).broken
    assert 6 == (await broken(trail, *held)).position
    assert 9 == (await broken(trail, Anchor(9, GENESIS))).position


@pytest.mark.parametrize("change", [{"state": "ABANDONED"}, {"pending_rows": 1}], ids=str)
async def test_a_sealed_batch_that_is_not_committed_any_more_is_found(trail: World, change: dict[str, Any]) -> None:
    """What is sealed was committed and waits for nothing; a batch made to look otherwise is told."""
    batch = await sealed_batch(trail, 3)
    await run(trail, update(command_batches).where(_b.batch_id == batch).values(change))
    assert (3, str(batch)) == ((await broken(trail)).position, (await broken(trail)).batch_id)

    await run(trail, delete(command_batches).where(_b.batch_id == batch))
    assert 3 == (await broken(trail)).position


async def test_a_seal_gone_from_the_middle_is_found(trail: World) -> None:
    """Positions have no gaps."""
    await run(trail, delete(audit_seals).where(_s.position == 5))

    assert (5, "the seal is missing") == ((await broken(trail)).position, (await broken(trail)).reason)


def rehashed(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the hash it would have been written with."""
    what = (row["actor"], row["action"], row["subject_type"], row["subject_id"], row["facts"])
    return {
        **row,
        "row_hash": audit_row_hash(str(row["batch_id"]), row["ordinal"], row["recorded_at"].isoformat(), what),
    }


def gone(row: dict[str, Any]) -> Any:
    return delete(audit_logs).where(_a.batch_id == row["batch_id"], _a.ordinal == row["ordinal"])


async def forge_from(world: World, position: int) -> None:
    """Another actor in the rows sealed at this position, and every hash and seal after it computed anew."""
    batch = await sealed_batch(world, position)
    rows = await rows_of(world, audit_logs)
    for row in rows:
        if row["batch_id"] == batch:
            row.update(rehashed({**row, "actor": "somebody else"}))
            await run(world, gone(row), insert(audit_logs).values(row))
    seal = GENESIS
    planted = []
    for old in await rows_of(world, audit_seals):
        hashes = [row["row_hash"] for row in rows if row["batch_id"] == old["batch_id"]]
        seal = next_seal(seal, old["position"], old["batch_id"], hashes)
        planted.append(update(audit_seals).where(_s.position == old["position"]).values(seal=seal))
    await run(world, *planted)
