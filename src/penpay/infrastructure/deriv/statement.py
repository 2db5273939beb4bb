"""The agent account's statement: read in pages, never too often, one look-up for everybody who waits."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from penpay.application.shared.ports import Clock
from penpay.domain.deriv.gateway import FoundTransfer, IncomingCredit, StatementUnavailable
from penpay.domain.shared.money import Money
from penpay.infrastructure.deriv.connection import DerivConnection, NoAnswer
from penpay.infrastructure.deriv.wire import BadFrame, Frame, Request, error_of, moment, part, usd

_log = logging.getLogger(__name__)

_PAGE = 999
"""The most rows one answer holds (deriv.md §2.7)."""

_CLOCKS_DIFFER = timedelta(seconds=120)
"""How far our clock may be ahead of Deriv's before a row is missed."""

_WORD = re.compile(r"[0-9A-Za-z-]+", re.ASCII)
_RECIPIENT = re.compile(r"\) to ([A-Za-z]+[0-9]+)(?![0-9A-Za-z])", re.ASCII)


@dataclass(frozen=True, slots=True)
class StatementRow:
    transaction_id: int
    amount: Money
    """Signed: negative for what left the account."""
    balance: Money
    remark: str
    happened_at: datetime

    @classmethod
    def read(cls, row: object) -> StatementRow:
        """Read one element of `transactions` (deriv.md §2.7); raises BadFrame."""
        if not isinstance(row, dict):
            raise BadFrame("a statement row is not an object")
        transaction_id, remark = row.get("transaction_id"), row.get("longcode")
        if type(transaction_id) is not int:
            raise BadFrame("a statement row has no transaction_id")
        return cls(
            transaction_id,
            usd(row.get("amount")),
            usd(row.get("balance_after")),
            remark if isinstance(remark, str) else "",
            moment(row.get("transaction_time")),
        )

    def as_credit(self) -> IncomingCredit:
        return IncomingCredit(
            provider_id=str(self.transaction_id),
            amount=self.amount,
            balance=self.balance,
            remark=self.remark,
            happened_at=self.happened_at,
        )


@dataclass(frozen=True, slots=True)
class _Reading:
    rows: list[StatementRow]
    is_whole: bool
    """Whether every row could be read; one that could not may be any."""


@dataclass(frozen=True, slots=True)
class Credits:
    """What came in, oldest first."""

    found: list[IncomingCredit]
    is_whole: bool
    """False: a row could not be read, and may be one more."""


@dataclass(frozen=True, slots=True)
class _Search:
    since: datetime
    reading: asyncio.Future[_Reading]


class Statement:
    """Every `statement` call of the process goes through here, one at a time and at least `gap_ms` apart."""

    def __init__(self, *, clock: Clock, gap_ms: int, answer_within_ms: int) -> None:
        self._clock = clock
        self._gap_ms = gap_ms
        self._answer_within_ms = answer_within_ms
        self._turn = asyncio.Lock()
        self._called_at_ms: int | None = None
        self._searches: list[_Search] = []

    async def credits(self, connection: DerivConnection, *, since: datetime) -> Credits:
        """Every credit from `since` on; raises StatementUnavailable."""
        async with self._turn:
            reading = await self._read(connection, "deposit", since)
        found = [row.as_credit() for row in reversed(reading.rows) if row.amount.cents > 0]
        return Credits(found, reading.is_whole)

    async def find_transfers(
        self, connection: DerivConnection, references: Collection[str], *, since: datetime
    ) -> Mapping[str, list[FoundTransfer]]:
        """Look for our references among the debits.

        Raises StatementUnavailable, also when one was not found and a row could not be read: that may have been it.

        Callers that wait while another reads are all served by the next reading: one statement resolves every unknown.
        """
        search = _Search(since, asyncio.get_running_loop().create_future())
        self._searches.append(search)
        try:
            async with self._turn:
                if not search.reading.done():
                    await self._serve_searches(connection)
        finally:
            if search in self._searches:
                self._searches.remove(search)
        reading = await search.reading
        found = _matches(reading.rows, frozenset(references))
        if not reading.is_whole and len(found) < len(frozenset(references)):
            raise StatementUnavailable("A row of the statement cannot be read.")
        return found

    async def _serve_searches(self, connection: DerivConnection) -> None:
        await self._keep_gap()
        batch = list(self._searches)
        try:
            reading = await self._read(connection, "withdrawal", min(search.since for search in batch) - _CLOCKS_DIFFER)
        except StatementUnavailable as unavailable:
            for search in batch:
                if not search.reading.done():
                    # Handed over as a value first: a search whose caller has gone must not log an unread exception.
                    search.reading.set_exception(unavailable)
                    search.reading.exception()
        else:
            for search in batch:
                if not search.reading.done():
                    search.reading.set_result(reading)
        self._searches = [search for search in self._searches if search not in batch]

    async def _read(
        self, connection: DerivConnection, action: Literal["deposit", "withdrawal"], since: datetime
    ) -> _Reading:
        """All rows of one kind from `since` on, newest first, each once.

        Rows that arrive while we page push older ones to the next page: they are met twice, never missed.
        """
        found: dict[int, StatementRow] = {}
        is_whole = True
        offset = 0
        while True:
            await self._keep_gap()
            page = await self._page(connection, action, since, offset)
            known = len(found)
            for row in page:
                try:
                    read = StatementRow.read(row)
                except BadFrame as bad:
                    _log.warning("a row of the Deriv statement cannot be read: %s", bad)
                    is_whole = False
                    continue
                found.setdefault(read.transaction_id, read)
            if len(page) < _PAGE or len(found) == known:
                return _Reading(list(found.values()), is_whole)
            offset += len(page)

    async def _page(self, connection: DerivConnection, action: str, since: datetime, offset: int) -> list[object]:
        request: Request = {
            "statement": 1,
            "action_type": action,
            "description": 1,
            "date_from": max(0, int(since.timestamp())),
            "limit": _PAGE,
            "offset": offset,
        }
        self._called_at_ms = self._clock.monotonic_ms()
        try:
            frame = await connection.call(request, within_ms=self._answer_within_ms)
            return _transactions(connection, frame)
        except (NoAnswer, BadFrame) as failed:
            raise StatementUnavailable(f"The statement cannot be read now: {failed}") from None

    async def _keep_gap(self) -> None:
        """Statement calls have a small budget of their own: about one per five seconds (deriv.md §1.6)."""
        if self._called_at_ms is not None:
            rest = self._called_at_ms + self._gap_ms - self._clock.monotonic_ms()
            if rest > 0:
                await self._clock.sleep(rest)


def _transactions(connection: DerivConnection, frame: Frame) -> list[object]:
    error = error_of(frame)
    if error is not None:
        # Where nothing but statements is asked for, nobody else would learn that the session is lost.
        connection.retire_if_lost(error[0])
        raise StatementUnavailable(f"The statement is refused now: {error[0]}")
    rows = part(frame, "statement").get("transactions")
    if not isinstance(rows, list):
        raise BadFrame("transactions is missing")
    return rows


def _matches(rows: list[StatementRow], references: frozenset[str]) -> dict[str, list[FoundTransfer]]:
    found: dict[str, list[FoundTransfer]] = {}
    for row in rows:
        # Whole words only: the reference PX1 must not be found in the remark of PX12.
        for reference in references.intersection(_WORD.findall(row.remark)):
            recipient = _RECIPIENT.search(row.remark)
            found.setdefault(reference, []).append(
                FoundTransfer(
                    reference=reference,
                    provider_id=str(row.transaction_id),
                    # A remark in another form still proves that money moved; people look at a row without a name.
                    login_id=recipient[1] if recipient else "",
                    amount=-row.amount,
                    happened_at=row.happened_at,
                )
            )
    return found
