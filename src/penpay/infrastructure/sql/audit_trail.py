"""Proving over SQL that the audit trail is as it was written: every hash and every seal is computed anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Table, or_, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.shared.audit_chain import (
    GENESIS,
    Anchor,
    ChainBreak,
    ChainHead,
    ChainReport,
    Checkpoint,
    CheckpointVerifier,
    checkpoint_message,
    next_seal,
)
from penpay.application.shared.unit_of_work import Transient
from penpay.domain.shared.ids import BatchId
from penpay.infrastructure.sql.engine import translated
from penpay.infrastructure.sql.snapshot import Unreadable, exact, raw, snapshot
from penpay.infrastructure.sql.tables import audit_checkpoints, audit_logs, audit_seals, command_batches
from penpay.infrastructure.sql.unit_of_work import audit_row_hash, fetch

_SEALS: Final = 500
_ROWS: Final = 5_000
"""Seals read at once, and about how many audit rows."""
_a, _s, _b, _c = audit_logs.c, audit_seals.c, command_batches.c, audit_checkpoints.c
Values = dict[str, Any]


class _Broken(Exception):
    def __init__(self, reason: str, position: int | None = None, batch: Any = None, ordinal: Any = None) -> None:
        super().__init__(reason)
        named = None if batch is None else batch.hex() if isinstance(batch, bytes) else str(batch)
        self.told = ChainBreak(reason, position, named, None if ordinal is None else str(ordinal))


class SqlAuditTrail:
    """`application.shared.audit_chain.AuditTrail` over SQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def verify(self, verifier: CheckpointVerifier, anchors: Sequence[Anchor] = ()) -> ChainReport:
        async with snapshot(self._engine) as connection:
            walk = _Walk(connection, verifier, anchors)
            try:
                await walk.whole()
            except _Broken as broken:
                return walk.report(broken.told)
            except DBAPIError as error:
                if isinstance(translated(error), Transient):
                    raise
                return walk.report(ChainBreak("what is stored there cannot be read", walk.position + 1))
            return walk.report(None)


class _Walk:
    """One walk along the chain; it ends at the first break."""

    def __init__(self, connection: AsyncConnection, verifier: CheckpointVerifier, anchors: Sequence[Anchor]) -> None:
        self._connection = connection
        self._verifier = verifier
        self._anchors = {anchor.position: anchor.seal for anchor in anchors}
        self._checkpoints: dict[int, Checkpoint] = {}
        self._head = ChainHead(0, GENESIS, 0)
        self._agreed = 0
        self._agreed_position = 0
        self._waiting = 0

    @property
    def position(self) -> int:
        """The last position found sound."""
        return self._head.position

    def report(self, broken: ChainBreak | None) -> ChainReport:
        return ChainReport(self._head, self._agreed, self._agreed_position, self._waiting, broken)

    async def whole(self) -> None:
        await self._read_checkpoints()
        while seals := await self._next_seals():
            for together in _slices(seals):
                await self._check(together)
        self._nothing_cut_off()
        await self._unsealed()

    async def _read_checkpoints(self) -> None:
        statement = select(*map(raw, _c)).order_by(_c.position)
        for row in await fetch(self._connection, statement):
            try:
                values = self._exact(audit_checkpoints, row)
            except Unreadable as column:
                raise _Broken(f"a checkpoint's {column} is not readable") from None
            head = ChainHead(values["position"], values["seal"], values["rows_count"])
            self._checkpoints[head.position] = Checkpoint(
                head, values["made_at"], values["key_id"], values["signature"]
            )

    async def _next_seals(self) -> list[Values]:
        position = self._head.position
        statement = select(*map(raw, _s)).where(_s.position > position).order_by(_s.position).limit(_SEALS)
        found = []
        for row in await fetch(self._connection, statement):
            position += 1
            try:
                values = self._exact(audit_seals, row)
            except Unreadable as column:
                raise _Broken(f"the seal's {column} is not readable", position) from None
            if values["position"] != position:
                raise _Broken("the seal is missing", position)
            found.append(values)
        return found

    async def _check(self, seals: Sequence[Values]) -> None:
        batches = [seal["batch_id"] for seal in seals]
        try:
            rows = await self._audit_rows(batches)
        except DBAPIError as error:
            if isinstance(translated(error), Transient):
                raise
            # Bytes that are no text, for one, which the driver cannot hand over.
            if len(seals) == 1:
                raise _Broken("an audit row cannot be read", seals[0]["position"], batches[0]) from error
            for seal in seals:
                await self._check([seal])
            return
        committed = select(_b.batch_id).where(
            _b.batch_id.in_(batches), _b.state == "COMMITTED", _b.pending_rows.is_(None)
        )
        known = set((await self._connection.execute(committed)).scalars())
        for seal in seals:
            position, batch = seal["position"], seal["batch_id"]
            if batch not in known:
                raise _Broken("the sealed batch is not among the committed ones", position, batch)
            self._check_seal(seal, self._hashes(position, batch, rows[batch]))
            self._check_checkpoint(position)

    def _check_seal(self, seal: Values, hashes: Sequence[str]) -> None:
        position, batch = seal["position"], seal["batch_id"]
        if len(hashes) != seal["rows_count"]:
            reason = f"{seal['rows_count']} rows were sealed, and {len(hashes)} are there"
            raise _Broken(reason, position, batch)
        if next_seal(self._head.seal, position, batch, hashes) != seal["seal"]:
            raise _Broken("the seal does not fit the one before it and its rows", position, batch)
        self._head = ChainHead(position, seal["seal"], self._head.rows_count + len(hashes))

    def _check_checkpoint(self, position: int) -> None:
        if self._anchors.get(position, self._head.seal) != self._head.seal:
            raise _Broken("the seal is not the one that was kept elsewhere", position)
        checkpoint = self._checkpoints.get(position)
        if checkpoint is None:
            return
        if checkpoint.head != self._head:
            raise _Broken("the checkpoint tells another chain", position)
        message = checkpoint_message(checkpoint.head, checkpoint.made_at, checkpoint.key_id)
        if checkpoint.key_id != self._verifier.key_id:
            raise _Broken(f"the checkpoint is signed with another key, {checkpoint.key_id}", position)
        if not self._verifier.is_valid(message, checkpoint.signature):
            raise _Broken("the checkpoint's signature is not valid", position)
        self._agreed += 1
        self._agreed_position = position

    def _nothing_cut_off(self) -> None:
        for told, positions in (("a checkpoint", self._checkpoints), ("what was kept elsewhere", self._anchors)):
            outside = [position for position in positions if not 1 <= position <= self._head.position]
            if outside:
                reason = f"{told} tells of position {min(outside)}, which the chain does not have"
                raise _Broken(reason, self._head.position + 1)

    async def _unsealed(self) -> None:
        """Audit rows without a seal belong to batches that wait for it, and every other batch has one."""
        joined = audit_logs.outerjoin(audit_seals, _s.batch_id == _a.batch_id).outerjoin(
            command_batches, _b.batch_id == _a.batch_id
        )
        waits = select(_b.batch_id).where(_b.state == "COMMITTED", _b.pending_rows.is_not(None))
        stray = select(*map(raw, _a)).select_from(joined).where(_s.batch_id.is_(None))
        outside = stray.where(or_(_b.batch_id.is_(None), _b.batch_id.not_in(waits))).order_by(_a.batch_id).limit(1)
        for row in await fetch(self._connection, outside):
            raise _Broken("the audit row belongs to no sealed or waiting batch", None, row.batch_id, row.ordinal)
        sealed = select(_s.batch_id).where(_s.batch_id == _b.batch_id).exists()
        lost = select(_b.batch_id).where(_b.state == "COMMITTED", _b.pending_rows.is_(None), ~sealed)
        for row in await fetch(self._connection, lost.order_by(_b.batch_id).limit(1)):
            raise _Broken("the batch was sealed, and its seal is gone", None, row.batch_id)
        batches = list((await self._connection.execute(waits.order_by(_b.batch_id))).scalars())
        for start in range(0, len(batches), _SEALS):
            some = batches[start : start + _SEALS]
            for batch, rows in (await self._audit_rows(some)).items():
                self._waiting += len(self._hashes(None, batch, rows))

    async def _audit_rows(self, batches: Sequence[BatchId]) -> Mapping[BatchId, list[Any]]:
        found: defaultdict[BatchId, list[Any]] = defaultdict(list)
        statement = select(_a.batch_id.label("batch"), *map(raw, _a)).where(_a.batch_id.in_(batches))
        for row in await fetch(self._connection, statement.order_by(_a.batch_id, _a.ordinal)):
            found[row.batch].append(row)
        return found

    def _hashes(self, position: int | None, batch: BatchId, rows: Sequence[Any]) -> list[str]:
        """The hashes of a batch's audit rows, each computed anew."""
        return [self._row_hash(position, batch, expected, row) for expected, row in enumerate(rows)]

    def _row_hash(self, position: int | None, batch: BatchId, ordinal: int, row: Any) -> str:
        try:
            values = self._exact(audit_logs, row)
        except Unreadable as column:
            raise _Broken(f"the audit row's {column} is not readable", position, batch, row.ordinal) from None
        if values["ordinal"] != ordinal:
            raise _Broken("an audit row is missing", position, batch, ordinal)
        what = (values["actor"], values["action"], values["subject_type"], values["subject_id"], values["facts"])
        row_hash = audit_row_hash(str(batch), ordinal, values["recorded_at"].isoformat(), what)
        if row_hash != values["row_hash"]:
            raise _Broken("the audit row is not what its hash says", position, batch, ordinal)
        return row_hash

    def _exact(self, table: Table, row: Any) -> Values:
        dialect = self._connection.dialect
        return {column.name: exact(column, getattr(row, column.name), dialect) for column in table.columns}


def _slices(seals: Sequence[Values]) -> Iterator[list[Values]]:
    """The seals, as many together as have about so many rows that they are read at once."""
    together: list[Values] = []
    rows = 0
    for seal in seals:
        together.append(seal)
        rows += seal["rows_count"]
        if rows >= _ROWS:
            yield together
            together, rows = [], 0
    if together:
        yield together
