"""What is written is what is read, on every engine and in each form that rows travel in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import BigInteger, Boolean, Column, MetaData, Table, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.shared.unit_of_work import ConstraintViolated
from penpay.infrastructure.sql.bulk import BulkWriter, RowsMissing
from penpay.infrastructure.sql.engine import DRIVER_ERRORS, open_engine, translated
from penpay.infrastructure.sql.types import Cents, Document, Identifier, Moment, Sealed, Word
from penpay.infrastructure.sql.unit_of_work import among, document, fetch, parsed

PROBE = Table(
    "probe",
    MetaData(),
    Column("id", Identifier, primary_key=True),
    Column("word", Word(40), unique=True),
    Column("at", Moment),
    Column("facts", Document),
    Column("sealed", Sealed),
    Column("flag", Boolean, nullable=False),
    Column("cents", Cents, nullable=False),
    Column("version", BigInteger, nullable=False),
)
NAIROBI = timezone(timedelta(hours=3))
WORDS = ("ref", "Ref", "REF", "réf", "ref ", " ref", "ref\t", 'it\'s 100 % \\ "so" `;--', "Ügali 🇰🇪", "")
"""Whatever a folding collation would take for one, and whatever could end a literal."""
MOMENT = datetime(2026, 11, 20, 23, 59, 59, 999_999, tzinfo=UTC)


def row(number: int, **changed: Any) -> tuple[Any, ...]:
    """A row, with every column set unless it is told otherwise."""
    values: dict[str, Any] = {
        "id": UUID(int=number << 96),  # ends in zeros, which an engine could take for padding
        "word": f"word {number}",
        "at": MOMENT + timedelta(microseconds=number),
        "facts": document({"n": number}),
        "sealed": bytes(range(256)),
        "flag": number % 2 == 0,
        "cents": -number,
        "version": 1,
    }
    return tuple({**values, **changed}.values())


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    """A database with the probe in it."""
    made = open_engine(url)
    async with made.begin() as connection:
        await connection.run_sync(PROBE.metadata.create_all)
    yield made
    await made.dispose()


@pytest.fixture(params=["as the server likes it", "in text"])
async def writer(request: pytest.FixtureRequest, engine: AsyncEngine) -> BulkWriter:
    """Writes the probe; once more as MySQL gets it, where the server is a MariaDB."""
    if request.param == "in text":
        if not getattr(engine.dialect, "is_mariadb", False):
            pytest.skip("has one form only")
        engine.dialect.is_mariadb = False  # type: ignore[attr-defined]  # taken for a MySQL
    return BulkWriter(
        PROBE, engine.dialect, key=["id"], mutable=["word", "at", "facts", "sealed", "flag", "cents", "version"]
    )


async def stored(engine: AsyncEngine) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(found) for found in await fetch(connection, select(PROBE).order_by(PROBE.c.id))]


async def write(engine: AsyncEngine, writer: BulkWriter, rows: Sequence[tuple[Any, ...]]) -> None:
    async with engine.begin() as connection:
        await writer.insert(connection, rows)


ROWS = [
    *(row(number, word=word) for number, word in enumerate(WORDS, 1)),
    row(20, word=None, at=None, facts=None, sealed=None),
    row(21, cents=2**63 - 1, sealed=bytes(200_000)),
    row(22, cents=-(2**63), facts=document({"text": "'\\\"é 🇰🇪", "many": list(range(20_000))})),
    row(23, at=datetime(2026, 1, 1, tzinfo=NAIROBI), sealed=b""),
]


async def test_a_row_comes_back_as_it_went(engine: AsyncEngine, writer: BulkWriter) -> None:
    """Text by its characters, moments in UTC to the microsecond, bytes and whole numbers of any size, and nothing."""
    await write(engine, writer, ROWS)

    assert ROWS == await stored(engine)
    assert ROWS[-1][2].astimezone(UTC) == (await stored(engine))[-1][2]


async def test_rows_are_changed_and_deleted_by_key(engine: AsyncEngine, writer: BulkWriter) -> None:
    """Values, and nothing instead of a value, in two hundred and fifty rows at once; others stay as they were."""
    await write(engine, writer, [row(number) for number in range(1, 301)])
    changed = [row(number, word=None if number % 3 else WORDS[7], cents=7, version=2) for number in range(3, 4)]
    changed += [row(number, word=None, at=None, cents=-7, version=2) for number in range(4, 254)]
    async with engine.begin() as connection:
        await writer.update(connection, changed, [1] * len(changed))
        await writer.delete(connection, [(one[0],) for one in [row(number) for number in range(260, 301)]])

    assert [row(1), row(2), *changed, *(row(number) for number in range(254, 260))] == await stored(engine)


async def test_a_row_that_somebody_else_changed_is_missed(engine: AsyncEngine, writer: BulkWriter) -> None:
    """One version among two hundred is not the one that was read: the batch is told, whatever the values are."""
    await write(engine, writer, [row(number) for number in range(1, 201)])
    same = [row(number) for number in range(1, 201)]  # nothing changes, and every row counts as found
    async with engine.begin() as connection:
        await writer.update(connection, same, [1] * 200)

    with pytest.raises(RowsMissing, match="199 of 200"):
        async with engine.begin() as connection:
            await writer.update(connection, same, [1] * 150 + [2] + [1] * 49)


async def test_a_constraint_is_named_and_the_row_is_not(engine: AsyncEngine, writer: BulkWriter) -> None:
    """A refused row may hold what must not reach a log."""
    with pytest.raises(DRIVER_ERRORS) as refused:
        await write(engine, writer, [row(1, word="hunter2"), row(2, word="hunter2")])

    meaning = translated(refused.value)
    assert isinstance(meaning, ConstraintViolated)
    assert "hunter2" not in str(meaning)
    with pytest.raises(DRIVER_ERRORS) as odd:
        await write(engine, writer, [row(1, word="hunter2"), row(2, cents=2**63 - 1, version=None)])
    assert "hunter2" not in str(odd.value)


async def test_no_two_references_fold_into_one(engine: AsyncEngine, writer: BulkWriter) -> None:
    """Case, accents and spaces at either end tell references apart: as keys, in a comparison and in a look-up."""
    await write(engine, writer, [row(number, word=word) for number, word in enumerate(WORDS, 1)])

    async with engine.connect() as connection:
        for number, word in enumerate(WORDS, 1):
            equal = await fetch(connection, select(PROBE).where(PROBE.c.word == word))
            looked_up = await fetch(connection, select(PROBE).where(among(PROBE.c.word, [word], engine.dialect)))
            assert [row(number, word=word)] == [tuple(one) for one in equal] == [tuple(one) for one in looked_up]
        everybody = select(PROBE.c.word).where(among(PROBE.c.word, WORDS, engine.dialect)).order_by(PROBE.c.word)
        assert sorted(WORDS, key=str.encode) == list((await connection.execute(everybody)).scalars())
    with pytest.raises(DRIVER_ERRORS):
        await write(engine, writer, [row(99, word="réf")])


async def test_single_statements_say_the_same_as_bulk(engine: AsyncEngine, writer: BulkWriter) -> None:
    """A row written by itself is read back like one of many, and JSON keeps its keys and integers."""
    names = [column.name for column in PROBE.columns]
    async with engine.begin() as connection:
        for one in ROWS:
            await connection.execute(insert(PROBE).values(dict(zip(names, one, strict=True))))

    found = await stored(engine)
    assert ROWS == found
    assert list(range(20_000)) == parsed(found[-2][3])["many"]


async def test_a_server_s_own_zone_and_mode_do_not_matter(mysql_like_url: str) -> None:
    """The server may stand in Nairobi and forgive too long a text; our sessions are in UTC and strict."""
    engine = open_engine(mysql_like_url)
    try:
        async with engine.connect() as connection:
            given = await connection.execute(text("SELECT @@time_zone, @@sql_mode"))
            zone, mode = given.one()
            isolation = await connection.get_isolation_level()
        assert ("+00:00", "READ COMMITTED") == (zone, isolation)
        assert "STRICT_ALL_TABLES" in mode
    finally:
        await engine.dispose()
